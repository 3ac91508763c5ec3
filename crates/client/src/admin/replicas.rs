//! Who leads partitions, and who holds them: elections and moves.

use std::collections::BTreeMap;

use wire::alter_partition_reassignments::request::{ReassignablePartition, ReassignableTopic};
use wire::elect_leaders::request::TopicPartitions;
use wire::{
    AlterPartitionReassignmentsRequest, ElectLeadersRequest, ListPartitionReassignmentsRequest,
};

use super::Admin;
use crate::TopicPartition;
use crate::error::Error;

/// Partitions, each with what became of it.
pub type PerPartition = BTreeMap<TopicPartition, Result<(), Error>>;

/// A move of replicas that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaMove {
    /// Who holds the partition until the move is done.
    pub replicas: Vec<i32>,
    /// Those of them that come.
    pub adding: Vec<i32>,
    /// Those of them that go.
    pub removing: Vec<i32>,
}

impl Admin {
    /// Elects the preferred leaders of these partitions, or of all, and then tells only of those that
    /// needed it. With `unclean`, elects any replica where nobody leads: records may be lost.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn elect_leaders(
        &self,
        unclean: bool,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<PerPartition, Error> {
        let named = partitions.map(|partitions| {
            let topics = by_topic(partitions.iter().map(|it| (it, it.partition)));
            let topics = topics.into_iter().map(|(topic, partitions)| TopicPartitions {
                topic: topic.into(),
                partitions,
                ..Default::default()
            });
            topics.collect()
        });
        let body = ElectLeadersRequest {
            election_type: i8::from(unclean),
            topic_partitions: named,
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_any(&body).await?;
                Error::check(answer.error_code, || "the election".to_owned(), None)?;
                let mut results = PerPartition::new();
                for topic in &answer.replica_election_results {
                    for one in &topic.partition_result {
                        let partition = TopicPartition::new(&*topic.topic, one.partition_id);
                        let about = || partition.to_string();
                        let result =
                            Error::check(one.error_code, about, one.error_message.as_ref());
                        results.insert(partition, result);
                    }
                }
                Ok(results)
            })
            .await
    }

    /// Begins to move replicas to these brokers, preferred leader first; `None` cancels a move. It goes on
    /// in the background: [`Admin::list_moves`] tells which are left.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn move_replicas(
        &self,
        to: &BTreeMap<TopicPartition, Option<Vec<i32>>>,
    ) -> Result<PerPartition, Error> {
        let topics = by_topic(to.iter().map(|(partition, replicas)| {
            let index = partition.partition;
            let replicas = replicas.clone();
            let one =
                ReassignablePartition { partition_index: index, replicas, ..Default::default() };
            (partition, one)
        }));
        let topics = topics.into_iter().map(|(name, partitions)| ReassignableTopic {
            name: name.into(),
            partitions,
            ..Default::default()
        });
        let body = AlterPartitionReassignmentsRequest {
            topics: topics.collect(),
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_any(&body).await?;
                let about = || "the moves".to_owned();
                Error::check(answer.error_code, about, answer.error_message.as_ref())?;
                let mut results = PerPartition::new();
                for topic in &answer.responses {
                    for one in &topic.partitions {
                        let partition = TopicPartition::new(&*topic.name, one.partition_index);
                        let about = || partition.to_string();
                        let result =
                            Error::check(one.error_code, about, one.error_message.as_ref());
                        results.insert(partition, result);
                    }
                }
                Ok(results)
            })
            .await
    }

    /// The moves that are under way.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn list_moves(&self) -> Result<BTreeMap<TopicPartition, ReplicaMove>, Error> {
        let body = ListPartitionReassignmentsRequest {
            topics: None,
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_any(&body).await?;
                let about = || "the moves".to_owned();
                Error::check(answer.error_code, about, answer.error_message.as_ref())?;
                let moves = answer.topics.iter().flat_map(|topic| {
                    topic.partitions.iter().map(|one| {
                        let partition = TopicPartition::new(&*topic.name, one.partition_index);
                        let one = ReplicaMove {
                            replicas: one.replicas.clone(),
                            adding: one.adding_replicas.clone(),
                            removing: one.removing_replicas.clone(),
                        };
                        (partition, one)
                    })
                });
                Ok(moves.collect())
            })
            .await
    }
}

/// What belongs to one topic, together.
fn by_topic<'a, T>(
    partitions: impl Iterator<Item = (&'a TopicPartition, T)>,
) -> BTreeMap<&'a str, Vec<T>> {
    let mut topics: BTreeMap<&str, Vec<T>> = BTreeMap::new();
    for (partition, one) in partitions {
        topics.entry(&partition.topic).or_default().push(one);
    }
    topics
}
