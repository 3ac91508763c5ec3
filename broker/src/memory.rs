//! The memory governor: budgets for every byte that a client can make us hold, of requests and of records that wait for
//! one who does not read them.
//!
//! A request frame is admitted before its buffer is bought. When the budget is spent, the connection
//! stops reading, its TCP window closes, and the client waits: nothing is refused, nothing grows.
//!
//! A Produce is held until followers have copied it, and what they ask with are frames as well, as are heartbeats
//! and the quorum's messages. So producers have a part of the budget of their own: what they fill up holds up no
//! request that would empty it.
//!
//! An answer to a consumer is never waited for: it gets less when the budget of answers is spent, and one batch in any case.
//! Followers are few, and get what they ask for.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use wire::ApiKey;

/// Where Linux tells how much memory the process's group may use, with cgroups of version 2 and of version 1.
const LIMITS: [&str; 2] =
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
/// What requests, caches and queues share at most, if nobody says how much.
const DEFAULT_MAX: i64 = 512 << 20;

/// What requests, caches and queues share, if nobody says how much: half of what a container may use.
pub(crate) fn default_share(disk: &dyn world::Disk) -> i64 {
    let limits = LIMITS.iter().filter_map(|path| disk.read(Path::new(path)).ok());
    let limits = limits.filter_map(|bytes| String::from_utf8(bytes).ok()?.trim().parse().ok());
    share_of(limits.min())
}

fn share_of(limit: Option<i64>) -> i64 {
    limit.map_or(DEFAULT_MAX, |limit| (limit / 2).clamp(1, DEFAULT_MAX))
}

/// Bytes are counted in units, so that a 32-bit permit count reaches past any budget.
const UNIT_BYTES: usize = 1024;
/// One part of so many is for what is no Produce.
const OTHERS_SHARE: usize = 8;

/// Hands out the budget for request frames.
#[derive(Clone)]
pub(crate) struct Governor {
    produce: Budget,
    others: Budget,
}

#[derive(Clone)]
struct Budget {
    units: Arc<Semaphore>,
    total: usize,
    /// What one frame is charged at most.
    frame_max: usize,
}

/// A part of the budget, given back when dropped.
pub(crate) struct Grant {
    _permit: OwnedSemaphorePermit,
}

impl Governor {
    /// A budget of `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let others = bytes / OTHERS_SHARE;
        // Long polls keep their part for as long as they wait: whoever waits for all of it may wait for ever, and with it
        // everybody behind.
        let others = Budget::new(others).with_frames_up_to(2);
        Self { produce: Budget::new(bytes - bytes / OTHERS_SHARE), others }
    }

    /// Admits `bytes` of a request at once, or not at all.
    pub(crate) fn try_admit(&self, api: i16, bytes: usize) -> Option<Grant> {
        let budget = self.budget(api);
        match Arc::clone(&budget.units).try_acquire_many_owned(budget.units_for(bytes)) {
            Ok(permit) => Some(Grant { _permit: permit }),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    /// Waits, in order of asking, until `bytes` of a request fit.
    pub(crate) async fn admit(self, api: i16, bytes: usize) -> Grant {
        let budget = self.budget(api);
        let units = budget.units_for(bytes);
        let permit = Arc::clone(&budget.units).acquire_many_owned(units).await;
        Grant { _permit: permit.expect("the semaphore is never closed") }
    }

    /// Bytes of the budget that are in use.
    pub(crate) fn used(&self) -> usize {
        self.produce.used() + self.others.used()
    }

    fn budget(&self, api: i16) -> &Budget {
        if api == ApiKey::Produce as i16 { &self.produce } else { &self.others }
    }
}

/// Hands out the budget for records in answers.
#[derive(Clone)]
pub(crate) struct Answers {
    total: i64,
    free: Arc<AtomicI64>,
}

/// A part of the budget, given back when dropped.
pub(crate) struct Held {
    bytes: i64,
    free: Arc<AtomicI64>,
}

impl Answers {
    /// A budget of `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let total = i64::try_from(bytes).unwrap_or(i64::MAX);
        Self { total, free: Arc::new(AtomicI64::new(total)) }
    }

    /// As much of `wanted` as there is, maybe nothing.
    pub(crate) fn hold(&self, wanted: usize) -> Held {
        let mut held = Held { bytes: 0, free: Arc::clone(&self.free) };
        let free = self.free.load(Ordering::Relaxed).max(0);
        held.keep(wanted.min(usize::try_from(free).unwrap_or(usize::MAX)));
        held
    }

    /// Bytes of the budget that are in use.
    pub(crate) fn used(&self) -> usize {
        let free = self.free.load(Ordering::Relaxed);
        usize::try_from(self.total.saturating_sub(free)).unwrap_or(0)
    }
}

impl Held {
    /// How many bytes it is.
    pub(crate) fn bytes(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(0)
    }

    /// It was less that was needed; or more, by a batch that is larger than what was left.
    pub(crate) fn keep(&mut self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.free.fetch_add(self.bytes - bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.free.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl Budget {
    fn new(bytes: usize) -> Self {
        let total = (bytes / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(total)), total, frame_max: total }
    }

    /// As many of the largest frames run at once.
    fn with_frames_up_to(self, count: usize) -> Self {
        Self { frame_max: (self.total / count).max(1), ..self }
    }

    /// A frame larger than may be charged is charged that: it waits for room, but it runs.
    fn units_for(&self, bytes: usize) -> u32 {
        let units = bytes.div_ceil(UNIT_BYTES).clamp(1, self.frame_max);
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    fn used(&self) -> usize {
        (self.total - self.units.available_permits()) * UNIT_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, DEFAULT_MAX, Governor, share_of};

    const PRODUCE: i16 = 0;
    const FETCH: i16 = 1;

    #[test]
    fn a_container_gives_half_of_what_it_may_use() {
        assert_eq!(share_of(Some(128 << 20)), 64 << 20);
        // Version 1 says that there is no limit by a number that no machine has.
        for unlimited in [None, Some(i64::MAX - 4095), Some(64 << 30)] {
            assert_eq!(share_of(unlimited), DEFAULT_MAX);
        }
    }

    #[test]
    fn a_spent_budget_admits_nothing_until_something_is_given_back() {
        let governor = Governor::new(64 * 1024);
        let grant = governor.try_admit(PRODUCE, 54 * 1024).expect("fits");
        assert!(governor.try_admit(PRODUCE, 3 * 1024).is_none());
        assert_eq!(governor.used(), 54 * 1024);
        drop(grant);
        assert!(governor.try_admit(PRODUCE, 3 * 1024).is_some());
    }

    #[test]
    fn a_frame_larger_than_the_budget_runs_alone() {
        let governor = Governor::new(64 * 1024);
        let whole = governor.try_admit(PRODUCE, 1024 * 1024);
        assert!(whole.is_some());
        assert!(governor.try_admit(PRODUCE, 1).is_none());
    }

    #[test]
    fn answers_get_what_is_left_and_a_batch_in_any_case() {
        let answers = Answers::new(100);
        let mut first = answers.hold(80);
        let mut second = answers.hold(80);
        assert_eq!((first.bytes(), second.bytes()), (80, 20));
        second.keep(50);
        assert_eq!((answers.hold(80).bytes(), answers.used()), (0, 130));
        first.keep(10);
        assert_eq!(answers.hold(80).bytes(), 40);
        drop((first, second));
        assert_eq!(answers.used(), 0);
    }

    #[test]
    fn producers_leave_room_for_those_who_copy_what_they_sent() {
        let governor = Governor::new(64 * 1024);
        let _whole = governor.try_admit(PRODUCE, 1024 * 1024);
        let fetch = governor.try_admit(FETCH, 4 * 1024);
        let other = governor.try_admit(FETCH, 4 * 1024);
        assert!(fetch.is_some() && other.is_some() && governor.try_admit(FETCH, 1).is_none());
    }

    #[test]
    fn a_large_frame_does_not_wait_for_those_that_wait_themselves() {
        let governor = Governor::new(64 * 1024);
        let _long_poll = governor.try_admit(FETCH, 1).expect("fits");
        assert!(governor.try_admit(FETCH, 1024 * 1024).is_some());
    }
}
