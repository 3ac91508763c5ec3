//! A shard: one thread's worth of partitions, connections and group coordinators.
//!
//! A partition lives on exactly one shard ([`PartitionId::shard`]); nobody else touches it. What another
//! shard wants of it arrives as a [`Job`]; on the owner's own shard the same call is a plain function
//! call. The poll round ends with one write per partition that was appended to: the task that writes is
//! woken by the first append and runs after every connection that was ready has been polled.
//!
//! | file | what is there |
//! | --- | --- |
//! | `logs` | logs are opened, closed, removed, set aside |
//! | `follow` | partitions take roles and settings, come and go, as the cluster's state says |

mod follow;
mod logs;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use engine::log::admit::Origin;
use engine::session::{FetchSessions, SessionConfig};
use engine::{Now, Offset, TopicPartition};
use storage::AppendError;
use tokio::sync::{Notify, mpsc, oneshot};
use world::tasks::Turns;

use self::logs::Offline;
use crate::controller::Link;
use crate::coordinator::Coordinator;
use crate::partition::{
    Acks, AppendOutcome, FlushWanted, Missing, News, Partition, PartitionId, PartitionRef, Refused,
    flush, flush_after, flush_all,
};
use crate::replication::Replication;
use crate::shared::Shared;

/// So many partitions are written before the shard does something else: the first write of each makes a folder
/// and files, a tenth of a millisecond or more.
pub(crate) const WRITES_AT_ONCE: u32 = 16;
/// Files of a partition that nobody used for so long are closed.
const IDLE: Duration = Duration::from_secs(60);

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
            flush_all(&self.shared, due).await;
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
        let removal = {
            let mut partition = partition.borrow_mut();
            partition.log.expire_producers(now);
            partition.log.retain(now)
        };
        if let Some(removal) = removal {
            partition.borrow_mut().wake_all();
            self.remove(partition, removal);
        }
    }
}

/// This shard's part of `max.incremental.fetch.session.cache.slots`.
fn session_slots(shared: &Shared) -> usize {
    let slots = shared.state().settings.broker.max_incremental_fetch_session_cache_slots;
    usize::try_from(slots).unwrap_or(0).div_ceil(shared.shards())
}
