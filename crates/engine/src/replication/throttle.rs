//! Paces what is copied by replicas that are not in sync (KIP-73): what was copied is paid for by waiting.
//!
//! Bytes are owed, not times: whoever changes the rate changes how long the rest takes.

use std::time::Duration;

use crate::Now;

/// How much may be copied in one go: as much as the rate gives in this time. What it copies in excess of
/// that is one batch, which cannot be parted.
const SLICE: Duration = Duration::from_millis(100);
/// When to look again, if nothing may be copied at all.
const NEVER: Duration = Duration::from_secs(1);

const SECOND_NS: u128 = 1_000_000_000;

/// What is owed, of all partitions together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throttle {
    /// Bytes, as of then.
    owed: u64,
    then: Duration,
}

impl Throttle {
    /// How many bytes may be copied now, at `rate` bytes per second.
    ///
    /// # Errors
    /// Nothing before this monotonic time.
    pub fn ask(&self, rate: u64, now: Now) -> Result<u64, Duration> {
        match self.owed_by(rate, now) {
            _ if rate == 0 => Err(now.after(NEVER)),
            0 => Ok(bytes_in(rate, SLICE).max(1)),
            owed => Err(now.after(time_for(rate, owed))),
        }
    }

    /// So many bytes were copied.
    pub fn spend(&mut self, bytes: u64, rate: u64, now: Now) {
        let owed = self.owed_by(rate, now).saturating_add(bytes);
        *self = Self { owed, then: now.tick };
    }

    fn owed_by(&self, rate: u64, now: Now) -> u64 {
        self.owed.saturating_sub(bytes_in(rate, now.tick.saturating_sub(self.then)))
    }
}

fn bytes_in(rate: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(rate) * time.as_nanos() / SECOND_NS).unwrap_or(u64::MAX)
}

/// Rounded up: whoever waits so long may go on.
fn time_for(rate: u64, bytes: u64) -> Duration {
    let nanos = (u128::from(bytes) * SECOND_NS).div_ceil(u128::from(rate));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::Throttle;
    use crate::Now;

    fn at(tick: Duration) -> Now {
        Now { wall_ms: 0, tick }
    }

    #[test]
    fn a_changed_rate_changes_how_long_the_rest_takes() {
        let mut throttle = Throttle::default();
        let start = at(Duration::from_secs(100));
        assert_eq!(throttle.ask(1000, start), Ok(100));
        throttle.spend(10_000, 1000, start);
        assert_eq!(throttle.ask(1000, start), Err(Duration::from_secs(110)));
        assert_eq!(throttle.ask(10_000, start), Err(Duration::from_secs(101)));
        assert_eq!(throttle.ask(1000, at(Duration::from_secs(110))), Ok(100));
        assert_eq!(throttle.ask(1, at(Duration::from_secs(110))), Err(Duration::from_secs(10_100)));
        assert_eq!(throttle.ask(0, start), Err(Duration::from_secs(101)), "nothing at all");
        assert_eq!(throttle.ask(1, at(Duration::from_secs(20_000))), Ok(1), "always something");
    }

    proptest! {
        #[test]
        fn so_many_bytes_take_so_long(rate in 1..1_000_000u64, batch in 1..100_000u64, n in 1..50u64) {
            let mut throttle = Throttle::default();
            let start = Duration::from_secs(7);
            let mut now = at(start);
            let (mut copied, mut largest) = (0, 0);
            for _ in 0..n {
                let bytes = match throttle.ask(rate, now) {
                    Ok(bytes) => bytes,
                    Err(until) => {
                        prop_assert!(until > now.tick);
                        now = at(until);
                        throttle.ask(rate, now).expect("it has waited")
                    }
                };
                // One batch at least, and whole ones.
                let bytes = (bytes / batch).max(1) * batch;
                throttle.spend(bytes, rate, now);
                (copied, largest) = (copied + bytes, largest.max(bytes));
            }
            let took = (now.tick - start).as_secs_f64();
            let (least, most) = ((copied - largest) as f64 / rate as f64, copied as f64 / rate as f64);
            prop_assert!((least..=most + 0.001).contains(&(took + 1e-6)), "{took} {least} {most}");
        }
    }
}
