//! Decisions about topics: create, delete, grow, claim.

use std::sync::Arc;

use config::{ConfigError, Described};

use crate::ids::TopicId;

use super::controller::{Controller, Decision};
use super::names::TopicNameError;

/// How many partitions one request may create.
pub const PARTITIONS_MAX_PER_REQUEST: usize = 10_000;

/// A topic to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 takes `num.partitions`.
    pub partitions: i32,
    /// How many replicas each; -1 takes `default.replication.factor`.
    pub replication_factor: i16,
    /// Where replicas go, if the client says. The two numbers above are then -1.
    pub assignments: Vec<Assignment>,
    /// Its overrides.
    pub configs: Vec<(String, Option<String>)>,
    /// Two random numbers: the topic's id.
    pub dice: [u64; 2],
}

/// The replicas of one partition, as a client gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The partition.
    pub partition: i32,
    /// Its replicas, preferred leader first.
    pub brokers: Vec<i32>,
}

/// A topic as it was, or with `validate_only` would be, created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id.
    pub id: TopicId,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas each.
    pub replication_factor: i16,
    /// All of its settings (v5+, KIP-525).
    pub configs: Vec<Described>,
}

/// Why a topic is not created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateTopicError {
    /// INVALID_REQUEST.
    #[error("the request names this topic more than once")]
    Duplicate,
    /// INVALID_REQUEST.
    #[error("{0}")]
    Request(&'static str),
    /// INVALID_TOPIC_EXCEPTION.
    #[error(transparent)]
    Name(#[from] TopicNameError),
    /// TOPIC_ALREADY_EXISTS.
    #[error("the topic {name} exists")]
    Exists {
        /// The name.
        name: String,
    },
    /// INVALID_PARTITIONS.
    #[error("a topic has at least 1 partition, or -1 for the default: {found}")]
    Partitions {
        /// The number asked for.
        found: i32,
    },
    /// INVALID_REPLICATION_FACTOR.
    #[error(
        "{found} replicas need as many live brokers, and there are {live}; hint: at least 1, or -1 for the default"
    )]
    ReplicationFactor {
        /// The number asked for.
        found: i16,
        /// How many brokers may hold replicas.
        live: usize,
    },
    /// INVALID_REPLICA_ASSIGNMENT.
    #[error("{0}")]
    Assignment(String),
    /// POLICY_VIOLATION.
    #[error("{found} partitions exceed the limit of {limit}; hint: {setting}")]
    TooManyPartitions {
        /// How many there would be.
        found: usize,
        /// How many there may be.
        limit: usize,
        /// What to change.
        setting: &'static str,
    },
    /// INVALID_CONFIG.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A topic to delete or to claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id (KIP-516).
    Id(TopicId),
}

/// The outcome for one topic of DeleteTopics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name; unknown if only an unknown id was given.
    pub name: Option<Arc<str>>,
    /// Its id; zero if only an unknown name was given.
    pub id: TopicId,
    /// Whether it is deleted.
    pub result: Result<(), DeleteTopicError>,
}

/// Why a topic is not deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteTopicError {
    /// UNKNOWN_TOPIC_OR_PARTITION.
    #[error("there is no topic of this name")]
    UnknownName,
    /// UNKNOWN_TOPIC_ID.
    #[error("there is no topic of this id")]
    UnknownId,
    /// INVALID_REQUEST.
    #[error("the request names this topic more than once")]
    Duplicate,
    /// TOPIC_DELETION_DISABLED.
    #[error("deleting topics is switched off; hint: delete.topic.enable")]
    Disabled,
}

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
    #[error("{found} partitions exceed the limit of {limit}; hint: {setting}")]
    TooManyPartitions {
        /// How many there would be.
        found: usize,
        /// How many there may be.
        limit: usize,
        /// What to change.
        setting: &'static str,
    },
}

/// Why a topic cannot be claimed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimTopicError {
    /// UNKNOWN_TOPIC_OR_PARTITION.
    #[error("there is no such topic")]
    UnknownTopic,
    /// Somebody else declares it.
    #[error("the topic is declared by {owner}")]
    Claimed {
        /// The owner.
        owner: Arc<str>,
    },
}

impl Controller<'_> {
    /// Decides about all topics of one CreateTopics together. One result per name, in the order of the
    /// request; a name that it holds twice appears once. With `validate_only` the reply is the same and
    /// nothing changes.
    pub fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
    ) -> Decision<Vec<(String, Result<CreatedTopic, CreateTopicError>)>> {
        let _ = (topics, validate_only);
        todo!()
    }

    /// Deletes topics with their partitions and settings. One result per topic of the request, in its
    /// order.
    pub fn delete_topics(&self, topics: Vec<TopicRef>) -> Decision<Vec<DeletedTopic>> {
        let _ = topics;
        todo!()
    }

    /// Adds partitions. One result per topic, in the order of the request.
    pub fn create_partitions(
        &self,
        topics: Vec<NewPartitions>,
        validate_only: bool,
    ) -> Decision<Vec<(String, Result<(), CreatePartitionsError>)>> {
        let _ = (topics, validate_only);
        todo!()
    }

    /// Sets, changes or (`owner: None`) releases the claim on a topic. `expected` is the owner that the
    /// caller has seen; another one means that it lost a race.
    pub fn claim_topic(
        &self,
        topic: &TopicRef,
        expected: Option<&str>,
        owner: Option<&str>,
    ) -> Decision<Result<(), ClaimTopicError>> {
        let _ = (topic, expected, owner);
        todo!()
    }
}
