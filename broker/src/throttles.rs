//! What replicas that are not in sync may copy, to here and from here (KIP-73). One each for all shards: the
//! rates are of the broker. The counting is [`engine::replication::throttle`]'s.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::BrokerConfig;
use engine::replication::throttle::Throttle;

use crate::shared::Shared;

/// Both directions.
pub(crate) struct Throttles {
    /// What this broker sends.
    pub(crate) leader: Pace,
    /// What it copies.
    pub(crate) follower: Pace,
}

impl Default for Throttles {
    fn default() -> Self {
        Self {
            leader: Pace { rate: |broker| broker.leader_throttled_rate, owed: Mutex::default() },
            follower: Pace {
                rate: |broker| broker.follower_throttled_rate,
                owed: Mutex::default(),
            },
        }
    }
}

/// One direction.
pub(crate) struct Pace {
    rate: fn(&BrokerConfig) -> Option<i64>,
    owed: Mutex<Throttle>,
}

impl Pace {
    /// How many bytes may be copied now; or when to look again.
    pub(crate) fn ask(&self, shared: &Shared) -> Result<u64, Duration> {
        match self.rate(shared) {
            Some(rate) => self.owed().ask(rate, shared.now()),
            None => Ok(u64::MAX),
        }
    }

    /// So many were.
    pub(crate) fn spend(&self, shared: &Shared, bytes: usize) {
        if let Some(rate) = self.rate(shared) {
            self.owed().spend(bytes as u64, rate, shared.now());
        }
    }

    fn rate(&self, shared: &Shared) -> Option<u64> {
        (self.rate)(&shared.state().settings.broker).map(i64::unsigned_abs)
    }

    fn owed(&self) -> MutexGuard<'_, Throttle> {
        // Whoever panicked in between left a count that is as good as before.
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
