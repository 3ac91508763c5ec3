//! What a machine could have brought to its disk before it lost power: a bound on what topics that do not
//! wait for the disk may lose.

use std::time::Duration;

/// How long a host's process needs to run before it has flushed what an earlier one left.
const FLUSHES_WITHIN: Duration = Duration::from_secs(3);

/// Until when a host's process has been able to flush what it wrote.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flushed {
    at: Duration,
    started: Duration,
}

impl Flushed {
    /// Until when.
    pub(super) fn at(&self) -> Duration {
        self.at
    }

    /// Since when the process runs.
    pub(super) fn started(&self) -> Duration {
        self.started
    }

    /// A process begins, or goes on.
    pub(super) fn begins(&mut self, at: Duration) {
        self.started = self.started.max(at);
    }

    /// The process ends, or stands still; what it left is flushed by the next, or by itself later, if
    /// there is time enough.
    pub(super) fn ended(&mut self, now: Duration) {
        if self.at.is_zero() || now.saturating_sub(self.started) >= FLUSHES_WITHIN {
            self.at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_flushes_while_a_process_is_dead_or_has_just_begun() {
        let seconds = Duration::from_secs;
        let mut flushed = Flushed::default();
        flushed.ended(seconds(5));
        flushed.begins(seconds(20));
        flushed.ended(seconds(21));
        assert_eq!(flushed.at(), seconds(5), "it had no time");
        flushed.begins(seconds(30));
        flushed.ended(seconds(34));
        assert_eq!(flushed.at(), seconds(34));
    }
}
