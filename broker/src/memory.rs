//! The memory governor: one budget for every byte that a client can make us hold.
//!
//! A request frame is admitted before its buffer is bought. When the budget is spent, the connection
//! stops reading, its TCP window closes, and the client waits: nothing is refused, nothing grows.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Bytes are counted in units, so that a 32-bit permit count reaches past any budget.
const UNIT_BYTES: usize = 1024;

/// Hands out the budget for request frames.
#[derive(Clone)]
pub(crate) struct Governor {
    units: Arc<Semaphore>,
    total: usize,
}

/// A part of the budget, given back when dropped.
pub(crate) struct Grant {
    _permit: OwnedSemaphorePermit,
}

impl Governor {
    /// A budget of `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let total = (bytes / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(total)), total }
    }

    /// A frame larger than the whole budget is charged the whole budget: it runs alone, but it runs.
    fn units_for(&self, bytes: usize) -> u32 {
        let units = bytes.div_ceil(UNIT_BYTES).clamp(1, self.total);
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    /// Admits `bytes` at once, or not at all.
    pub(crate) fn try_admit(&self, bytes: usize) -> Option<Grant> {
        match Arc::clone(&self.units).try_acquire_many_owned(self.units_for(bytes)) {
            Ok(permit) => Some(Grant { _permit: permit }),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    /// Waits, in order of asking, until `bytes` fit.
    pub(crate) async fn admit(self, bytes: usize) -> Grant {
        let units = self.units_for(bytes);
        let permit = self.units.acquire_many_owned(units).await;
        Grant { _permit: permit.expect("the semaphore is never closed") }
    }

    /// Bytes of the budget that are in use.
    pub(crate) fn used(&self) -> usize {
        (self.total - self.units.available_permits()) * UNIT_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::Governor;

    #[test]
    fn a_spent_budget_admits_nothing_until_something_is_given_back() {
        let governor = Governor::new(64 * 1024);
        let grant = governor.try_admit(60 * 1024).expect("fits");
        assert!(governor.try_admit(5 * 1024).is_none());
        assert_eq!(governor.used(), 60 * 1024);
        drop(grant);
        assert!(governor.try_admit(5 * 1024).is_some());
    }

    #[test]
    fn a_frame_larger_than_the_budget_runs_alone() {
        let governor = Governor::new(64 * 1024);
        let whole = governor.try_admit(1024 * 1024);
        assert!(whole.is_some());
        assert!(governor.try_admit(1).is_none());
    }
}
