//! What is run as a cluster: Klamm, or Apache Kafka beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Seat;
use crate::kafka::Kafka;
use crate::server::{klamm_binary, without_our_settings};

/// 22 characters of URL-safe base64, as both want it.
const CLUSTER_ID: &str = "ZTJlLWNsdXN0ZXItb2YtMw";
/// As Kafka's own start script has it.
const JAVA: [&str; 7] = [
    "-Xms1G",
    "-Xmx1G",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// Whose brokers they are.
pub enum Product {
    /// Ours, from this program.
    Klamm(PathBuf),
    /// Apache Kafka's, from these jars.
    Kafka(Kafka),
}

impl Product {
    /// Klamm, as `$KLAMM_BIN` says, or as it is built now.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn klamm() -> Result<Self> {
        klamm_binary().map(Self::Klamm)
    }

    /// Apache Kafka from Maven.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub fn kafka() -> Result<Self> {
        Kafka::find()?.context("Apache Kafka needs java and mvn").map(Self::Kafka)
    }

    /// Whether it can be asked over HTTP how it is.
    pub(super) fn has_http(&self) -> bool {
        matches!(self, Self::Klamm(_))
    }

    /// Whether this is how it ends when it was asked to.
    pub(super) fn is_clean(&self, status: std::process::ExitStatus) -> bool {
        // Java ends with 143 then.
        status.success() || (matches!(self, Self::Kafka(_)) && status.code() == Some(143))
    }

    /// How a broker is started that is one of `seats`; its data are there, or made ready now.
    pub(super) fn command(
        &self,
        seat: &Seat,
        seats: &[Seat],
        settings: &[String],
        folder: &Path,
    ) -> Result<Command> {
        match self {
            Self::Klamm(binary) => {
                let mut command = Command::new(binary);
                without_our_settings(&mut command);
                command.env("KLAMM_LOG", "info").env("RUST_BACKTRACE", "0").arg("broker");
                let voters = voters(seats, |seat| seat.address.port());
                let own = [
                    format!("node.id={}", seat.id),
                    format!("klamm.cluster.id={CLUSTER_ID}"),
                    format!("controller.quorum.voters={voters}"),
                    format!("listeners=PLAINTEXT://{}", seat.address),
                    format!("klamm.http.listener={}", seat.http),
                    format!("log.dirs={}", seat.machine.data.display()),
                    // Whoever is asked to stop while another is away waits for that one, but not here.
                    "klamm.stop.wait.ms=5000".to_owned(),
                ];
                let boot_id = seat.machine.boot_id.iter();
                let boot_id = boot_id.map(|at| format!("klamm.boot.id.path={}", at.display()));
                let own: Vec<String> = own.into_iter().chain(boot_id).collect();
                for setting in own.iter().chain(settings) {
                    command.args(["--set", setting]);
                }
                Ok(command)
            }
            Self::Kafka(tools) => {
                let file = folder.join(format!("server-{}.properties", seat.id));
                prepare(tools, seat, seats, settings, &file)?;
                let mut command = Command::new("java");
                command.args(JAVA).arg("-cp").arg(tools.classpath());
                command.arg("kafka.Kafka").arg(file);
                Ok(command)
            }
        }
    }
}

fn voters(seats: &[Seat], port: impl Fn(&Seat) -> u16) -> String {
    let voters = seats.iter().map(|it| format!("{}@{}:{}", it.id, it.address.ip(), port(it)));
    voters.collect::<Vec<_>>().join(",")
}

fn prepare(
    tools: &Kafka,
    seat: &Seat,
    seats: &[Seat],
    settings: &[String],
    file: &Path,
) -> Result<()> {
    let (ip, address) = (seat.address.ip(), seat.address);
    let text = format!(
        "process.roles=broker,controller\nnode.id={}\ncontroller.quorum.voters={}\n\
         listeners=PLAINTEXT://{address},CONTROLLER://{ip}:{}\n\
         advertised.listeners=PLAINTEXT://{address}\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\nlog.dirs={}\n{}\n",
        seat.id,
        voters(seats, |seat| seat.control),
        seat.control,
        seat.machine.data.display(),
        settings.join("\n"),
    );
    fs::write(file, text)?;
    let formatted = seat.machine.data.join("meta.properties");
    if !formatted.exists() {
        let file = file.to_str().context("the folder's path is not UTF-8")?;
        let said =
            tools.tool("kafka.tools.StorageTool", &["format", "-t", CLUSTER_ID, "-c", file])?;
        ensure!(formatted.exists(), "format: {said}");
    }
    Ok(())
}
