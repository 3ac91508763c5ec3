//! Decisions about who leaves the in-sync replicas while it lives: because it is about to stop, or its replica is moved
//! away.
//!
//! Whoever goes may have led a moment before, and tell its readers its own watermark until it hears that another leads. So
//! it stays in sync, and the new watermark waits for it, until it has obeyed metadata in which another leads. It says how far
//! it is in its heartbeats; who notes since which version a departure is due is the active controller
//! (`broker/src/controller/departures.rs`).
//!
//! ```text
//! it leads ─ somebody else is given the leadership ─► it is in sync ─ its heartbeat: that was obeyed ─► it has left
//! ```

use crate::ids::{BrokerId, LeaderEpoch, TopicId};

use super::super::controller::{Controller, Decision};
use super::super::image::{Partition, Topic};
use super::super::record::Record;
use super::change::{Change, is_active, is_live};

/// A replica that goes once its broker has obeyed that somebody else leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Departure {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition's index.
    pub index: i32,
    /// Who goes.
    pub broker: BrokerId,
    /// The epoch in which somebody else leads.
    pub leader_epoch: LeaderEpoch,
}

impl Controller<'_> {
    /// All departures that are due.
    pub fn departures(&self) -> Vec<Departure> {
        let mut departures = Vec::new();
        for topic in self.image.topics() {
            for (index, partition) in (0..).zip(&topic.partitions) {
                let leader_epoch = partition.leader_epoch;
                let of = |broker| Departure { topic_id: topic.id, index, broker, leader_epoch };
                departures.extend(self.goers(topic, partition).into_iter().map(of));
            }
        }
        departures
    }

    /// Takes these out of the in-sync replicas, where they still are to go and nobody else leads meanwhile. Moves end
    /// by it: all replicas of a partition that are moved away go at once, for one that went before the others would be in
    /// sync again before they went.
    pub fn let_go(&self, departures: &[Departure]) -> Decision<()> {
        let mut records = Vec::new();
        for same in departures.chunk_by(|a, b| (a.topic_id, a.index) == (b.topic_id, b.index)) {
            let Departure { topic_id, index, leader_epoch, .. } = same[0];
            let Some(topic) = self.image.topic_by_id(topic_id) else { continue };
            let Some(partition) = topic.partition(index) else { continue };
            if partition.leader_epoch != leader_epoch {
                continue;
            }
            let obeyed = |id: &BrokerId| same.iter().any(|it| it.broker == *id);
            let goers = self.goers(topic, partition);
            let stops = |id: &BrokerId| !is_active(self.image, *id);
            let all_obeyed = goers.iter().filter(|id| !stops(id)).all(obeyed);
            let mut change = Change::of(self.image, partition, self.min_isr(topic));
            for id in goers.iter().filter(|id| obeyed(id) && (stops(id) || all_obeyed)) {
                change = change.leaves(*id);
            }
            let next = change.decide();
            records.extend(next.map(|partition| Record::Partition { topic_id, index, partition }));
        }
        Decision { records, reply: () }
    }

    /// Who is in sync and goes, although it lives.
    fn goers(&self, topic: &Topic, partition: &Partition) -> Vec<BrokerId> {
        let Partition { leader: Some(leader), isr, removing, .. } = partition else {
            return Vec::new();
        };
        let is_moved = |id: &BrokerId| {
            let active = |id| is_active(self.image, id);
            removing.contains(id) && partition.may_let_go(self.min_isr(topic), active)
        };
        let stops = |id: &BrokerId| is_live(self.image, *id) && !is_active(self.image, *id);
        let goes = |id: &&BrokerId| *id != leader && (stops(id) || is_moved(id));
        isr.iter().filter(goes).copied().collect()
    }
}

#[cfg(test)]
#[path = "departures_test.rs"]
mod tests;
