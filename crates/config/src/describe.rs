//! What DescribeConfigs answers, versions 1 to 4.

use crate::Properties;
use crate::setting::{Kind, Setting};
use crate::settings::Settings;

/// Where a value comes from, with the codes of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum Source {
    /// The topic itself.
    DynamicTopic = 1,
    /// AlterConfigs on this broker.
    DynamicBroker = 2,
    /// AlterConfigs on all brokers.
    DynamicDefaultBroker = 3,
    /// File, environment or command line.
    StaticBroker = 4,
    /// The table.
    Default = 5,
    /// The group itself.
    Group = 8,
}

impl Source {
    /// The code of DescribeConfigs.
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// One name under which a value was found, first one in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The key in that layer.
    pub key: &'static str,
    /// The value in that layer, in that key's unit; `None` if it is null or never shown.
    pub value: Option<String>,
    /// The layer.
    pub source: Source,
}

/// One setting as DescribeConfigs shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The key.
    pub key: &'static str,
    /// The value in force; `None` if it is null or never shown.
    pub value: Option<String>,
    /// The layer that decided.
    pub source: Source,
    /// Whether it cannot be changed at run time.
    pub read_only: bool,
    /// Whether its value is never shown.
    pub sensitive: bool,
    /// Every layer that names it, first one in force.
    pub synonyms: Vec<Synonym>,
    /// Its type (v3+).
    pub kind: Kind,
    /// Its documentation (v3+), in plain text.
    pub documentation: String,
}

impl Settings {
    /// Every setting of a topic with these overrides.
    pub fn describe_topic(&self, overrides: &Properties) -> Vec<Described> {
        let _ = overrides;
        todo!()
    }

    /// Every setting of this broker.
    pub fn describe_broker(&self) -> Vec<Described> {
        todo!()
    }

    /// What AlterConfigs set for all brokers (the broker resource `""`), and nothing else.
    pub fn describe_all_brokers(&self) -> Vec<Described> {
        todo!()
    }

    /// Every setting of a group with these overrides.
    pub fn describe_group(&self, overrides: &Properties) -> Vec<Described> {
        let _ = overrides;
        let _: Option<Setting> = None;
        todo!()
    }
}
