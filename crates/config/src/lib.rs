//! Every setting, once: key, type, default, range, documentation, precedence.
//!
//! The keys are Kafka's where Kafka has one, and `klamm.…` where it has none. A setting is one row of
//! one table: [`TopicConfig`] and [`BrokerConfig`] (rows that the code reads, so they are also typed
//! fields), [`rows::defaults`] (broker-wide defaults of topic settings), [`rows::known`] (Kafka's keys that are
//! accepted without effect, or refused until their feature exists) and [`rows::group`]. DescribeConfigs,
//! validation and `docs/reference/settings.md` are made from these rows.
//!
//! What is absent: reading files or the environment. Texts and pairs are handed in ([`sources`]).
//!
//! # Precedence
//!
//! The first layer that names a key, from the top, decides:
//!
//! | Layer | Where it comes from | Source in DescribeConfigs |
//! | --- | --- | --- |
//! | topic (or group) | CreateTopics, AlterConfigs, the `Topic` resource | `DYNAMIC_TOPIC_CONFIG` (`GROUP_CONFIG`) |
//! | this broker, dynamic | AlterConfigs on broker `ID` | `DYNAMIC_BROKER_CONFIG` |
//! | all brokers, dynamic | AlterConfigs on the broker resource `""` | `DYNAMIC_DEFAULT_BROKER_CONFIG` |
//! | command line | `--set key=value` | `STATIC_BROKER_CONFIG` |
//! | environment | `KLAMM_LOG_DIRS` is `log.dirs` | `STATIC_BROKER_CONFIG` |
//! | file | `--config FILE`, Java properties | `STATIC_BROKER_CONFIG` |
//! | default | the tables here | `DEFAULT_CONFIG` |
//!
//! A topic setting that a topic does not override is looked up under its broker-wide names, in the order
//! in which its row lists them, layer by layer: `log.retention.ms` of the file wins over
//! `log.retention.hours` of the file, but a dynamic `log.retention.ms` wins over both.

pub mod describe;
pub mod error;
pub mod problems;
pub mod properties;
pub mod reference;
pub mod rows;
pub mod setting;
pub mod settings;
pub mod sources;
mod table;
pub mod value;

pub use describe::{Described, Source, Synonym};
pub use error::ConfigError;
pub use problems::problems_of_broker;
pub use rows::broker::BrokerConfig;
pub use rows::group::validate_group_config;
pub use rows::topic::{TopicConfig, validate_topic_config};
pub use setting::{Kind, Setting};
pub use settings::{Scope, Settings, validate_broker_config};
pub use value::{
    CleanupPolicy, Compression, Durability, Listener, QuorumVoter, ReplicaSelector,
    ThrottledReplicas, TimestampType,
};

/// Keys and values as a person or a client wrote them, checked or not.
pub type Properties = std::collections::BTreeMap<String, String>;
