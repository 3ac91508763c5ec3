//! Decisions about leaders that people ask for (ElectLeaders), and what follows from changed settings.

use crate::ids::BrokerId;

use super::super::controller::{Controller, Decision};
use super::super::image::{Partition, Topic};
use super::super::record::Record;
use super::change::{Change, may_take_over};

/// Who may be elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The first replica, if it is in sync.
    Preferred,
    /// Where nobody leads, any replica: committed records that it lacks are lost.
    Unclean,
}

/// Why no leader was elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectLeaderError {
    /// UNKNOWN_TOPIC_OR_PARTITION.
    #[error("there is no such partition")]
    UnknownPartition,
    /// ELECTION_NOT_NEEDED.
    #[error("it is led already")]
    NotNeeded,
    /// PREFERRED_LEADER_NOT_AVAILABLE.
    #[error("the preferred leader {id} is not in sync, not there, or drained")]
    PreferredNotAvailable {
        /// The preferred leader.
        id: BrokerId,
    },
    /// ELIGIBLE_LEADERS_NOT_AVAILABLE.
    #[error("none of its replicas is there")]
    NoneAvailable,
}

/// One result per partition.
pub type ElectLeadersReply = Vec<((String, i32), Result<(), ElectLeaderError>)>;

impl Controller<'_> {
    /// Elects leaders of these partitions, or of all, and then names only those that needed it.
    pub fn elect_leaders(
        &self,
        election: Election,
        partitions: Option<Vec<(String, i32)>>,
    ) -> Decision<ElectLeadersReply> {
        let is_all = partitions.is_none();
        let mut asked = partitions.unwrap_or_else(|| self.every_partition());
        asked.sort();
        asked.dedup();
        let mut decision = Decision::nothing(Vec::new());
        for (name, index) in asked {
            let topic = self.image.topic(&name);
            let found = topic.and_then(|topic| Some((topic, topic.partition(index)?)));
            let result = found.ok_or(ElectLeaderError::UnknownPartition);
            let result = result.and_then(|(topic, partition)| {
                let partition = self.elect_leader(election, topic, partition)?;
                decision.records.push(Record::Partition { topic_id: topic.id, index, partition });
                Ok(())
            });
            if !(is_all && result == Err(ElectLeaderError::NotNeeded)) {
                decision.reply.push(((name, index), result));
            }
        }
        decision
    }

    fn every_partition(&self) -> Vec<(String, i32)> {
        let topics = self.image.topics();
        let named = topics.flat_map(|topic| {
            (0..).zip(&topic.partitions).map(|(index, _)| (topic.name.to_string(), index))
        });
        named.collect()
    }

    fn elect_leader(
        &self,
        election: Election,
        topic: &Topic,
        partition: &Partition,
    ) -> Result<Partition, ElectLeaderError> {
        let change = Change::of(self.image, partition, self.min_isr(topic));
        match election {
            Election::Preferred => {
                let id = partition.replicas[0];
                let is_ready = partition.isr.contains(&id) && may_take_over(self.image, id);
                if partition.leader == Some(id) {
                    return Err(ElectLeaderError::NotNeeded);
                }
                let elected = is_ready.then(|| change.set_leader(id).decide()).flatten();
                elected.ok_or(ElectLeaderError::PreferredNotAvailable { id })
            }
            Election::Unclean if partition.leader.is_some() => Err(ElectLeaderError::NotNeeded),
            Election::Unclean => {
                let elected = change.uncleanly().decide().filter(|next| next.leader.is_some());
                elected.ok_or(ElectLeaderError::NoneAvailable)
            }
        }
    }

    /// What follows for partitions from settings that have changed: with a smaller `min.insync.replicas`
    /// the replicas in sync may be enough, and then nobody else is eligible any more.
    pub fn settle_partitions(&self) -> Decision<()> {
        let records = self.each_partition(
            |partition| !partition.elr.is_empty() || partition.is_reassigning(),
            |change| change,
        );
        Decision { records, reply: () }
    }
}

#[cfg(test)]
#[path = "elections_test.rs"]
mod tests;
