//! The universe from the storm's side: start hosts, break them, let time pass.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::LocalSet;

use crate::World;
use crate::bucket::Bucket;
use crate::clock::LocalFuture;
use crate::tasks::spawn_local;

use super::bucket::{BucketFaults, SimulatedBucket, Store};
use super::clock::SimulatedClock;
use super::dice::SimulatedDice;
use super::disk::{DiskControl, Drive, SimulatedDisk};
use super::host::{Core, HostId, Process, locked};
use super::net::SimulatedNet;
use super::random::Random;
use super::tasks::{PoolLatency, SimulatedTasks};
use super::trace::Trace;
use super::wires::{NetFaults, Wires};

/// The most hosts of one simulation.
const HOSTS_MAX: usize = 64;

/// What a simulation is made from.
#[derive(Clone, Debug)]
pub struct SimulationOptions {
    /// All chance comes from it.
    pub seed: u64,
    /// How many lines of the trace are kept as text.
    pub trace_lines_max: usize,
    /// Bytes on each host's disk.
    pub disk_bytes: u64,
}

impl SimulationOptions {
    /// A simulation from `seed`, without text, with 1 GiB disks.
    pub fn new(seed: u64) -> Self {
        Self { seed, trace_lines_max: 0, disk_bytes: 1 << 30 }
    }
}

/// A small universe. Cheap to clone; it stays on its thread.
#[derive(Clone)]
pub struct Simulation {
    inner: Rc<Inner>,
}

struct Inner {
    options: SimulationOptions,
    core: Arc<Core>,
    wires: Arc<Wires>,
    store: Arc<Store>,
    hosts: RefCell<Vec<Host>>,
}

struct Host {
    name: Arc<str>,
    drive: Arc<Drive>,
    ahead_ms: Arc<AtomicI64>,
    latency: Arc<Mutex<PoolLatency>>,
    runs: u64,
    /// The running process, if there is one.
    process: Option<(Arc<Process>, Duration)>,
    running: Option<Rc<RefCell<Running>>>,
}

/// The tasks of a host's process.
#[derive(Default)]
struct Running {
    tasks: Option<LocalSet>,
    /// Virtual time until which the process does nothing.
    paused_until: Duration,
    waker: Option<Waker>,
}

impl Simulation {
    /// A universe without hosts, in which no time passes before [`Simulation::run`].
    pub fn new(options: SimulationOptions) -> Self {
        let core = Arc::new(Core::new(options.seed, options.trace_lines_max));
        let wires = Arc::new(Wires::new(options.seed));
        let store = Arc::new(Store::new(options.seed));
        let hosts = RefCell::default();
        Self { inner: Rc::new(Inner { options, core, wires, store, hosts }) }
    }

    /// Runs `main`, the storm itself, on a runtime whose time is virtual, to its end. Then all that
    /// still runs is killed.
    pub fn run<T>(&self, main: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without reactor needs nothing from the kernel");
        let outcome = LocalSet::new().block_on(&runtime, async {
            self.inner.core.begin();
            let outcome = main.await;
            for host in self.hosts() {
                self.kill(host);
            }
            outcome
        });
        self.inner.core.end();
        outcome
    }

    /// The seed that all of it comes from.
    pub fn seed(&self) -> u64 {
        self.inner.options.seed
    }

    /// Numbers for the storm's own use, in a stream called `concern`.
    pub fn random(&self, concern: &str) -> Random {
        Random::new(self.seed(), &["storm", concern])
    }

    /// Virtual time since the start.
    pub fn elapsed(&self) -> Duration {
        self.inner.core.elapsed()
    }

    /// Lets virtual time pass.
    pub async fn sleep(&self, time: Duration) {
        tokio::time::sleep_until(self.inner.core.instant(self.elapsed() + time)).await;
    }

    /// Runs `future` for at most `time`.
    pub async fn within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        let until = self.inner.core.instant(self.elapsed() + time);
        tokio::time::timeout_at(until, future).await.ok()
    }

    /// Adds a line of the storm's own to the trace.
    pub fn note(&self, what: std::fmt::Arguments<'_>) {
        self.inner.core.record("storm", what);
    }

    /// What happened so far.
    pub fn trace(&self) -> Trace {
        self.inner.core.trace()
    }

    // Hosts.

    /// A machine called `name`, with power and an empty disk, and no process.
    pub fn add_host(&self, name: &str) -> HostId {
        let mut hosts = self.inner.hosts.borrow_mut();
        assert!(hosts.len() < HOSTS_MAX, "a simulation has at most {HOSTS_MAX} hosts");
        assert!(hosts.iter().all(|host| *host.name != *name), "a host is called {name} already");
        let id = HostId(u8::try_from(hosts.len()).expect("it is below the maximum"));
        let name: Arc<str> = name.into();
        self.inner.wires.add_host(Arc::clone(&name));
        hosts.push(Host {
            drive: Arc::new(Drive::new(self.seed(), &name, self.inner.options.disk_bytes)),
            name,
            ahead_ms: Arc::default(),
            latency: Arc::default(),
            runs: 0,
            process: None,
            running: None,
        });
        id
    }

    /// All hosts, in the order in which they were added.
    pub fn hosts(&self) -> Vec<HostId> {
        let hosts = u8::try_from(self.inner.hosts.borrow().len()).expect("below the maximum");
        (0..hosts).map(HostId).collect()
    }

    fn with<T>(&self, host: HostId, read: impl FnOnce(&mut Host) -> T) -> T {
        read(&mut self.inner.hosts.borrow_mut()[host.index()])
    }

    /// The host's name.
    pub fn name(&self, host: HostId) -> Arc<str> {
        self.with(host, |host| Arc::clone(&host.name))
    }

    /// The world of the host's running process; begins one if there is none.
    pub fn world(&self, host: HostId) -> World {
        let (process, started) = self.process(host);
        let world = |state: &mut Host| World {
            clock: Arc::new(SimulatedClock {
                process: Arc::clone(&process),
                started,
                ahead_ms: Arc::clone(&state.ahead_ms),
            }),
            disk: Arc::new(SimulatedDisk {
                process: Arc::clone(&process),
                drive: Arc::clone(&state.drive),
            }),
            net: Arc::new(SimulatedNet {
                process: Arc::clone(&process),
                wires: Arc::clone(&self.inner.wires),
            }),
            dice: Arc::new(SimulatedDice::new(Arc::clone(&process))),
            tasks: Arc::new(SimulatedTasks::new(Arc::clone(&process), Arc::clone(&state.latency))),
        };
        self.with(host, world)
    }

    /// The bucket, as the host's running process reaches it.
    pub fn bucket(&self, host: HostId) -> Arc<dyn Bucket> {
        let (process, _) = self.process(host);
        Arc::new(SimulatedBucket { process, store: Arc::clone(&self.inner.store) })
    }

    fn process(&self, host: HostId) -> (Arc<Process>, Duration) {
        let now = self.elapsed();
        self.with(host, |state| {
            let begin = || {
                state.runs += 1;
                let (core, name) = (Arc::clone(&self.inner.core), Arc::clone(&state.name));
                self.inner.wires.power_back(host, now);
                let process = Process::new(core, host, name, state.runs);
                process.record(format_args!("process {} begins", state.runs));
                (Arc::new(process), now)
            };
            state.process.get_or_insert_with(begin).clone()
        })
    }

    /// Starts the host's process with the future that `main` makes; all tasks that it starts belong to
    /// it. The process ends when none is left, or when it is killed.
    ///
    /// # Panics
    /// When one is running already, or outside [`Simulation::run`].
    pub fn start(&self, host: HostId, main: impl FnOnce(World) -> LocalFuture<()>) {
        assert!(!self.is_running(host), "a host has one process");
        let world = self.world(host);
        let running = Rc::<RefCell<Running>>::default();
        self.with(host, |host| host.running = Some(Rc::clone(&running)));
        let tasks = LocalSet::new();
        tasks.spawn_local(main(world));
        running.borrow_mut().tasks = Some(tasks);
        let simulation = self.clone();
        let process = self.process(host).0;
        spawn_local(async move {
            Runner { process: Arc::clone(&process), running, pause: None }.await;
            if process.is_alive() {
                simulation.close(host, "ends");
            }
        });
    }

    /// Whether the host has a process.
    pub fn is_running(&self, host: HostId) -> bool {
        self.with(host, |host| host.running.is_some())
    }

    /// Ends the process and drops its tasks; false if there is none.
    fn end(&self, host: HostId, how: &str) -> bool {
        let Some((process, _)) = self.with(host, |host| host.process.take()) else { return false };
        process.record(format_args!("process {} {how}", process.run));
        // From here on nothing that the tasks do while they are dropped has any effect.
        process.die();
        if let Some(running) = self.with(host, |host| host.running.take()) {
            let Running { tasks, waker, .. } = running.take();
            drop(tasks);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        true
    }

    /// As [`Simulation::end`], and the kernel tidies up after it.
    fn close(&self, host: HostId, how: &str) {
        if self.end(host, how) {
            self.inner.wires.process_killed(host, self.elapsed());
            self.with(host, |host| host.drive.process_ended());
        }
    }

    /// Kills the host's process (`kill -9`): what it wrote stays, synced or not. A process may kill
    /// itself; then the calling task goes on until it next waits, without any effect.
    pub fn kill(&self, host: HostId) {
        self.close(host, "is killed");
    }

    /// Takes the host's power away: the process dies, and what was not synced is kept, lost or torn.
    /// The power is back when a process is started again.
    pub fn power_loss(&self, host: HostId) {
        self.inner.core.record(&self.name(host), format_args!("fault: power loss"));
        self.end(host, "loses power");
        self.inner.wires.power_lost(host);
        self.with(host, |host| host.drive.lose_power());
    }

    /// Stops the host's process for a while (`SIGSTOP`): its tasks do nothing, its sockets stay open.
    pub fn pause(&self, host: HostId, time: Duration) {
        self.inner.core.record(&self.name(host), format_args!("fault: pause {time:?}"));
        let until = self.elapsed() + time;
        self.with(host, |host| {
            if let Some(running) = &host.running {
                let mut running = running.borrow_mut();
                running.paused_until = running.paused_until.max(until);
            }
        });
    }

    /// Moves the host's wall clock.
    pub fn jump_clock(&self, host: HostId, by_ms: i64) {
        self.inner.core.record(&self.name(host), format_args!("fault: clock jumps {by_ms} ms"));
        self.with(host, |host| host.ahead_ms.fetch_add(by_ms, Ordering::Relaxed));
    }

    /// Breaks the host's disk.
    pub fn disk(&self, host: HostId) -> DiskControl {
        self.with(host, |host| DiskControl {
            core: Arc::clone(&self.inner.core),
            name: Arc::clone(&host.name),
            drive: Arc::clone(&host.drive),
        })
    }

    /// Changes how long the host's blocking work takes.
    pub fn set_pool_latency(&self, host: HostId, latency: PoolLatency) {
        self.inner.core.record(&self.name(host), format_args!("fault: {latency:?}"));
        self.with(host, |host| *locked(&host.latency) = latency);
    }

    // Network and bucket.

    /// Lets nothing get from one host to another. What is on its way arrives after the healing.
    pub fn cut(&self, from: HostId, to: HostId) {
        let to_name = self.name(to);
        self.inner.core.record(&self.name(from), format_args!("fault: cut to {to_name}"));
        self.inner.wires.cut(from, to);
    }

    /// Undoes [`Simulation::cut`].
    pub fn heal(&self, from: HostId, to: HostId) {
        if self.inner.wires.is_cut(from, to) {
            let to_name = self.name(to);
            self.inner.core.record(&self.name(from), format_args!("heal to {to_name}"));
            self.inner.wires.heal(from, to);
        }
    }

    /// Undoes all cuts.
    pub fn heal_all(&self) {
        for from in self.hosts() {
            for to in self.hosts() {
                self.heal(from, to);
            }
        }
    }

    /// Changes how the network misbehaves.
    pub fn set_net_faults(&self, faults: NetFaults) {
        self.note(format_args!("fault: {faults:?}"));
        self.inner.wires.set_faults(faults);
    }

    /// Changes how the bucket misbehaves.
    pub fn set_bucket_faults(&self, faults: BucketFaults) {
        self.note(format_args!("fault: {faults:?}"));
        self.inner.store.set_faults(faults);
    }
}

/// Polls a process's tasks, except while it is paused, until they are done or it is dead.
struct Runner {
    process: Arc<Process>,
    running: Rc<RefCell<Running>>,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Future for Runner {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let paused_until = {
            let mut running = this.running.borrow_mut();
            running.waker = Some(cx.waker().clone());
            running.paused_until
        };
        if this.process.is_alive() && paused_until > this.process.core.elapsed() {
            let until = this.process.core.instant(paused_until);
            let mut pause = Box::pin(tokio::time::sleep_until(until));
            if pause.as_mut().poll(cx).is_pending() {
                this.pause = Some(pause);
                return Poll::Pending;
            }
        }
        // Not borrowed while they run, so that a process can end itself.
        let Some(mut tasks) = this.running.borrow_mut().tasks.take() else {
            return Poll::Ready(());
        };
        let polled = Pin::new(&mut tasks).poll(cx);
        if polled.is_pending() && this.process.is_alive() {
            this.running.borrow_mut().tasks = Some(tasks);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}
