//! The contestants as processes: Klamm, Apache Kafka as its start script runs it, and the floor.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::kafka::Kafka;
use e2e::process::around;

use super::cgroup::MemoryGroup;
use crate::load::{self, Target};

/// How long a broker may take until it acknowledges something.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often it is asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(2);

/// Java as Kafka's own start scripts run it, and the heap that they give it.
const JAVA: [&str; 7] = [
    "-Xms1G",
    "-Xmx1G",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// A contestant: how to start it, its folder and its limits. Ended when dropped.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    address: String,
    folder: PathBuf,
    command: Command,
    child: Option<Child>,
    // After the child: a group is removed once it is empty.
    _group: MemoryGroup,
}

impl Peer {
    pub(crate) fn klamm(binary: &Path, folder: &Path, memory: u64) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(binary);
        command.arg("broker");
        for setting in [
            format!("listeners=PLAINTEXT://{address}"),
            format!("log.dirs={}", folder.join("data").display()),
            format!("klamm.http.listener={}", free_address()?),
        ] {
            command.arg("--set").arg(setting);
        }
        Self::new("klamm", address, folder, &command, memory)
    }

    pub(crate) fn kafka(jars: &Kafka, folder: &Path, memory: u64) -> Result<Self> {
        let (config, address) = jars.prepare(folder, "")?;
        let mut command = Command::new("java");
        command.args(JAVA).arg("-cp").arg(jars.classpath()).arg("kafka.Kafka").arg(config);
        Self::new("kafka", address.to_string(), folder, &command, memory)
    }

    pub(crate) fn floor(folder: &Path, memory: u64) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["floor", "--listen", &address, "--folder"]).arg(folder.join("data"));
        Self::new("floor", address, folder, &command, memory)
    }

    fn new(
        name: &'static str,
        address: String,
        folder: &Path,
        command: &Command,
        memory: u64,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let group = MemoryGroup::new(name, memory)?;
        let (folder, command) = (folder.to_owned(), around(&group.prefix(), command));
        Ok(Self { name, address, folder, command, child: None, _group: group })
    }

    /// Starts the process. Whether it answers is another question.
    pub(crate) fn start(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        let said = self.folder.join("said.txt");
        let said = std::fs::OpenOptions::new().create(true).append(true).open(said)?;
        let command = self.command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Starts it, and gives how long it took until every partition of `topic` had acknowledged a record.
    /// The topic is created if need be.
    pub(crate) fn start_and_write(&mut self, topic: &str, partitions: i32) -> Result<Duration> {
        let begun = Instant::now();
        self.start()?;
        let target = self.target(topic, partitions)?;
        let mut written = 0;
        loop {
            let outcome = load::write_singly(&target, &mut written);
            let Err(error) = outcome else { return Ok(begun.elapsed()) };
            let child = self.child.as_mut().context("it was started")?;
            if let Some(status) = child.try_wait()? {
                anyhow::bail!("{} ended with {status}: {}", self.name, self.said());
            }
            if begun.elapsed() > PATIENCE {
                return Err(error.context(format!("{} does not serve", self.name)));
            }
            std::thread::sleep(ASK_EVERY);
        }
    }

    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("it does not run")?.id())
    }

    /// A topic of it.
    pub(crate) fn target(&self, topic: &str, partitions: i32) -> Result<Target> {
        Ok(Target {
            broker: self.address.clone(),
            topic: topic.to_owned(),
            partitions,
            replicas: 1,
            pids: vec![self.pid()?],
        })
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Kills it and forgets its data.
    pub(crate) fn erase(&mut self) -> Result<()> {
        self.kill()?;
        Ok(std::fs::remove_dir_all(self.folder.join("data"))?)
    }

    fn said(&self) -> String {
        let said = std::fs::read_to_string(self.folder.join("said.txt")).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
