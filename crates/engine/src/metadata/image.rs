//! The cluster-wide state at one moment, immutable once shared.
//!
//! Every part sits behind its own `Arc`: a clone costs a few counters, and applying a record to a clone
//! copies only the part that it changes. That is how one thread builds the next image while all others
//! read the last one.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::{Listener, Properties};

use crate::ids::{BrokerId, LeaderEpoch, TopicId};

use super::features::SupportedFeature;
use super::record::{Record, Resource};

/// The state after some prefix of the metadata log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    cluster_id: Option<Arc<str>>,
    features: Arc<BTreeMap<Arc<str>, i16>>,
    brokers: Arc<BTreeMap<BrokerId, Arc<Broker>>>,
    drains: Arc<BTreeMap<BrokerId, Drain>>,
    lease: Option<Arc<Lease>>,
    is_balance_asked: bool,
    topics: Arc<BTreeMap<Arc<str>, Arc<Topic>>>,
    names: Arc<BTreeMap<TopicId, Arc<str>>>,
    configs: Arc<BTreeMap<Resource, Arc<Properties>>>,
    partitions: usize,
    next_producer_id: i64,
    last_broker_epoch: i64,
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Grows with every registration of any broker; requests that carry an older one are fenced.
    pub epoch: i64,
    /// Chosen by the process at its start.
    pub incarnation: wire::Uuid,
    /// Chosen when its log directory was made: another one is another disk, without the old one's logs.
    pub directory: wire::Uuid,
    /// Where it is reached, by listener name.
    pub listeners: Vec<Listener>,
    /// Where it runs.
    pub rack: Option<Arc<str>>,
    /// Which levels of which features it can go along with.
    pub features: Vec<SupportedFeature>,
    /// Whether it may neither lead nor be in sync.
    pub fenced: bool,
    /// Whether it is about to stop: it joins no in-sync replicas, and leads only what nobody else can.
    pub in_controlled_shutdown: bool,
    /// Whether new replicas are placed elsewhere.
    pub cordoned: bool,
    /// Whether it is there for the quorum alone: it holds no replica, and clients do not hear of it.
    pub is_controller_only: bool,
}

/// What a broker is asked to give away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// What it leads, until it is restarted. It stays in sync.
    Leadership,
    /// What it leads and what it holds, also over restarts.
    All,
}

/// Leave to take one broker out of service for a while: there is one such lease in the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who may be disrupted.
    pub broker: BrokerId,
    /// Who may do so.
    pub holder: Arc<str>,
    /// How long it lasts from its last renewal on, by the active controller's clock.
    pub ttl_ms: i64,
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Partition {
    /// Who leads; `None` while no eligible replica is live.
    pub leader: Option<BrokerId>,
    /// Counts leaders (KIP-101).
    pub leader_epoch: LeaderEpoch,
    /// Counts changes; compared and set by whoever changes the partition (KIP-497).
    pub partition_epoch: i32,
    /// Who holds it, preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Who has all committed records, and counts for the next. Without a leader the last of them stay
    /// in here though they are fenced. Empty only if their disks were lost.
    pub isr: Vec<BrokerId>,
    /// Who left the in-sync replicas when these became too few to commit anything: they have all
    /// committed records as well, and may lead (KIP-966).
    pub elr: Vec<BrokerId>,
    /// Replicas that were none before the move under way.
    pub adding: Vec<BrokerId>,
    /// Replicas that are none after it. One that is in both comes no more: its move was cancelled.
    pub removing: Vec<BrokerId>,
}

impl Partition {
    /// Whether its replicas are being moved.
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// How many replicas it has at least: before the move under way, or after it.
    pub fn fewest_replicas(&self) -> usize {
        let without =
            |some: &[BrokerId]| self.replicas.iter().filter(|id| !some.contains(id)).count();
        without(&self.adding).min(without(&self.removing))
    }

    /// Whether replicas are being moved, and those that go may: all that come are in sync, and so many of those that
    /// stay are in sync and `active` that they can commit; or nobody else has what is committed. Else a committed
    /// record could be left on fewer disks than it was promised.
    pub fn may_let_go(
        &self,
        min_insync_replicas: usize,
        active: impl Fn(BrokerId) -> bool,
    ) -> bool {
        if !self.is_reassigning() {
            return false;
        }
        let stays = |id: &&BrokerId| !self.removing.contains(id);
        let all_came = self.adding.iter().filter(stays).all(|id| self.isr.contains(id));
        let in_sync = || self.isr.iter().filter(stays);
        let commit = in_sync().filter(|id| active(**id)).count();
        let enough = min_insync_replicas.min(self.replicas.iter().filter(stays).count());
        let holders_stay = self.isr.iter().chain(&self.elr).all(|id| stays(&id));
        all_came && in_sync().next().is_some() && (holders_stay || commit >= enough)
    }
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

    /// Applies one record. Total: a record about something that does not exist, or that exists already,
    /// changes nothing.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Cluster { cluster_id } => self.cluster_id = Some(cluster_id.clone()),
            Record::Feature { name, level: 0 } => {
                Arc::make_mut(&mut self.features).remove(name);
            }
            Record::Feature { name, level } => {
                Arc::make_mut(&mut self.features).insert(name.clone(), *level);
            }
            Record::RegisterBroker { id, broker } => {
                self.last_broker_epoch = self.last_broker_epoch.max(broker.epoch);
                Arc::make_mut(&mut self.brokers).insert(*id, Arc::new(broker.clone()));
            }
            Record::ChangeBroker { id, epoch, fenced, in_controlled_shutdown, cordoned } => {
                if let Some(broker) = Arc::make_mut(&mut self.brokers).get_mut(id)
                    && broker.epoch == *epoch
                {
                    let broker = Arc::make_mut(broker);
                    broker.fenced = *fenced;
                    broker.in_controlled_shutdown = *in_controlled_shutdown;
                    broker.cordoned = *cordoned;
                }
            }
            Record::UnregisterBroker { id, epoch } => {
                if self.broker(*id).is_some_and(|broker| broker.epoch == *epoch) {
                    Arc::make_mut(&mut self.brokers).remove(id);
                    self.set_drain(*id, None);
                }
            }
            Record::Drain { id, drain } => self.set_drain(*id, *drain),
            Record::Lease { lease } => self.lease = lease.clone().map(Arc::new),
            Record::Balance { is_asked } => self.is_balance_asked = *is_asked,
            Record::BrokerEpochs { last } => {
                self.last_broker_epoch = self.last_broker_epoch.max(*last);
            }
            Record::Topic { id, name } => self.add_topic(*id, name),
            Record::Partition { topic_id, index, partition } => {
                self.set_partition(*topic_id, *index, partition);
            }
            Record::RemoveTopic { id } => self.remove_topic(*id),
            Record::ClaimTopic { topic_id, owner } => {
                if let Some(topic) = self.topic_mut(*topic_id) {
                    topic.owner = owner.clone();
                }
            }
            Record::Config { resource, key, value } => {
                self.set_config(resource, key, value.as_deref());
            }
            Record::ProducerIds { next } => {
                self.next_producer_id = self.next_producer_id.max(*next);
            }
        }
    }

    fn set_drain(&mut self, id: BrokerId, drain: Option<Drain>) {
        match drain.filter(|_| self.brokers.contains_key(&id)) {
            Some(drain) => {
                Arc::make_mut(&mut self.drains).insert(id, drain);
            }
            None if self.drains.contains_key(&id) => {
                Arc::make_mut(&mut self.drains).remove(&id);
            }
            None => {}
        }
    }

    fn add_topic(&mut self, id: TopicId, name: &Arc<str>) {
        if self.names.contains_key(&id) || self.topics.contains_key(name) {
            return;
        }
        let topic = Topic { id, name: name.clone(), partitions: Vec::new(), owner: None };
        Arc::make_mut(&mut self.names).insert(id, name.clone());
        Arc::make_mut(&mut self.topics).insert(name.clone(), Arc::new(topic));
    }

    fn topic_mut(&mut self, id: TopicId) -> Option<&mut Topic> {
        let name = self.names.get(&id)?;
        Arc::make_mut(&mut self.topics).get_mut(name).map(Arc::make_mut)
    }

    fn set_partition(&mut self, topic_id: TopicId, index: i32, partition: &Partition) {
        let (Some(topic), Ok(index)) = (self.topic_mut(topic_id), usize::try_from(index)) else {
            return;
        };
        if let Some(known) = topic.partitions.get_mut(index) {
            *known = partition.clone();
        } else if index == topic.partitions.len() {
            topic.partitions.push(partition.clone());
            self.partitions += 1;
        }
    }

    fn remove_topic(&mut self, id: TopicId) {
        let Some(name) = Arc::make_mut(&mut self.names).remove(&id) else { return };
        let removed = Arc::make_mut(&mut self.topics).remove(&name);
        self.partitions -= removed.expect("every id's name is a topic").partitions.len();
        let resource = Resource::Topic(name);
        if self.configs.contains_key(&resource) {
            Arc::make_mut(&mut self.configs).remove(&resource);
        }
    }

    fn set_config(&mut self, resource: &Resource, key: &str, value: Option<&str>) {
        if let Resource::Topic(name) = resource
            && !self.topics.contains_key(name)
        {
            return;
        }
        let configs = Arc::make_mut(&mut self.configs);
        let overrides = Arc::make_mut(configs.entry(resource.clone()).or_default());
        match value {
            Some(value) => overrides.insert(key.to_owned(), value.to_owned()),
            None => overrides.remove(key),
        };
        if overrides.is_empty() {
            configs.remove(resource);
        }
    }

    /// The records that rebuild this image, in an order that [`Image::apply`] takes.
    pub fn to_records(&self) -> Vec<Record> {
        let mut records = Vec::with_capacity(self.partitions + 2 * self.topics.len() + 16);
        let cluster_id = self.cluster_id.iter().cloned();
        records.extend(cluster_id.map(|cluster_id| Record::Cluster { cluster_id }));
        let features = self.features.iter();
        records.extend(
            features.map(|(name, level)| Record::Feature { name: name.clone(), level: *level }),
        );
        records.extend(
            self.brokers()
                .map(|(id, broker)| Record::RegisterBroker { id, broker: (**broker).clone() }),
        );
        let drains = self.drains.iter();
        records.extend(drains.map(|(id, drain)| Record::Drain { id: *id, drain: Some(*drain) }));
        let lease = self.lease.iter().map(|lease| Lease::clone(lease));
        records.extend(lease.map(|lease| Record::Lease { lease: Some(lease) }));
        if self.is_balance_asked {
            records.push(Record::Balance { is_asked: true });
        }
        if self.last_broker_epoch > 0 {
            records.push(Record::BrokerEpochs { last: self.last_broker_epoch });
        }
        if self.next_producer_id > 0 {
            records.push(Record::ProducerIds { next: self.next_producer_id });
        }
        for topic in self.topics() {
            records.push(Record::Topic { id: topic.id, name: topic.name.clone() });
            records.extend((0..).zip(&topic.partitions).map(|(index, partition)| {
                Record::Partition { topic_id: topic.id, index, partition: partition.clone() }
            }));
            if topic.owner.is_some() {
                let owner = topic.owner.clone();
                records.push(Record::ClaimTopic { topic_id: topic.id, owner });
            }
        }
        for (resource, overrides) in &*self.configs {
            records.extend(overrides.iter().map(|(key, value)| Record::Config {
                resource: resource.clone(),
                key: key.as_str().into(),
                value: Some(value.as_str().into()),
            }));
        }
        records
    }

    /// The cluster's id, once it has one.
    pub fn cluster_id(&self) -> Option<&Arc<str>> {
        self.cluster_id.as_ref()
    }

    /// The finalized features and their levels.
    pub fn features(&self) -> impl Iterator<Item = (&str, i16)> {
        self.features.iter().map(|(name, level)| (&**name, *level))
    }

    /// The level at which a feature is finalized, if it is.
    pub fn feature(&self, name: &str) -> Option<i16> {
        self.features.get(name).copied()
    }

    /// A broker.
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<Broker>> {
        self.brokers.get(&id)
    }

    /// Whether a broker may begin to lead, and join the in-sync replicas: it is there, and not about to stop.
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(|broker| !broker.fenced && !broker.in_controlled_shutdown)
    }

    /// All registered brokers, by id.
    pub fn brokers(&self) -> impl Iterator<Item = (BrokerId, &Arc<Broker>)> {
        self.brokers.iter().map(|(id, broker)| (*id, broker))
    }

    /// The brokers that may lead, by id.
    pub fn live_brokers(&self) -> impl Iterator<Item = (BrokerId, &Arc<Broker>)> {
        self.brokers().filter(|(_, broker)| !broker.fenced && !broker.is_controller_only)
    }

    /// What a broker gives away, if anything.
    pub fn drain(&self, id: BrokerId) -> Option<Drain> {
        self.drains.get(&id).copied()
    }

    /// The brokers that give something away, by id.
    pub fn drains(&self) -> impl Iterator<Item = (BrokerId, Drain)> {
        self.drains.iter().map(|(id, drain)| (*id, *drain))
    }

    /// The disruption lease, if somebody has it.
    pub fn lease(&self) -> Option<&Arc<Lease>> {
        self.lease.as_ref()
    }

    /// Whether the balancer is to run until nothing is left to do.
    pub fn is_balance_asked(&self) -> bool {
        self.is_balance_asked
    }

    /// The newest epoch of any broker, also of one that is gone.
    pub fn last_broker_epoch(&self) -> i64 {
        self.last_broker_epoch
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

    /// The partitions whose replicas are being moved, with their topics and indexes.
    pub fn reassignments(&self) -> impl Iterator<Item = (&Arc<Topic>, i32, &Partition)> {
        self.topics().flat_map(|topic| {
            let indexed = (0..).zip(&topic.partitions);
            let moving = indexed.filter(|(_, partition)| partition.is_reassigning());
            moving.map(move |(index, partition)| (topic, index, partition))
        })
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

    /// What is different from an `older` image, topic by topic: the work of a broker that follows. A
    /// topic that was deleted and created again is removed first.
    pub fn changed_topics(&self, older: &Self) -> Vec<TopicChange> {
        let mut changes = Vec::new();
        let same_configs = Arc::ptr_eq(&self.configs, &older.configs);
        if same_configs && Arc::ptr_eq(&self.topics, &older.topics) {
            return changes;
        }
        for old in older.topics() {
            if self.topic(&old.name).is_none_or(|new| new.id != old.id) {
                changes.push(TopicChange::Removed(old.clone()));
            }
        }
        let is_same_config = |name: &Arc<str>| {
            let resource = Resource::Topic(name.clone());
            same_configs || self.configs.get(&resource) == older.configs.get(&resource)
        };
        for new in self.topics() {
            let old = older.topic(&new.name);
            if old.is_none_or(|old| !Arc::ptr_eq(old, new) || !is_same_config(&new.name)) {
                changes.push(TopicChange::Set(new.clone()));
            }
        }
        changes
    }
}

impl Topic {
    /// A partition by index; `None` for indexes that do not exist, also negative ones.
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// How many replicas its partitions have: that of the first one, as Kafka counts.
    pub fn replication_factor(&self) -> usize {
        self.partitions.first().map_or(0, |first| first.replicas.len())
    }
}
