//! All layers of one broker's settings, resolved.

use crate::error::ConfigError;
use crate::{BrokerConfig, Properties, TopicConfig};

/// All layers, and what they come to. Immutable: a dynamic change makes a new one.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// File, environment and command line, merged.
    pub(crate) fixed: Properties,
    /// Dynamic, all brokers.
    pub(crate) cluster: Properties,
    /// Dynamic, this broker.
    pub(crate) node: Properties,
    /// What a broker reads.
    pub broker: BrokerConfig,
}

/// Which dynamic layer an AlterConfigs on a broker resource goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The resource `""`.
    AllBrokers,
    /// The resource named after a node id.
    OneBroker,
}

impl Settings {
    /// Checks and resolves the static layers ([`crate::sources`] merges them).
    pub fn resolve(fixed: Properties) -> Result<Self, ConfigError> {
        let _ = fixed;
        todo!()
    }

    /// The same static layers under other dynamic ones.
    pub fn with_dynamic(&self, cluster: Properties, node: Properties) -> Result<Self, ConfigError> {
        let _ = (cluster, node);
        todo!()
    }

    /// What a topic with these overrides reads.
    pub fn topic(&self, overrides: &Properties) -> Result<TopicConfig, ConfigError> {
        let _ = overrides;
        todo!()
    }
}

/// Checks the keys and values of one dynamic broker layer.
pub fn validate_broker_config(config: &Properties, scope: Scope) -> Result<(), ConfigError> {
    let _ = (config, scope);
    todo!()
}
