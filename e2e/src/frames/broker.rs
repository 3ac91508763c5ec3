//! A `klamm broker` in a process of its own, watched from outside: its log, its memory, its counters.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use wire::create_topics::request::CreatableTopic;
use wire::{ApiKey, CreateTopicsRequest, Request, Str, Uuid};

use crate::ask::{ask, get};
use crate::process::{memory, until};
use crate::server::{free_port, klamm_binary, without_our_settings};

/// How long it may take to start, and to stop.
const LIMIT: Duration = Duration::from_secs(60);

/// A running broker. Killed when dropped.
pub struct Broker {
    folder: TempDir,
    child: Child,
    port: u16,
    http: u16,
}

/// What an API's frames came to, as the broker counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Requests whose header was read.
    pub headers: u64,
    /// Requests whose body was read to its end.
    pub bodies: u64,
}

impl Broker {
    /// Starts one that tells clients to connect to `advertised`, if that is not where it listens.
    ///
    /// # Errors
    /// When it is not ready in time.
    pub fn start(advertised: Option<u16>, settings: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("klamm-e2e-").tempdir()?;
        let (port, http) = (free_port()?, free_port()?);
        let log = File::create(folder.path().join("broker.log"))?;
        let mut command = Command::new(klamm_binary()?);
        without_our_settings(&mut command);
        // A line for every connection that ends would be all that the log says.
        command.env("KLAMM_LOG", "warn").env("RUST_BACKTRACE", "0").arg("broker");
        let address = |port: u16| format!("127.0.0.1:{port}");
        let own = [
            format!("log.dirs={}", folder.path().join("data").display()),
            format!("listeners=PLAINTEXT://{}", address(port)),
            format!("advertised.listeners=PLAINTEXT://{}", address(advertised.unwrap_or(port))),
            format!("klamm.http.listener={}", address(http)),
        ];
        for setting in own.iter().map(String::as_str).chain(settings.iter().copied()) {
            command.args(["--set", setting]);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("running {command:?}"))?;
        let mut broker = Self { folder, child, port, http };
        let ready = until("the broker is ready", LIMIT, || {
            ensure!(broker.is_running()?, "it ended at once");
            Ok(broker.get("/readyz").is_ok_and(|said| said == "ready\n").then_some(()))
        });
        ready.with_context(|| broker.log().unwrap_or_default())?;
        Ok(broker)
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Asks it something at the newest version of that API, on a connection of its own.
    ///
    /// # Errors
    /// When there is no answer, or none that can be read.
    pub fn ask<R: Request>(&self, request: &R) -> Result<R::Response> {
        ask(([127, 0, 0, 1], self.port).into(), request, LIMIT)
    }

    /// Creates a topic, and gives its id.
    ///
    /// # Errors
    /// When it is refused.
    pub fn create(&self, name: &str, partitions: i32) -> Result<Uuid> {
        let topic = CreatableTopic {
            name: Str::from(name),
            num_partitions: partitions,
            replication_factor: -1,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let mut answer = self.ask(&request)?;
        let created = answer.topics.pop().context("no topic in the answer")?;
        ensure!(created.error_code == 0, "{name}: {:?}", created.error_message);
        Ok(created.topic_id)
    }

    /// Whether it is still there.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// All that it said.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("broker.log"))?)
    }

    /// A line of `/proc/PID/status` that counts KiB, in bytes: `VmRSS` is now, `VmHWM` was the most.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn memory(&self, line: &str) -> Result<u64> {
        memory(self.child.id(), line)
    }

    /// Files and sockets that it has open.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// What it counted, by API.
    ///
    /// # Errors
    /// When `/metrics` is not served, or is not what it was.
    pub fn counted(&self) -> Result<BTreeMap<ApiKey, Counted>> {
        let text = self.get("/metrics")?;
        let mut counted: BTreeMap<ApiKey, Counted> = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("klamm_requests")) {
            let (name, rest) = line.split_once("{api=\"").with_context(|| line.to_owned())?;
            let (api, value) = rest.split_once("\"} ").with_context(|| line.to_owned())?;
            let key = ApiKey::ALL.iter().find(|key| key.name() == api);
            let of = counted.entry(*key.with_context(|| line.to_owned())?).or_default();
            match name {
                "klamm_requests" => of.headers = value.parse()?,
                _ => of.bodies = value.parse()?,
            }
        }
        ensure!(!counted.is_empty(), "no requests are counted in\n{text}");
        Ok(counted)
    }

    /// Asks it to stop (SIGTERM) and waits until it did.
    ///
    /// # Errors
    /// When it does not stop in time, or not cleanly.
    pub fn stop(mut self) -> Result<()> {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(sent.success(), "cannot signal the broker");
        let status = until("the broker stops", LIMIT, || Ok(self.child.try_wait()?))?;
        ensure!(status.success(), "the broker ended with {status}\n{}", self.log()?);
        Ok(())
    }

    /// A page of its HTTP port.
    fn get(&self, path: &str) -> Result<String> {
        get(([127, 0, 0, 1], self.http).into(), path, LIMIT)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already, which is all that is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
