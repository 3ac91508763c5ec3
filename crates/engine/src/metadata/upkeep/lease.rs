//! Decisions about the disruption lease: leave to take one broker out of service. Whoever has it is the
//! only one, so that two who each checked alone do not take away together what neither would have.
//!
//! It is a record, so every controller knows it. How long it still runs is counted by the active one, from
//! the last renewal that it has heard; another one counts anew. So it may last longer than was asked for,
//! and never shorter.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::BrokerId;
use crate::now::Now;

use super::super::brokers::UnknownBroker;
use super::super::controller::{Controller, Decision};
use super::super::image::{Image, Lease};
use super::super::record::Record;
use super::restart_check::{RestartCheck, Voter};

/// The longest name of a holder, in bytes.
const HOLDER_BYTES_MAX: usize = 255;
/// How long a lease may be asked for.
const TTL_MS: std::ops::RangeInclusive<i64> = 1000..=86_400_000;

/// Why nobody gets the lease.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcquireLeaseError {
    /// Somebody else has it.
    #[error("{} holds the lease, for broker {}", .0.holder, .0.broker)]
    Held(Arc<Lease>),
    /// The broker cannot be missed now.
    #[error("broker {id} cannot be missed now: {}", check.harm)]
    Unsafe {
        /// The broker.
        id: BrokerId,
        /// What would follow.
        check: Box<RestartCheck>,
    },
    /// There is no such broker.
    #[error(transparent)]
    UnknownBroker(#[from] UnknownBroker),
    /// A field of the request.
    #[error("{0}")]
    Request(&'static str),
}

/// The asker does not hold the lease, or not any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", held_by(lease.as_deref()))]
pub struct NotHeld {
    /// Who does.
    pub lease: Option<Arc<Lease>>,
}

fn held_by(lease: Option<&Lease>) -> String {
    match lease {
        None => "nobody holds the lease".to_owned(),
        Some(lease) => format!("{} holds the lease, for broker {}", lease.holder, lease.broker),
    }
}

impl Controller<'_> {
    /// Gives the lease to who asks for it, if nobody else has it and the broker can be missed. Whoever has
    /// it gets it again. `is_over`: the one that there is has run out.
    ///
    /// # Errors
    /// When it is held, the broker cannot be missed, or the request is wrong.
    pub fn acquire_lease(
        &self,
        asked: Lease,
        is_over: bool,
        voters: &[Voter],
    ) -> Decision<Result<(), AcquireLeaseError>> {
        if let Err(error) = self.may_acquire(&asked, is_over, voters) {
            return Decision::nothing(Err(error));
        }
        let is_news = self.image.lease().is_none_or(|held| **held != asked);
        let records = is_news.then_some(Record::Lease { lease: Some(asked) });
        Decision { records: records.into_iter().collect(), reply: Ok(()) }
    }

    fn may_acquire(
        &self,
        asked: &Lease,
        is_over: bool,
        voters: &[Voter],
    ) -> Result<(), AcquireLeaseError> {
        let id = asked.broker;
        if asked.holder.is_empty() || asked.holder.len() > HOLDER_BYTES_MAX {
            return Err(AcquireLeaseError::Request("a holder has a name of 1 to 255 bytes"));
        }
        if !TTL_MS.contains(&asked.ttl_ms) {
            return Err(AcquireLeaseError::Request("a lease lasts 1 second to 1 day"));
        }
        match self.image.lease().filter(|_| !is_over) {
            // By now the broker may be away.
            Some(held) if is_held_by(held, id, &asked.holder) => return Ok(()),
            Some(held) => return Err(AcquireLeaseError::Held(held.clone())),
            None => {}
        }
        let check = self.restart_check(&BTreeSet::from([id]), voters)?;
        if check.is_ok() {
            return Ok(());
        }
        Err(AcquireLeaseError::Unsafe { id, check: Box::new(check) })
    }

    /// Lets the lease run anew, from now on.
    ///
    /// # Errors
    /// When the asker does not hold it any more.
    pub fn renew_lease(
        &self,
        broker: BrokerId,
        holder: &str,
        is_over: bool,
    ) -> Decision<Result<(), NotHeld>> {
        let lease = self.image.lease().filter(|_| !is_over);
        Decision::nothing(match lease {
            Some(held) if is_held_by(held, broker, holder) => Ok(()),
            other => Err(NotHeld { lease: other.cloned() }),
        })
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// When the asker does not hold it.
    pub fn release_lease(&self, broker: BrokerId, holder: &str) -> Decision<Result<(), NotHeld>> {
        match self.image.lease() {
            Some(held) if is_held_by(held, broker, holder) => self.end_lease().map(Ok),
            other => Decision::nothing(Err(NotHeld { lease: other.cloned() })),
        }
    }

    /// Ends the lease, if there is one: it has run out.
    pub fn end_lease(&self) -> Decision<()> {
        let records = self.image.lease().map(|_| Record::Lease { lease: None });
        Decision { records: records.into_iter().collect(), reply: () }
    }
}

fn is_held_by(lease: &Lease, broker: BrokerId, holder: &str) -> bool {
    lease.broker == broker && *lease.holder == *holder
}

/// Counts how long the lease still runs, on the active controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaseClock {
    /// Of this term, and no other.
    term: u64,
    ends_at: Option<Duration>,
}

impl LeaseClock {
    /// When the lease ends, by monotonic time, if there is one. One that was not counted in this term
    /// begins now.
    pub fn ends_at(&mut self, image: &Image, term: u64, now: Now) -> Option<Duration> {
        let ends_at = self.ends_at.filter(|_| self.term == term);
        self.term = term;
        self.ends_at =
            image.lease().map(|lease| ends_at.unwrap_or_else(|| end_of(lease.ttl_ms, now)));
        self.ends_at
    }

    /// Whether the lease has run out.
    pub fn is_over(&mut self, image: &Image, term: u64, now: Now) -> bool {
        self.ends_at(image, term, now).is_some_and(|ends_at| ends_at <= now.tick)
    }

    /// It was given or renewed.
    pub fn begin(&mut self, ttl_ms: i64, term: u64, now: Now) {
        *self = Self { term, ends_at: Some(end_of(ttl_ms, now)) };
    }
}

fn end_of(ttl_ms: i64, now: Now) -> Duration {
    now.after(Duration::from_millis(u64::try_from(ttl_ms).unwrap_or(0)))
}

#[cfg(test)]
#[path = "lease_test.rs"]
mod tests;
