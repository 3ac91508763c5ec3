//! Texts to typed values.

use std::collections::BTreeSet;
use std::fmt;

use crate::error::ConfigError;
use crate::setting::Setting;

/// A type that a field of a settings struct may have.
pub trait FromText: Sized {
    /// Reads the text, which [`Setting::check`] has passed. `None` is Kafka's null.
    /// Answers `None` if the type cannot hold it.
    fn from_text(text: Option<&str>) -> Option<Self>;
}

/// What happens to old segments of a topic. Kafka's `cleanup.policy`; neither is an empty list (4.x).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Keep the latest record of every key.
    pub compact: bool,
    /// Drop segments by age and size.
    pub delete: bool,
}

/// Kafka's `compression.type` of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As the producer sent it.
    Producer,
    /// None.
    Uncompressed,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Kafka's `message.timestamp.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's clock.
    CreateTime,
    /// The leader's clock.
    LogAppendTime,
}

/// When a record counts as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// `min.insync.replicas` replicas have it on disk.
    Fsync,
    /// The in-sync replicas have it in memory; disks follow within the flush interval.
    Replicated,
}

/// Kafka's `replica.selector.class`: which replica consumers read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaSelector {
    /// The leader.
    Leader,
    /// One in sync that is in the consumer's rack, if there is one.
    RackAware,
}

impl ReplicaSelector {
    /// Kafka's names.
    pub const CLASSES: [&'static str; 2] = [
        "org.apache.kafka.common.replica.LeaderSelector",
        "org.apache.kafka.common.replica.RackAwareReplicaSelector",
    ];
}

/// Replicas whose copying is throttled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// All of the topic's.
    All,
    /// These: partition and broker.
    These(BTreeSet<(i32, i32)>),
}

impl ThrottledReplicas {
    /// Whether the replica of a partition on a broker is one of them.
    pub fn contains(&self, partition: i32, broker: i32) -> bool {
        match self {
            Self::All => true,
            Self::These(replicas) => replicas.contains(&(partition, broker)),
        }
    }
}

/// `PLAINTEXT://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The listener's name, upper case.
    pub name: String,
    /// Host or address without brackets; empty binds all interfaces.
    pub host: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{}://[{}]:{}", self.name, self.host, self.port)
        } else {
            write!(f, "{}://{}:{}", self.name, self.host, self.port)
        }
    }
}

/// A voter of the metadata quorum: `id@host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumVoter {
    /// Its node id.
    pub id: i32,
    /// Host or address without brackets.
    pub host: String,
    /// The port of one of its listeners.
    pub port: u16,
}

/// The elements of a list: divided by commas, spaces around them dropped, an empty text is no element.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// Reads one field.
pub(crate) fn field<T: FromText>(row: &Setting, text: Option<&str>) -> Result<T, ConfigError> {
    if let Some(text) = text {
        row.check(text)?;
    }
    let text = text.map(str::trim);
    T::from_text(text).ok_or_else(|| row.invalid(text.unwrap_or("null")))
}

macro_rules! numbers {
    ($($type:ty),+) => { $(
        impl FromText for $type {
            fn from_text(text: Option<&str>) -> Option<Self> {
                text?.parse().ok()
            }
        }
    )+ };
}

numbers!(i16, i32, i64, f64);

impl FromText for bool {
    fn from_text(text: Option<&str>) -> Option<Self> {
        let text = text?;
        match () {
            () if text.eq_ignore_ascii_case("true") => Some(true),
            () if text.eq_ignore_ascii_case("false") => Some(false),
            () => None,
        }
    }
}

impl FromText for String {
    fn from_text(text: Option<&str>) -> Option<Self> {
        text.map(str::to_owned)
    }
}

impl FromText for Option<String> {
    fn from_text(text: Option<&str>) -> Option<Self> {
        Some(text.filter(|text| !text.is_empty()).map(str::to_owned))
    }
}

impl FromText for Option<i64> {
    fn from_text(text: Option<&str>) -> Option<Self> {
        match text {
            Some(text) => text.parse().ok().map(Some),
            None => Some(None),
        }
    }
}

impl FromText for ReplicaSelector {
    fn from_text(text: Option<&str>) -> Option<Self> {
        let [leader, rack_aware] = Self::CLASSES;
        match text {
            None => Some(Self::Leader),
            Some(text) if text == leader => Some(Self::Leader),
            Some(text) if text == rack_aware => Some(Self::RackAware),
            Some(_) => None,
        }
    }
}

impl FromText for ThrottledReplicas {
    fn from_text(text: Option<&str>) -> Option<Self> {
        let text = text?;
        if text == "*" {
            return Some(Self::All);
        }
        let number = |text: &str| text.parse::<i32>().ok().filter(|number| *number >= 0);
        let replica = |text: &str| {
            let (partition, broker) = text.split_once(':')?;
            Some((number(partition)?, number(broker)?))
        };
        list(text).map(replica).collect::<Option<_>>().map(Self::These)
    }
}

impl FromText for CleanupPolicy {
    fn from_text(text: Option<&str>) -> Option<Self> {
        let mut policy = Self::default();
        for element in list(text?) {
            match element {
                "compact" => policy.compact = true,
                "delete" => policy.delete = true,
                _ => return None,
            }
        }
        Some(policy)
    }
}

impl FromText for Compression {
    fn from_text(text: Option<&str>) -> Option<Self> {
        match text? {
            "producer" => Some(Self::Producer),
            "uncompressed" => Some(Self::Uncompressed),
            "gzip" => Some(Self::Gzip),
            "snappy" => Some(Self::Snappy),
            "lz4" => Some(Self::Lz4),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

impl FromText for TimestampType {
    fn from_text(text: Option<&str>) -> Option<Self> {
        match text? {
            "CreateTime" => Some(Self::CreateTime),
            "LogAppendTime" => Some(Self::LogAppendTime),
            _ => None,
        }
    }
}

impl FromText for Option<Durability> {
    fn from_text(text: Option<&str>) -> Option<Self> {
        match text? {
            "auto" => Some(None),
            "fsync" => Some(Some(Durability::Fsync)),
            "replicated" => Some(Some(Durability::Replicated)),
            _ => None,
        }
    }
}

impl FromText for Vec<QuorumVoter> {
    fn from_text(text: Option<&str>) -> Option<Self> {
        let mut voters = Self::new();
        for one in list(text?) {
            let (id, address) = one.split_once('@')?;
            let (host, port) = address.rsplit_once(':')?;
            let host = host.strip_prefix('[').map_or(Some(host), |host| host.strip_suffix(']'))?;
            let id = id.parse().ok().filter(|id| *id >= 0)?;
            let port = port.parse().ok().filter(|port| *port > 0)?;
            if host.is_empty() || voters.iter().any(|voter: &QuorumVoter| voter.id == id) {
                return None;
            }
            voters.push(QuorumVoter { id, host: host.to_owned(), port });
        }
        Some(voters)
    }
}

impl std::str::FromStr for Listener {
    type Err = String;

    /// Reads `NAME://host:port`, with brackets around an IPv6 address. The error says what is wrong.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, address) =
            text.split_once("://").ok_or_else(|| format!("{text:?} is not NAME://host:port"))?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(format!("{name:?} is not the name of a listener"));
        }
        let (host, port) =
            address.rsplit_once(':').ok_or_else(|| format!("{text:?} has no port"))?;
        let port = port.parse().map_err(|_| format!("{port:?} is not a port"))?;
        let host = match host.strip_prefix('[') {
            Some(inner) => {
                inner.strip_suffix(']').ok_or_else(|| format!("{host:?} lacks a bracket"))?
            }
            None if host.contains(':') => {
                return Err(format!("{host:?} needs brackets: [{host}]"));
            }
            None => host,
        };
        Ok(Self { name: name.to_ascii_uppercase(), host: host.to_owned(), port })
    }
}

impl FromText for Vec<Listener> {
    fn from_text(text: Option<&str>) -> Option<Self> {
        list(text?).map(|one| one.parse().ok()).collect()
    }
}

impl FromText for Option<Vec<Listener>> {
    fn from_text(text: Option<&str>) -> Option<Self> {
        match text {
            Some(text) if list(text).next().is_some() => FromText::from_text(Some(text)).map(Some),
            _ => Some(None),
        }
    }
}
