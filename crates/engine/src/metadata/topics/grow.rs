//! CreatePartitions.

use crate::metadata::controller::{Controller, Decision};
use crate::metadata::placement::place;
use crate::metadata::record::Record;

use super::{Allowance, TooManyPartitions, count, rotation};

/// A topic to grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    /// Its name.
    pub topic: String,
    /// How many partitions it shall have in all.
    pub count: i32,
    /// The replicas of each new partition, if the client says.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// Why a topic does not grow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreatePartitionsError {
    /// INVALID_REQUEST.
    #[error("the request names this topic more than once")]
    Duplicate,
    /// UNKNOWN_TOPIC_OR_PARTITION.
    #[error("there is no such topic: {name}")]
    UnknownTopic {
        /// The name.
        name: String,
    },
    /// INVALID_PARTITIONS.
    #[error(
        "the topic has {current} partitions, and {found} is not more; partitions are never removed"
    )]
    NotMore {
        /// How many it has.
        current: usize,
        /// How many were asked for.
        found: i32,
    },
    /// INVALID_REPLICATION_FACTOR.
    #[error("{found} replicas need as many live brokers, and there are {live}")]
    ReplicationFactor {
        /// How many replicas its partitions have.
        found: usize,
        /// How many brokers may hold replicas.
        live: usize,
    },
    /// INVALID_REPLICA_ASSIGNMENT.
    #[error("{0}")]
    Assignment(String),
    /// POLICY_VIOLATION.
    #[error(transparent)]
    TooManyPartitions(#[from] TooManyPartitions),
}

impl Controller<'_> {
    /// Adds partitions. One result per topic, in the order of the request; a topic that it names twice
    /// appears once.
    pub fn create_partitions(
        &self,
        topics: Vec<NewPartitions>,
        validate_only: bool,
    ) -> Decision<Vec<(String, Result<(), CreatePartitionsError>)>> {
        let mut times = count(topics.iter().map(|topic| topic.topic.clone()));
        let mut allowance = Allowance::new(self);
        let mut decision = Decision::nothing(Vec::with_capacity(times.len()));
        for topic in topics {
            let result = match times.remove(&topic.topic) {
                None => continue,
                Some(1) => self
                    .grow_topic(&topic, &mut allowance)
                    .map(|records| decision.records.extend(records)),
                Some(_) => Err(CreatePartitionsError::Duplicate),
            };
            decision.reply.push((topic.topic, result));
        }
        decision.unless(validate_only)
    }

    fn grow_topic(
        &self,
        asked: &NewPartitions,
        allowance: &mut Allowance,
    ) -> Result<Vec<Record>, CreatePartitionsError> {
        let topic = self
            .image
            .topic(&asked.topic)
            .ok_or_else(|| CreatePartitionsError::UnknownTopic { name: asked.topic.clone() })?;
        let current = topic.partitions.len();
        let added = usize::try_from(asked.count)
            .ok()
            .and_then(|count| count.checked_sub(current))
            .filter(|added| *added > 0)
            .ok_or(CreatePartitionsError::NotMore { current, found: asked.count })?;
        let replicas = topic.replication_factor();
        let candidates = self.candidates();
        let placed = match &asked.assignments {
            Some(assignments) if assignments.len() != added => {
                let found = assignments.len();
                return Err(CreatePartitionsError::Assignment(format!(
                    "{added} partitions are new, and the assignment names {found}"
                )));
            }
            Some(assignments) => {
                allowance.take(added)?;
                let assigned = assignments.iter().map(|one| self.assigned(one, replicas));
                let assigned: Result<Vec<_>, _> = assigned.collect();
                assigned.map_err(CreatePartitionsError::Assignment)?
            }
            None if replicas > candidates.len() => {
                let live = candidates.len();
                return Err(CreatePartitionsError::ReplicationFactor { found: replicas, live });
            }
            None => {
                allowance.take(added)?;
                let start = rotation(topic.id).wrapping_add(current as u64);
                place(&candidates, added, replicas, start)
            }
        };
        Ok(self.new_partitions(topic.id, current, placed))
    }
}
