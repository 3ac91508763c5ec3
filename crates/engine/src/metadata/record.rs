//! The records of the metadata log: every way in which cluster-wide state can change.
//!
//! Their bytes are in `codec.rs`. A kind or a version that this build does not know is an error, never
//! skipped: an image that missed a record is another cluster.

use std::sync::Arc;

use crate::ids::{BrokerId, TopicId};

use super::features::{LEVEL_OF_THE_FIRST, LEVEL_OF_UPKEEP};
use super::image::{Broker, Drain, Lease, Partition};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The cluster's id. The first record of a new cluster.
    Cluster {
        /// 22 characters of URL-safe base64.
        cluster_id: Arc<str>,
    },
    /// A feature is finalized at this level (KIP-584); 0 removes it.
    Feature {
        /// Its name, such as `klamm.metadata.version`.
        name: Arc<str>,
        /// The finalized level.
        level: i16,
    },
    /// A broker has registered, for the first time or again.
    RegisterBroker {
        /// Its id.
        id: BrokerId,
        /// All about it.
        broker: Broker,
    },
    /// What a broker may do has changed. Holds all of it.
    ChangeBroker {
        /// Its id.
        id: BrokerId,
        /// The epoch that is meant; another one means nothing.
        epoch: i64,
        /// Whether it is fenced from now on.
        fenced: bool,
        /// Whether it is about to stop.
        in_controlled_shutdown: bool,
        /// Whether new replicas are placed elsewhere.
        cordoned: bool,
    },
    /// A broker is gone for good.
    UnregisterBroker {
        /// Its id.
        id: BrokerId,
        /// The epoch that is meant; another one means nothing.
        epoch: i64,
    },
    /// What a broker gives away from now on; with `None`, nothing any more.
    Drain {
        /// Its id.
        id: BrokerId,
        /// What it gives away.
        drain: Option<Drain>,
    },
    /// Who may disrupt the cluster from now on; with `None`, nobody.
    Lease {
        /// The one lease that there is.
        lease: Option<Lease>,
    },
    /// Whether the balancer is to run until nothing is left to do.
    Balance {
        /// Somebody asked for it.
        is_asked: bool,
    },
    /// Broker epochs up to this one are given away, also to brokers that are gone.
    BrokerEpochs {
        /// The newest one.
        last: i64,
    },
    /// A topic exists, with no partitions yet.
    Topic {
        /// Its id.
        id: TopicId,
        /// Its name.
        name: Arc<str>,
    },
    /// A partition exists, or has changed. Holds all of its state.
    Partition {
        /// Its topic.
        topic_id: TopicId,
        /// Its index. A new one is the topic's next.
        index: i32,
        /// Its state.
        partition: Partition,
    },
    /// A topic, its partitions and its settings are gone.
    RemoveTopic {
        /// Its id.
        id: TopicId,
    },
    /// Who declares this topic.
    ClaimTopic {
        /// The topic.
        topic_id: TopicId,
        /// `namespace/name/uid` of a `Topic` resource, or nobody.
        owner: Option<Arc<str>>,
    },
    /// A setting of a resource.
    Config {
        /// Whose.
        resource: Resource,
        /// The key.
        key: Arc<str>,
        /// The value; `None` removes the override.
        value: Option<Arc<str>>,
    },
    /// Producer ids below this one are given away.
    ProducerIds {
        /// The first id of the next block.
        next: i64,
    },
}

/// What a record says something new of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The cluster as a whole.
    Cluster,
    /// A broker.
    Broker(BrokerId),
    /// A topic, or a partition of it.
    Topic(TopicId),
    /// The settings of a resource.
    Settings(Resource),
}

impl Record {
    /// The level of [`METADATA_VERSION`](super::METADATA_VERSION) from which on it may be written.
    pub fn level(&self) -> i16 {
        match self {
            Self::Drain { .. } | Self::Balance { .. } => LEVEL_OF_UPKEEP,
            Self::Cluster { .. }
            | Self::Feature { .. }
            | Self::RegisterBroker { .. }
            | Self::ChangeBroker { .. }
            | Self::UnregisterBroker { .. }
            | Self::Lease { .. }
            | Self::BrokerEpochs { .. }
            | Self::Topic { .. }
            | Self::Partition { .. }
            | Self::RemoveTopic { .. }
            | Self::ClaimTopic { .. }
            | Self::Config { .. }
            | Self::ProducerIds { .. } => LEVEL_OF_THE_FIRST,
        }
    }

    /// What it says something new of; `None` if only controllers need to know.
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::Cluster { .. }
            | Self::Feature { .. }
            | Self::Lease { .. }
            | Self::Balance { .. } => Some(Subject::Cluster),
            Self::RegisterBroker { id, .. }
            | Self::ChangeBroker { id, .. }
            | Self::UnregisterBroker { id, .. }
            | Self::Drain { id, .. } => Some(Subject::Broker(*id)),
            Self::Topic { id, .. } | Self::RemoveTopic { id } => Some(Subject::Topic(*id)),
            Self::Partition { topic_id, .. } | Self::ClaimTopic { topic_id, .. } => {
                Some(Subject::Topic(*topic_id))
            }
            Self::Config { resource, .. } => Some(Subject::Settings(resource.clone())),
            Self::BrokerEpochs { .. } | Self::ProducerIds { .. } => None,
        }
    }
}

/// What has settings (Kafka's `ConfigResource`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A topic, by name.
    Topic(Arc<str>),
    /// One broker.
    Broker(BrokerId),
    /// All brokers: the broker resource with the name `""`.
    AllBrokers,
    /// A group, by id.
    Group(Arc<str>),
}

/// Why a type and a name are no [`Resource`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// Loggers and client metrics have no settings here.
    #[error("resources of type {0} have no settings here")]
    Type(i8),
    /// A broker is named by its id.
    #[error("the name of a broker resource is a node id, or empty for all brokers: {0:?}")]
    BrokerName(String),
    /// A name is needed.
    #[error("the resource has no name")]
    Unnamed,
}

impl Resource {
    /// Kafka's code of topics.
    pub const TOPIC: i8 = 2;
    /// Kafka's code of brokers.
    pub const BROKER: i8 = 4;
    /// Kafka's code of groups.
    pub const GROUP: i8 = 32;

    /// Reads the type and the name of a request.
    pub fn parse(code: i8, name: &str) -> Result<Self, ResourceError> {
        match code {
            Self::TOPIC | Self::GROUP if name.is_empty() => Err(ResourceError::Unnamed),
            Self::TOPIC => Ok(Self::Topic(name.into())),
            Self::GROUP => Ok(Self::Group(name.into())),
            Self::BROKER if name.is_empty() => Ok(Self::AllBrokers),
            Self::BROKER => match name.parse() {
                Ok(id) if id >= 0 => Ok(Self::Broker(BrokerId(id))),
                _ => Err(ResourceError::BrokerName(name.to_owned())),
            },
            other => Err(ResourceError::Type(other)),
        }
    }

    /// Its type in a response.
    pub fn code(&self) -> i8 {
        match self {
            Self::Topic(_) => Self::TOPIC,
            Self::Broker(_) | Self::AllBrokers => Self::BROKER,
            Self::Group(_) => Self::GROUP,
        }
    }

    /// Its name in a response.
    pub fn name(&self) -> String {
        match self {
            Self::Topic(name) | Self::Group(name) => name.to_string(),
            Self::Broker(id) => id.to_string(),
            Self::AllBrokers => String::new(),
        }
    }
}
