//! Decisions about balance: it is asked for, or not any more; the next few steps of a plan; preferred leaders
//! return.
//!
//! Nothing is begun while something else is under way that moves replicas or takes them out of service:
//! what the plan counts on must be there when it is needed.

use std::collections::BTreeMap;

use crate::ids::{BrokerId, TopicId, TopicPartition};

use super::super::controller::{Controller, Decision};
use super::super::features::{LEVEL_OF_UPKEEP, LevelTooLow};
use super::super::image::{Drain, Image, Partition, Topic};
use super::super::partitions::{Change, begin, may_take_over};
use super::super::record::Record;
use super::super::upkeep::loads;
use super::{Facts, Lead, Plan, Sizes, plan};

/// How many partitions one decision gives other leaders.
const LEADERS_MAX: usize = 1000;

/// Why nothing is begun now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hold {
    /// Somebody may take a broker out of service.
    #[error("{holder} holds the disruption lease, for broker {broker}")]
    Lease {
        /// Who.
        holder: String,
        /// Which broker.
        broker: BrokerId,
    },
    /// A broker gives away what it carries.
    #[error("broker {0} is being drained")]
    Drain(BrokerId),
    /// Replicas are being moved.
    #[error("replicas are being moved: {count} partitions, as {first}")]
    Moving {
        /// How many partitions.
        count: usize,
        /// One of them.
        first: TopicPartition,
    },
    /// Replicas are not in sync.
    #[error("replicas are not in sync: {count} partitions, as {first}")]
    UnderReplicated {
        /// How many partitions.
        count: usize,
        /// One of them.
        first: TopicPartition,
    },
}

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Why nothing was begun, if that is so.
    pub hold: Option<Hold>,
    /// How many partitions got other replicas, or another leader.
    pub begun: usize,
}

impl Controller<'_> {
    /// What would be done now, with at most `moves_max` moves.
    pub fn plan_balance(&self, sizes: &Sizes, moves_max: usize) -> Plan {
        plan(&Facts { image: self.image, candidates: self.candidates(), sizes }, moves_max)
    }

    /// Why nothing would be begun now, if that is so.
    pub fn balance_hold(&self) -> Option<Hold> {
        if let Some(lease) = self.image.lease() {
            let holder = lease.holder.to_string();
            return Some(Hold::Lease { holder, broker: lease.broker });
        }
        let goes_on = |(id, drain): &(BrokerId, Drain)| {
            loads(self.image).get(id).is_some_and(|load| match drain {
                Drain::Leadership => load.leaders > 0,
                Drain::All => load.replicas > 0,
            })
        };
        if let Some((id, _)) = self.image.drains().find(goes_on) {
            return Some(Hold::Drain(id));
        }
        let moving = named(self.image, Partition::is_reassigning);
        if let Some((count, first)) = moving {
            return Some(Hold::Moving { count, first });
        }
        let lacks = |it: &Partition| it.leader.is_none() || it.isr.len() < it.replicas.len();
        let (count, first) = named(self.image, lacks)?;
        Some(Hold::UnderReplicated { count, first })
    }

    /// Has the balancer run until nothing is left to do, whatever its settings say; or no longer.
    pub fn ask_for_balance(&self, is_asked: bool) -> Decision<Result<(), LevelTooLow>> {
        if self.image.is_balance_asked() == is_asked {
            return Decision::nothing(Ok(()));
        }
        if let Err(too_low) = self.needs_level(LEVEL_OF_UPKEEP) {
            return Decision::nothing(Err(too_low));
        }
        Decision { records: vec![Record::Balance { is_asked }], reply: Ok(()) }
    }

    /// The next step: so many moves, and once there are none left, leaders. If nothing is left at all,
    /// what was asked for is done.
    pub fn carry_on_balance(&self, sizes: &Sizes, moves_max: usize) -> Decision<Round> {
        let hold = self.balance_hold();
        if hold.is_some() {
            return Decision::nothing(Round { hold, begun: 0 });
        }
        let plan = self.plan_balance(sizes, moves_max);
        let mut records = if plan.moves.is_empty() {
            let leads = plan.leaders.iter().take(LEADERS_MAX);
            leads.filter_map(|lead| self.lead(lead)).collect()
        } else {
            self.begin_moves(&plan)
        };
        let begun = records.len();
        if begun == 0 {
            records = self.ask_for_balance(false).records;
        }
        Decision { records, reply: Round { hold: None, begun } }
    }

    fn begin_moves(&self, plan: &Plan) -> Vec<Record> {
        let mut targets: BTreeMap<(TopicId, i32), Vec<BrokerId>> = BTreeMap::new();
        for one in plan.moves.iter().flatten() {
            let Some((_, partition)) = self.indexed(one.topic_id, one.index) else { continue };
            let target = targets.entry((one.topic_id, one.index));
            let target = target.or_insert_with(|| partition.replicas.clone());
            target.iter_mut().filter(|id| **id == one.from).for_each(|id| *id = one.to);
        }
        let records = targets.into_iter().filter_map(|((topic_id, index), target)| {
            let (topic, partition) = self.indexed(topic_id, index)?;
            let change = Change::of(self.image, partition, self.min_isr(topic));
            let partition = begin(partition, &target, change).decide()?;
            Some(Record::Partition { topic_id, index, partition })
        });
        records.collect()
    }

    fn lead(&self, lead: &Lead) -> Option<Record> {
        let Lead { topic_id, index, replicas, .. } = lead;
        let (topic, partition) = self.indexed(*topic_id, *index)?;
        let change = Change::of(self.image, partition, self.min_isr(topic));
        let partition = begin(partition, replicas, change).returns(replicas[0]).decide()?;
        Some(Record::Partition { topic_id: *topic_id, index: *index, partition })
    }

    fn indexed(&self, topic_id: TopicId, index: i32) -> Option<(&Topic, &Partition)> {
        let topic = self.image.topic_by_id(topic_id)?;
        Some((topic, topic.partition(index)?))
    }

    /// Gives brokers back what they are preferred to lead, if that is more than so many percent of it that
    /// others lead; of so many partitions that it is worth to ask again, if it is not zero.
    ///
    /// A broker that is about to be disrupted gets nothing back.
    pub fn return_leaders(&self, percentage: i32) -> Decision<usize> {
        let loads = loads(self.image);
        let percentage = usize::try_from(percentage).unwrap_or(0);
        let lease = self.image.lease().map(|lease| lease.broker);
        let is_due = |id: &BrokerId| {
            loads.get(id).is_some_and(|load| {
                (load.preferred - load.preferred_led) * 100 > load.preferred * percentage
            })
        };
        let can_return = |it: &Partition| {
            let preferred = it.replicas[0];
            let is_led_by_another = it.leader.is_some_and(|leader| leader != preferred);
            is_led_by_another && it.isr.contains(&preferred) && lease != Some(preferred)
        };
        let mut records = Vec::new();
        let due = |it: &Partition| {
            can_return(it) && may_take_over(self.image, it.replicas[0]) && is_due(&it.replicas[0])
        };
        for topic in self.image.topics() {
            let partitions = (0..).zip(&topic.partitions).filter(|(_, partition)| due(partition));
            for (index, partition) in partitions.take(LEADERS_MAX - records.len()) {
                let change = Change::of(self.image, partition, self.min_isr(topic));
                let next = change.returns(partition.replicas[0]).decide();
                let record = |partition| Record::Partition { topic_id: topic.id, index, partition };
                records.extend(next.map(record));
            }
        }
        let returned = records.len();
        Decision { records, reply: returned }
    }
}

/// How many partitions are like this, and the first of them.
fn named(image: &Image, is: impl Fn(&Partition) -> bool) -> Option<(usize, TopicPartition)> {
    let mut named = image.topics().flat_map(|topic| {
        let indexed = (0..).zip(&topic.partitions).filter(|(_, partition)| is(partition));
        indexed.map(|(index, _)| TopicPartition::new(topic.name.clone(), index))
    });
    let first = named.next()?;
    Some((named.count() + 1, first))
}
