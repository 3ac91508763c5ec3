//! What the broker counts, one row each, and how `/metrics` shows it.

use std::sync::atomic::{AtomicU64, Ordering};

use wire::ApiKey;

/// Numbers of API keys that are counted apart; private ones share the last slot.
const SLOTS: usize = 128;

/// Counters, shared by all shards. Each is bumped at most a few times per request.
pub(crate) struct Metrics {
    requests: Box<[AtomicU64]>,
    decoded: Box<[AtomicU64]>,
    pub(crate) closed_connections: AtomicU64,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let zeros = || (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { requests: zeros(), decoded: zeros(), closed_connections: AtomicU64::new(0) }
    }

    /// A request's header was read.
    pub(crate) fn request(&self, key: ApiKey) {
        self.requests[slot(key)].fetch_add(1, Ordering::Relaxed);
    }

    /// A request's body was read.
    pub(crate) fn decoded(&self, key: ApiKey) {
        self.decoded[slot(key)].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests whose header and body were read, for one API.
    pub(crate) fn of(&self, key: ApiKey) -> (u64, u64) {
        let read = |row: &[AtomicU64]| row[slot(key)].load(Ordering::Relaxed);
        (read(&self.requests), read(&self.decoded))
    }
}

fn slot(key: ApiKey) -> usize {
    usize::try_from(key.number()).unwrap_or(SLOTS).min(SLOTS - 1)
}
