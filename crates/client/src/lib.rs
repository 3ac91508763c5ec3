//! Speaks Kafka to brokers: connections, routing, admin, produce, consume.
//!
//! ```text
//! admin/   producer.rs   consumer.rs   membership.rs      what is asked
//!        └──────── cluster.rs ────────┘                   whom: leader, coordinator, anybody; retries
//!                 connection.rs                           how: frames, versions, timeouts
//! ```
//!
//! Everything is reached through [`world::World`], so that a client runs in the storm as it does on a
//! machine. Values are not `Send`: a client lives on the shard (or the current-thread runtime with a
//! `LocalSet`) that made it, and so do the tasks that it starts there.
//!
//! What is absent: TLS and SASL, transactions, and the group protocol of KIP-848.

pub mod admin;
pub mod assignor;
pub mod cluster;
pub mod connection;
pub mod consumer;
pub mod error;
pub mod membership;
pub mod metadata;
pub mod partitioner;
pub mod producer;

pub use admin::Admin;
pub use cluster::{Cluster, ClusterOptions};
pub use consumer::{ConsumedRecord, Consumer, ConsumerOptions, Isolation};
pub use error::Error;
pub use membership::{GroupConsumer, GroupOptions};
pub use metadata::{Broker, ClusterMetadata, PartitionMetadata, TopicMetadata};
pub use producer::{Acks, Delivered, Producer, ProducerOptions, ProducerRecord};
pub use wire::Uuid;

/// A partition by its topic's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: String,
    /// The partition's index, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
