//! The six client libraries: what each needs, how its program is built and run, and what it cannot do.
//!
//! The programs are in `clients/`, pinned by the lock files there; what they are built into is in the
//! cache, keyed by their files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cache;
use crate::event::Event;
use crate::kcat;
use crate::order::Order;
use crate::process::{Parse, Process};

/// The version of kcat that the story is told with; it is installed, not fetched.
const KCAT: &str = "Version 1.7.1";
/// kafka-go's own, by default.
const JOIN_GROUP_BACKOFF: Duration = Duration::from_secs(5);
/// kafkajs's own, by default: 5 retries, after 300 ms, 600 ms, and so on.
const KAFKAJS_RETRIES: Duration = Duration::from_millis(300 * 31);
/// As `pom.xml` says what is needed, this copies it.
const COPY_JARS: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// A client library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// `segmentio/kafka-go`.
    KafkaGo,
    /// `twmb/franz-go`.
    FranzGo,
    /// `kafka-clients`, Kafka's own.
    Java,
    /// `confluent-kafka`, on librdkafka.
    Python,
    /// `kafkajs`.
    Node,
    /// `kcat`, on an older librdkafka.
    Kcat,
}

/// How long a member may be silent, and how often it speaks, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// The group's session timeout.
    pub session_ms: u64,
    /// The member's heartbeat interval.
    pub heartbeat_ms: u64,
}

/// A library's program, built.
pub struct Program {
    library: Library,
    /// Program and first arguments.
    command: Vec<String>,
    parse: Parse,
}

impl Library {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::KafkaGo, Self::FranzGo, Self::Java, Self::Python, Self::Node, Self::Kcat];

    /// Its name in the table; also the name of its folder in `clients/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::KafkaGo => "kafka-go",
            Self::FranzGo => "franz-go",
            Self::Java => "java",
            Self::Python => "python",
            Self::Node => "node",
            Self::Kcat => "kcat",
        }
    }

    /// What must be installed to build and run it.
    pub fn tools(self) -> &'static [&'static str] {
        match self {
            Self::KafkaGo | Self::FranzGo => &["go"],
            Self::Java => &["java", "javac", "mvn"],
            Self::Python => &["python3"],
            Self::Node => &["node", "npm"],
            Self::Kcat => &["kcat"],
        }
    }

    /// Why it cannot rewind a group itself, if it cannot.
    pub fn cannot_rewind(self) -> Option<&'static str> {
        (self == Self::Kcat).then_some("kcat cannot move committed offsets")
    }

    /// Why it cannot say when a record happened, if it cannot.
    pub fn cannot_set_timestamps(self) -> Option<&'static str> {
        (self == Self::Kcat).then_some("kcat cannot set timestamps")
    }

    /// Why it may send and read again what it did before, when a broker goes; nothing where it does not.
    pub fn repeats(self) -> Option<&'static str> {
        match self {
            Self::KafkaGo => Some("kafka-go sends again without idempotence, and joins anew"),
            Self::Node => Some("kafkajs sends again without idempotence, and joins anew"),
            _ => None,
        }
    }

    /// How much longer than others it needs to go on when a broker goes, by its own constants, with members whose session
    /// is so many milliseconds.
    pub fn pause(self, session_ms: u64) -> Duration {
        match self {
            // Where it asks before there is a new coordinator, it cannot leave, forgets who it was, and comes back after its
            // JoinGroupBackoff; the group waits until the session of the forgotten one ends (segmentio/kafka-go#1215).
            Self::KafkaGo => JOIN_GROUP_BACKOFF + Duration::from_millis(session_ms),
            // Its producer looks who leads now when a try fails, not when it tries again, and gives up with the sixth:
            // some tries have to fall into the time in which nothing changes.
            Self::Node => KAFKAJS_RETRIES,
            _ => Duration::ZERO,
        }
    }

    /// How long it may take to find its coordinator again once all brokers are there, if it does not tell and leaves a
    /// group but once.
    pub fn silence(self) -> Duration {
        match self {
            // A refused heartbeat tells it, and it asks once a second.
            Self::Java | Self::Kcat => Duration::from_secs(3),
            _ => Duration::ZERO,
        }
    }

    /// Builds its program, or finds the one that was built from the same files.
    ///
    /// # Errors
    /// When something that it needs cannot be fetched or compiled.
    pub fn build(self) -> Result<Program> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(self.name());
        let command = match self {
            Self::KafkaGo | Self::FranzGo => vec![text(&go(self.name(), &source)?)?],
            Self::Java => java(&source)?,
            Self::Python => python(&source)?,
            Self::Node => node(&source)?,
            Self::Kcat => {
                let said = cache::run(Command::new("kcat").arg("-V"))?;
                ensure!(said.contains(KCAT), "another kcat than {KCAT}: {said}");
                vec!["kcat".to_owned()]
            }
        };
        let parse = if self == Self::Kcat { kcat::parse } else { Event::parse };
        Ok(Program { library: self, command, parse })
    }
}

fn text(path: &Path) -> Result<String> {
    Ok(path.to_str().context("the cache's path is not UTF-8")?.to_owned())
}

pub(crate) fn go(name: &str, source: &Path) -> Result<PathBuf> {
    let build = |folder: &Path| {
        let arguments = ["build", "-trimpath", "-o", "orders", "."];
        cache::run(Command::new("go").args(arguments).current_dir(folder)).map(drop)
    };
    Ok(cache::built(name, source, build)?.join("orders"))
}

fn java(source: &Path) -> Result<Vec<String>> {
    let folder = cache::built("java", source, |folder| {
        let lib = format!("-DoutputDirectory={}", text(&folder.join("lib"))?);
        let mvn = ["-q", "-B", COPY_JARS, "-DincludeScope=runtime", &lib];
        cache::run(Command::new("mvn").args(mvn).current_dir(folder))?;
        let javac = ["-cp", "lib/*", "-d", ".", "Orders.java"];
        cache::run(Command::new("javac").args(javac).current_dir(folder)).map(drop)
    })?;
    let class_path = text(&folder)? + ":" + &text(&folder.join("lib/*"))?;
    let quick = ["java", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
    let quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";
    let rest = [quiet, "-cp", &class_path, "Orders"];
    Ok(quick.into_iter().chain(rest).map(str::to_owned).collect())
}

fn python(source: &Path) -> Result<Vec<String>> {
    let folder = cache::built("python", source, |folder| {
        cache::run(Command::new("python3").args(["-m", "venv", "venv"]).current_dir(folder))?;
        let pip = ["install", "-q", "--no-deps", "-r", "requirements.txt"];
        cache::run(Command::new("venv/bin/pip").args(pip).current_dir(folder)).map(drop)
    })?;
    Ok(vec![text(&folder.join("venv/bin/python"))?, text(&folder.join("orders.py"))?])
}

fn node(source: &Path) -> Result<Vec<String>> {
    let folder = cache::built("node", source, |folder| {
        let npm = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
        cache::run(Command::new("npm").args(npm).current_dir(folder)).map(drop)
    })?;
    Ok(vec!["node".to_owned(), text(&folder.join("orders.js"))?])
}

impl Program {
    /// Which library it shows.
    pub fn library(&self) -> Library {
        self.library
    }

    /// The same program, run by `prefix`: a program and its first arguments.
    ///
    /// # Errors
    /// When a word of it is not UTF-8.
    pub fn within(mut self, prefix: &[OsString]) -> Result<Self> {
        let words = prefix.iter().map(|word| text(Path::new(word)));
        let words = words.collect::<Result<Vec<_>>>()?;
        self.command.splice(0..0, words);
        Ok(self)
    }

    /// Starts to send; feed it with [`Program::feed`], then close its input.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn produce(&self, broker: &str, topic: &str, first: &Order) -> Result<Process> {
        let mut command = self.command();
        if self.library == Library::Kcat {
            command.args(["-P", "-b", broker, "-t", topic, "-vvv"]);
            // Else a burst of records without a key goes to a few partitions only.
            command.args([
                "-X",
                "enable.idempotence=true",
                "-X",
                "sticky.partitioning.linger.ms=0",
            ]);
            if first.key.is_some() {
                command.args(["-K", "\t"]);
            }
            for (name, value) in &first.headers {
                command.arg("-H").arg(format!("{name}={value}"));
            }
        } else {
            command.args(["produce", broker, topic]);
        }
        Process::start(format!("{} producer", self.library.name()), &mut command, self.parse)
    }

    /// Gives a producer an order to send.
    ///
    /// # Errors
    /// When it does not read any more.
    pub fn feed(&self, producer: &mut Process, order: &Order) -> Result<()> {
        if self.library == Library::Kcat {
            return producer.write(&match &order.key {
                Some(key) => format!("{key}\t{}", order.value),
                None => order.value.clone(),
            });
        }
        producer.write(&serde_json::to_string(order)?)
    }

    /// Starts a member of `group`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn consume(
        &self,
        broker: &str,
        topic: &str,
        group: &str,
        timeouts: Timeouts,
    ) -> Result<Process> {
        let Timeouts { session_ms, heartbeat_ms } = timeouts;
        let mut command = self.command();
        if self.library == Library::Kcat {
            command.args(["-b", broker, "-G", group, topic, "-J", "-u"]);
            command.args(["-X", "auto.offset.reset=earliest"]);
            // It connects again to a broker that was away before its coordinator's `silence` ends.
            command.args(["-X", "reconnect.backoff.max.ms=500"]);
            command.arg("-X").arg(format!("session.timeout.ms={session_ms}"));
            command.arg("-X").arg(format!("heartbeat.interval.ms={heartbeat_ms}"));
        } else {
            command.args(["consume", broker, topic, group]);
            command.args([session_ms.to_string(), heartbeat_ms.to_string()]);
        }
        Process::start(format!("{} {group}", self.library.name()), &mut command, self.parse)
    }

    /// Starts a member of `group` that says in which rack it is, and tells which broker it reads from: franz-go.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn consume_in_rack(
        &self,
        broker: &str,
        topic: &str,
        group: &str,
        timeouts: Timeouts,
        rack: &str,
    ) -> Result<Process> {
        ensure!(self.library == Library::FranzGo, "only franz-go tells where it reads");
        let Timeouts { session_ms, heartbeat_ms } = timeouts;
        let mut command = self.command();
        command.args(["consume", broker, topic, group]);
        command.args([session_ms.to_string(), heartbeat_ms.to_string(), rack.to_owned()]);
        Process::start(format!("{} in {rack}", self.library.name()), &mut command, self.parse)
    }

    /// Starts to move `group` to the beginning of `topic`.
    ///
    /// # Errors
    /// When it cannot be started, or cannot do such a thing.
    pub fn rewind(&self, broker: &str, topic: &str, group: &str) -> Result<Process> {
        if let Some(reason) = self.library.cannot_rewind() {
            anyhow::bail!("{reason}");
        }
        let mut command = self.command();
        command.args(["rewind", broker, topic, group]);
        Process::start(format!("{} rewind", self.library.name()), &mut command, self.parse)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        // kafkajs greets everyone with a page about partitioners, and node warns of its timers.
        command.env("KAFKAJS_NO_PARTITIONER_WARNING", "1").env("NODE_NO_WARNINGS", "1");
        command
    }
}
