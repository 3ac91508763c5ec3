//! Time as a value: the operator never asks for it, it is told.

use std::time::Duration;

use jiff::{Timestamp, Unit};

/// One instant, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, milliseconds since the Unix epoch: what people see, and what must outlive a restart.
    pub wall_ms: i64,
    /// Monotonic time since the process started: how long ago a status was written.
    pub tick: Duration,
}

impl Now {
    /// What `clock` shows.
    pub fn of(clock: &dyn world::Clock) -> Self {
        Self { wall_ms: clock.wall_ms(), tick: clock.tick() }
    }

    /// The wall clock as RFC 3339 in whole seconds, as Kubernetes writes times.
    pub fn rfc3339(self) -> String {
        rfc3339(self.wall_ms)
    }
}

/// `ms` since the Unix epoch as RFC 3339, in whole seconds.
pub(crate) fn rfc3339(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    at.round(Unit::Second).unwrap_or(at).to_string()
}

/// Milliseconds since the Unix epoch of an RFC 3339 text.
pub(crate) fn millis(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}
