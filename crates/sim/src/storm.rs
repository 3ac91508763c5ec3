//! One run: a system under test and its clients, a schedule of faults, then quiet, then the checks.
//!
//! ```text
//! build ── clients write and read ──────────────────────────── settle ── collect ── checks
//!           └─ fault ─ heal ─ fault ─ heal ─ … ─ heal all ─┘   (no faults)
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use world::clock::LocalFuture;
use world::simulated::{HostId, Simulation, SimulationOptions, Trace};

use crate::checks;
use crate::faults::{Fault, FaultKind, Schedule, Struck};
use crate::history::{Event, History};
use crate::panics::Panics;

/// How long clients go on after the last fault, for the system to recover and serve.
const SETTLE: Duration = Duration::from_secs(20);
/// How long of that at least once it serves: groups miss their dead in less.
const SERVE: Duration = Duration::from_secs(8);

/// The property that no task panics, which a history does not show.
const NO_PANIC: &str = "no_panic";

/// How long reading everything at the end may take.
const COLLECT: Duration = Duration::from_secs(120);

/// A history that clients share.
pub type SharedHistory = Rc<RefCell<History>>;

/// What is put into the storm.
pub trait System {
    /// Adds the hosts of the system itself, which faults strike. Nothing runs yet.
    fn build(&self, simulation: &Simulation) -> Vec<HostId>;

    /// Starts the process of one of these hosts, at first or again.
    fn start(&self, simulation: &Simulation, host: HostId);

    /// Asks the process of one of these hosts to stop, cleanly; nothing if there is none.
    fn stop(&self, simulation: &Simulation, host: HostId);

    /// The disk of one of these hosts fails now and then from now on, or not any more: until then its process
    /// may refuse to start, and end by itself.
    fn disk_fails(&self, host: HostId, fails: bool);

    /// Has a bit of what the host's process has stored rot, which one `draw` says; false if there is nothing.
    fn rot(&self, simulation: &Simulation, host: HostId, draw: u64) -> bool;

    /// Whether the system says that it loses nothing with the disk of one of these hosts.
    fn can_lose_disk(&self, simulation: &Simulation, host: HostId) -> LocalFuture<bool>;

    /// Whether the system says that one of these hosts has all that belongs on its disk.
    fn has_all(&self, simulation: &Simulation, host: HostId) -> LocalFuture<bool>;

    /// Has done to one of these hosts what people do to a cluster, and has it undone: `fault` is of such a kind.
    /// Tells whether it came about.
    fn upkeep(&self, simulation: &Simulation, host: HostId, fault: &Fault) -> LocalFuture<bool>;

    /// Adds the clients' hosts and starts them. They work until they are stopped.
    fn start_clients(&self, simulation: &Simulation, history: &SharedHistory);

    /// Topics that may have lost what was acknowledged shortly before a power loss, after so many.
    fn lossy(&self, power_losses: usize) -> Vec<String>;

    /// Stops the clients, and records an [`Event::Final`] for each partition.
    fn collect(&self, simulation: &Simulation, history: &SharedHistory) -> LocalFuture<()>;
}

/// What came of one run.
#[derive(Debug)]
pub struct Outcome {
    /// All that was observable.
    pub trace: Trace,
    /// Virtual time that passed.
    pub elapsed: Duration,
    /// Records that were acknowledged.
    pub acked: u64,
    /// How often each kind of fault struck.
    pub faults: BTreeMap<&'static str, u64>,
    /// How often each property was evaluated.
    pub evaluated: BTreeMap<&'static str, u64>,
    /// Which property is broken, and how.
    pub broken: Vec<(&'static str, String)>,
}

impl Outcome {
    /// Whether the run had enough in it to say anything: 10 seconds, 200 acknowledged records, 3
    /// faults with a recovery among them.
    pub fn counts(&self) -> bool {
        let restarts = FaultKind::ALL.iter().filter(|kind| kind.is_restart());
        let restarts: u64 = restarts.filter_map(|kind| self.faults.get(kind.name())).sum();
        let faults: u64 = self.faults.values().sum();
        self.elapsed >= Duration::from_secs(10) && self.acked >= 200 && faults >= 3 && restarts >= 1
    }
}

/// Runs `system` through the storm of `seed`, keeping `trace_lines_max` lines of its trace.
pub fn run(system: &impl System, seed: u64, trace_lines_max: usize, panics: &Panics) -> Outcome {
    // What another run on this thread left.
    panics.of_this_thread();
    let options = SimulationOptions { trace_lines_max, ..SimulationOptions::new(seed) };
    let simulation = Simulation::new(options);
    let history = SharedHistory::default();
    let (elapsed, faults, collected) = simulation.run(weather(system, &simulation, &history));

    let mut outcome = Outcome {
        trace: simulation.trace(),
        elapsed,
        acked: history.borrow().acked(),
        faults,
        evaluated: BTreeMap::new(),
        broken: Vec::new(),
    };
    for check in checks::ALL {
        let verdict = (check.judge)(&history.borrow());
        outcome.evaluated.insert(check.name, verdict.evaluated);
        outcome.broken.extend(verdict.broken.into_iter().map(|why| (check.name, why)));
    }
    outcome.evaluated.insert(NO_PANIC, 1);
    outcome.broken.extend(panics.of_this_thread().into_iter().map(|why| (NO_PANIC, why)));
    if !collected {
        let why = format!("the logs could not be read within {COLLECT:?} after the healing");
        outcome.broken.push(("recovers", why));
    }
    outcome
}

/// The run itself; how long it took, what struck, and whether all could be read at the end.
async fn weather(
    system: &impl System,
    simulation: &Simulation,
    history: &SharedHistory,
) -> (Duration, Struck, bool) {
    let hosts = system.build(simulation);
    let schedule = Schedule::draw(&mut simulation.random("faults"), hosts.len());
    for host in &hosts {
        system.start(simulation, *host);
    }
    system.start_clients(simulation, history);
    let mut power_losses = 0;
    let power_lost = |at| {
        power_losses += 1;
        history.borrow_mut().record(Event::PowerLost { at });
    };
    let (mut struck, upkeep) = schedule.perform(simulation, system, &hosts, power_lost).await;
    for topic in system.lossy(power_losses) {
        history.borrow_mut().record(Event::Lossy { topic });
    }
    simulation.note(format_args!("healed"));
    history.borrow_mut().record(Event::Healed);
    settle(simulation, history).await;
    upkeep.end(simulation, &mut struck).await;
    let collected = simulation.within(COLLECT, system.collect(simulation, history)).await;
    (simulation.elapsed(), struck, collected.is_some())
}

/// Lets clients go on, until all that they write to is served again and for a while after that.
async fn settle(simulation: &Simulation, history: &SharedHistory) {
    const STEP: Duration = Duration::from_millis(500);
    let healed = history.borrow().now();
    let deadline = simulation.elapsed() + SETTLE - SERVE;
    while simulation.elapsed() < deadline && !history.borrow().is_served_since(healed) {
        simulation.sleep(STEP).await;
    }
    simulation.sleep(SERVE).await;
}
