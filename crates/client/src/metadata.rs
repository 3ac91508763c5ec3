//! What brokers say of themselves and their topics, as of one answer.

use std::collections::BTreeMap;

use wire::Uuid;

/// Who serves what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterMetadata {
    /// The id that the brokers gave themselves.
    pub cluster_id: Option<String>,
    /// The broker that answers for the controller, if one does.
    pub controller: Option<i32>,
    /// The brokers, by node id.
    pub brokers: BTreeMap<i32, Broker>,
    /// The topics that were asked for and exist, by name.
    pub topics: BTreeMap<String, TopicMetadata>,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// Where clients connect.
    pub host: String,
    /// Where clients connect.
    pub port: u16,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its id; zero from brokers without topic ids.
    pub id: Uuid,
    /// Whether it is one of Kafka's own.
    pub is_internal: bool,
    /// Its partitions, by index.
    pub partitions: BTreeMap<i32, PartitionMetadata>,
}

/// One partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Who leads it, if anybody does.
    pub leader: Option<i32>,
    /// The leader's epoch; -1 if not known.
    pub leader_epoch: i32,
    /// The brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub isr: Vec<i32>,
    /// Those of them that are down.
    pub offline: Vec<i32>,
}
