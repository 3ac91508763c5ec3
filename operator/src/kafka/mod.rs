//! The port to the brokers: what the operator asks of them, in plain data.
//!
//! `over_client.rs` implements [`Admin`] with Kafka requests, the tests with a model. Every method that changes
//! something may be repeated: it names what it expects (a topic's id, a target count, a token), so that
//! a second try after a lost answer does no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

mod over_client;

/// What [`Admin`] gives back. A boxed future per request is fine here: the operator makes a few per
/// second.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, AdminError>> + 'a>>;

/// What the operator asks of the brokers of one cluster.
pub trait Admin {
    /// Who serves. Refused with [`Refusal::QuorumLost`] if nothing is served for want of disks.
    fn describe_cluster(&self) -> Asked<'_, ClusterFacts>;

    /// The topics among `names` that exist.
    fn describe_topics(&self, names: BTreeSet<String>) -> Asked<'_, BTreeMap<String, TopicFacts>>;

    /// The settings of `topic`, those of the brokers' defaults included.
    fn topic_config(&self, topic: String) -> Asked<'_, BTreeMap<String, Setting>>;

    /// Creates a topic. Refused with [`Refusal::TopicExists`] if there is one.
    fn create_topic(&self, new: NewTopic) -> Asked<'_, ()>;

    /// Grows `topic` to `to` partitions.
    fn create_partitions(&self, topic: String, to: i32) -> Asked<'_, ()>;

    /// How many partitions of `topic` are being moved.
    fn moving_partitions(&self, topic: String) -> Asked<'_, i32>;

    /// Begins to give each partition of `topic` `to` replicas. Refused with [`Refusal::InvalidReplicas`] if there are
    /// not enough brokers. `Ok` if it has them already.
    fn set_replicas(&self, topic: String, to: i32) -> Asked<'_, ()>;

    /// Changes settings of `topic` (IncrementalAlterConfigs): `Some` sets, `None` goes back to the
    /// default. All or none.
    fn alter_topic_config(
        &self,
        topic: String,
        changes: BTreeMap<String, Option<String>>,
    ) -> Asked<'_, ()>;

    /// Deletes the topic with this id. `Ok` if there is none.
    fn delete_topic(&self, topic_id: String) -> Asked<'_, ()>;

    /// The group, if it exists.
    fn describe_group(&self, group: String) -> Asked<'_, Option<GroupFacts>>;

    /// The group's committed offsets; empty if the group does not exist.
    fn committed_offsets(&self, group: String) -> Asked<'_, BTreeMap<Partition, i64>>;

    /// The offset of each partition at `at`. A partition that does not exist is left out.
    fn offsets(&self, at: OffsetAt, of: BTreeSet<Partition>)
    -> Asked<'_, BTreeMap<Partition, i64>>;

    /// When the first record at each offset or behind it was written, milliseconds since the Unix epoch. A partition
    /// that has none is left out.
    fn timestamps(&self, of: BTreeMap<Partition, i64>) -> Asked<'_, BTreeMap<Partition, i64>>;

    /// Moves committed offsets, exactly once per token (private key 10000). A token that was carried
    /// out before is answered with what it did then. Refused with [`Refusal::GroupNotEmpty`] if the
    /// group has members and `fence` is false.
    fn reset_group_offsets(&self, reset: GroupReset) -> Asked<'_, ResetDone>;

    /// What the reset with this token did, if it was carried out and the group's journal still has it.
    fn find_group_reset(&self, group: String, token: String) -> Asked<'_, Option<ResetDone>>;

    /// Deletes the group and its offsets. `Ok` if there is none; refused with
    /// [`Refusal::GroupNotEmpty`] if it has members.
    fn delete_group(&self, group: String) -> Asked<'_, ()>;
}

/// A partition by its topic's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    /// The topic's name.
    pub topic: String,
    /// The partition's index, from 0.
    pub index: i32,
}

impl Partition {
    /// Partition `index` of `topic`.
    pub fn new(topic: impl Into<String>, index: i32) -> Self {
        Self { topic: topic.into(), index }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}

/// Who serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFacts {
    /// The id that the brokers gave themselves.
    pub cluster_id: String,
    /// The node ids of the brokers that are registered and not fenced.
    pub brokers: Vec<i32>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// Its id, in Kafka's text form.
    pub id: String,
    /// How many partitions.
    pub partitions: i32,
    /// The smallest number of replicas of a partition.
    pub replicas: i32,
    /// The largest. While a partition moves, those that come and those that go both count.
    pub replicas_max: i32,
}

/// A setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What holds now.
    pub value: String,
    /// Whether it was set on the topic itself, not by a default.
    pub is_own: bool,
}

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; `None` for the brokers' default.
    pub partitions: Option<i32>,
    /// How many replicas; `None` for the brokers' default.
    pub replicas: Option<i32>,
    /// Its settings.
    pub config: BTreeMap<String, String>,
}

/// Where in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OffsetAt {
    /// The first record that is still there.
    Start,
    /// Behind the last record (the high watermark).
    End,
    /// The first record at or after this time, milliseconds since the Unix epoch; the end if there is
    /// none.
    Time(i64),
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFacts {
    /// What it is doing.
    pub state: crds::consumer_group::GroupState,
    /// The protocol type that the members gave; empty if never set.
    pub protocol_type: String,
    /// How many members.
    pub members: i32,
    /// The broker that coordinates it.
    pub coordinator: Option<i32>,
}

/// A reset to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReset {
    /// The group's id.
    pub group: String,
    /// Names the reset.
    pub token: String,
    /// Drop the members first, instead of refusing while there are any.
    pub fence: bool,
    /// The new committed offsets.
    pub to: BTreeMap<Partition, i64>,
}

/// What a reset did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResetDone {
    /// The token had been carried out before; nothing was done now.
    pub already_done: bool,
    /// The committed offset of each partition before it; `None` if there was none.
    pub previous: BTreeMap<Partition, Option<i64>>,
    /// Whether a member has since committed the position of before the reset again, of some partition.
    pub is_overwritten: bool,
}

/// Why the brokers did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// Nobody answers, or not in time, or a leader or coordinator is being elected: try again.
    #[error("the brokers do not answer: {0}")]
    Unreachable(String),
    /// The brokers said no.
    #[error("{message}")]
    Refused {
        /// In one word.
        why: Refusal,
        /// In the brokers' words.
        message: String,
    },
}

impl AdminError {
    /// The brokers said no, with `why` and `message`.
    pub fn refused(why: Refusal, message: impl Into<String>) -> Self {
        Self::Refused { why, message: message.into() }
    }

    /// Whether the brokers said no for this reason.
    pub fn is(&self, wanted: Refusal) -> bool {
        match self {
            Self::Refused { why, .. } => *why == wanted,
            Self::Unreachable(_) => false,
        }
    }
}

/// Why the brokers said no, as far as the operator acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// `TOPIC_ALREADY_EXISTS`.
    TopicExists,
    /// `UNKNOWN_TOPIC_OR_PARTITION`, `UNKNOWN_TOPIC_ID`.
    UnknownTopic,
    /// `INVALID_TOPIC_EXCEPTION`.
    InvalidTopic,
    /// `INVALID_PARTITIONS`.
    InvalidPartitions,
    /// `INVALID_REPLICATION_FACTOR`.
    InvalidReplicas,
    /// `INVALID_CONFIG`, and `INVALID_REQUEST` about a setting.
    InvalidConfig,
    /// `NON_EMPTY_GROUP`.
    GroupNotEmpty,
    /// `GROUP_ID_NOT_FOUND`.
    GroupNotFound,
    /// `*_AUTHORIZATION_FAILED`.
    Forbidden,
    /// The disks of a majority of the voters are gone: nothing is served until a person decides.
    QuorumLost,
    /// Any other code.
    Other(i16),
}
