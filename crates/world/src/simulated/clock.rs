//! Virtual time. The wall clock of a host is off by what the simulation says, and jumps when it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, LocalFuture};

use super::host::{Core, Process};

/// What wall clocks that are right show when the simulation begins: 2026-01-01, midnight UTC.
const EPOCH_MS: i64 = 1_767_225_600_000;

pub(super) struct SimulatedClock {
    pub(super) process: Arc<Process>,
    /// Virtual time at which the process started: the zero of its monotonic clock.
    pub(super) started: Duration,
    /// How far the host's wall clock is ahead, in milliseconds. Outlives the process.
    pub(super) ahead_ms: Arc<AtomicI64>,
}

/// What wall clocks that are right show now.
pub(super) fn right_ms(core: &Core) -> i64 {
    let elapsed = i64::try_from(core.elapsed().as_millis()).unwrap_or(i64::MAX);
    EPOCH_MS.saturating_add(elapsed)
}

impl Clock for SimulatedClock {
    fn wall_ms(&self) -> i64 {
        right_ms(&self.process.core).saturating_add(self.ahead_ms.load(Ordering::Relaxed))
    }

    fn tick(&self) -> Duration {
        self.process.core.elapsed().saturating_sub(self.started)
    }

    fn sleep_until(&self, tick: Duration) -> LocalFuture<()> {
        let until = self.process.core.instant(self.started.saturating_add(tick));
        Box::pin(tokio::time::sleep_until(until))
    }
}
