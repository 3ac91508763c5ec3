//! The kernel's two clocks. Sleeping is tokio's, so it must happen inside a shard.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::clock::{Clock, LocalFuture};

/// The kernel's clocks; monotonic time counts from the creation of this value.
#[derive(Debug)]
pub struct RealClock {
    start: Instant,
}

impl RealClock {
    /// A clock whose monotonic time is zero now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
    fn wall_ms(&self) -> i64 {
        let signed = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => signed(since),
            Err(before) => -signed(before.duration()),
        }
    }

    fn tick(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep_until(&self, tick: Duration) -> LocalFuture<()> {
        // Beyond what an instant can hold means never; 100 years is long enough.
        let until = self
            .start
            .checked_add(tick)
            .unwrap_or_else(|| self.start + Duration::from_secs(100 * 365 * 24 * 3600));
        Box::pin(tokio::time::sleep_until(until.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_ends_when_its_tick_is_reached() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let clock = RealClock::new();
            let until = clock.tick() + Duration::from_millis(20);
            clock.sleep_until(until).await;
            assert!(clock.tick() >= until);
            clock.sleep_until(Duration::ZERO).await;
            drop(clock.sleep_until(Duration::MAX));
        });
    }

    #[test]
    fn the_wall_clock_is_in_this_century() {
        assert!(RealClock::new().wall_ms() > 1_600_000_000_000);
    }
}
