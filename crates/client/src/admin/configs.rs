//! Settings of topics, brokers and groups: read, and changed one by one (KIP-339).

use std::collections::BTreeMap;
use std::fmt;

use wire::describe_configs::request::DescribeConfigsResource;
use wire::incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig};
use wire::{DescribeConfigsRequest, ErrorCode, IncrementalAlterConfigsRequest, Str};

use super::Admin;
use super::topics::no_answer;
use crate::error::Error;

/// Whose settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResource {
    /// A topic's.
    Topic(String),
    /// A broker's; those of all brokers if `None`.
    Broker(Option<i32>),
    /// A group's (KIP-848).
    Group(String),
}

impl ConfigResource {
    fn number(&self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Broker(_) => 4,
            Self::Group(_) => 32,
        }
    }

    fn name(&self) -> Str {
        match self {
            Self::Topic(name) | Self::Group(name) => name.into(),
            Self::Broker(Some(id)) => id.to_string().into(),
            Self::Broker(None) => Str::EMPTY,
        }
    }
}

impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "topic {name}"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::Broker(Some(id)) => write!(f, "broker {id}"),
            Self::Broker(None) => f.write_str("all brokers"),
        }
    }
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; `None` if it is unset, or secret.
    pub value: Option<String>,
    /// Who set it.
    pub source: ConfigSource,
    /// Whether it can be changed only by a restart.
    pub is_read_only: bool,
    /// Whether its value is kept secret.
    pub is_sensitive: bool,
    /// What it does, if that was asked for.
    pub documentation: Option<String>,
}

/// Who set a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigSource {
    /// Set on the topic.
    Topic,
    /// Set on the broker while it ran.
    Broker,
    /// Set for all brokers while they ran.
    AllBrokers,
    /// In the broker's file, environment or command line.
    Static,
    /// Nobody.
    Default,
    /// Set on the group.
    Group,
    /// Somebody that we do not know.
    Other(i8),
}

impl ConfigSource {
    fn from_number(number: i8) -> Self {
        match number {
            1 => Self::Topic,
            2 => Self::Broker,
            3 => Self::AllBrokers,
            4 => Self::Static,
            5 => Self::Default,
            8 => Self::Group,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic => f.write_str("topic"),
            Self::Broker => f.write_str("broker"),
            Self::AllBrokers => f.write_str("all brokers"),
            Self::Static => f.write_str("static"),
            Self::Default => f.write_str("default"),
            Self::Group => f.write_str("group"),
            Self::Other(number) => write!(f, "{number}"),
        }
    }
}

impl Admin {
    /// The settings of `resource`, by name.
    ///
    /// # Errors
    /// When the brokers refuse, among others with [`ErrorCode::UnknownTopicOrPartition`].
    pub async fn describe_configs(
        &self,
        resource: &ConfigResource,
        with_documentation: bool,
    ) -> Result<BTreeMap<String, ConfigEntry>, Error> {
        let body = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: resource.number(),
                resource_name: resource.name(),
                configuration_keys: None,
                ..Default::default()
            }],
            include_documentation: with_documentation,
            ..Default::default()
        };
        let found = self
            .cluster
            .retry(async || {
                let answer = match resource {
                    // A broker knows only its own settings.
                    ConfigResource::Broker(Some(id)) => {
                        self.cluster.ask_named_broker(*id, &body).await?
                    }
                    ConfigResource::Broker(None)
                    | ConfigResource::Topic(_)
                    | ConfigResource::Group(_) => self.cluster.ask_any(&body).await?,
                };
                let found = answer.results.into_iter().next();
                let found = found.ok_or_else(|| no_answer(&resource.to_string()))?;
                let about = || resource.to_string();
                let refused = Error::check(found.error_code, about, found.error_message.as_ref());
                match refused {
                    Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                        Ok(Err(error))
                    }
                    other => other.map(|()| Ok(found)),
                }
            })
            .await??;
        let entry = |from: wire::describe_configs::response::DescribeConfigsResourceResult| {
            let entry = ConfigEntry {
                name: from.name.to_string(),
                value: from.value.map(|value| value.to_string()),
                source: ConfigSource::from_number(from.config_source),
                is_read_only: from.read_only,
                is_sensitive: from.is_sensitive,
                documentation: from.documentation.map(|text| text.to_string()),
            };
            (entry.name.clone(), entry)
        };
        Ok(found.configs.into_iter().map(entry).collect())
    }

    /// Changes settings of `resource`, all or none: `Some` sets, `None` goes back to the default.
    ///
    /// # Errors
    /// When the brokers refuse, among others with [`ErrorCode::InvalidConfig`].
    pub async fn alter_configs(
        &self,
        resource: &ConfigResource,
        changes: &BTreeMap<String, Option<String>>,
        validate_only: bool,
    ) -> Result<(), Error> {
        const SET: i8 = 0;
        const DELETE: i8 = 1;
        let configs = changes.iter().map(|(name, value)| AlterableConfig {
            name: name.into(),
            config_operation: if value.is_some() { SET } else { DELETE },
            value: value.as_ref().map(Str::from),
            ..Default::default()
        });
        let body = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: resource.number(),
                resource_name: resource.name(),
                configs: configs.collect(),
                ..Default::default()
            }],
            validate_only,
            ..Default::default()
        };
        self.cluster
            .retry(async || {
                let answer = match resource {
                    ConfigResource::Broker(Some(id)) => {
                        self.cluster.ask_named_broker(*id, &body).await?
                    }
                    ConfigResource::Broker(None)
                    | ConfigResource::Topic(_)
                    | ConfigResource::Group(_) => self.cluster.ask_any(&body).await?,
                };
                let about = || resource.to_string();
                let found = answer.responses.first().ok_or_else(|| no_answer(&about()))?;
                let refused = Error::check(found.error_code, about, found.error_message.as_ref());
                match refused {
                    Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                        Ok(Err(error))
                    }
                    other => other.map(Ok),
                }
            })
            .await?
    }
}
