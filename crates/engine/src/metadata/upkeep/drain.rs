//! Taking away what a broker carries: what it leads, or all that it holds. Asked for once, carried on in
//! steps until nothing is left, also over changes of the controller.
//!
//! ```text
//! Leadership   leads nothing that somebody else in sync can lead; stays in sync; ends with its restart
//! All          the same, and its replicas move to brokers that take some; ends when it is cancelled
//! ```

use std::collections::BTreeMap;

use crate::ids::{BrokerId, TopicPartition};

use super::super::brokers::UnknownBroker;
use super::super::controller::{Controller, Decision};
use super::super::features::{LEVEL_OF_UPKEEP, LevelTooLow};
use super::super::image::{Drain, Image, Partition};
use super::super::partitions::{Change, begin, is_live, may_take_over};
use super::super::placement::Candidate;
use super::super::record::Record;

/// Why a broker is not drained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainBrokerError {
    /// There is no such broker.
    #[error(transparent)]
    Unknown(#[from] UnknownBroker),
    /// Some brokers may not know yet what a drain is.
    #[error(transparent)]
    LevelTooLow(#[from] LevelTooLow),
}

/// What a broker carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Partitions that it leads.
    pub leaders: usize,
    /// Partitions of which it holds a replica.
    pub replicas: usize,
    /// Those of them with which it is in sync.
    pub in_sync: usize,
    /// Partitions that it is preferred to lead.
    pub preferred: usize,
    /// Those of them that it leads.
    pub preferred_led: usize,
}

/// What every broker carries that carries anything.
pub fn loads(image: &Image) -> BTreeMap<BrokerId, Load> {
    let mut loads: BTreeMap<BrokerId, Load> = BTreeMap::new();
    for partition in image.topics().flat_map(|topic| &topic.partitions) {
        for (at, id) in partition.replicas.iter().enumerate() {
            let load = loads.entry(*id).or_default();
            let leads = usize::from(partition.leader == Some(*id));
            load.replicas += 1;
            load.leaders += leads;
            load.in_sync += usize::from(partition.isr.contains(id));
            if at == 0 {
                load.preferred += 1;
                load.preferred_led += leads;
            }
        }
    }
    loads
}

/// How far a drain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainProgress {
    /// What is given away.
    pub drain: Drain,
    /// Whether nothing of it is left.
    pub is_done: bool,
    /// What is in the way, and of how many partitions: one of them is named.
    pub obstacles: BTreeMap<Obstacle, (usize, TopicPartition)>,
}

/// Why something stays on a broker that is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Obstacle {
    /// It leads, and nobody else can.
    #[error("no other replica is in sync")]
    NobodyToLead,
    /// It holds a replica, and nobody can take it.
    #[error("no other broker takes replicas of it: more brokers are needed, or fewer cordons")]
    NobodyToHold,
    /// It holds a replica that nobody can be given a copy of.
    #[error("nobody leads it")]
    NobodyLeads,
}

fn obstacle(
    image: &Image,
    candidates: &[Candidate],
    partition: &Partition,
    id: BrokerId,
    holds: bool,
) -> Option<Obstacle> {
    if holds {
        let can_take = candidates.iter().any(|one| !partition.replicas.contains(&one.id));
        return match partition.leader {
            _ if is_moving(image, partition) => None,
            None => Some(Obstacle::NobodyLeads),
            Some(_) => (!can_take).then_some(Obstacle::NobodyToHold),
        };
    }
    let has_heir = partition.isr.iter().any(|other| *other != id && may_take_over(image, *other));
    (!has_heir).then_some(Obstacle::NobodyToLead)
}

impl Controller<'_> {
    /// How far the drain of a broker is; `None` if it is not drained.
    pub fn drain_progress(&self, id: BrokerId) -> Option<DrainProgress> {
        let drain = self.image.drain(id)?;
        let candidates = self.candidates();
        let mut progress = DrainProgress { drain, is_done: true, obstacles: BTreeMap::new() };
        for topic in self.image.topics() {
            for (index, partition) in (0..).zip(&topic.partitions) {
                let leads = partition.leader == Some(id);
                let holds = drain == Drain::All && partition.replicas.contains(&id);
                if !leads && !holds {
                    continue;
                }
                progress.is_done = false;
                if let Some(obstacle) = obstacle(self.image, &candidates, partition, id, holds) {
                    let first = || (0, TopicPartition::new(topic.name.clone(), index));
                    progress.obstacles.entry(obstacle).or_insert_with(first).0 += 1;
                }
            }
        }
        Some(progress)
    }

    /// Has a broker give away what it leads, at once, or all that it carries; or, with `None`, keep what
    /// it has left and lead again what it is preferred to lead. Moves under way come to their end.
    pub fn drain_broker(
        &self,
        id: BrokerId,
        drain: Option<Drain>,
    ) -> Decision<Result<(), DrainBrokerError>> {
        if self.image.broker(id).is_none() {
            return Decision::nothing(Err(UnknownBroker { id, epoch: -1 }.into()));
        }
        if self.image.drain(id) == drain {
            return Decision::nothing(Ok(()));
        }
        if let Err(too_low) = self.needs_level(LEVEL_OF_UPKEEP) {
            return Decision::nothing(Err(too_low.into()));
        }
        let record = Record::Drain { id, drain };
        let records = self.with_partitions_of(id, record, |change| match drain {
            Some(_) => change.resigns(id),
            None => change.returns(id),
        });
        Decision { records, reply: Ok(()) }
    }

    /// The next step of all drains: leaderships that can be given away by now, and so many moves of
    /// replicas that at most `moves_max` partitions move at once. No records: nothing can be done now.
    pub fn carry_on_drains(&self, moves_max: usize) -> Decision<()> {
        let mut records = Vec::new();
        if self.image.drains().next().is_none() {
            return Decision { records, reply: () };
        }
        let under_way =
            self.image.reassignments().filter(|(_, _, it)| is_moving(self.image, it)).count();
        let mut moves_left = moves_max.saturating_sub(under_way);
        let mut placement = Placement { candidates: self.candidates(), loads: loads(self.image) };
        for topic in self.image.topics() {
            for (index, partition) in (0..).zip(&topic.partitions) {
                let is_drained = |id: &BrokerId| self.image.drain(*id).is_some();
                let Some(leader) = partition.leader else { continue };
                if !partition.replicas.iter().any(is_drained) {
                    continue;
                }
                let target = if moves_left > 0 && !is_moving(self.image, partition) {
                    placement.without_drained(self.image, partition)
                } else {
                    None
                };
                if target.is_none() && !is_drained(&leader) {
                    continue;
                }
                let mut change = Change::of(self.image, partition, self.min_isr(topic));
                if is_drained(&leader) {
                    change = change.resigns(leader);
                }
                if let Some(target) = target {
                    moves_left -= 1;
                    change = begin(partition, &target, change);
                }
                records.extend(change.decide().map(|partition| Record::Partition {
                    topic_id: topic.id,
                    index,
                    partition,
                }));
            }
        }
        Decision { records, reply: () }
    }
}

/// Whether replicas are being moved to brokers that are there. A move to one that went away is taken up
/// again, to another one.
fn is_moving(image: &Image, partition: &Partition) -> bool {
    let mut coming = partition.adding.iter().filter(|id| !partition.removing.contains(id));
    let are_there = coming.all(|id| is_live(image, *id));
    partition.is_reassigning() && partition.leader.is_some() && are_there
}

/// Who takes replicas, and how much everybody has by now.
struct Placement {
    candidates: Vec<Candidate>,
    loads: BTreeMap<BrokerId, Load>,
}

impl Placement {
    /// The replicas of a partition, with others in the places of those on brokers that give all away, and
    /// of those that should have come instead and went away; `None` if there are no such, or nobody to
    /// take them.
    fn without_drained(&mut self, image: &Image, partition: &Partition) -> Option<Vec<BrokerId>> {
        let Partition { adding, removing, .. } = partition;
        let is_drained = |id: &BrokerId| image.drain(*id) == Some(Drain::All);
        if partition.is_reassigning() && !removing.iter().any(is_drained) {
            // A move that a person asked for.
            return None;
        }
        let goes = |id: &BrokerId| is_drained(id) || (adding.contains(id) && !is_live(image, *id));
        let stays = |id: &&BrokerId| !removing.contains(id);
        let mut replicas: Vec<BrokerId> =
            partition.replicas.iter().filter(stays).copied().collect();
        let mut is_other = false;
        for at in 0..replicas.len() {
            if !goes(&replicas[at]) {
                continue;
            }
            let others = replicas.iter().filter(|id| **id != replicas[at]);
            let racks: Vec<_> =
                others.filter_map(|id| Some(image.broker(*id)?.rack.as_deref())).collect();
            let is_free = |one: &&Candidate| !replicas.contains(&one.id);
            let cost = |one: &&Candidate| {
                let in_rack = racks.iter().filter(|rack| **rack == one.rack.as_deref()).count();
                let replicas = self.loads.get(&one.id).map_or(0, |load| load.replicas);
                (in_rack, replicas, one.id)
            };
            let Some(taker) = self.candidates.iter().filter(is_free).min_by_key(cost) else {
                break;
            };
            replicas[at] = taker.id;
            self.loads.entry(taker.id).or_default().replicas += 1;
            is_other = true;
        }
        is_other.then_some(replicas)
    }
}

#[cfg(test)]
#[path = "drain_test.rs"]
mod tests;
