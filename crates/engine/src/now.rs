//! Time as a value: the engine never asks for it, it is told.

use std::time::Duration;

/// One instant, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, milliseconds since the Unix epoch. It may jump; use it only for what people see or
    /// what is stored (timestamps, retention).
    pub wall_ms: i64,
    /// Monotonic time since the process started. Use it for every timeout.
    pub tick: Duration,
}

impl Now {
    /// The monotonic instant `after` from now.
    pub fn after(self, after: Duration) -> Duration {
        self.tick.saturating_add(after)
    }
}
