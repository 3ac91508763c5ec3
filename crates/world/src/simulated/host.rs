//! A machine and its one process: what both the twins and the [`super::Simulation`] know about them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::random::Random;
use super::trace::Trace;

/// Names a host of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub(super) u8);

impl HostId {
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The host's address: 10.0.0.1 for the first.
    pub fn address(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, self.0 + 1))
    }
}

/// Takes a lock that only one thread ever wants; poisoned by a panic that the run reports anyway.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all parts of a simulation share.
pub(super) struct Core {
    pub(super) seed: u64,
    start: Mutex<Option<Instant>>,
    trace: Mutex<Trace>,
}

impl Core {
    pub(super) fn new(seed: u64, lines_max: usize) -> Self {
        Self { seed, start: Mutex::default(), trace: Mutex::new(Trace::new(lines_max)) }
    }

    /// Starts virtual time; it stands still before.
    pub(super) fn begin(&self) {
        *locked(&self.start) = Some(Instant::now());
    }

    /// Stops virtual time for good.
    pub(super) fn end(&self) {
        *locked(&self.start) = None;
    }

    /// Virtual time since the simulation began.
    pub(super) fn elapsed(&self) -> Duration {
        locked(&self.start).map_or(Duration::ZERO, |start| Instant::now().duration_since(start))
    }

    /// The instant at which [`Core::elapsed`] is `elapsed`.
    pub(super) fn instant(&self, elapsed: Duration) -> Instant {
        let start = locked(&self.start).expect("time is waited for only while the simulation runs");
        start.checked_add(elapsed).unwrap_or_else(|| start + Duration::from_secs(1 << 32))
    }

    pub(super) fn record(&self, who: &str, what: std::fmt::Arguments<'_>) {
        let at = self.elapsed();
        locked(&self.trace).record(at, who, what);
    }

    pub(super) fn trace(&self) -> Trace {
        locked(&self.trace).clone()
    }
}

/// One run of a host's process. When it is dead nothing that it still holds has any effect.
pub(super) struct Process {
    pub(super) core: Arc<Core>,
    pub(super) host: HostId,
    pub(super) name: Arc<str>,
    /// Counts the host's processes, so that each has other dice.
    pub(super) run: u64,
    alive: AtomicBool,
}

impl Process {
    pub(super) fn new(core: Arc<Core>, host: HostId, name: Arc<str>, run: u64) -> Self {
        Self { core, host, name, run, alive: AtomicBool::new(true) }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    pub(super) fn die(&self) {
        self.alive.store(false, Ordering::Relaxed);
    }

    /// Records an observable action of this process.
    pub(super) fn record(&self, what: std::fmt::Arguments<'_>) {
        self.core.record(&self.name, what);
    }

    /// The stream of numbers called `concern` of this process.
    pub(super) fn random(&self, concern: &str) -> Random {
        Random::new(self.core.seed, &[&self.name, &self.run.to_string(), concern])
    }
}
