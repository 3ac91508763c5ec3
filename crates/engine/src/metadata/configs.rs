//! Decisions about settings: AlterConfigs (replaces) and IncrementalAlterConfigs (patches).

use config::ConfigError;

use crate::ids::BrokerId;

use super::controller::{Controller, Decision};
use super::record::Resource;

/// AlterConfigs on one resource: these become all of its overrides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfigs {
    /// Whose.
    pub resource: Resource,
    /// The overrides.
    pub configs: Vec<(String, Option<String>)>,
}

/// IncrementalAlterConfigs on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncrementalAlterConfigs {
    /// Whose.
    pub resource: Resource,
    /// The changes.
    pub changes: Vec<ConfigChange>,
}

/// One change of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// The key.
    pub key: String,
    /// What to do.
    pub operation: ConfigOperation,
    /// The value. Only a deletion has none.
    pub value: Option<String>,
}

/// What IncrementalAlterConfigs does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// Set the value.
    Set,
    /// Remove the override.
    Delete,
    /// Add elements to a list.
    Append,
    /// Take elements off a list.
    Subtract,
}

impl ConfigOperation {
    /// Reads Kafka's code.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }
}

/// Why the settings of a resource stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlterConfigsError {
    /// Kafka answers INVALID_REQUEST.
    #[error("the request names this resource more than once")]
    DuplicateResource,
    /// Kafka answers INVALID_REQUEST.
    #[error("the request names a setting more than once: {key}")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// Kafka answers INVALID_REQUEST.
    #[error("a setting needs a value; hint: IncrementalAlterConfigs deletes one: {key}")]
    NullValue {
        /// The key.
        key: String,
    },
    /// Kafka answers INVALID_CONFIG.
    #[error("only a list can be appended to or subtracted from: {key}")]
    NotAList {
        /// The key.
        key: String,
    },
    /// Kafka answers UNKNOWN_TOPIC_OR_PARTITION.
    #[error("there is no such topic: {topic}")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// Kafka answers BROKER_ID_NOT_REGISTERED.
    #[error("there is no such broker: {id}")]
    UnknownBroker {
        /// The broker.
        id: BrokerId,
    },
    /// Kafka answers INVALID_CONFIG.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// One result per resource, in the order of the request; a resource that it names twice appears once.
pub type AlterConfigsReply = Vec<(Resource, Result<(), AlterConfigsError>)>;

impl Controller<'_> {
    /// Replaces all overrides of each resource. With `validate_only` the reply is the same and nothing
    /// changes.
    pub fn alter_configs(
        &self,
        requests: Vec<AlterConfigs>,
        validate_only: bool,
    ) -> Decision<AlterConfigsReply> {
        let _ = (requests, validate_only);
        todo!()
    }

    /// Changes single overrides of each resource; each resource changes wholly or not at all.
    pub fn incremental_alter_configs(
        &self,
        requests: Vec<IncrementalAlterConfigs>,
        validate_only: bool,
    ) -> Decision<AlterConfigsReply> {
        let _ = (requests, validate_only);
        todo!()
    }
}
