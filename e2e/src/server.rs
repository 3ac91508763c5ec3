//! The broker under test: `klamm up` on a YAML of its own, or Apache Kafka as the control.
//!
//! Both keep their data when they are killed, and start again at the same address.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::cache;
use crate::kafka::{KAFKA_VERSION, Kafka};
use crate::process::{Process, until};

/// How long a server may take until it answers.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// How long a reset may take, once its group has no members.
const RESET_LIMIT: Duration = Duration::from_secs(30);
/// An ApiVersions request of version 0: size, key 18, version 0, correlation id 1, client id "e2e".
const API_VERSIONS: &[u8] = b"\0\0\0\x0d\0\x12\0\0\0\0\0\x01\0\x03e2e";

/// A topic that the server must have.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name.
    pub name: &'static str,
    /// How many partitions.
    pub partitions: i32,
}

/// Which server a test is to have.
pub struct Wanted<'a> {
    /// Topics that it must have, with a replica on each broker.
    pub topics: &'a [Topic],
    /// Groups that are declared where there is a way to.
    pub groups: &'a [&'static str],
    /// How many brokers; Apache Kafka has one.
    pub brokers: u16,
}

/// A server process with its folder: one broker, or several on ports that follow each other.
pub struct Server {
    folder: TempDir,
    port: u16,
    brokers: u16,
    topics: Vec<Topic>,
    groups: Vec<&'static str>,
    launch: Launch,
    process: Option<Process>,
}

enum Launch {
    Klamm { binary: PathBuf },
    Kafka { tools: Kafka, control: u16 },
}

/// Where the `klamm` binary is: `$KLAMM_BIN`, or built now beside this test.
///
/// # Errors
/// When it cannot be built.
pub fn klamm_binary() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("KLAMM_BIN") {
        return Ok(binary.into());
    }
    // target/debug/deps/clients-0123 or target/debug/record-frames → target
    let own = std::env::current_exe()?;
    let folder = own.parent().context("a program lies in a folder")?;
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    let profile = profile.context("a test lies in target/debug/deps")?;
    let target = profile.parent().context("target/debug has a parent")?;
    // As `cargo xtask test build` does it, so that it is not built twice with other features.
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--workspace", "--bins", "--target-dir"]).arg(target);
    cache::run(cargo.current_dir(env!("CARGO_MANIFEST_DIR")))?;
    Ok(profile.join("klamm"))
}

/// Whether the stories run against Apache Kafka instead.
pub fn is_control() -> bool {
    std::env::var("KLAMM_E2E_SERVER").is_ok_and(|server| server == "kafka")
}

/// A port that was free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    free_ports(1)
}

/// The first of `count` ports in a row that were free a moment ago. None of them is handed out by the system:
/// a client's connection could take it as its own while a broker that was killed is away.
fn free_ports(count: u16) -> Result<u16> {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Others look for ports at the same time.
    let moment = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    let skipped = usize::try_from((moment / 1000).wrapping_add(std::process::id() * 7919) % 9000)?;
    let all = (10_000..19_000).cycle().skip(skipped).take(9000);
    let mut firsts = all.filter(|first: &u16| (*first..first + count).all(is_free));
    firsts.next().context("no ports are free")
}

impl Server {
    /// Starts a server of one broker with these topics.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn start(topics: &[Topic]) -> Result<Self> {
        Self::launch(&Wanted { topics, groups: &[], brokers: 1 })
    }

    /// Starts a server.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn launch(wanted: &Wanted<'_>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("klamm-e2e-").tempdir()?;
        let launch = if is_control() {
            ensure!(wanted.brokers == 1, "the control is one broker");
            let tools = Kafka::find()?.context("the control needs java and mvn")?;
            Launch::Kafka { tools, control: free_port()? }
        } else {
            Launch::Klamm { binary: klamm_binary()? }
        };
        let brokers = wanted.brokers;
        let port = free_ports(brokers)?;
        let (topics, groups) = (wanted.topics.to_vec(), wanted.groups.to_vec());
        let mut server = Self { folder, port, brokers, topics, groups, launch, process: None };
        server.prepare()?;
        server.start_again()?;
        server.create_topics()?;
        Ok(server)
    }

    /// `host:port` of each broker for clients, separated by commas.
    pub fn address(&self) -> String {
        let each = (self.port..self.port + self.brokers).map(|port| format!("127.0.0.1:{port}"));
        each.collect::<Vec<_>>().join(",")
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it said last.
    pub fn notes(&self) -> String {
        self.process.as_ref().map(Process::notes).unwrap_or_default()
    }

    /// Kills it (SIGKILL).
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the server does not run")?;
        ensure!(process.is_running()?, "the server ended by itself\n{}", process.notes());
        process.kill().map(drop)
    }

    /// Stops it (SIGTERM).
    ///
    /// # Errors
    /// When it does not stop, or not cleanly.
    pub fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the server does not run")?;
        let status = process.stop()?;
        // Java ends with 143 when it was asked to.
        let is_clean = status.success() || is_control();
        ensure!(is_clean, "the server ended with {status}\n{}", process.notes());
        Ok(())
    }

    /// Starts it again, at the same address and with the same data. Gives how long it took until it
    /// answered.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn start_again(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let mut process = Process::start("server", &mut self.command(), |_| None)?;
        let port = self.port;
        let answered = until("the server answers", READY_LIMIT, || {
            ensure!(process.is_running()?, "the server ended at once\n{}", process.notes());
            Ok(answers(port).then_some(()))
        });
        answered.with_context(|| process.notes())?;
        self.process = Some(process);
        Ok(begun.elapsed())
    }

    /// How many brokers it has.
    pub fn brokers(&self) -> u16 {
        self.brokers
    }

    /// A hand that does things to its brokers meanwhile.
    ///
    /// # Errors
    /// When it is the control.
    pub fn hand(&self) -> Result<Hand> {
        let Launch::Klamm { binary } = &self.launch else { bail!("the control has no klamm") };
        Ok(Hand { binary: binary.clone(), address: self.address(), data: self.data() })
    }

    /// Moves `group` to the beginning of `topic` by the server's own tools.
    ///
    /// # Errors
    /// When that is refused.
    pub fn rewind(&self, topic: &str, group: &str) -> Result<&'static str> {
        let address = self.address();
        match &self.launch {
            Launch::Klamm { .. } => {
                let reset = ["group", "reset", group, "--to", "beginning", "--topic", topic];
                self.klamm(&reset)?;
                Ok("klamm group reset")
            }
            Launch::Kafka { tools, .. } => {
                let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
                let reset = ["--bootstrap-server", &address, "--reset-offsets", "--to-earliest"];
                let of = ["--execute", "--group", group, "--topic", topic];
                let said = tools.tool(class, &[reset.as_slice(), of.as_slice()].concat())?;
                ensure!(said.contains(group), "{said}");
                Ok("kafka-consumer-groups.sh")
            }
        }
    }

    /// Moves `group` to the beginning by an edit of its YAML. `None` where there is none.
    ///
    /// # Errors
    /// When the status does not say that it is complete in time.
    pub fn rewind_by_yaml(&self, group: &str) -> Result<Option<String>> {
        if matches!(self.launch, Launch::Kafka { .. }) {
            return Ok(None);
        }
        fs::write(self.resources(), self.yaml(Some(group)))?;
        let seen = until("the reset is complete", RESET_LIMIT, || {
            let status = self.status_of(group)?;
            let phase = &status["lastReset"]["phase"];
            ensure!(phase != "Rejected", "the reset was rejected: {status}");
            Ok((phase == "Complete").then_some(status))
        });
        let status = seen.with_context(|| self.notes())?;
        Ok(Some(format!("{} partitions", status["lastReset"]["partitions"])))
    }

    /// Runs `klamm` with these arguments against this server; gives its output.
    ///
    /// # Errors
    /// When it fails.
    pub fn klamm(&self, arguments: &[&str]) -> Result<String> {
        self.hand()?.klamm(arguments)
    }

    fn status_of(&self, group: &str) -> Result<Value> {
        let data = self.data();
        let data = data.to_str().context("the folder's path is not UTF-8")?;
        let got = self.klamm(&["get", "groups", group, "--data-dir", data, "-o", "json"])?;
        let got: Value = serde_json::from_str(&got).with_context(|| got.clone())?;
        // One resource, or a list of one.
        let one = got.get("items").and_then(|items| items.get(0)).or_else(|| got.get(0));
        Ok(one.unwrap_or(&got)["status"].clone())
    }

    fn resources(&self) -> PathBuf {
        self.folder.path().join("resources.yaml")
    }

    /// What a person would write down for this story; `rewound` is a group with a reset.
    fn yaml(&self, rewound: Option<&str>) -> String {
        let head = |kind: &str, name: &str| {
            format!(
                "---\napiVersion: klamm.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
            )
        };
        let brokers = self.brokers;
        let mut text = head("Cluster", "shop");
        text += &format!("spec: {{replicas: {brokers}, storage: {{size: 4Gi}}}}\n");
        for Topic { name, partitions } in &self.topics {
            text += &head("Topic", name);
            text += &format!("spec:\n  clusterRef: {{name: shop}}\n  replicas: {brokers}\n");
            text += &format!("  partitions: {partitions}\n");
            if brokers > 1 {
                text += &format!("  minInSyncReplicas: {}\n", brokers - 1);
            }
        }
        for group in &self.groups {
            text += &head("ConsumerGroup", group);
            text += "spec:\n  clusterRef: {name: shop}\n";
            if rewound == Some(group) {
                text += "  reset: {token: once-more, to: {position: Earliest}}\n";
            }
        }
        text
    }

    fn prepare(&self) -> Result<()> {
        let folder = self.folder.path();
        let Launch::Kafka { tools, control } = &self.launch else {
            return Ok(fs::write(self.resources(), self.yaml(None))?);
        };
        let settings = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{control}\n\
             listeners=PLAINTEXT://{0},CONTROLLER://127.0.0.1:{control}\n\
             advertised.listeners=PLAINTEXT://{0}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             inter.broker.listener.name=PLAINTEXT\nlog.dirs={1}\n\
             offsets.topic.replication.factor=1\ngroup.initial.rebalance.delay.ms=1000\n",
            self.address(),
            self.data().display(),
        );
        let file = self.settings();
        fs::write(&file, settings)?;
        let file = file.to_str().context("the folder's path is not UTF-8")?;
        let format = ["format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", file];
        let said = tools.tool("kafka.tools.StorageTool", &format)?;
        ensure!(self.data().exists(), "{}: {said}", folder.display());
        Ok(())
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("server.properties")
    }

    fn command(&self) -> Command {
        match &self.launch {
            Launch::Klamm { binary } => {
                let mut command = Command::new(binary);
                command.arg("up").arg("--file").arg(self.resources());
                command.arg("--data-dir").arg(self.data());
                let first = format!("127.0.0.1:{}", self.port);
                command.args(["--listen", &first, "--http", "off"]);
                command.current_dir(self.folder.path());
                without_our_settings(&mut command);
                // Requests cross from shard to shard, on a small machine as well.
                command.env("KLAMM_SHARDS", "2");
                command
            }
            Launch::Kafka { .. } => {
                let mut command = Command::new("java");
                let lib = cache::folder().unwrap_or_default();
                let lib = lib.join(format!("kafka-{KAFKA_VERSION}/lib/*"));
                command.args(["-Xmx512m", "-XX:+UseSerialGC", "-cp"]).arg(lib);
                command.arg("kafka.Kafka").arg(self.settings());
                command.current_dir(self.folder.path());
                command
            }
        }
    }

    fn create_topics(&self) -> Result<()> {
        for Topic { name, partitions } in &self.topics {
            match &self.launch {
                // Declared in the YAML: they come by themselves.
                Launch::Klamm { .. } => {
                    let what = format!("topic {name} exists");
                    let describe = ["topic", "describe", name];
                    until(&what, READY_LIMIT, || Ok(self.klamm(&describe).ok()))?;
                }
                Launch::Kafka { tools, .. } => {
                    let (address, partitions) = (self.address(), partitions.to_string());
                    let server = ["--bootstrap-server", &address, "--create"];
                    let topic = ["--topic", name, "--partitions", &partitions];
                    let class = "org.apache.kafka.tools.TopicCommand";
                    let said = tools.tool(class, &[server.as_slice(), &topic].concat())?;
                    ensure!(said.contains("Created topic"), "{said}");
                }
            }
        }
        Ok(())
    }
}

/// Runs `klamm` against a server.
pub struct Hand {
    binary: PathBuf,
    address: String,
    data: PathBuf,
}

impl Hand {
    /// With these arguments; gives its output.
    ///
    /// # Errors
    /// When it fails.
    pub fn klamm(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        without_our_settings(&mut command);
        cache::run(command.args(arguments).args(["--bootstrap", &self.address]))
    }

    /// `kill`s, `stop`s or `start`s a broker of a `klamm up`.
    ///
    /// # Errors
    /// When that is refused.
    pub fn broker(&self, action: &str, id: u16) -> Result<()> {
        let mut command = Command::new(&self.binary);
        without_our_settings(&mut command);
        command.args(["cluster", action, &id.to_string(), "--data-dir"]).arg(&self.data);
        cache::run(&mut command).map(drop)
    }

    /// Whether all brokers are up and in sync.
    pub fn is_whole(&self) -> bool {
        let said = self.klamm(&["cluster", "brokers", "-o", "json"]).unwrap_or_default();
        let said: Value = serde_json::from_str(&said).unwrap_or_default();
        let brokers = said.as_array().cloned().unwrap_or_default();
        let is_well = |it: &Value| it["state"] == "up" && it["inSyncPercent"] == 100;
        brokers.len() == self.address.split(',').count() && brokers.iter().all(is_well)
    }
}

/// Takes this suite's own variables out of the environment: the broker reads `KLAMM_…` as settings.
pub fn without_our_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"KLAMM_") {
            command.env_remove(name);
        }
    }
}

/// Whether whoever listens there answers ApiVersions without an error.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<[u8; 10]> {
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.set_read_timeout(Some(Duration::from_secs(2)))?;
        connection.write_all(API_VERSIONS)?;
        let mut answer = [0; 10];
        connection.read_exact(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer[4..] == [0, 0, 0, 1, 0, 0])
}
