//! Decisions about which brokers are there: heartbeats, fencing, controlled shutdown.
//!
//! ```text
//!   registered ──► fenced ── caught up with the metadata ──► active ── wants to stop ──► shutting down
//!                    ▲                                          │                             │
//!                    └──────────── not heard of, or asks for it ┴─────────────────────────────┘
//! ```

use crate::ids::BrokerId;

use super::brokers::{UnknownBroker, changed};
use super::controller::{Controller, Decision};
use super::image::{Broker, Partition};
use super::partitions::is_live;
use super::record::Record;

/// A broker says that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Its id.
    pub id: BrokerId,
    /// The epoch that it was registered with.
    pub epoch: i64,
    /// Whether it wants to be fenced, or to stay so.
    pub want_fence: bool,
    /// Whether it wants to stop.
    pub want_shut_down: bool,
    /// Whether it has applied the metadata up to its own registration, and to when it was fenced.
    pub is_caught_up: bool,
}

/// What a broker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// Whether it may neither lead nor be in sync.
    pub is_fenced: bool,
    /// Whether it may stop now: it leads nothing that others can, and nobody waits for it.
    pub should_shut_down: bool,
}

impl Controller<'_> {
    /// Lets a broker in once it has caught up, and out in an orderly way: as long as it stops, it gives
    /// away what others can lead. It may go when there is nothing to give, and it has left the in-sync replicas
    /// of everything that others lead ([`Controller::let_go`]).
    pub fn heartbeat(
        &self,
        heartbeat: Heartbeat,
    ) -> Decision<Result<HeartbeatReply, UnknownBroker>> {
        let Heartbeat { id, epoch, want_fence, want_shut_down, is_caught_up } = heartbeat;
        let broker = match self.registered(id, epoch) {
            Ok(broker) => broker,
            Err(unknown) => return Decision::nothing(Err(unknown)),
        };
        let fenced = if broker.fenced {
            want_fence || want_shut_down || !is_caught_up
        } else {
            want_fence && !want_shut_down
        };
        let stopping = broker.in_controlled_shutdown || (want_shut_down && !fenced);
        let next = Broker { fenced, in_controlled_shutdown: stopping, ..broker.clone() };
        let records = self.change_broker(id, broker, &next);
        let should_shut_down = want_shut_down && records.is_empty() && !self.is_waited_for(id);
        Decision { records, reply: Ok(HeartbeatReply { is_fenced: fenced, should_shut_down }) }
    }

    /// Fences a broker, whose partitions get other leaders, or unfences it.
    pub fn fence_broker(
        &self,
        id: BrokerId,
        epoch: i64,
        fenced: bool,
    ) -> Decision<Result<(), UnknownBroker>> {
        match self.registered(id, epoch) {
            Ok(broker) => {
                let next = Broker { fenced, ..broker.clone() };
                Decision { records: self.change_broker(id, broker, &next), reply: Ok(()) }
            }
            Err(unknown) => Decision::nothing(Err(unknown)),
        }
    }

    /// Whether others who are there are in sync with a broker, and so commit nothing without it.
    fn is_waited_for(&self, id: BrokerId) -> bool {
        let waits = |partition: &Partition| {
            let isr = &partition.isr;
            isr.contains(&id) && isr.iter().any(|other| *other != id && is_live(self.image, *other))
        };
        self.image.topics().any(|topic| topic.partitions.iter().any(waits))
    }

    fn change_broker(&self, id: BrokerId, before: &Broker, next: &Broker) -> Vec<Record> {
        let is_stopping = next.in_controlled_shutdown && !next.fenced;
        let is_news = before != next;
        if !is_news && !is_stopping {
            return Vec::new();
        }
        let records = self.with_partitions_of(id, changed(id, next), |change| {
            if next.fenced {
                change.leaves(id)
            } else if is_stopping {
                change.hands_over(id)
            } else {
                change
            }
        });
        records.into_iter().skip(usize::from(!is_news)).collect()
    }
}

#[cfg(test)]
#[path = "heartbeat_test.rs"]
mod tests;
