//! The cluster-wide state at one moment, immutable once shared.
//!
//! Every part sits behind its own `Arc`: a clone costs a few counters, and applying a record to a clone
//! copies only the part that it changes. That is how one thread builds the next image while all others
//! read the last one.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::{Listener, Properties};

use crate::ids::{BrokerId, LeaderEpoch, TopicId};

use super::record::{Record, Resource};

/// The state after some prefix of the metadata log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    cluster_id: Option<Arc<str>>,
    features: Arc<BTreeMap<Arc<str>, i16>>,
    brokers: Arc<BTreeMap<BrokerId, Arc<Broker>>>,
    topics: Arc<BTreeMap<Arc<str>, Arc<Topic>>>,
    names: Arc<BTreeMap<TopicId, Arc<str>>>,
    configs: Arc<BTreeMap<Resource, Arc<Properties>>>,
    partitions: usize,
    next_producer_id: i64,
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Grows with every registration of any broker; requests that carry an older one are fenced.
    pub epoch: i64,
    /// Chosen by the process at its start.
    pub incarnation: wire::Uuid,
    /// Where it is reached, by listener name.
    pub listeners: Vec<Listener>,
    /// Where it runs.
    pub rack: Option<Arc<str>>,
    /// Whether it may neither lead nor be in sync.
    pub fenced: bool,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id; a topic that is deleted and created again has another one.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// Its partitions, by index.
    pub partitions: Vec<Partition>,
    /// `namespace/name/uid` of the `Topic` resource that declares it.
    pub owner: Option<Arc<str>>,
}

/// A partition's place in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Who leads; `None` while no eligible replica is live.
    pub leader: Option<BrokerId>,
    /// Counts leaders (KIP-101).
    pub leader_epoch: LeaderEpoch,
    /// Counts changes; compared and set by whoever changes the partition (KIP-497).
    pub partition_epoch: i32,
    /// Who holds it, preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Who has all committed records.
    pub isr: Vec<BrokerId>,
}

/// How one topic differs between two images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicChange {
    /// It is new, or something of it has changed; or its settings.
    Set(Arc<Topic>),
    /// It is gone.
    Removed(Arc<Topic>),
}

impl Image {
    /// Replays records from nothing.
    pub fn from_records<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut image = Self::default();
        for record in records {
            image.apply(record);
        }
        image
    }

    /// Applies one record. Total: a record about something that does not exist changes nothing.
    pub fn apply(&mut self, record: &Record) {
        let _ = record;
        todo!()
    }

    /// The records that rebuild this image, in an order that [`Image::apply`] takes.
    pub fn to_records(&self) -> Vec<Record> {
        todo!()
    }

    /// The cluster's id, once it has one.
    pub fn cluster_id(&self) -> Option<&Arc<str>> {
        self.cluster_id.as_ref()
    }

    /// The finalized features and their levels.
    pub fn features(&self) -> impl Iterator<Item = (&str, i16)> {
        self.features.iter().map(|(name, level)| (&**name, *level))
    }

    /// A broker.
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<Broker>> {
        self.brokers.get(&id)
    }

    /// All registered brokers, by id.
    pub fn brokers(&self) -> impl Iterator<Item = (BrokerId, &Arc<Broker>)> {
        self.brokers.iter().map(|(id, broker)| (*id, broker))
    }

    /// The brokers that may lead, by id.
    pub fn live_brokers(&self) -> impl Iterator<Item = (BrokerId, &Arc<Broker>)> {
        self.brokers().filter(|(_, broker)| !broker.fenced)
    }

    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// A topic by id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(self.names.get(&id)?)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// A partition by its topic's name.
    pub fn partition(&self, topic: &str, index: i32) -> Option<&Partition> {
        self.topic(topic)?.partition(index)
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// How many partitions there are.
    pub fn partition_count(&self) -> usize {
        self.partitions
    }

    /// The overrides of a resource; empty if it has none.
    pub fn config(&self, resource: &Resource) -> Arc<Properties> {
        self.configs.get(resource).cloned().unwrap_or_default()
    }

    /// The first producer id that was never given away.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// What is different from an `older` image, topic by topic: the work of a broker that follows.
    pub fn changed_topics(&self, older: &Self) -> Vec<TopicChange> {
        let _ = older;
        todo!()
    }
}

impl Topic {
    /// A partition by index; `None` for indexes that do not exist, also negative ones.
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}
