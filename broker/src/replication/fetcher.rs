//! The loop of one lane: ask the leader, append what it sends, ask again.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use client::connection::Connection;
use engine::session::Wanted;
use wire::fetch::request::ReplicaState;
use wire::{FetchRequest, FetchResponse};
use world::tasks::{Turns, spawn_local};

use super::session::{Session, id};
use super::{Counts, Lane};
use crate::partition::{Copied, PartitionId, PartitionRef, flush_all, flushed};
use crate::shard::{Shard, WRITES_AT_ONCE};
use crate::shared::Shared;

/// A leader that takes so much longer than it was told to wait is gone, or cut off.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Pauses after a failure: doubled each time, up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long a connection is kept though other partitions are to be copied: thousands may be added one after the
/// other, and each connection tells the leader of all of them.
const KEPT_MIN: Duration = Duration::from_millis(100);

/// Copies the partitions of one lane.
pub(super) struct Fetcher {
    lane: Lane,
    shard: Weak<Shard>,
    followed: RefCell<BTreeMap<PartitionId, PartitionRef>>,
    /// Those of which other things may be wanted than the leader was told: thousands are idle, and cost
    /// nothing.
    touched: RefCell<BTreeSet<PartitionId>>,
    /// Those that are not asked for now, and will be: at a monotonic time, if it is known.
    paused: RefCell<BTreeMap<PartitionId, Option<Duration>>>,
    /// Counts changes of `followed`.
    generation: Cell<u64>,
    /// `followed` or `touched` has changed.
    changed: tokio::sync::Notify,
    stopped: Cell<bool>,
}

/// Why a connection is not used on.
enum Left {
    /// Other partitions are to be copied: the leader may keep a Fetch that names the old ones for long.
    Changed,
    Failed(client::Error),
    /// The leader's address is not known, or the broker stops.
    Nowhere,
}

fn wait(request: &FetchRequest) -> Duration {
    Duration::from_millis(u64::from(request.max_wait_ms.unsigned_abs()))
}

impl Fetcher {
    pub(super) fn start(shard: &Rc<Shard>, lane: Lane) -> Rc<Self> {
        let fetcher = Rc::new(Self {
            lane,
            shard: Rc::downgrade(shard),
            followed: RefCell::default(),
            touched: RefCell::default(),
            paused: RefCell::default(),
            generation: Cell::new(0),
            changed: tokio::sync::Notify::new(),
            stopped: Cell::new(false),
        });
        spawn_local(Rc::clone(&fetcher).run());
        fetcher
    }

    pub(super) fn add(&self, id: PartitionId, partition: PartitionRef) {
        self.followed.borrow_mut().insert(id, partition);
        self.touch(id);
        self.change();
    }

    pub(super) fn remove(&self, id: PartitionId) {
        self.followed.borrow_mut().remove(&id);
        self.touch(id);
        self.change();
    }

    /// The partition has another leader epoch, or its log was cut.
    pub(super) fn touch(&self, id: PartitionId) {
        self.touched.borrow_mut().insert(id);
        self.changed.notify_one();
    }

    pub(super) fn stop(&self) {
        self.stopped.set(true);
        self.followed.borrow_mut().clear();
        self.change();
    }

    fn change(&self) {
        self.generation.set(self.generation.get() + 1);
        self.changed.notify_one();
    }

    async fn run(self: Rc<Self>) {
        let mut pause = PAUSE_MIN;
        while !self.stopped.get() {
            if self.followed.borrow().is_empty() {
                self.changed.notified().await;
                continue;
            }
            let Some(shard) = self.shard.upgrade() else { return };
            match self.copy(&shard, &mut pause).await {
                Left::Changed => {}
                Left::Failed(error) => {
                    tracing::debug!(leader = self.lane.leader.0, %error, "cannot fetch; trying on");
                    shard.shared.world.clock.sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Left::Nowhere => shard.shared.world.clock.sleep(PAUSE_MAX).await,
            }
        }
    }

    /// Copies over one connection until it has to be left.
    async fn copy(&self, shard: &Rc<Shard>, pause: &mut Duration) -> Left {
        let shared = &shard.shared;
        let Some((host, port)) = shared.address_of(self.lane.leader) else { return Left::Nowhere };
        let name = format!("replica-{}", shared.node);
        let connection = match Connection::open(&shared.world, &host, port, &name).await {
            Ok(connection) => connection,
            Err(error) => return Left::Failed(error),
        };
        let mut session = Session::default();
        let kept_until = shared.now().after(KEPT_MIN);
        loop {
            if self.stopped.get() || self.followed.borrow().is_empty() {
                return Left::Changed;
            }
            self.flush_what_counts(shard, session.is_new()).await;
            // What was added or taken until now is told by this Fetch.
            let generation = self.generation.get();
            let Some(request) = self.request(shared, &mut session) else {
                // Each partition was refused or is throttled for a while, or waits to be cut.
                self.until_wanted(shared).await;
                continue;
            };
            let answer = tokio::select! {
                biased;
                answer = connection.ask(&request, TIMEOUT + wait(&request)) => answer,
                () = self.other_generation(shared, generation, kept_until) => return Left::Changed,
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => return Left::Failed(error),
            };
            if answer.error_code == 0 {
                *pause = PAUSE_MIN;
                self.take(shard, &session, &answer).await;
            } else {
                shared.world.clock.sleep(PAUSE_MIN).await;
            }
            session.answered(&answer);
        }
    }

    /// Completes when other partitions are to be copied, but not before `kept_until` unless none is any more.
    async fn other_generation(&self, shared: &Shared, generation: u64, kept_until: Duration) {
        while self.generation.get() == generation {
            self.changed.notified().await;
        }
        if !self.stopped.get() {
            shared.world.clock.sleep_until(kept_until).await;
        }
    }

    /// Completes when something may be wanted again.
    async fn until_wanted(&self, shared: &Shared) {
        let resumes = self.resumes_at();
        let resumed = async {
            match resumes {
                Some(at) => shared.world.clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.changed.notified() => {}
            () = resumed => {}
        }
    }

    /// When the first of those that are paused is asked for again.
    fn resumes_at(&self) -> Option<Duration> {
        self.paused.borrow().values().flatten().min().copied()
    }

    /// `None` while nothing can be asked for.
    fn request(&self, shared: &Arc<Shared>, session: &mut Session) -> Option<FetchRequest> {
        let state = shared.state();
        let broker = &state.settings.broker;
        let wishes = self.wishes(shared, session.is_new());
        if !session.would_want(&wishes) {
            return None;
        }
        // Those that are paused are asked for again in time.
        let max_wait_ms = match self.resumes_at() {
            None => broker.replica_fetch_wait_max_ms,
            Some(at) => {
                let left = at.saturating_sub(shared.now().tick).as_millis() + 1;
                broker.replica_fetch_wait_max_ms.min(i32::try_from(left).unwrap_or(i32::MAX))
            }
        };
        let told = session.tell(wishes);
        Some(FetchRequest {
            replica_state: ReplicaState {
                replica_id: shared.node.0,
                replica_epoch: shared.membership.epoch(),
                ..Default::default()
            },
            max_wait_ms,
            min_bytes: 1,
            max_bytes: broker.replica_fetch_response_max_bytes,
            session_id: told.session_id,
            session_epoch: told.session_epoch,
            topics: told.topics,
            forgotten_topics_data: told.forgotten,
            ..Default::default()
        })
    }

    /// Of which partitions the wish may have changed: all, if the leader knows nothing.
    fn to_look_at(&self, of_all: bool) -> BTreeSet<PartitionId> {
        if of_all {
            return self.followed.borrow().keys().copied().collect();
        }
        let (touched, paused) = (self.touched.borrow(), self.paused.borrow());
        touched.iter().chain(paused.keys()).copied().collect()
    }

    /// Completes when all is on disk that must be before it may be asked for what follows.
    async fn flush_what_counts(&self, shard: &Shard, of_all: bool) {
        if self.lane.counts == Counts::Written {
            return;
        }
        let due: Vec<PartitionRef> = {
            let followed = self.followed.borrow();
            let looked_at = self.to_look_at(of_all).into_iter();
            let known = looked_at.filter_map(|id| followed.get(&id));
            known.filter(|one| one.borrow().is_to_be_flushed()).cloned().collect()
        };
        flush_all(&shard.shared, due.clone()).await;
        for partition in due {
            flushed(&shard.shared, &partition).await;
        }
    }

    /// What is wanted of the partitions where that may have changed; of all, if the leader knows nothing.
    fn wishes(&self, shared: &Shared, of_all: bool) -> BTreeMap<PartitionId, Option<Wanted>> {
        let now = shared.now();
        let max_bytes = shared.state().settings.broker.replica_fetch_max_bytes;
        let looked_at = self.to_look_at(of_all);
        let followed = self.followed.borrow();
        self.touched.borrow_mut().clear();
        let mut paused = self.paused.borrow_mut();
        paused.clear();
        let wish = |id: PartitionId| {
            // One that is not followed any more is to be forgotten.
            let Some(partition) = followed.get(&id) else { return (id, None) };
            let mut partition = partition.borrow_mut();
            let slowly = partition.copies_slowly().then(|| shared.throttles.follower.ask(shared));
            let max_bytes = match slowly {
                None => Ok(max_bytes),
                Some(Ok(bytes)) => {
                    Ok(i32::try_from(bytes).map_or(max_bytes, |it| it.min(max_bytes)))
                }
                // Somebody may raise the rate before.
                Some(Err(at)) => Err(at.min(now.after(PAUSE_MAX))),
            };
            let (wish, resumes_at) = match max_bytes {
                Ok(max_bytes) => {
                    (partition.wants_copied(now, max_bytes), partition.refused_until(now))
                }
                Err(at) => (None, Some(at)),
            };
            if wish.is_none() {
                paused.insert(id, resumes_at);
            }
            (id, wish)
        };
        looked_at.into_iter().map(wish).collect()
    }

    /// Appends what came, partition by partition.
    async fn take(&self, shard: &Rc<Shard>, session: &Session, answer: &FetchResponse) {
        let now = shard.now();
        let (mut cut, mut has_moved) = (Vec::new(), false);
        let mut turns = Turns::after_each(WRITES_AT_ONCE);
        for topic in &answer.responses {
            for data in &topic.partitions {
                let id = id(topic.topic_id, data.partition_index);
                let Some(partition) = self.followed.borrow().get(&id).cloned() else { continue };
                let Some(asked) = session.asked(id) else { continue };
                self.touch(id);
                let bytes = data.records.as_ref().map_or(0, wire::Records::len);
                if bytes > 0 && partition.borrow().copies_slowly() {
                    shard.shared.throttles.follower.spend(&shard.shared, bytes);
                }
                let copied = partition.borrow_mut().take_copied(asked, data, now);
                if let Some(why) = partition.borrow().log.failure() {
                    shard.shared.disk_failure.tell(why);
                }
                match copied {
                    Copied::Nothing => {}
                    Copied::Records => {
                        shard.write(&partition);
                        turns.step().await;
                    }
                    Copied::Cut => {
                        cut.push(partition);
                        continue;
                    }
                }
                has_moved |= shard.follow_start(&partition);
            }
        }
        shard.trim_tails();
        if has_moved {
            // The next Fetch vouches for it: what was deleted must not come back with a restart.
            super::checkpoints_written(&shard.shared).await;
        }
        super::carry_out_cuts(shard, cut).await;
    }
}
