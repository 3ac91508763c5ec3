//! Decisions about in-sync replicas, as leaders propose them (KIP-497, KIP-841, KIP-903).
//!
//! Everything is compared before anything is set: the leader's registration, the leader epoch, the
//! partition epoch, and of every replica proposed the registration under which the leader knew it. So a
//! request of a leader that was replaced, one that was overtaken by another change, and one that names a
//! replica which meanwhile started anew with other logs, all change nothing.

use std::collections::BTreeMap;

use crate::ids::{BrokerId, LeaderEpoch, TopicId};

use super::super::brokers::UnknownBroker;
use super::super::controller::{Controller, Decision};
use super::super::image::{Partition, Topic};
use super::super::record::Record;
use super::change::{Change, is_live};

/// A leader says who is in sync with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlterPartition {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition's index.
    pub index: i32,
    /// The epoch under which the asker leads.
    pub leader_epoch: LeaderEpoch,
    /// The state that the asker knows.
    pub partition_epoch: i32,
    /// Who shall be in sync, each with its broker epoch; -1 is for the asker itself. Nobody: the asker, a
    /// replica, says that its own log is damaged.
    pub isr: Vec<(BrokerId, i64)>,
}

/// Why the in-sync replicas stay as they are, or why the asker does not lead them any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlterPartitionError {
    /// UNKNOWN_TOPIC_ID.
    #[error("there is no topic with this id")]
    UnknownTopicId,
    /// UNKNOWN_TOPIC_OR_PARTITION.
    #[error("there is no such partition")]
    UnknownPartition,
    /// NOT_CONTROLLER: the asker knows what this controller does not.
    #[error("this controller does not know these epochs yet")]
    NotController,
    /// FENCED_LEADER_EPOCH.
    #[error("the leader epoch is {current} by now")]
    FencedLeaderEpoch {
        /// The current one.
        current: LeaderEpoch,
    },
    /// INVALID_UPDATE_VERSION.
    #[error("the partition epoch is {current} by now")]
    InvalidUpdateVersion {
        /// The current one.
        current: i32,
    },
    /// INVALID_REQUEST.
    #[error("{0}")]
    Request(&'static str),
    /// INELIGIBLE_REPLICA.
    #[error("broker {id} may not be in sync now: it is {why}")]
    IneligibleReplica {
        /// The replica.
        id: BrokerId,
        /// What it is.
        why: &'static str,
    },
    /// NEW_LEADER_ELECTED: the change was made, and somebody else leads: the asker's replica is moved away.
    #[error("somebody else leads from now on")]
    NewLeaderElected,
}

impl AlterPartitionError {
    /// Whether the change was made all the same.
    pub fn is_made(&self) -> bool {
        matches!(self, Self::NewLeaderElected)
    }
}

/// One result per partition: its state after the change.
pub type AlterPartitionReply = Vec<((TopicId, i32), Result<Partition, AlterPartitionError>)>;

impl Controller<'_> {
    /// Changes in-sync replicas. A proposal of those that are in sync already is a change too: by the new
    /// partition epoch, whatever was proposed before and is still under way is void.
    ///
    /// # Errors
    /// STALE_BROKER_EPOCH: the asker has registered anew.
    pub fn alter_partitions(
        &self,
        leader: BrokerId,
        broker_epoch: i64,
        asked: Vec<AlterPartition>,
    ) -> Decision<Result<AlterPartitionReply, UnknownBroker>> {
        if let Err(unknown) = self.registered(leader, broker_epoch) {
            return Decision::nothing(Err(unknown));
        }
        let mut records = BTreeMap::new();
        let mut reply = Vec::with_capacity(asked.len());
        for one in asked {
            let (topic_id, index) = (one.topic_id, one.index);
            let gives_up = one.isr.is_empty();
            let result = if records.contains_key(&(topic_id, index)) {
                Err(AlterPartitionError::Request("the request names this partition twice"))
            } else if gives_up {
                self.give_up(leader, &one)
            } else {
                self.alter_partition(leader, one)
            };
            if let Ok(partition) = &result {
                records.insert((topic_id, index), partition.clone());
            }
            let result =
                result.and_then(|partition| match gives_up || partition.leader == Some(leader) {
                    true => Ok(partition),
                    false => Err(AlterPartitionError::NewLeaderElected),
                });
            reply.push(((topic_id, index), result));
        }
        let record =
            |((topic_id, index), partition)| Record::Partition { topic_id, index, partition };
        Decision { records: records.into_iter().map(record).collect(), reply: Ok(reply) }
    }

    fn alter_partition(
        &self,
        leader: BrokerId,
        asked: AlterPartition,
    ) -> Result<Partition, AlterPartitionError> {
        let (topic, partition) = self.compared(leader, &asked)?;
        let ids: Vec<BrokerId> = asked.isr.iter().map(|(id, _)| *id).collect();
        let is_replica = |id: &BrokerId| partition.replicas.contains(id);
        let is_twice = |(at, id): (usize, &BrokerId)| ids[..at].contains(id);
        if !ids.iter().all(is_replica) || ids.iter().enumerate().any(is_twice) {
            return Err(AlterPartitionError::Request("in sync are replicas, each named once"));
        }
        if !ids.contains(&leader) {
            return Err(AlterPartitionError::Request("a leader is in sync with itself"));
        }
        for (id, epoch) in asked.isr {
            self.may_be_in_sync(id, epoch, id == leader, partition.isr.contains(&id))
                .map_err(|why| AlterPartitionError::IneligibleReplica { id, why })?;
        }
        let change = Change::of(self.image, partition, self.min_isr(topic)).set_isr(ids);
        Ok(change.decide().unwrap_or_else(|| renewed(partition)))
    }

    /// The asker's log is damaged: as after the crash of a machine it has no standing any more, unless nobody
    /// else has. A leader gives up in two steps, for the reason that [`super::departures`] tells: here somebody else
    /// is given the leadership; when it knows of that, which its next request says by the epoch, it gives up the rest.
    fn give_up(
        &self,
        id: BrokerId,
        asked: &AlterPartition,
    ) -> Result<Partition, AlterPartitionError> {
        let (topic, partition) = self.found(asked)?;
        if !partition.replicas.contains(&id) {
            return Err(AlterPartitionError::Request("only a replica gives up its standing"));
        }
        if asked.leader_epoch > partition.leader_epoch {
            return Err(AlterPartitionError::NotController);
        }
        if asked.leader_epoch < partition.leader_epoch {
            return Err(AlterPartitionError::FencedLeaderEpoch { current: partition.leader_epoch });
        }
        let change = Change::of(self.image, partition, self.min_isr(topic));
        if partition.leader != Some(id) {
            return Ok(change.loses(id, false).decide().unwrap_or_else(|| renewed(partition)));
        }
        let nobody = AlterPartitionError::Request("nobody else can lead");
        change.hands_over(id).decide().ok_or(nobody)
    }

    fn found(&self, asked: &AlterPartition) -> Result<(&Topic, &Partition), AlterPartitionError> {
        let topic =
            self.image.topic_by_id(asked.topic_id).ok_or(AlterPartitionError::UnknownTopicId)?;
        let partition =
            topic.partition(asked.index).ok_or(AlterPartitionError::UnknownPartition)?;
        Ok((topic, partition))
    }

    /// The partition, if the asker knows it as it is.
    fn compared(
        &self,
        leader: BrokerId,
        asked: &AlterPartition,
    ) -> Result<(&Topic, &Partition), AlterPartitionError> {
        let (topic, partition) = self.found(asked)?;
        let (leader_epoch, partition_epoch) = (partition.leader_epoch, partition.partition_epoch);
        if asked.leader_epoch > leader_epoch || asked.partition_epoch > partition_epoch {
            return Err(AlterPartitionError::NotController);
        }
        if asked.leader_epoch < leader_epoch {
            return Err(AlterPartitionError::FencedLeaderEpoch { current: leader_epoch });
        }
        if partition.leader != Some(leader) {
            return Err(AlterPartitionError::Request("only the leader says who is in sync"));
        }
        if asked.partition_epoch < partition_epoch {
            return Err(AlterPartitionError::InvalidUpdateVersion { current: partition_epoch });
        }
        Ok((topic, partition))
    }

    fn may_be_in_sync(
        &self,
        id: BrokerId,
        epoch: i64,
        leads: bool,
        is_in_sync: bool,
    ) -> Result<(), &'static str> {
        match self.image.broker(id) {
            None => Err("not registered"),
            Some(_) if !is_live(self.image, id) => Err("fenced"),
            // It does not join any more; who is in sync leaves when it has heard who leads.
            Some(broker) if broker.in_controlled_shutdown && !is_in_sync => Err("shutting down"),
            Some(broker) if broker.epoch != epoch && !(leads && epoch == -1) => {
                Err("another process than the leader knows")
            }
            Some(_) => Ok(()),
        }
    }
}

/// As it is, and yet another state: what was asked before about the one before is void.
fn renewed(partition: &Partition) -> Partition {
    Partition { partition_epoch: partition.partition_epoch + 1, ..partition.clone() }
}

#[cfg(test)]
#[path = "alter_partition_test.rs"]
mod tests;
