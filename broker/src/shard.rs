//! A shard: one thread's worth of partitions, connections and group coordinators.
//!
//! A partition lives on exactly one shard ([`PartitionId::shard`]); nobody else touches it. What another
//! shard wants of it arrives as a [`Job`]; on the owner's own shard the same call is a plain function
//! call. The poll round ends with one write per partition that was appended to: the task that writes is
//! woken by the first append and runs after every connection that was ready has been polled.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use engine::log::admit::Origin;
use engine::metadata::{CONSUMER_OFFSETS, Image, TopicChange};
use engine::session::{FetchSessions, SessionConfig};
use engine::{Now, Offset, TopicPartition};
use storage::{AppendError, Checkpoint, FoundPartition, OpenError};
use tokio::sync::{Notify, mpsc, oneshot};
use world::tasks::{Pool, Turns, blocking, spawn_local};

use crate::controller::Link;
use crate::coordinator::Coordinator;
use crate::metadata::State;
use crate::partition::{
    Acks, AppendOutcome, FlushWanted, Missing, News, Partition, PartitionId, PartitionRef, Refused,
    flush, flush_after, flush_ended, flush_together,
};
use crate::replication::Replication;
use crate::shared::Shared;

/// How long a replica that is back waits before it asks again for the folder of the one that was here.
const FOLDER_PAUSE: Duration = Duration::from_millis(100);
/// So many logs are flushed in one go; fewer each by itself, with no more of the volume than is theirs.
const FLUSHED_TOGETHER_MIN: usize = 64;
/// So many partitions are written before the shard does something else: the first write of each makes a folder
/// and files, a tenth of a millisecond or more.
pub(crate) const WRITES_AT_ONCE: u32 = 16;
/// Files of a partition that nobody used for so long are closed.
const IDLE: Duration = Duration::from_secs(60);

/// A log that could not be opened.
struct Offline {
    why: String,
    /// Whether its bytes are damaged: other replicas have them.
    is_damaged: bool,
    found: FoundPartition,
    checkpoint: Option<Checkpoint>,
}

/// Something to do on a shard.
pub(crate) type Job = Box<dyn FnOnce(&Rc<Shard>) + Send>;

/// How the others reach a shard.
#[derive(Clone)]
pub(crate) struct ShardRef {
    jobs: mpsc::UnboundedSender<Job>,
}

impl ShardRef {
    /// A way to a shard that is to be started with the receiver.
    #[expect(clippy::disallowed_methods, reason = "its bound is what may arrive (ADR 0006)")]
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Job>) {
        let (jobs, inbox) = mpsc::unbounded_channel();
        (Self { jobs }, inbox)
    }

    /// Leaves a job; jobs run in the order in which they were left. A shard that has ended drops it.
    ///
    /// Never waits, on purpose: of two requests of one connection that both wait, the later may be woken
    /// first, and its batch would overtake. What can gather here is bounded by what may arrive at all: the
    /// memory governor and the requests that each connection may have running.
    pub(crate) fn send(&self, job: Job) {
        // An ended shard is a stopping broker: whoever waits for an answer sees its channel closed.
        let _ = self.jobs.send(job);
    }

    /// Runs `work` on the shard and brings back its result; `None` if the shard has ended.
    pub(crate) async fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Rc<Shard>) -> R + Send + 'static,
    ) -> Option<R> {
        let (tell, told) = oneshot::channel();
        self.send(Box::new(move |shard| {
            let _ = tell.send(work(shard));
        }));
        told.await.ok()
    }
}

/// One shard. Lives in an [`Rc`] on its thread.
pub(crate) struct Shard {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) coordinator: Coordinator,
    pub(crate) replication: Replication,
    /// The way to the active controller.
    pub(crate) link: Link,
    /// Where all connections of this shard read into.
    pub(crate) scratch: Rc<RefCell<Vec<u8>>>,
    partitions: RefCell<BTreeMap<PartitionId, PartitionRef>>,
    /// Logs that could not be opened.
    offline: RefCell<BTreeMap<PartitionId, Offline>>,
    /// Logs that have lost their ends, though no power was lost.
    shortened: RefCell<Vec<PartitionId>>,
    /// A log is to be copied again.
    pub(crate) damage_found: Notify,
    /// Appended to in this poll round.
    round: RefCell<Vec<PartitionRef>>,
    round_due: Notify,
    /// Written and not known to be on disk; the flusher's work.
    unflushed: RefCell<Vec<PartitionRef>>,
    tail_bytes: Cell<usize>,
    /// The logs are being closed: nobody gets one any more.
    closing: Cell<bool>,
    /// The incremental fetch sessions of this shard's connections (KIP-227).
    pub(crate) sessions: RefCell<FetchSessions>,
    /// What the followers' sessions among them have to look at.
    pub(crate) news: RefCell<BTreeMap<i32, Arc<News>>>,
}

impl Shard {
    pub(crate) fn new(index: usize, shared: Arc<Shared>) -> Rc<Self> {
        Rc::new(Self {
            index,
            coordinator: Coordinator::new(),
            replication: Replication::default(),
            link: Link::new(&shared),
            scratch: Rc::new(RefCell::new(vec![0; crate::net::SCRATCH_BYTES])),
            partitions: RefCell::default(),
            offline: RefCell::default(),
            shortened: RefCell::default(),
            damage_found: Notify::new(),
            round: RefCell::default(),
            round_due: Notify::new(),
            unflushed: RefCell::default(),
            tail_bytes: Cell::new(0),
            closing: Cell::new(false),
            sessions: RefCell::new(FetchSessions::new(SessionConfig {
                max_sessions: session_slots(&shared),
                ..SessionConfig::default()
            })),
            news: RefCell::default(),
            shared,
        })
    }

    pub(crate) fn now(&self) -> Now {
        self.shared.now()
    }

    /// Opens the logs that this shard owns and that have a folder. Damage takes one partition offline,
    /// never the shard.
    pub(crate) async fn load(self: &Rc<Self>, state: &State) {
        let mine: Vec<(TopicPartition, PartitionId)> = self
            .shared
            .log_dir
            .found()
            .iter()
            .filter_map(|found| {
                let topic = state.image.topic(&found.partition.topic)?;
                topic.partition(found.partition.partition)?;
                let id = PartitionId { topic: topic.id, index: found.partition.partition };
                let owner = id.shard(self.shared.shards());
                (owner == self.index).then(|| (found.partition.clone(), id))
            })
            .collect();
        // A few at a time: opening is a matter of seeks, and the pool is small.
        let mut queue = mine.into_iter();
        let mut running = futures_util::stream::FuturesUnordered::new();
        loop {
            while running.len() < 8
                && let Some((name, id)) = queue.next()
            {
                running.push(self.open(state, name, id));
            }
            if futures_util::StreamExt::next(&mut running).await.is_none() {
                break;
            }
        }
    }

    async fn open(self: &Rc<Self>, state: &State, name: TopicPartition, id: PartitionId) {
        let settings = self.shared.partition_settings(state, id);
        let Some(settings) = settings else { return };
        assert!(self.shared.take_folder(&name, id.topic), "folders are found once");
        let log_dir = self.shared.log_dir.clone();
        let (log, wall_ms) = (Arc::clone(&settings.log), self.now().wall_ms);
        let asked = name.clone();
        let work = move || {
            let (mut log, recovered) =
                log_dir.load(&asked, id.topic, log, wall_ms).map_err(|error| {
                    let is_damaged = matches!(error, OpenError::Quarantined { .. });
                    (error.to_string(), is_damaged)
                })?;
            // What a killed process wrote and did not flush is about to be served: it must not be lost
            // to a power failure afterwards.
            if let Some(job) = log.flush_job() {
                let flushed = job.run().map_err(|error| (error.to_string(), false))?;
                log.flushed(flushed);
            }
            Ok::<_, (String, bool)>((log, recovered))
        };
        match blocking(&*self.shared.world.tasks, Pool::Files, work).await {
            Ok((mut log, recovered)) => {
                if let Some(cut) = &recovered.truncated {
                    tracing::warn!(
                        partition = %name, end = cut.end, bytes = cut.bytes, problem = cut.problem,
                        "cut a torn tail off the log"
                    );
                    if self.shared.log_dir.is_same_boot() {
                        self.shortened.borrow_mut().push(id);
                    }
                }
                if recovered.missing > 0 {
                    tracing::warn!(
                        partition = %name, end = log.state().end(), missing = recovered.missing,
                        "records that were committed are not on this disk any more: they are lost unless \
                         another replica has them"
                    );
                }
                if settings.place.replicas.len() == 1 {
                    // What survived is committed: nobody else has more, or less.
                    log.advance_high_watermark(log.state().end());
                }
                log.set_tail_cap(self.tail_cap());
                self.shared.storage.add(log.size_bytes());
                let partition = Partition::new(id, log, settings, self.now());
                let partition = Rc::new(RefCell::new(partition));
                self.partitions.borrow_mut().insert(id, Rc::clone(&partition));
                self.settle_in(&partition);
            }
            Err((error, is_damaged)) => {
                tracing::error!(partition = %name, %error, "the partition stays offline");
                let checkpoint = self.shared.log_dir.remembered(&name);
                let found = FoundPartition { partition: name, topic_id: Some(id.topic) };
                let offline = Offline { why: error, is_damaged, found, checkpoint };
                self.offline.borrow_mut().insert(id, offline);
            }
        }
    }

    fn tail_cap(&self) -> usize {
        (self.shared.tail_budget / 4).max(1 << 20)
    }

    /// A partition of this shard. One that nobody has used yet costs nothing until now.
    pub(crate) fn partition(self: &Rc<Self>, id: PartitionId) -> Result<PartitionRef, Missing> {
        if self.closing.get() {
            return Err(Missing::Stopping);
        }
        debug_assert_eq!(id.shard(self.shared.shards()), self.index, "asked the wrong shard");
        if let Some(partition) = self.partitions.borrow().get(&id) {
            return Ok(Rc::clone(partition));
        }
        if let Some(offline) = self.offline.borrow().get(&id) {
            return Err(Missing::Offline(offline.why.clone()));
        }
        let state = self.shared.state();
        let topic = state.image.topic_by_id(id.topic).ok_or(Missing::Unknown)?;
        let settings = self.shared.partition_settings(&state, id).ok_or(Missing::Unknown)?;
        let name = TopicPartition { topic: Arc::clone(&topic.name), partition: id.index };
        if !self.shared.take_folder(&name, id.topic) {
            return Err(Missing::BeingRemoved);
        }
        let mut log = self.shared.log_dir.create(&name, id.topic, Arc::clone(&settings.log));
        log.set_tail_cap(self.tail_cap());
        let partition = Rc::new(RefCell::new(Partition::new(id, log, settings, self.now())));
        self.partitions.borrow_mut().insert(id, Rc::clone(&partition));
        self.settle_in(&partition);
        Ok(partition)
    }

    /// A read has met a damaged batch in the segment that begins at `from`.
    pub(crate) fn found_damage(&self, id: PartitionId, from: Offset) {
        let partition = self.partitions.borrow().get(&id).cloned();
        if partition.is_some_and(|partition| partition.borrow_mut().found_damage(from)) {
            self.damage_found.notify_one();
        }
    }

    /// What this start has found: logs that lack something that other replicas have.
    pub(crate) fn damaged_at_start(&self) -> Vec<PartitionId> {
        let offline = self.offline.borrow();
        let offline = offline.iter().filter(|(_, offline)| offline.is_damaged);
        let mut damaged: Vec<PartitionId> = offline.map(|(id, _)| *id).collect();
        damaged.extend(self.shortened.take());
        let state = self.shared.state();
        let has_others = |id: &PartitionId| {
            let topic = state.image.topic_by_id(id.topic);
            let partition = topic.and_then(|topic| topic.partition(id.index));
            partition.is_some_and(|partition| partition.replicas.len() > 1)
        };
        damaged.retain(has_others);
        damaged
    }

    /// Sets a damaged log aside, if it could not be opened, and copies the partition anew.
    pub(crate) fn begin_anew(self: &Rc<Self>, id: PartitionId) {
        let Some(offline) = self.offline.borrow_mut().remove(&id) else { return };
        // Nobody opens what is about to go.
        self.shared.close_folder(&offline.found.partition);
        let shard = Rc::clone(self);
        spawn_local(async move {
            shard.set_aside(offline.found).await;
            shard.open_if_followed(&shard.shared.state(), id);
        });
    }

    /// All partitions that are open, by id.
    pub(crate) fn open_partitions(&self) -> Vec<PartitionRef> {
        self.partitions.borrow().values().cloned().collect()
    }

    /// Appends one batch; `tell` hears how it ended.
    pub(crate) fn append(
        self: &Rc<Self>,
        id: PartitionId,
        batch: BytesMut,
        origin: Origin,
        acks: Acks,
        tell: oneshot::Sender<AppendOutcome>,
    ) {
        let partition = match self.partition(id) {
            Ok(partition) => partition,
            Err(missing) => {
                let _ = tell.send(Err(Refused::Missing(missing)));
                return;
            }
        };
        if let Some(why) = self.shared.disk_failure.why() {
            let _ = tell.send(Err(AppendError::Failed(why.to_owned()).into()));
            return;
        }
        if origin == Origin::Client && self.shared.storage.is_full() {
            let _ = tell.send(Err(Refused::StorageLimit));
            return;
        }
        let now = self.now();
        // One that the controller has not heard lately may have been replaced.
        if !partition.borrow().is_leader() || !self.shared.membership.may_lead(now) {
            let _ = tell.send(Err(Refused::Missing(Missing::NotLeader)));
            return;
        }
        if let Err(refused) = partition.borrow().enough_replicas(acks) {
            let _ = tell.send(Err(refused));
            return;
        }
        if partition.borrow_mut().append(batch, origin, acks, now, tell) {
            self.round.borrow_mut().push(partition);
            self.round_due.notify_one();
        }
    }

    /// Ends poll rounds for ever.
    pub(crate) async fn write_rounds(self: Rc<Self>) {
        loop {
            self.round_due.notified().await;
            let round = std::mem::take(&mut *self.round.borrow_mut());
            let mut turns = Turns::after_each(WRITES_AT_ONCE);
            for partition in round {
                self.write(&partition);
                turns.step().await;
            }
            self.trim_tails();
        }
    }

    /// Writes what is queued in one partition.
    pub(crate) fn write(&self, partition: &PartitionRef) {
        let wanted = {
            let mut partition = partition.borrow_mut();
            let (tail, size) = (partition.log.tail_bytes(), partition.log.size_bytes());
            let wanted = partition.write(self.now());
            if let Some(why) = partition.log.failure() {
                self.shared.disk_failure.tell(why);
            }
            let tail_now = partition.log.tail_bytes();
            self.tail_bytes.set(self.tail_bytes.get().saturating_sub(tail) + tail_now);
            self.shared.storage.add(partition.log.size_bytes().saturating_sub(size));
            wanted
        };
        match wanted {
            FlushWanted::Now => flush(&self.shared, partition),
            FlushWanted::After(delay) => flush_after(&self.shared, partition, delay),
            FlushWanted::Later => {}
        }
        if wanted != FlushWanted::Now {
            let was_listed = std::mem::replace(&mut partition.borrow_mut().is_listed, true);
            if !was_listed {
                self.unflushed.borrow_mut().push(Rc::clone(partition));
            }
        }
    }

    /// Keeps the newest data of all partitions within the shard's budget: the longest tails give first.
    pub(crate) fn trim_tails(&self) {
        let budget = self.shared.tail_budget;
        if self.tail_bytes.get() <= budget {
            return;
        }
        let partitions = self.partitions.borrow();
        let tails: Vec<(usize, &PartitionRef)> = partitions
            .values()
            .map(|partition| (partition.borrow().log.tail_bytes(), partition))
            .filter(|(bytes, _)| *bytes > 0)
            .collect();
        // An equal share each, with room to grow before the next trim.
        let share = budget / tails.len().max(1) * 3 / 4;
        let mut total = 0;
        for (bytes, partition) in tails {
            let freed = partition.borrow_mut().log.trim_tail(share);
            total += bytes - freed;
        }
        self.tail_bytes.set(total);
    }

    /// Bounds what a power loss can take from topics that do not wait for the disk.
    pub(crate) async fn flush_now_and_then(self: Rc<Self>) {
        loop {
            let interval = self.shared.state().settings.broker.flush_interval_ms;
            self.shared.world.clock.sleep(Duration::from_millis(interval.unsigned_abs())).await;
            let due = std::mem::take(&mut *self.unflushed.borrow_mut());
            // A job that runs knows nothing of what was written since it began: those are next.
            let (busy, due): (Vec<_>, Vec<_>) =
                due.into_iter().partition(|partition| partition.borrow().is_flushing());
            self.unflushed.borrow_mut().extend(busy);
            for partition in &due {
                partition.borrow_mut().is_listed = false;
            }
            if due.len() < FLUSHED_TOGETHER_MIN {
                due.iter().for_each(|partition| flush(&self.shared, partition));
            } else {
                flush_together(&self.shared, due).await;
            }
        }
    }

    /// Drops what retention says, forgets silent producers, closes idle files.
    pub(crate) async fn housekeep(self: Rc<Self>) {
        const STEP: Duration = Duration::from_secs(30);
        let mut retain_at = self.now().tick;
        loop {
            let interval = self.shared.state().settings.broker.log_retention_check_interval_ms;
            let interval = Duration::from_millis(interval.unsigned_abs());
            self.shared.world.clock.sleep(STEP.min(interval)).await;
            let now = self.now();
            let retain = now.tick >= retain_at;
            if retain {
                retain_at = now.after(interval);
            }
            for partition in self.open_partitions() {
                if retain {
                    self.retain(&partition, now);
                }
                partition.borrow_mut().rest(now, IDLE);
            }
        }
    }

    fn retain(&self, partition: &PartitionRef, now: Now) {
        let (removal, delay) = {
            let mut partition = partition.borrow_mut();
            partition.log.expire_producers(now);
            (partition.log.retain(now), partition.settings.delete_delay)
        };
        if let Some(removal) = removal {
            partition.borrow_mut().wake_all();
            self.remove(partition.borrow().name().clone(), removal, delay);
        }
    }

    /// Removes segments in the background, after readers have had time to finish.
    pub(crate) fn remove(&self, name: TopicPartition, job: storage::RemoveJob, delay: Duration) {
        let removing = remove(Arc::clone(&self.shared), name, job, delay);
        spawn_local(async move {
            removing.await;
        });
    }

    /// Follows the cluster's state: new settings, deleted topics.
    pub(crate) async fn follow(self: Rc<Self>, mut last: Arc<State>) {
        let mut states = self.shared.states();
        // Partitions that have no log yet are followed as well.
        let before = State { image: Image::default(), ..State::clone(&last) };
        self.reconfigure(&last, &before);
        self.shared.followed.set(self.index, last.version);
        while states.changed().await.is_ok() {
            let next = Arc::clone(&states.borrow_and_update());
            let mut deleted = Vec::new();
            for change in next.image.changed_topics(&last.image) {
                match change {
                    TopicChange::Set(_) => {}
                    TopicChange::Removed(topic) => {
                        for index in 0..topic.partitions.len() {
                            let index = i32::try_from(index).expect("partition indexes are i32");
                            let id = PartitionId { topic: topic.id, index };
                            self.delete(id, &Missing::Unknown);
                        }
                        deleted.push(Arc::clone(&topic.name));
                    }
                }
            }
            self.reconfigure(&next, &last);
            if !deleted.is_empty() {
                self.coordinator.topics_deleted(&deleted);
            }
            self.shared.followed.set(self.index, next.version);
            last = next;
        }
    }

    /// Gives every partition of this shard the role and the settings of the new state.
    fn reconfigure(self: &Rc<Self>, state: &State, last: &State) {
        let broker_settings_changed = state.settings != last.settings;
        if broker_settings_changed {
            for partition in self.open_partitions() {
                self.configure(state, &partition);
            }
        }
        for change in state.image.changed_topics(&last.image) {
            let TopicChange::Set(topic) = change else { continue };
            for index in 0..topic.partitions.len() {
                let index = i32::try_from(index).expect("partition indexes are i32");
                let id = PartitionId { topic: topic.id, index };
                if id.shard(self.shared.shards()) != self.index {
                    continue;
                }
                let open = self.partitions.borrow().get(&id).cloned();
                match open {
                    Some(partition) => self.configure(state, &partition),
                    None => self.open_if_followed(state, id),
                }
            }
        }
    }

    fn configure(self: &Rc<Self>, state: &State, partition: &PartitionRef) {
        let id = partition.borrow().id;
        let Some(settings) = self.shared.partition_settings(state, id) else {
            // The controller has moved the replica: others have what is committed.
            tracing::info!(partition = %partition.borrow().name(), "moved away from this broker");
            self.delete(id, &Missing::NotLeader);
            return;
        };
        if settings != partition.borrow().settings {
            partition.borrow_mut().configure(settings);
            self.settle_in(partition);
        }
    }

    /// A partition that somebody else leads is copied from the start; one that is led here costs nothing
    /// until it is used.
    fn open_if_followed(self: &Rc<Self>, state: &State, id: PartitionId) {
        let Some(settings) = self.shared.partition_settings(state, id) else { return };
        if settings.place.leader.is_none_or(|leader| leader == self.shared.node) {
            return;
        }
        match self.partition(id) {
            Ok(_) => {}
            Err(Missing::BeingRemoved) => {
                // It was here before, and is back while its old files still go.
                let shard = Rc::clone(self);
                spawn_local(async move {
                    shard.shared.world.clock.sleep(FOLDER_PAUSE).await;
                    shard.open_if_followed(&shard.shared.state(), id);
                });
            }
            Err(missing) => tracing::error!(?id, %missing, "a partition cannot be followed"),
        }
    }

    /// Has the partition copied, or coordinated, as its role asks for.
    fn settle_in(self: &Rc<Self>, partition: &PartitionRef) {
        let (id, lane, is_leader, is_offsets) = {
            let partition = partition.borrow();
            let is_offsets = &*partition.name().topic == CONSUMER_OFFSETS;
            (partition.id, partition.lane(), partition.is_leader(), is_offsets)
        };
        self.replication.assign(self, partition, lane);
        if is_offsets {
            self.coordinator.follow_leadership(self, id, is_leader);
        }
    }

    /// The partition's topic is gone, or its replica was moved: so are its log, and its name for a folder.
    /// Whoever waits is told `why`.
    fn delete(self: &Rc<Self>, id: PartitionId, why: &Missing) {
        if let Some(offline) = self.offline.borrow_mut().remove(&id) {
            let shard = Rc::clone(self);
            spawn_local(async move { shard.set_aside(offline.found).await });
        }
        let Some(partition) = self.partitions.borrow_mut().remove(&id) else { return };
        self.replication.assign(self, &partition, None);
        self.coordinator.follow_leadership(self, id, false);
        self.unflushed.borrow_mut().retain(|other| !Rc::ptr_eq(other, &partition));
        let unique = self.shared.world.dice.next_u64("deleted-folder");
        let (job, name) = {
            let mut partition = partition.borrow_mut();
            let name = partition.name().clone();
            let empty = self.empty_log(&partition);
            let log = partition.give_up(empty, why);
            (log.delete(u128::from(unique)), name)
        };
        let shared = Arc::clone(&self.shared);
        if *why == Missing::NotLeader {
            // The topic lives on, and the replica may come back to this broker.
            shared.close_folder(&name);
        }
        let removing = remove(Arc::clone(&shared), name.clone(), job, Duration::ZERO);
        spawn_local(async move {
            // It writes to the folder, and takes one that is gone for a failed disk.
            flush_ended(&partition).await;
            if removing.await {
                shared.release_folder(&name);
            }
        });
    }

    /// A log that could not be opened is kept when its topic is deleted, or another replica copied, but not
    /// under its name.
    async fn set_aside(&self, found: FoundPartition) {
        let shared = &self.shared;
        let (log_dir, name) = (shared.log_dir.clone(), found.partition.clone());
        let work = move || log_dir.set_aside(&found);
        match blocking(&*shared.world.tasks, Pool::Files, work).await {
            Ok(path) => {
                tracing::warn!(path = %path.display(), "set a damaged log aside");
                shared.release_folder(&name);
            }
            Err(error) => tracing::error!(partition = %name, %error, "cannot set a log aside"),
        }
    }

    /// Stands in for a log that was given away. Touches no disk.
    fn empty_log(&self, partition: &Partition) -> storage::PartitionLog {
        let config = Arc::clone(&partition.settings.log);
        self.shared.log_dir.create(partition.name(), partition.id.topic, config)
    }

    /// What the checkpoint files are to say of this shard's logs.
    pub(crate) fn checkpoints(&self) -> Vec<Checkpoint> {
        let open = self.partitions.borrow();
        let mut checkpoints: Vec<Checkpoint> =
            open.values().map(|one| one.borrow().checkpoint()).collect();
        checkpoints.extend(self.offline_checkpoints());
        checkpoints
    }

    /// What was known of logs that could not be opened, so that it stays known.
    fn offline_checkpoints(&self) -> Vec<Checkpoint> {
        self.offline.borrow().values().filter_map(|one| one.checkpoint.clone()).collect()
    }

    /// Ends all logs cleanly: after this, they open without a scan.
    pub(crate) async fn close(&self) -> Vec<Checkpoint> {
        self.closing.set(true);
        self.coordinator.close();
        self.replication.close();
        let partitions = std::mem::take(&mut *self.partitions.borrow_mut());
        let mut checkpoints = self.offline_checkpoints();
        for partition in partitions.into_values() {
            // What it has synced, or that it failed, is the log's to know when it is closed.
            flush_ended(&partition).await;
            let job = {
                let mut partition = partition.borrow_mut();
                let empty = self.empty_log(&partition);
                partition.give_up(empty, &Missing::Stopping).close()
            };
            match blocking(&*self.shared.world.tasks, Pool::Flush, move || job.run()).await {
                Ok(checkpoint) => checkpoints.push(checkpoint),
                Err(error) => {
                    tracing::error!(%error, "a log could not be closed cleanly");
                    self.shared.disk_failure.tell(&error);
                }
            }
        }
        checkpoints
    }
}

/// Removes files; says whether it worked.
async fn remove(
    shared: Arc<Shared>,
    name: TopicPartition,
    job: storage::RemoveJob,
    delay: Duration,
) -> bool {
    shared.world.clock.sleep(delay).await;
    // A recovery point below the first segment left would make its absence look like damage.
    if let Err(error) = shared.write_checkpoints().await {
        tracing::warn!(partition = %name, %error, "old files stay: no checkpoint");
        return false;
    }
    match blocking(&*shared.world.tasks, Pool::Files, move || job.run()).await {
        Ok(removed) => {
            shared.storage.remove(removed.bytes);
            if removed.segments > 0 {
                tracing::info!(
                    partition = %name, segments = removed.segments, bytes = removed.bytes,
                    "removed old segments"
                );
            }
            true
        }
        Err(error) => {
            tracing::warn!(partition = %name, %error, "cannot remove files");
            false
        }
    }
}

/// This shard's part of `max.incremental.fetch.session.cache.slots`.
fn session_slots(shared: &Shared) -> usize {
    let slots = shared.state().settings.broker.max_incremental_fetch_session_cache_slots;
    usize::try_from(slots).unwrap_or(0).div_ceil(shared.shards())
}
