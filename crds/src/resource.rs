//! Any of the three kinds, and the key that names one.

use std::fmt;

use kube::Resource as _;
use kube::core::ObjectMeta;

use crate::{Cluster, ConsumerGroup, Topic};

/// The three kinds, in the order in which they are reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Brokers.
    Cluster,
    /// One Kafka topic.
    Topic,
    /// A window onto a consumer group.
    ConsumerGroup,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::Topic, Self::ConsumerGroup];

    /// The word in a document's `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Topic => "Topic",
            Self::ConsumerGroup => "ConsumerGroup",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; `default` if the document names none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Key {
    /// `Topic default/orders`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Any of the three kinds.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// Brokers.
    Cluster(Box<Cluster>),
    /// One Kafka topic.
    Topic(Box<Topic>),
    /// A window onto a consumer group.
    ConsumerGroup(Box<ConsumerGroup>),
}

impl Resource {
    /// What names it.
    pub fn key(&self) -> Key {
        key(self.kind(), self.meta())
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cluster(_) => Kind::Cluster,
            Self::Topic(_) => Kind::Topic,
            Self::ConsumerGroup(_) => Kind::ConsumerGroup,
        }
    }

    /// Its metadata.
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Cluster(it) => it.meta(),
            Self::Topic(it) => it.meta(),
            Self::ConsumerGroup(it) => it.meta(),
        }
    }

    /// Its metadata, to be changed.
    pub fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Cluster(it) => it.meta_mut(),
            Self::Topic(it) => it.meta_mut(),
            Self::ConsumerGroup(it) => it.meta_mut(),
        }
    }

    /// Whether two resources declare the same, whatever their metadata and status say.
    pub fn same_spec(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cluster(a), Self::Cluster(b)) => a.spec == b.spec,
            (Self::Topic(a), Self::Topic(b)) => a.spec == b.spec,
            (Self::ConsumerGroup(a), Self::ConsumerGroup(b)) => a.spec == b.spec,
            (Self::Cluster(_) | Self::Topic(_) | Self::ConsumerGroup(_), _) => false,
        }
    }
}

/// The key of a resource of `kind` with this metadata.
pub fn key(kind: Kind, meta: &ObjectMeta) -> Key {
    Key {
        kind,
        namespace: meta.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        name: meta.name.clone().unwrap_or_default(),
    }
}
