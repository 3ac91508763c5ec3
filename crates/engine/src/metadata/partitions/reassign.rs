//! Decisions about moving replicas (KIP-455). A change of the replication factor is such a move.
//!
//! ```text
//! replicas 1 2 3, asked for 2 3 4
//!     → replicas 2 3 4 1   adding 4   removing 1      until 4 is in sync, and those that stay can commit
//!                                                     somebody else leads, if 1 does
//!                                                     1 follows: it leaves the in-sync replicas
//!     → replicas 2 3 4
//! ```
//!
//! A move that is cancelled becomes one to the replicas of before: 4 is then both `adding` and `removing`.

use std::collections::BTreeSet;

use crate::ids::BrokerId;

use super::super::controller::{Controller, Decision};
use super::super::image::{Partition, Topic};
use super::super::record::Record;
use super::change::Change;

/// Where the replicas of a partition shall go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    /// The topic.
    pub topic: String,
    /// The partition's index.
    pub index: i32,
    /// Its replicas, preferred leader first; `None` cancels the move under way.
    pub replicas: Option<Vec<i32>>,
}

/// Why replicas stay where they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReassignError {
    /// UNKNOWN_TOPIC_OR_PARTITION.
    #[error("there is no such partition")]
    UnknownPartition,
    /// INVALID_REQUEST.
    #[error("the request names this partition twice")]
    Duplicate,
    /// NO_REASSIGNMENT_IN_PROGRESS.
    #[error("its replicas are not being moved")]
    NotInProgress,
    /// INVALID_REPLICA_ASSIGNMENT.
    #[error("{0}")]
    Assignment(String),
    /// INVALID_REPLICATION_FACTOR (KIP-860).
    #[error("it has {current} replicas, and {found} were asked for without leave to change that")]
    ReplicationFactor {
        /// How many it has.
        current: usize,
        /// How many were asked for.
        found: usize,
    },
}

/// One result per partition, in the order of the request.
pub type ReassignReply = Vec<((String, i32), Result<(), ReassignError>)>;

impl Controller<'_> {
    /// Begins to move replicas, or cancels that.
    pub fn alter_reassignments(
        &self,
        asked: Vec<Reassignment>,
        may_change_replication_factor: bool,
    ) -> Decision<ReassignReply> {
        let mut seen = BTreeSet::new();
        let mut decision = Decision::nothing(Vec::with_capacity(asked.len()));
        for one in asked {
            let key = (one.topic, one.index);
            let result = match self.image.topic(&key.0) {
                _ if !seen.insert(key.clone()) => Err(ReassignError::Duplicate),
                None => Err(ReassignError::UnknownPartition),
                Some(topic) => self
                    .reassign(topic, one.index, one.replicas, may_change_replication_factor)
                    .map(|record| decision.records.extend(record)),
            };
            decision.reply.push((key, result));
        }
        decision
    }

    fn reassign(
        &self,
        topic: &Topic,
        index: i32,
        replicas: Option<Vec<i32>>,
        may_change_replication_factor: bool,
    ) -> Result<Option<Record>, ReassignError> {
        let partition = topic.partition(index).ok_or(ReassignError::UnknownPartition)?;
        let change = Change::of(self.image, partition, self.min_isr(topic));
        let change = match replicas {
            None if !partition.is_reassigning() => return Err(ReassignError::NotInProgress),
            None => begin(partition, &original(partition), change),
            Some(target) => {
                let target =
                    self.assigned(&target, target.len()).map_err(ReassignError::Assignment)?;
                let current = original(partition).len();
                if target.len() != current && !may_change_replication_factor {
                    let found = target.len();
                    return Err(ReassignError::ReplicationFactor { current, found });
                }
                begin(partition, &target, change)
            }
        };
        let next = change.decide();
        Ok(next.map(|partition| Record::Partition { topic_id: topic.id, index, partition }))
    }
}

/// The replicas from before the move.
fn original(partition: &Partition) -> Vec<BrokerId> {
    let replicas = partition.replicas.iter().copied();
    replicas.filter(|id| !partition.adding.contains(id)).collect()
}

/// Begins to move the replicas of a partition.
pub(in crate::metadata) fn begin<'a>(
    partition: &Partition,
    target: &[BrokerId],
    change: Change<'a>,
) -> Change<'a> {
    let original = original(partition);
    let goes = |id: &BrokerId| !target.contains(id);
    let removing: Vec<BrokerId> = partition.replicas.iter().copied().filter(goes).collect();
    let replicas: Vec<BrokerId> = target.iter().chain(&removing).copied().collect();
    let is_new = |id: &BrokerId| !original.contains(id);
    let adding = replicas.iter().copied().filter(is_new).collect();
    change.set_replicas(replicas, adding, removing)
}

#[cfg(test)]
#[path = "reassign_test.rs"]
mod tests;
