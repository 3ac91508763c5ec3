//! Apache Kafka as a judge: its tools, and a broker of one node, from jars in the cache.
//!
//! The jars come from Maven, pinned, into `$KLAMM_CACHE/kafka-<version>/lib` (default `~/.cache/klamm`).
//! Where Java or Maven are missing, [`Kafka::find`] says so and the suite is skipped, except with
//! `CI=true`, where that is a failure.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use world::Disk;
use world::real::RealDisk;

use crate::server::free_port;

/// The newest Kafka whose broker resolves whole from Maven.
pub const KAFKA_VERSION: &str = "4.3.1";

const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>klamm</groupId><artifactId>kafka-peer</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>VERSION</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>VERSION</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.4</version></dependency>
  </dependencies>
  <build><plugins><plugin>
    <groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId><version>3.8.1</version>
    <executions><execution><phase>package</phase><goals><goal>copy-dependencies</goal></goals>
      <configuration><outputDirectory>${project.basedir}/lib</outputDirectory><includeScope>runtime</includeScope></configuration>
    </execution></executions>
  </plugin></plugins></build>
</project>
"#;

/// Kafka's jars, ready to run.
pub struct Kafka {
    home: PathBuf,
}

/// A Kafka broker of one node, killed when dropped.
pub struct KafkaBroker {
    child: Child,
    /// Where clients connect.
    pub address: SocketAddr,
    /// Its log dir.
    pub data: PathBuf,
}

/// The disk that tests prepare files on.
pub fn disk() -> RealDisk {
    RealDisk::new(PathBuf::from("/proc/sys/kernel/random/boot_id"))
}

impl Kafka {
    /// Finds the jars, fetching them if they are not there yet. `None`, with a message, where that
    /// cannot be done.
    ///
    /// # Errors
    /// With `CI=true`, when it cannot be done.
    #[expect(clippy::print_stdout, reason = "whoever runs the tests must see what was not run")]
    pub fn find() -> anyhow::Result<Option<Self>> {
        match Self::fetch() {
            Ok(kafka) => Ok(Some(kafka)),
            Err(error) if std::env::var("CI").is_ok_and(|ci| ci == "true") => Err(error),
            Err(error) => {
                println!("skipped: {error:#}");
                Ok(None)
            }
        }
    }

    fn fetch() -> anyhow::Result<Self> {
        for tool in ["java", "mvn"] {
            let found = Command::new(tool).arg("-version").output();
            ensure!(found.is_ok_and(|out| out.status.success()), "there is no `{tool}`");
        }
        let cache = match std::env::var_os("KLAMM_CACHE") {
            Some(cache) => PathBuf::from(cache),
            None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?)
                .join(".cache/klamm"),
        };
        let home = cache.join(format!("kafka-{KAFKA_VERSION}"));
        let complete = home.join("lib.complete");
        if !complete.exists() {
            disk().create_dir_all(&home)?;
            let pom = POM.replace("VERSION", KAFKA_VERSION);
            disk().write_atomic(&home.join("pom.xml"), pom.as_bytes())?;
            let out = Command::new("mvn")
                .args(["-q", "-B", "package"])
                .current_dir(&home)
                .output()
                .context("cannot run mvn")?;
            ensure!(out.status.success(), "mvn: {}", String::from_utf8_lossy(&out.stdout));
            disk().write_atomic(&complete, b"")?;
        }
        Ok(Self { home })
    }

    fn java(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command
            .args(["-Xmx512M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(self.home.join("lib/*"))
            .arg(class);
        command
    }

    /// Runs one of Kafka's tools and gives what it printed, whether or not it succeeded.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> anyhow::Result<String> {
        self.tool_with_input(class, arguments, "")
    }

    /// As [`Kafka::tool`], with `input` on its standard input.
    ///
    /// # Errors
    /// When it cannot be started or fed.
    pub fn tool_with_input(
        &self,
        class: &str,
        arguments: &[&str],
        input: &str,
    ) -> anyhow::Result<String> {
        let scratch = tempfile::tempdir()?;
        let file = scratch.path().join("input");
        disk().write_atomic(&file, input.as_bytes())?;
        let input = std::fs::OpenOptions::new().read(true).open(&file)?;
        let out = self.java(class).args(arguments).stdin(input).output().context("java")?;
        let mut text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&out.stderr));
        Ok(text)
    }

    /// All jars, as Java's `-cp` takes them.
    pub fn classpath(&self) -> PathBuf {
        self.home.join("lib/*")
    }

    /// Writes `base/server.properties` for a broker of one node on free ports, with `extra` lines, and
    /// formats its log dir, `base/data`, unless that is done. Gives the file and where it will listen.
    ///
    /// # Errors
    /// When the folder cannot be written or formatted.
    pub fn prepare(&self, base: &Path, extra: &str) -> anyhow::Result<(PathBuf, SocketAddr)> {
        let free = || free_port().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (address, control) = (free()?, free()?);
        let data = base.join("data");
        let config = base.join("server.properties");
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@{control}\n\
             listeners=PLAINTEXT://{address},CONTROLLER://{control}\n\
             advertised.listeners=PLAINTEXT://{address}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             inter.broker.listener.name=PLAINTEXT\nlog.dirs={}\n\
             offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\noffsets.topic.num.partitions=1\n\
             transaction.state.log.num.partitions=1\ngroup.initial.rebalance.delay.ms=0\n{extra}\n",
            data.display(),
        );
        disk().create_dir_all(base)?;
        disk().write_atomic(&config, text.as_bytes())?;
        let file = config.to_str().context("path is not UTF-8")?;
        if !data.join("meta.properties").exists() {
            let id = "MkU3OEVBNTcwNTJENDM2Qg";
            let arguments = ["format", "-t", id, "-c", file];
            let said = self.tool("kafka.tools.StorageTool", &arguments)?;
            ensure!(data.join("meta.properties").exists(), "format: {said}");
        }
        Ok((config, address))
    }

    /// Starts a broker whose log dir is `base/data`, made and formatted if it is not there.
    ///
    /// # Errors
    /// When it does not accept connections within a minute.
    pub fn start(&self, base: &Path, extra: &str) -> anyhow::Result<KafkaBroker> {
        let (config, address) = self.prepare(base, extra)?;
        let data = base.join("data");
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(base.join("broker.log"))?;
        let child = self
            .java("kafka.Kafka")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut broker = KafkaBroker { child, address, data };
        for _ in 0..600 {
            if TcpStream::connect(address).is_ok() {
                return Ok(broker);
            }
            if let Some(status) = broker.child.try_wait()? {
                bail!("kafka ended with {status}: see {}", base.join("broker.log").display());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("kafka did not listen on {address} within a minute")
    }
}

impl KafkaBroker {
    /// Stops it as its operator would, and waits.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(sent.success(), "cannot signal kafka");
        self.child.wait()?;
        Ok(())
    }

    /// Kills it.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        // Already gone after `stop` and `kill`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
