//! What DescribeConfigs answers, versions 1 to 4.

use crate::Properties;
use crate::rows::{broker, group, topic};
use crate::setting::{Effect, Kind, Setting};
use crate::settings::{Found, Settings};
use crate::value::list;

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
    /// Every layer that names it, first one in force. v1+, if the client asks for them.
    pub synonyms: Vec<Synonym>,
    /// Its type (v3+).
    pub kind: Kind,
    /// Its documentation (v3+, if the client asks for it).
    pub documentation: String,
}

impl Described {
    /// Whether no layer names it: `IsDefault` of version 0.
    pub fn is_default(&self) -> bool {
        self.source == Source::Default
    }
}

impl Settings {
    /// Every setting of a topic with these overrides.
    pub fn describe_topic(&self, overrides: &Properties) -> Vec<Described> {
        let describe = |row: &'static Setting| {
            let own = overrides.get(row.key).map(|text| synonym(row, text, Source::DynamicTopic));
            let inherited =
                self.layers().aliases(row).map(|found| synonym_of(row, found)).collect::<Vec<_>>();
            let mut synonyms: Vec<_> = own.into_iter().chain(inherited).collect();
            synonyms.extend(broker_default(row));
            described(row, self.topic_value(row, overrides), synonyms)
        };
        sorted(topic::rows().map(describe).collect())
    }

    /// Every setting of this broker.
    pub fn describe_broker(&self) -> Vec<Described> {
        let describe = |row: &'static Setting| {
            let found: Vec<Found<'_>> = self.layers().broker_names(row).collect();
            let value = found.first().map(Found::scaled);
            let mut synonyms: Vec<_> = found.into_iter().map(|one| synonym_of(row, one)).collect();
            synonyms.extend(row.default.map(|text| synonym(row, text, Source::Default)));
            described(row, value.or_else(|| row.default.map(str::to_owned)), synonyms)
        };
        sorted(broker::rows().map(describe).collect())
    }

    /// What AlterConfigs set for all brokers (the broker resource `""`), and nothing else.
    pub fn describe_all_brokers(&self) -> Vec<Described> {
        let describe = |row: &'static Setting| {
            let text = self.cluster_layer().get(row.key)?;
            let synonyms = vec![synonym(row, text, Source::DynamicDefaultBroker)];
            Some(described(row, Some(text.trim().to_owned()), synonyms))
        };
        sorted(broker::rows().filter_map(describe).collect())
    }

    /// Every setting of a group with these overrides.
    pub fn describe_group(&self, overrides: &Properties) -> Vec<Described> {
        let describe = |row: &'static Setting| {
            let own = overrides.get(row.key);
            let mut synonyms: Vec<_> =
                own.map(|text| synonym(row, text, Source::Group)).into_iter().collect();
            synonyms.extend(row.default.map(|text| synonym(row, text, Source::Default)));
            let value = own.map(String::as_str).or(row.default).map(str::to_owned);
            described(row, value, synonyms)
        };
        sorted(group::ROWS.iter().map(describe).collect())
    }
}

fn described(row: &'static Setting, value: Option<String>, synonyms: Vec<Synonym>) -> Described {
    Described {
        key: row.key,
        value: value.filter(|_| !row.is_sensitive()).map(|text| canonical(row.kind, &text)),
        source: synonyms.first().map_or(Source::Default, |first| first.source),
        read_only: row.is_read_only(),
        sensitive: row.is_sensitive(),
        synonyms,
        kind: row.kind,
        documentation: documentation(row),
    }
}

fn synonym(row: &Setting, text: &str, source: Source) -> Synonym {
    let value = (!row.is_sensitive()).then(|| canonical(row.kind, text));
    Synonym { key: row.key, value, source }
}

fn synonym_of(row: &Setting, found: Found<'_>) -> Synonym {
    let value = (!row.is_sensitive()).then(|| canonical(row.kind, found.text));
    Synonym { key: found.alias.key, value, source: found.source }
}

/// The default that a topic setting inherits, under the broker-wide name that has one.
fn broker_default(row: &Setting) -> Option<Synonym> {
    row.aliases.iter().find_map(|alias| {
        let default = broker::find(alias.key).ok()?.default?;
        Some(Synonym { key: alias.key, value: Some(default.to_owned()), source: Source::Default })
    })
}

/// The documentation, with a note about what the setting does not do.
fn documentation(row: &Setting) -> String {
    let doc = row.doc.trim();
    match row.effect {
        Effect::Acts => doc.to_owned(),
        Effect::Inert(why) => format!("{doc} (Accepted without effect: {why}.)"),
        Effect::Refused(why) => format!("{doc} (Only the default is accepted: {why}.)"),
    }
}

/// One spelling per value, as Kafka prints it.
fn canonical(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Boolean => text.trim().to_ascii_lowercase(),
        Kind::List => list(text).collect::<Vec<_>>().join(","),
        Kind::String
        | Kind::Int
        | Kind::Short
        | Kind::Long
        | Kind::Double
        | Kind::Class
        | Kind::Password => text.trim().to_owned(),
    }
}

fn sorted(mut settings: Vec<Described>) -> Vec<Described> {
    settings.sort_by_key(|one| one.key);
    settings
}

#[cfg(test)]
#[path = "describe_test.rs"]
mod tests;
