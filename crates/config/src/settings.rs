//! All layers of one broker's settings, resolved.

use crate::describe::Source;
use crate::error::ConfigError;
use crate::rows::{broker, topic};
use crate::setting::{Alias, Setting, Update};
use crate::{BrokerConfig, Properties, TopicConfig};

/// All layers, and what they come to. Immutable: a dynamic change makes a new one.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Dynamic, this broker.
    node: Properties,
    /// Dynamic, all brokers.
    cluster: Properties,
    /// File, environment and command line, merged.
    fixed: Properties,
    /// What the broker reads.
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

/// One name under which a layer holds a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) alias: Alias,
    pub(crate) text: &'a str,
    pub(crate) source: Source,
}

impl Found<'_> {
    /// The value in the unit of the setting that was looked for.
    pub(crate) fn scaled(&self) -> String {
        match (self.alias.scale, self.text.trim().parse::<i64>()) {
            (1, _) | (_, Err(_)) => self.text.trim().to_owned(),
            // A negative number is "no limit" in every unit.
            (_, Ok(number)) if number < 0 => "-1".to_owned(),
            (scale, Ok(number)) => number.saturating_mul(scale).to_string(),
        }
    }
}

impl Settings {
    /// Checks and resolves the static layers ([`crate::sources`] merges them).
    pub fn resolve(fixed: Properties) -> Result<Self, ConfigError> {
        for (key, value) in &fixed {
            broker::find(key)?.check(value)?;
        }
        Self::layered(Properties::new(), Properties::new(), fixed)
    }

    /// The same static layers under other dynamic ones.
    pub fn with_dynamic(&self, cluster: Properties, node: Properties) -> Result<Self, ConfigError> {
        validate_broker_config(&cluster, Scope::AllBrokers)?;
        validate_broker_config(&node, Scope::OneBroker)?;
        Self::layered(node, cluster, self.fixed.clone())
    }

    fn layered(
        node: Properties,
        cluster: Properties,
        fixed: Properties,
    ) -> Result<Self, ConfigError> {
        let layers = Layers { node: &node, cluster: &cluster, fixed: &fixed };
        let broker = BrokerConfig::read(|row| {
            let found = layers.broker_names(row).next().map(|found| found.scaled());
            found.or_else(|| row.default.map(str::to_owned))
        })?;
        broker.check()?;
        Ok(Self { node, cluster, fixed, broker })
    }

    /// What a topic with these overrides reads.
    pub fn topic(&self, overrides: &Properties) -> Result<TopicConfig, ConfigError> {
        TopicConfig::read(|row| self.topic_value(row, overrides))
    }

    /// Checks the overrides of one topic together with what it would inherit.
    pub fn validate_topic(&self, overrides: &Properties) -> Result<(), ConfigError> {
        topic::validate_topic_config(overrides)?;
        self.topic(overrides).map(|_| ())
    }

    /// The value of one setting of a topic with these overrides, as text; `None` is null.
    pub fn topic_value(&self, row: &Setting, overrides: &Properties) -> Option<String> {
        let own = overrides.get(row.key).map(|text| text.trim().to_owned());
        let inherited = || self.layers().aliases(row).next().map(|found| found.scaled());
        own.or_else(inherited).or_else(|| row.default.map(str::to_owned))
    }

    pub(crate) fn layers(&self) -> Layers<'_> {
        Layers { node: &self.node, cluster: &self.cluster, fixed: &self.fixed }
    }

    pub(crate) fn cluster_layer(&self) -> &Properties {
        &self.cluster
    }
}

/// The layers of a broker, highest first.
#[derive(Clone, Copy)]
pub(crate) struct Layers<'a> {
    node: &'a Properties,
    cluster: &'a Properties,
    fixed: &'a Properties,
}

impl<'a> Layers<'a> {
    fn in_order(self) -> [(Source, &'a Properties); 3] {
        [
            (Source::DynamicBroker, self.node),
            (Source::DynamicDefaultBroker, self.cluster),
            (Source::StaticBroker, self.fixed),
        ]
    }

    /// Where a topic setting's broker-wide names stand, the one in force first.
    pub(crate) fn aliases(self, row: &Setting) -> impl Iterator<Item = Found<'a>> {
        let aliases = row.aliases;
        self.in_order().into_iter().flat_map(move |(source, layer)| {
            aliases.iter().filter_map(move |alias| {
                let text = layer.get(alias.key)?;
                Some(Found { alias: *alias, text, source })
            })
        })
    }

    /// Where a broker setting stands, under its own name or another, the one in force first.
    pub(crate) fn broker_names(self, row: &Setting) -> impl Iterator<Item = Found<'a>> {
        let own = Alias { key: row.key, scale: 1 };
        let aliases = row.aliases;
        self.in_order().into_iter().flat_map(move |(source, layer)| {
            std::iter::once(own).chain(aliases.iter().copied()).filter_map(move |alias| {
                let text = layer.get(alias.key)?;
                Some(Found { alias, text, source })
            })
        })
    }
}

/// Checks the keys and values of one dynamic broker layer.
pub fn validate_broker_config(config: &Properties, scope: Scope) -> Result<(), ConfigError> {
    for (key, value) in config {
        let row = broker::find(key)?;
        match (row.update, scope) {
            (Update::ReadOnly, _) | (Update::PerBroker, Scope::AllBrokers) => {
                return Err(ConfigError::ReadOnly { key: key.clone(), scope });
            }
            (Update::PerBroker, Scope::OneBroker) | (Update::ClusterWide, _) => row.check(value)?,
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "settings_test.rs"]
mod tests;
