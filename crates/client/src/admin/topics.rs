//! Topics: create, delete, grow; delete their oldest records.

use std::collections::BTreeMap;

use wire::create_partitions::request::CreatePartitionsTopic;
use wire::create_topics::request::{CreatableTopic, CreatableTopicConfig};
use wire::delete_records::request::{DeleteRecordsPartition, DeleteRecordsTopic};
use wire::delete_topics::request::DeleteTopicState;
use wire::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    ErrorCode, Str, Uuid,
};

use super::Admin;
use crate::TopicPartition;
use crate::error::Error;
use crate::metadata::ClusterMetadata;

/// The first version of DeleteTopics that names topics by their id.
const DELETE_BY_ID: i16 = 6;

/// A topic to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; the brokers' default if `None`.
    pub partitions: Option<i32>,
    /// How many replicas; the brokers' default if `None`.
    pub replicas: Option<i16>,
    /// Its settings, by Kafka's names.
    pub configs: BTreeMap<String, String>,
}

/// A topic that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; zero from brokers without topic ids.
    pub id: Uuid,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas each has.
    pub replicas: i16,
}

impl Admin {
    /// All topics, or those of `names` that exist.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn topics(&self, names: Option<&[String]>) -> Result<ClusterMetadata, Error> {
        self.cluster.retry(async || self.cluster.metadata(names).await).await
    }

    /// Creates a topic; with `validate_only`, only says whether it could be.
    ///
    /// # Errors
    /// When the brokers refuse, among others with [`ErrorCode::TopicAlreadyExists`].
    pub async fn create_topic(
        &self,
        new: &NewTopic,
        validate_only: bool,
    ) -> Result<CreatedTopic, Error> {
        let configs = new.configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: name.into(),
            value: Some(value.into()),
            ..Default::default()
        });
        let body = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: Str::from(&new.name),
                num_partitions: new.partitions.unwrap_or(-1),
                replication_factor: new.replicas.unwrap_or(-1),
                configs: configs.collect(),
                ..Default::default()
            }],
            timeout_ms: self.timeout_ms(),
            validate_only,
            ..Default::default()
        };
        self.retry_refused(async || {
            let answer = self.cluster.ask_any(&body).await?;
            let about = || format!("topic {}", new.name);
            let found = answer.topics.first().ok_or_else(|| no_answer(&about()))?;
            Error::check(found.error_code, about, found.error_message.as_ref())?;
            Ok(CreatedTopic {
                id: found.topic_id,
                partitions: found.num_partitions,
                replicas: found.replication_factor,
            })
        })
        .await
    }

    /// Deletes the topic `name` and its records.
    ///
    /// # Errors
    /// When the brokers refuse, among others with [`ErrorCode::UnknownTopicOrPartition`].
    pub async fn delete_topic(&self, name: &str) -> Result<(), Error> {
        let state = DeleteTopicState { name: Some(name.into()), ..Default::default() };
        let body = DeleteTopicsRequest {
            topics: vec![state],
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        let by_name = DeleteTopicsRequest {
            topic_names: vec![name.into()],
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        self.delete(&body, &by_name, &format!("topic {name}")).await
    }

    /// Deletes the topic with this id, whatever its name, and no other.
    ///
    /// # Errors
    /// When the brokers refuse, among others with [`ErrorCode::UnknownTopicId`], or know no ids.
    pub async fn delete_topic_by_id(&self, id: Uuid) -> Result<(), Error> {
        let state = DeleteTopicState { name: None, topic_id: id, ..Default::default() };
        let body = DeleteTopicsRequest {
            topics: vec![state],
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        self.delete(&body, &body, &format!("topic {id}")).await
    }

    async fn delete(
        &self,
        body: &DeleteTopicsRequest,
        before_ids: &DeleteTopicsRequest,
        about: &str,
    ) -> Result<(), Error> {
        let deleted = self
            .retry_refused(async || {
                let connection = self.cluster.any().await?;
                let version = connection.version::<DeleteTopicsRequest>(i16::MAX)?;
                let body = if version >= DELETE_BY_ID { body } else { before_ids };
                let timeout = self.cluster.options().request_timeout;
                let answer = connection.ask_at(body, version, timeout).await?;
                let found = answer.responses.first().ok_or_else(|| no_answer(about))?;
                let unknown = [ErrorCode::UnknownTopicOrPartition, ErrorCode::UnknownTopicId];
                let refused = Error::check(
                    found.error_code,
                    || about.to_owned(),
                    found.error_message.as_ref(),
                );
                // Retriable for whoever reads it; nothing that can be waited for when deleting.
                match refused {
                    Err(error) if error.code().is_some_and(|code| unknown.contains(&code)) => {
                        Ok(Err(error))
                    }
                    other => other.map(Ok),
                }
            })
            .await?;
        self.cluster.forget();
        deleted
    }

    /// Grows the topic `name` to `count` partitions.
    ///
    /// # Errors
    /// When the brokers refuse, among others with [`ErrorCode::InvalidPartitions`] if it has that many
    /// or more.
    pub async fn create_partitions(
        &self,
        name: &str,
        count: i32,
        validate_only: bool,
    ) -> Result<(), Error> {
        let topic = CreatePartitionsTopic { name: name.into(), count, ..Default::default() };
        let body = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic { assignments: None, ..topic }],
            timeout_ms: self.timeout_ms(),
            validate_only,
            ..Default::default()
        };
        let created = self
            .retry_refused(async || {
                let answer = self.cluster.ask_any(&body).await?;
                let about = || format!("topic {name}");
                let found = answer.results.first().ok_or_else(|| no_answer(&about()))?;
                let refused = Error::check(found.error_code, about, found.error_message.as_ref());
                match refused {
                    Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                        Ok(Err(error))
                    }
                    other => other.map(Ok),
                }
            })
            .await?;
        self.cluster.forget();
        created
    }

    /// Deletes the records of each partition before its offset (-1: all). Gives back where each
    /// partition begins now.
    ///
    /// # Errors
    /// When a leader refuses.
    pub async fn delete_records(
        &self,
        before: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        self.cluster.retry(async || self.delete_records_once(before).await).await
    }

    async fn delete_records_once(
        &self,
        before: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        let mut starts = BTreeMap::new();
        for (leader, partitions) in self.by_leader(before.keys()).await? {
            let mut topics: BTreeMap<&str, Vec<DeleteRecordsPartition>> = BTreeMap::new();
            for partition in &partitions {
                topics.entry(&partition.topic).or_default().push(DeleteRecordsPartition {
                    partition_index: partition.partition,
                    offset: before[partition],
                    ..Default::default()
                });
            }
            let topics = topics.into_iter().map(|(name, partitions)| DeleteRecordsTopic {
                name: name.into(),
                partitions,
                ..Default::default()
            });
            let body = DeleteRecordsRequest {
                topics: topics.collect(),
                timeout_ms: self.timeout_ms(),
                ..Default::default()
            };
            let answer = self.cluster.ask_broker(leader, &body).await?;
            for topic in &answer.topics {
                for found in &topic.partitions {
                    let partition = TopicPartition::new(&*topic.name, found.partition_index);
                    Error::check(found.error_code, || partition.to_string(), None)?;
                    starts.insert(partition, found.low_watermark);
                }
            }
        }
        Ok(starts)
    }
}

/// The answer does not speak of what was asked.
pub(super) fn no_answer(about: &str) -> Error {
    Error::Refused {
        about: about.to_owned(),
        code: ErrorCode::UnknownServerError,
        message: Some("the answer says nothing about it".to_owned()),
    }
}
