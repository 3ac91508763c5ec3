//! Decisions about topics: create, grow, delete, claim.
//!
//! Here is what they share: limits, replicas, and how a request names a topic.

mod create;
mod delete;
mod grow;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{BrokerId, LeaderEpoch, TopicId};

use super::controller::Controller;
use super::image::{Broker, Drain, Partition, Topic};
use super::partitions::{is_active, may_take_over};
use super::placement::Candidate;
use super::record::Record;

pub use create::{Assignment, CreateTopicError, CreatedTopic, NewTopic};
pub use delete::{ClaimTopicError, DeleteTopicError, DeletedTopic};
pub use grow::{CreatePartitionsError, NewPartitions};

/// How many partitions one request may create.
pub const PARTITIONS_MAX_PER_REQUEST: usize = 10_000;

/// A topic to delete or to claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id (KIP-516).
    Id(TopicId),
}

/// A limit of partitions would be exceeded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} partitions exceed the limit of {limit}; hint: {hint}")]
pub struct TooManyPartitions {
    /// How many there would be.
    pub found: usize,
    /// How many there may be.
    pub limit: usize,
    /// What to do.
    pub hint: &'static str,
}

/// What one CreateTopics or CreatePartitions has used up so far.
struct Allowance {
    /// Partitions of this request.
    in_request: usize,
    /// Partitions of the cluster, with those of this request.
    in_cluster: usize,
    cluster_limit: usize,
}

impl Allowance {
    fn new(controller: &Controller<'_>) -> Self {
        let limit = controller.settings.broker.max_partitions;
        Self {
            in_request: 0,
            in_cluster: controller.image.partition_count(),
            cluster_limit: usize::try_from(limit).expect("the setting is at least 1"),
        }
    }

    /// Takes `partitions` more, or says which limit they would exceed.
    fn take(&mut self, partitions: usize) -> Result<(), TooManyPartitions> {
        let in_request = self.in_request.saturating_add(partitions);
        let in_cluster = self.in_cluster.saturating_add(partitions);
        if in_request > PARTITIONS_MAX_PER_REQUEST {
            return Err(TooManyPartitions {
                found: in_request,
                limit: PARTITIONS_MAX_PER_REQUEST,
                hint: "spread them over several requests",
            });
        }
        if in_cluster > self.cluster_limit {
            return Err(TooManyPartitions {
                found: in_cluster,
                limit: self.cluster_limit,
                hint: "raise klamm.max.partitions",
            });
        }
        (self.in_request, self.in_cluster) = (in_request, in_cluster);
        Ok(())
    }
}

impl Controller<'_> {
    /// Checks one partition's replicas as a client gave them.
    pub(super) fn assigned(
        &self,
        brokers: &[i32],
        replicas: usize,
    ) -> Result<Vec<BrokerId>, String> {
        let ids: Vec<BrokerId> = brokers.iter().copied().map(BrokerId).collect();
        let distinct: BTreeSet<BrokerId> = ids.iter().copied().collect();
        if ids.is_empty() || ids.len() != replicas {
            return Err("every partition has the same number of replicas, at least 1".to_owned());
        }
        if distinct.len() != ids.len() {
            return Err(format!("a broker holds one replica of a partition: {brokers:?}"));
        }
        if let Some(unknown) = ids.iter().find(|id| self.image.broker(**id).is_none()) {
            return Err(format!("there is no such broker: {unknown}"));
        }
        let is_controller = |id: &&BrokerId| {
            self.image.broker(**id).is_some_and(|broker| broker.is_controller_only)
        };
        if let Some(controller) = ids.iter().find(is_controller) {
            return Err(format!("node {controller} is a controller only: it holds no replicas"));
        }
        if !ids.iter().any(|id| is_active(self.image, *id)) {
            return Err(format!("none of these brokers is live: {brokers:?}"));
        }
        Ok(ids)
    }

    /// The brokers that take new replicas.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let takes = |(id, broker): &(BrokerId, &Arc<Broker>)| {
            let gives_away = self.image.drain(*id) == Some(Drain::All);
            let may_hold = !broker.cordoned && !broker.is_controller_only;
            is_active(self.image, *id) && may_hold && !gives_away
        };
        let brokers = self.image.brokers().filter(takes);
        brokers.map(|(id, broker)| Candidate { id, rack: broker.rack.clone() }).collect()
    }

    /// The records of partitions that begin their lives, from the index `first` on.
    pub(super) fn new_partitions(
        &self,
        topic_id: TopicId,
        first: usize,
        replicas: Vec<Vec<BrokerId>>,
    ) -> Vec<Record> {
        let first = i32::try_from(first).expect("partitions are counted as 32 bits");
        let record = |(index, replicas): (i32, Vec<BrokerId>)| {
            let isr: Vec<BrokerId> =
                replicas.iter().copied().filter(|id| is_active(self.image, *id)).collect();
            let may_lead = |id: &&BrokerId| may_take_over(self.image, **id);
            let leader = isr.iter().find(may_lead).or(isr.first()).copied();
            assert!(leader.is_some(), "a new partition has a live replica");
            let partition = Partition {
                leader,
                leader_epoch: LeaderEpoch(0),
                partition_epoch: 0,
                replicas,
                isr,
                elr: Vec::new(),
                adding: Vec::new(),
                removing: Vec::new(),
            };
            Record::Partition { topic_id, index, partition }
        };
        (first..).zip(replicas).map(record).collect()
    }

    pub(super) fn find_topic(&self, topic: &TopicRef) -> Option<&Arc<Topic>> {
        match topic {
            TopicRef::Name(name) => self.image.topic(name),
            TopicRef::Id(id) => self.image.topic_by_id(*id),
        }
    }
}

/// How often each thing appears.
pub(super) fn count<T: Ord>(things: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut times = BTreeMap::new();
    for thing in things {
        *times.entry(thing).or_default() += 1;
    }
    times
}

/// Where a topic's round robin begins.
pub(super) fn rotation(id: TopicId) -> u64 {
    let [.., a, b, c, d] = id.0;
    u64::from(u32::from_be_bytes([a, b, c, d]))
}
