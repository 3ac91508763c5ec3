//! What every shard and the control thread share. All of it is `Send`, and none of it is a partition.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use config::{BrokerConfig, Durability, ReplicaSelector};
use engine::metadata::{CONSUMER_OFFSETS, LeaseClock, Resource, TRANSACTION_STATE};
use engine::{BrokerId, Now, TopicId, TopicPartition};
use storage::{Checkpoint, ReadError};
use tokio::sync::{Notify, oneshot};
use wire::{AllocateProducerIdsRequest, Uuid};
use world::tasks::{Pool, blocking};
use world::{World, watch};

use crate::controller::{AskError, Departures, Heard, Link, Membership};
use crate::damage::Damage;
use crate::disk_failure::DiskFailure;
use crate::hindrance::Hindrance;
use crate::log_config::log_config;
use crate::memory::{self, Answers, Governor};
use crate::metadata::{ControlRef, Recent, State};
use crate::metrics::Metrics;
use crate::partition::{Acks, AppendOutcome, PartitionId, Settings};
use crate::proof;
use crate::quorum::{Leadership, QuorumRef};
use crate::shard::{Shard, ShardRef};
use crate::throttles::Throttles;

/// What every shard and the control thread share.
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) node: BrokerId,
    pub(crate) cluster_id: Arc<str>,
    /// Drawn at this start; tells this process from an earlier one of the same broker.
    pub(crate) incarnation: Uuid,
    pub(crate) log_dir: storage::LogDir,
    pub(crate) control: ControlRef,
    pub(crate) quorum: QuorumRef,
    leaderships: watch::Receiver<Leadership>,
    pub(crate) governor: Governor,
    pub(crate) answers: Answers,
    pub(crate) metrics: Metrics,
    pub(crate) damage: Damage,
    pub(crate) storage: StorageUse,
    pub(crate) connections: Connections,
    pub(crate) membership: Membership,
    pub(crate) throttles: Throttles,
    pub(crate) followed: Followed,
    /// Which brokers this node hears of, while it is the active controller.
    pub(crate) heard: Heard,
    /// How long the disruption lease still runs, while this node is the active controller.
    pub(crate) lease_clock: Mutex<LeaseClock>,
    /// Which version of the metadata each broker had at its last heartbeat to this node.
    pub(crate) known_by: Mutex<BTreeMap<BrokerId, u64>>,
    /// Who is to leave in-sync replicas, while this node is the active controller.
    pub(crate) departures: Mutex<Departures>,
    /// When each broker that is told to stop last asked whether it may, while this node is the active controller.
    pub(crate) stoppers: Mutex<BTreeMap<BrokerId, Duration>>,
    /// Bytes of recent records that each shard keeps in memory.
    pub(crate) tail_budget: usize,
    phase: AtomicUsize,
    stopping: watch::Sender<bool>,
    killed: watch::Sender<bool>,
    /// Held while checkpoints are written; holds what was written last.
    checkpointed: Arc<tokio::sync::Mutex<Vec<Checkpoint>>>,
    /// Which topic holds the folder of a name. A topic that is deleted and created again is another
    /// one, on another shard, and must not write into a folder that is about to be removed.
    folders: Mutex<BTreeMap<TopicPartition, TopicId>>,
    pub(crate) disk_failure: DiskFailure,
    pub(crate) hindrance: Hindrance,
    producer_ids: Mutex<ProducerIds>,
    states: watch::Receiver<Arc<State>>,
    /// The newest decisions, for brokers that follow this one.
    pub(crate) recent: Arc<Recent>,
    shard_count: usize,
    shards: OnceLock<Vec<ShardRef>>,
}

/// Where a broker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting = 0,
    Ready = 1,
    Stopping = 2,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
        })
    }
}

/// What [`Shared::new`] is made of.
pub(crate) struct Parts {
    pub(crate) world: World,
    pub(crate) cluster_id: Arc<str>,
    pub(crate) log_dir: storage::LogDir,
    pub(crate) control: ControlRef,
    pub(crate) quorum: QuorumRef,
    pub(crate) states: watch::Receiver<Arc<State>>,
    pub(crate) recent: Arc<Recent>,
    pub(crate) leaderships: watch::Receiver<Leadership>,
    pub(crate) hindrance: Hindrance,
    pub(crate) shard_count: usize,
}

/// Producer ids that this broker may still give away.
#[derive(Clone, Copy, Debug, Default)]
struct ProducerIds {
    next: i64,
    left: i64,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            world,
            cluster_id,
            log_dir,
            control,
            quorum,
            states,
            recent,
            leaderships,
            hindrance,
            shard_count,
        } = parts;
        let settings = states.borrow().settings.clone();
        let broker = &settings.broker;
        let mut incarnation = [0; 16];
        world.dice.fill("incarnation", &mut incarnation);
        Arc::new(Self {
            node: BrokerId(broker.node_id),
            cluster_id,
            incarnation: Uuid(incarnation),
            log_dir,
            control,
            quorum,
            governor: Governor::new(request_budget(broker, &*world.disk)),
            answers: Answers::new(answer_budget(broker, &*world.disk)),
            metrics: Metrics::new(),
            damage: Damage::default(),
            storage: StorageUse::new(broker.storage_limit_bytes),
            connections: Connections::default(),
            membership: Membership::new(),
            throttles: Throttles::default(),
            followed: Followed::new(shard_count),
            heard: Heard::default(),
            lease_clock: Mutex::default(),
            known_by: Mutex::default(),
            departures: Mutex::default(),
            stoppers: Mutex::default(),
            leaderships,
            tail_budget: usize::try_from(broker.tail_cache_bytes).unwrap_or(0) / shard_count,
            phase: AtomicUsize::new(Phase::Starting as usize),
            stopping: watch::channel(false).0,
            killed: watch::channel(false).0,
            checkpointed: Arc::default(),
            folders: Mutex::default(),
            disk_failure: DiskFailure::default(),
            hindrance,
            producer_ids: Mutex::default(),
            states,
            recent,
            shard_count,
            shards: OnceLock::new(),
            world,
        })
    }

    /// Tells how the shards are reached, once they exist.
    ///
    /// # Panics
    /// When called twice, or with another number of shards than announced.
    pub(crate) fn set_shards(&self, shards: Vec<ShardRef>) {
        assert_eq!(shards.len(), self.shard_count, "as many shards as announced");
        assert!(self.shards.set(shards).is_ok(), "the shards are started once");
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Stopping,
        }
    }

    /// Whether clients are answered.
    pub(crate) fn is_serving(&self) -> bool {
        self.phase() != Phase::Starting
    }

    /// Everything is loaded: clients are served.
    pub(crate) fn set_ready(&self) {
        self.phase.store(Phase::Ready as usize, Ordering::Release);
    }

    /// Tells everybody to come to an end.
    pub(crate) fn begin_stop(&self) {
        self.phase.store(Phase::Stopping as usize, Ordering::Release);
        self.stopping.send(true);
    }

    /// Has all shards end at once.
    pub(crate) fn kill(&self) {
        self.killed.send(true);
    }

    /// Becomes `true` when the broker ends as in a crash.
    pub(crate) fn killed(&self) -> watch::Receiver<bool> {
        self.killed.subscribe()
    }

    /// Takes the folder of a partition for a topic; `false` while another topic still holds it.
    pub(crate) fn take_folder(&self, name: &TopicPartition, topic: TopicId) -> bool {
        let mut folders = self.folders.lock().expect("no panic while it is held");
        *folders.entry(name.clone()).or_insert(topic) == topic
    }

    /// The folder is about to be removed: nobody takes it, not even a new replica of the same topic.
    pub(crate) fn close_folder(&self, name: &TopicPartition) {
        let mut folders = self.folders.lock().expect("no panic while it is held");
        folders.insert(name.clone(), Uuid::ZERO);
    }

    /// The folder is gone from its name.
    pub(crate) fn release_folder(&self, name: &TopicPartition) {
        self.folders.lock().expect("no panic while it is held").remove(name);
    }

    /// Waits until no folder belongs to these topics any more, at most for `patience`.
    pub(crate) async fn folders_released(&self, topics: &[TopicId], patience: Duration) {
        const STEP: Duration = Duration::from_millis(1);
        let deadline = self.world.clock.tick().saturating_add(patience);
        let held = || {
            let folders = self.folders.lock().expect("no panic while it is held");
            folders.values().any(|topic| topics.contains(topic))
        };
        while held() && self.world.clock.tick() < deadline {
            self.world.clock.sleep(STEP).await;
        }
    }

    /// The disk has failed, or is full where that cannot be waited for.
    pub(crate) fn tell_disk(&self, why: &impl ToString, is_full: bool) {
        if is_full {
            self.disk_failure.tell_of_full(why);
        } else {
            self.disk_failure.tell(why);
        }
    }

    /// Tells the next start what a failed disk may have lost.
    pub(crate) fn distrust_disk(&self) {
        if self.disk_failure.may_have_lost() {
            proof::forget(&*self.world.disk, self.log_dir.path());
            self.log_dir.distrust();
        }
    }

    /// Whether the broker stops.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping().borrow()
    }

    /// Becomes `true` when the broker stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Writes the checkpoint files of all shards, unless they say so already.
    ///
    /// # Errors
    /// When they cannot be written, or the broker is stopping: a shard that does not answer any more must not be
    /// forgotten, with where its logs begin.
    pub(crate) async fn write_checkpoints(&self) -> std::io::Result<()> {
        let mut last = Arc::clone(&self.checkpointed).lock_owned().await;
        let mut all = Vec::new();
        for shard in self.shards.get().expect("shards are set before anything runs") {
            match shard.call(|shard| shard.checkpoints()).await {
                Some(some) => all.extend(some),
                None => return Err(std::io::Error::other("the broker is stopping")),
            }
        }
        if *last == all {
            return Ok(());
        }
        let log_dir = self.log_dir.clone();
        // The write outlives an asker who leaves, so the lock does as well.
        let write = move || {
            log_dir.write_checkpoints(&all)?;
            *last = all;
            Ok(())
        };
        blocking(&*self.world.tasks, Pool::Flush, write).await
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall_ms: self.world.clock.wall_ms(), tick: self.world.clock.tick() }
    }

    pub(crate) fn shards(&self) -> usize {
        self.shard_count
    }

    pub(crate) fn shard(&self, index: usize) -> &ShardRef {
        &self.shards.get().expect("shards are set before anything runs")[index]
    }

    /// The newest state.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.states.borrow())
    }

    /// To follow the state.
    pub(crate) fn states(&self) -> watch::Receiver<Arc<State>> {
        self.states.clone()
    }

    /// Runs `work` on the shard that owns `partition`: in place if that is `here`, else as a job.
    /// `None` if the broker is stopping.
    pub(crate) async fn on_owner<R: Send + 'static>(
        &self,
        here: &std::rc::Rc<Shard>,
        partition: PartitionId,
        work: impl FnOnce(&std::rc::Rc<Shard>) -> R + Send + 'static,
    ) -> Option<R> {
        let owner = partition.shard(self.shard_count);
        if owner == here.index { Some(work(here)) } else { self.shard(owner).call(work).await }
    }

    /// A read of a partition has failed: if something is damaged, it is replaced. Says whether somebody should
    /// hear of it.
    pub(crate) fn read_failed(&self, id: PartitionId, error: &ReadError) -> bool {
        if let Some(from) = error.damaged_from() {
            let report = move |shard: &std::rc::Rc<Shard>| shard.found_damage(id, from);
            self.shard(id.shard(self.shard_count)).send(Box::new(report));
        }
        self.damage.is_news(error)
    }

    /// Bytes of all open partitions.
    pub(crate) async fn partition_sizes(&self) -> BTreeMap<PartitionId, u64> {
        let mut sizes = BTreeMap::new();
        for index in 0..self.shards() {
            let sizes_there = self.shard(index).call(|shard| {
                let open = shard.open_partitions();
                let sizes = open.iter().map(|it| (it.borrow().id, it.borrow().log.size_bytes()));
                sizes.collect::<Vec<_>>()
            });
            // A shard that has ended has no partitions.
            sizes.extend(sizes_there.await.unwrap_or_default());
        }
        sizes
    }

    /// Two random numbers, for a new topic's id.
    pub(crate) fn topic_dice(&self) -> [u64; 2] {
        let dice = &self.world.dice;
        [dice.next_u64("topic-id"), dice.next_u64("topic-id")]
    }

    /// Who the active controller is, as far as this node knows.
    pub(crate) fn leadership(&self) -> Leadership {
        self.leaderships.borrow().clone()
    }

    /// Whom clients are told to be the controller: as in Kafka with KRaft, a broker that passes on what is the
    /// controller's. Every broker does, so while nobody is known to lead it is this one, and another one where
    /// clients cannot reach the controller itself.
    pub(crate) fn controller(&self) -> BrokerId {
        let known = self.leadership().leader.unwrap_or(self.node);
        let image = &self.state().image;
        match image.broker(known) {
            Some(broker) if broker.is_controller_only => {
                image.live_brokers().next().map_or(known, |(id, _)| id)
            }
            Some(_) | None => known,
        }
    }

    /// To follow it.
    pub(crate) fn leaderships(&self) -> watch::Receiver<Leadership> {
        self.leaderships.clone()
    }

    /// Where another node is reached: by the first listener that it has registered, or as the settings name
    /// the voters.
    pub(crate) fn address_of(&self, node: BrokerId) -> Option<(String, u16)> {
        let state = self.state();
        let registered = state.image.broker(node).and_then(|broker| broker.listeners.first());
        if let Some(listener) = registered {
            return Some((listener.host.clone(), listener.port));
        }
        let voters = &state.settings.broker.controller_quorum_voters;
        let voter = voters.iter().find(|voter| voter.id == node.0)?;
        Some((voter.host.clone(), voter.port))
    }

    /// Appends a batch on whichever shard owns the partition, behind those that were given before; hears
    /// how it ended.
    pub(crate) fn append(
        &self,
        here: &std::rc::Rc<Shard>,
        id: PartitionId,
        batch: BytesMut,
        origin: engine::log::admit::Origin,
        acks: Acks,
    ) -> oneshot::Receiver<AppendOutcome> {
        let (tell, told) = oneshot::channel();
        let owner = id.shard(self.shard_count);
        if owner == here.index {
            here.append(id, batch, origin, acks, tell);
        } else {
            let job = move |shard: &std::rc::Rc<Shard>| shard.append(id, batch, origin, acks, tell);
            self.shard(owner).send(Box::new(job));
        }
        told
    }

    /// What a partition obeys; `None` if there is none of that id on this broker.
    pub(crate) fn partition_settings(&self, state: &State, id: PartitionId) -> Option<Settings> {
        let topic = state.image.topic_by_id(id.topic)?;
        let partition = topic.partition(id.index)?;
        if !partition.replicas.contains(&self.node) {
            return None;
        }
        let overrides = state.image.config(&Resource::Topic(Arc::clone(&topic.name)));
        // Overrides were checked when they were set; a newer version may refuse one.
        let topic_config = state.settings.topic(&overrides).unwrap_or_else(|error| {
            tracing::error!(topic = %topic.name, %error, "the topic's settings are ignored");
            state.settings.topic(&BTreeMap::new()).expect("no overrides, nothing to refuse")
        });
        let internal = matches!(&*topic.name, CONSUMER_OFFSETS | TRANSACTION_STATE);
        let durability = match topic_config.durability {
            Some(durability) => durability,
            // Kafka's own way to ask for the disk before the acknowledgement.
            None if topic_config.flush_messages == 1 || topic_config.flush_ms == 0 => {
                Durability::Fsync
            }
            // Before a move, or after it: while it goes on, the others may have nothing yet, or no longer.
            None if internal || partition.fewest_replicas() == 1 => Durability::Fsync,
            None => Durability::Replicated,
        };
        Some(Settings {
            log: Arc::new(log_config(&topic_config, &state.settings.broker, id)),
            durability,
            flush_records: topic_config.flush_messages,
            flush_after: u64::try_from(topic_config.flush_ms)
                .ok()
                .filter(|ms| *ms < state.settings.broker.flush_interval_ms.unsigned_abs())
                .map(Duration::from_millis),
            min_insync_replicas: topic_config.min_insync_replicas,
            sends_slowly: topic_config.leader_throttled_replicas.contains(id.index, self.node.0),
            copies_slowly: topic_config.follower_throttled_replicas.contains(id.index, self.node.0),
            has_far_readers: state.settings.broker.replica_selector == ReplicaSelector::RackAware,
            me: self.node,
            place: partition.clone(),
            delete_delay: Duration::from_millis(topic_config.file_delete_delay_ms.unsigned_abs()),
        })
    }

    /// A producer id that nobody had before (KIP-98), from a block that the controller gave.
    pub(crate) async fn next_producer_id(&self, link: &Link) -> Result<i64, NoProducerId> {
        const TIMEOUT: Duration = Duration::from_secs(5);
        loop {
            if let Some(id) = self.take_producer_id() {
                return Ok(id);
            }
            let request = AllocateProducerIdsRequest {
                broker_id: self.node.0,
                broker_epoch: self.membership.epoch(),
                ..Default::default()
            };
            let block = link.ask(request, TIMEOUT).await?;
            if block.error_code != 0 {
                return Err(NoProducerId::Refused(block.error_code));
            }
            let mut ids = self.producer_ids.lock().expect("no panic while it is held");
            // Two askers may have asked at once: the later block wins, ids of the other are skipped.
            *ids =
                ProducerIds { next: block.producer_id_start, left: block.producer_id_len.into() };
        }
    }

    fn take_producer_id(&self) -> Option<i64> {
        let mut ids = self.producer_ids.lock().expect("no panic while it is held");
        if ids.left == 0 {
            return None;
        }
        let id = ids.next;
        *ids = ProducerIds { next: id + 1, left: ids.left - 1 };
        Some(id)
    }
}

/// Why no producer id can be given now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoProducerId {
    #[error(transparent)]
    Unasked(#[from] AskError),
    #[error("the controller refuses with error {0}")]
    Refused(i16),
}

/// A share of the memory that the process may use.
fn request_budget(broker: &BrokerConfig, disk: &dyn world::Disk) -> usize {
    let asked = broker.queued_max_request_bytes;
    let bytes = if asked >= 0 { asked } else { memory_of(broker, disk) / 2 };
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A smaller one.
fn answer_budget(broker: &BrokerConfig, disk: &dyn world::Disk) -> usize {
    usize::try_from(memory_of(broker, disk) / 4).unwrap_or(usize::MAX)
}

fn memory_of(broker: &BrokerConfig, disk: &dyn world::Disk) -> i64 {
    if broker.memory_bytes > 0 { broker.memory_bytes } else { memory::default_share(disk) }
}

/// Which state the partitions of each shard obey.
pub(crate) struct Followed {
    versions: Vec<AtomicU64>,
    moved: Notify,
}

impl Followed {
    fn new(shards: usize) -> Self {
        Self { versions: (0..shards).map(|_| AtomicU64::new(0)).collect(), moved: Notify::new() }
    }

    /// A shard obeys this version.
    pub(crate) fn set(&self, shard: usize, version: u64) {
        self.versions[shard].store(version, Ordering::Release);
        self.moved.notify_waiters();
    }

    /// The version that all shards obey, or a later one.
    pub(crate) fn lowest(&self) -> u64 {
        let versions = self.versions.iter().map(|one| one.load(Ordering::Acquire));
        versions.min().unwrap_or(0)
    }

    /// Completes when all shards obey `version` or a later one.
    pub(crate) async fn reached(&self, version: u64) {
        loop {
            let moved = self.moved.notified();
            if self.lowest() >= version {
                return;
            }
            moved.await;
        }
    }
}

/// Bytes that all logs take, against `klamm.storage.limit.bytes`.
pub(crate) struct StorageUse {
    used: AtomicU64,
    limit: Option<u64>,
}

impl StorageUse {
    fn new(limit: i64) -> Self {
        let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0);
        Self { used: AtomicU64::new(0), limit }
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, bytes: u64) {
        // Never below zero, whatever was counted twice.
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            Some(used.saturating_sub(bytes))
        });
    }

    pub(crate) fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.used() >= limit)
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

/// Connections that are open, in all and by address.
#[derive(Default)]
pub(crate) struct Connections {
    open: AtomicUsize,
    by_address: Mutex<BTreeMap<std::net::IpAddr, usize>>,
}

impl Connections {
    /// Counts one more, unless a bound is reached.
    pub(crate) fn enter(&self, from: std::net::IpAddr, broker: &BrokerConfig) -> bool {
        let bound = |value: i32| usize::try_from(value).unwrap_or(0);
        if self.open() >= bound(broker.max_connections) {
            return false;
        }
        let mut by_address = self.by_address.lock().expect("no panic while it is held");
        let count = by_address.entry(from).or_default();
        if *count >= bound(broker.max_connections_per_ip) {
            return false;
        }
        *count += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Counts one less.
    pub(crate) fn leave(&self, from: std::net::IpAddr) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        let mut by_address = self.by_address.lock().expect("no panic while it is held");
        if let Some(count) = by_address.get_mut(&from) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&from);
            }
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}
