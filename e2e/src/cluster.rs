//! Several brokers as processes of one cluster, to be killed and started again one by one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::cache;
use crate::process::{Process, until};
use crate::server::{free_port, klamm_binary, without_our_settings};

/// How long a cluster may take until all its replicas are in sync.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// Brokers 1, 2, …, all of them controllers.
pub struct Cluster {
    folder: TempDir,
    binary: PathBuf,
    ports: Vec<u16>,
    http: Vec<u16>,
    settings: Vec<String>,
    brokers: BTreeMap<i32, Process>,
}

/// Who leads a partition and who is in sync.
#[derive(Clone, Debug)]
pub struct Place {
    /// -1 if nobody does.
    pub leader: i32,
    /// The brokers in sync.
    pub isr: Vec<i32>,
}

impl Cluster {
    /// Starts so many brokers with these settings beside what makes them a cluster.
    ///
    /// # Errors
    /// When they do not form a cluster in time.
    pub fn start(count: i32, settings: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("klamm-e2e-").tempdir()?;
        let ports = (0..count).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
        let http = (0..count).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
        let settings = settings.iter().map(ToString::to_string).collect();
        let binary = klamm_binary()?;
        let brokers = BTreeMap::new();
        let mut cluster = Self { folder, binary, ports, http, settings, brokers };
        for id in cluster.ids() {
            cluster.start_broker(id)?;
        }
        for id in cluster.ids() {
            cluster.wait_until_ready(id)?;
        }
        Ok(cluster)
    }

    /// The brokers' ids.
    pub fn ids(&self) -> Vec<i32> {
        (1..).zip(&self.ports).map(|(id, _)| id).collect()
    }

    /// `host:port` of all brokers, separated by commas.
    pub fn bootstrap(&self) -> String {
        self.ids().iter().map(|id| self.address(*id)).collect::<Vec<_>>().join(",")
    }

    fn address(&self, id: i32) -> String {
        format!("127.0.0.1:{}", self.ports[index(id)])
    }

    /// Starts a broker's process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_broker(&mut self, id: i32) -> Result<()> {
        let ids = self.ids();
        let voters = ids.iter().map(|id| format!("{id}@{}", self.address(*id)));
        let voters = voters.collect::<Vec<_>>().join(",");
        let mut command = Command::new(&self.binary);
        without_our_settings(&mut command);
        command.env("KLAMM_LOG", "info").env("RUST_BACKTRACE", "0").arg("broker");
        let own = [
            format!("node.id={id}"),
            "klamm.cluster.id=ZTJlLWNsdXN0ZXItb2YtMw".to_owned(),
            format!("controller.quorum.voters={voters}"),
            format!("listeners=PLAINTEXT://{}", self.address(id)),
            format!("klamm.http.listener=127.0.0.1:{}", self.http[index(id)]),
            format!("log.dirs={}", self.folder.path().join(format!("data-{id}")).display()),
        ];
        for setting in own.iter().chain(&self.settings) {
            command.args(["--set", setting]);
        }
        let process = Process::start(format!("broker {id}"), &mut command, |_| None)?;
        self.brokers.insert(id, process);
        Ok(())
    }

    /// Waits until the broker says that it serves.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_until_ready(&mut self, id: i32) -> Result<()> {
        let port = self.http[index(id)];
        let what = format!("broker {id} is ready");
        let ready = until(&what, SETTLE_LIMIT, || Ok(is_ready(port).then_some(())));
        ready.with_context(|| self.notes())
    }

    /// Kills a broker (SIGKILL) and gives the moment.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self, id: i32) -> Result<Instant> {
        self.brokers.remove(&id).context("it runs")?.kill()
    }

    /// Asks a broker to stop (SIGTERM), and gives the moment.
    ///
    /// # Errors
    /// When it does not run.
    pub fn ask_to_stop(&mut self, id: i32) -> Result<Instant> {
        let at = Instant::now();
        self.brokers.get_mut(&id).context("it runs")?.ask_to_stop()?;
        Ok(at)
    }

    /// Waits for a broker that was asked to stop.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub fn wait_for_end(&mut self, id: i32) -> Result<()> {
        let mut broker = self.brokers.remove(&id).context("it runs")?;
        let status = broker.wait(SETTLE_LIMIT)?;
        ensure!(status.success(), "broker {id} ended with {status}\n{}", broker.notes());
        Ok(())
    }

    /// What all brokers said last.
    pub fn notes(&self) -> String {
        self.brokers.values().map(Process::notes).collect()
    }

    /// Runs `klamm` with these arguments against this cluster; gives its output.
    ///
    /// # Errors
    /// When it fails.
    pub fn klamm(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        without_our_settings(&mut command);
        cache::run(command.args(arguments).args(["--bootstrap", &self.bootstrap()]))
    }

    /// Creates a topic with three replicas, of which two must have what is acknowledged.
    ///
    /// # Errors
    /// When that is refused.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let partitions = partitions.to_string();
        let create = ["topic", "create", name, "--partitions", &partitions, "--replicas", "3"];
        self.klamm(&[&create[..], &["--config", "min.insync.replicas=2"]].concat())?;
        Ok(())
    }

    /// Where the partitions of a topic are.
    ///
    /// # Errors
    /// When nobody tells.
    pub fn places(&self, topic: &str) -> Result<Vec<Place>> {
        let said = self.klamm(&["topic", "describe", topic, "-o", "json"])?;
        let said: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
        let partitions = said["partitions"].as_array().with_context(|| said.to_string())?;
        let place = |partition: &Value| {
            let isr = partition["isr"].as_array()?.iter();
            let isr = isr.filter_map(|id| i32::try_from(id.as_i64()?).ok()).collect();
            let leader = i32::try_from(partition["leader"].as_i64().unwrap_or(-1)).ok()?;
            Some(Place { leader, isr })
        };
        partitions.iter().map(|one| place(one).with_context(|| one.to_string())).collect()
    }

    /// Waits until every partition has a leader and all replicas in sync.
    ///
    /// # Errors
    /// When that does not come about.
    pub fn settle(&self, topic: &str) -> Result<Vec<Place>> {
        let all = self.ports.len();
        let settled = until("all replicas are in sync", SETTLE_LIMIT, || {
            let Ok(places) = self.places(topic) else { return Ok(None) };
            let whole = places.iter().all(|place| place.leader >= 0 && place.isr.len() == all);
            Ok(whole.then_some(places))
        });
        settled.with_context(|| format!("{:?}\n{}", self.places(topic), self.notes()))
    }
}

fn index(id: i32) -> usize {
    usize::try_from(id - 1).expect("ids begin with 1")
}

fn is_ready(port: u16) -> bool {
    use std::io::{Read, Write};
    let ask = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    };
    ask().is_ok_and(|said| said.starts_with("HTTP/1.1 200"))
}
