//! Cluster-wide state: topics, partitions, brokers, settings, producer ids.
//!
//! ```text
//! request ──▶ Controller::…(request) ──▶ Decision { records, reply }
//!                 reads Image                  │
//!                                              ▼  the broker appends the records to the fsynced
//!             Arc<Image> ◀── Image::apply ◀── metadata log; only then it sends the reply
//! ```
//!
//! The state changes only through [`Record`]s. [`Controller`] decides and never writes,
//! [`Image::apply`] writes and never decides, so replaying the records rebuilds the image. A snapshot is
//! a list of records as well: [`Image::to_records`].
//!
//! What is absent: the log itself, sessions of brokers, and the answer's error codes; each operation has
//! its own error enum and the broker maps it once.

pub mod balance;
mod brokers;
mod codec;
mod configs;
mod controller;
mod features;
mod heartbeat;
mod image;
mod internal;
#[cfg(test)]
mod invariants_test;
mod names;
mod partitions;
pub mod placement;
mod record;
mod recovered;
mod topics;
mod upkeep;

pub use brokers::{
    ProducerIdBlock, RegisterBrokerError, Registration, UnknownBroker, UnregisterBrokerError,
};
pub use codec::DecodeRecordError;
pub use configs::{
    AlterConfigs, AlterConfigsError, AlterConfigsReply, ConfigChange, ConfigOperation,
    IncrementalAlterConfigs,
};
pub use controller::{Controller, Decision};
pub use features::{
    FEATURES, Feature, FeatureProblem, FeatureUpdate, LevelTooLow, METADATA_VERSION,
    SupportedFeature, UpdateFeaturesError, UpdateType,
};
pub use heartbeat::{Heartbeat, HeartbeatReply};
pub use image::{Broker, Drain, Image, Lease, Partition, Topic, TopicChange};
pub use internal::{CONSUMER_OFFSETS, TRANSACTION_STATE, is_internal, new_internal_topic};
pub use names::{TopicNameError, check_topic_name, topic_names_collide};
pub use partitions::{
    AlterPartition, AlterPartitionError, AlterPartitionReply, Departure, ElectLeaderError,
    ElectLeadersReply, Election, ReassignError, ReassignReply, Reassignment,
};
pub use record::{Record, Resource, ResourceError, Subject};
pub use topics::{
    Assignment, ClaimTopicError, CreatePartitionsError, CreateTopicError, CreatedTopic,
    DeleteTopicError, DeletedTopic, NewPartitions, NewTopic, PARTITIONS_MAX_PER_REQUEST,
    TooManyPartitions, TopicRef,
};
pub use upkeep::{
    AcquireLeaseError, DrainBrokerError, DrainProgress, ForgetBrokerError, Harm, LeaseClock, Load,
    NotHeld, Obstacle, RestartCheck, Voter, loads,
};
