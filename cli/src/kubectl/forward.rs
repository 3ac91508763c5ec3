//! A port of this machine for each broker: what brokers tell clients of the listener `forward` is 127.0.0.1, on 9092
//! for broker 0, 9093 for broker 1, and so on. A `kubectl port-forward` for each carries it there.

#![expect(
    clippy::disallowed_methods,
    reason = "other programs are watched in real time, beside a command that has the main thread"
)]

use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::program::{Kubectl, name_of};
use crate::failure::Failure;
use crate::{output, session};

/// The port of broker 0 on this machine; the brokers tell clients the same.
const FIRST_PORT: i64 = 9092;
/// The listener's port in each pod.
const POD_PORT: u16 = 9091;
/// How long a forward that broke off waits before it is opened again: its pod is being made.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// One broker's way.
struct Way {
    stop: Arc<AtomicBool>,
    keeper: Option<JoinHandle<()>>,
    address: String,
}

/// Keeps the ways open until Ctrl-C.
pub(super) fn until_stopped(kubectl: &Kubectl, cluster: &Value) -> Result<(), Failure> {
    let ways = open(kubectl, cluster)?;
    let addresses: Vec<&str> = ways.iter().map(|way| way.address.as_str()).collect();
    let all = addresses.join(",");
    output::note(format_args!("brokers of {} are at {all}; Ctrl-C ends it", name_of(cluster)));
    output::line(all)?;
    session::run(session::stop_asked())
}

/// Keeps the ways open while `work` runs.
pub(super) fn during(
    kubectl: &Kubectl,
    cluster: &Value,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let ways = open(kubectl, cluster)?;
    let result = work();
    drop(ways);
    result
}

/// Opens a way to each broker; they begin at 127.0.0.1:9092 only if there is a broker 0.
fn open(kubectl: &Kubectl, cluster: &Value) -> Result<Vec<Way>, Failure> {
    let brokers = cluster["status"]["brokers"].as_array().cloned().unwrap_or_default();
    let pods: Vec<(i64, String)> = brokers
        .iter()
        .filter_map(|it| Some((it["id"].as_i64()?, it["pod"].as_str()?.to_owned())))
        .collect();
    if pods.is_empty() {
        return Err(Failure::new(format!("Cluster {} has no brokers yet", name_of(cluster)))
            .hint("`kubectl klamm status` shows how far it is"));
    }
    pods.into_iter().map(|(id, pod)| Way::open(kubectl, id, &pod)).collect()
}

impl Way {
    fn open(kubectl: &Kubectl, id: i64, pod: &str) -> Result<Self, Failure> {
        let port = u16::try_from(FIRST_PORT + id)
            .map_err(|_| Failure::new(format!("there is no port for broker {id}")))?;
        let address = format!("127.0.0.1:{port}");
        TcpListener::bind(&address).map_err(|error| {
            Failure::new(format!("{address}: {error}")).hint(
                "brokers tell clients this very address; end what uses the port, for example a `klamm up`",
            )
        })?;
        let ports = format!("{port}:{POD_PORT}");
        let target = format!("pod/{pod}");
        let start = {
            let kubectl = kubectl.clone();
            move || kubectl.start(&["port-forward", "--address=127.0.0.1", &target, &ports])
        };
        let mut child = start()?;
        wait_until_open(&mut child)?;
        let stop = Arc::new(AtomicBool::new(false));
        let keeper = std::thread::spawn({
            let stop = stop.clone();
            move || keep(child, &stop, start)
        });
        Ok(Self { stop, keeper: Some(keeper), address })
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            // It ends within one look; if it panicked, its child is gone with us all the same.
            let _ = keeper.join();
        }
    }
}

fn wait_until_open(child: &mut Child) -> Result<(), Failure> {
    let mut line = String::new();
    if let Some(stdout) = &mut child.stdout {
        // It says so once it listens; without a line it has ended.
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    if !line.is_empty() {
        pass_over(child);
        return Ok(());
    }
    let mut said = String::new();
    if let Some(stderr) = &mut child.stderr {
        let _ = stderr.read_to_string(&mut said);
    }
    let _ = child.wait();
    Err(Failure::new(said.trim()).hint("you need the right to create pods/portforward there"))
}

/// Reads what it says from now on: a line for each connection, for which it would wait in the end.
fn pass_over(child: &mut Child) {
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|it| Box::new(it) as Box<dyn Read + Send>),
        child.stderr.take().map(|it| Box::new(it) as Box<dyn Read + Send>),
    ];
    for mut output in outputs.into_iter().flatten() {
        // It ends with the child.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    }
}

/// Opens the way again whenever it breaks off.
fn keep(mut child: Child, stop: &AtomicBool, start: impl Fn() -> Result<Child, Failure>) {
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    let mut broke_off = Duration::ZERO;
    loop {
        if stop.load(Ordering::Relaxed) {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        std::thread::sleep(LOOK_EVERY);
        if let Ok(None) = child.try_wait() {
            continue;
        }
        broke_off += LOOK_EVERY;
        if broke_off >= AGAIN_AFTER {
            broke_off = Duration::ZERO;
            if let Ok(mut again) = start() {
                pass_over(&mut again);
                child = again;
            }
        }
    }
}
