//! Carries out what [`Groups`] decides: appends its records, releases its replies when they are
//! committed, lets its time pass.
//!
//! Memory runs ahead of the log between a step and its commit. If the commit fails, everything that was
//! not released is answered `NOT_COORDINATOR`, and the groups are loaded again from the log.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use engine::Offset;
use engine::group::{Effects, Groups, Reply, Request, Token};
use engine::log::admit::Origin;
use tokio::sync::{Notify, oneshot};
use wire::record::{BatchBuilder, Codec, NewRecord};
use world::tasks::spawn_local;

use super::Unavailable;
use super::load;
use crate::partition::{Acks, AppendOutcome, FetchWait, PartitionId};
use crate::shard::Shard;

/// Pause before a log that could not be read or written is loaded again.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

type Told<T> = Result<T, Unavailable>;

/// The groups of one partition of `__consumer_offsets`.
pub(crate) struct Host {
    id: PartitionId,
    shard: Weak<Shard>,
    /// `None` while loading.
    active: RefCell<Option<Active>>,
    /// Its log was read, or could not be.
    has_tried: Cell<bool>,
    closed: Cell<bool>,
    /// A reply may be due, or time may have to pass earlier than was thought.
    stirred: Notify,
    releases_due: Notify,
}

struct Active {
    groups: Groups,
    next_token: u64,
    /// Requests whose replies the groups owe.
    open: BTreeMap<Token, oneshot::Sender<Told<Reply>>>,
    /// Replies in the order of the steps, each behind the append that it rests on.
    releases: VecDeque<Release>,
}

struct Release {
    committed: Option<oneshot::Receiver<AppendOutcome>>,
    send: Box<dyn FnOnce(Told<()>)>,
}

impl Host {
    pub(super) fn start(shard: &Rc<Shard>, id: PartitionId) -> Rc<Self> {
        let host = Rc::new(Self {
            id,
            shard: Rc::downgrade(shard),
            active: RefCell::new(None),
            has_tried: Cell::new(false),
            closed: Cell::new(false),
            stirred: Notify::new(),
            releases_due: Notify::new(),
        });
        spawn_local(Rc::clone(&host).live());
        spawn_local(Rc::clone(&host).release());
        host
    }

    /// Whether it is about to read its log for the first time.
    pub(super) fn is_beginning(&self) -> bool {
        !self.has_tried.get()
    }

    /// Takes a request; the answer comes through the channel.
    pub(super) fn ask(self: &Rc<Self>, request: Request) -> Told<oneshot::Receiver<Told<Reply>>> {
        let shard = self.shard.upgrade().ok_or(Unavailable::NotCoordinator)?;
        let mut active = self.active.borrow_mut();
        let active = active.as_mut().ok_or(Unavailable::Loading)?;
        let token = Token(active.next_token);
        active.next_token += 1;
        let (tell, told) = oneshot::channel();
        active.open.insert(token, tell);
        let effects = active.groups.step(token, request, shard.now());
        self.carry_out(&shard, active, effects);
        Ok(told)
    }

    /// Looks now; what was seen is told once it is committed.
    pub(super) fn look<R: 'static>(
        self: &Rc<Self>,
        look: impl FnOnce(&mut Groups) -> R,
    ) -> Told<oneshot::Receiver<Told<R>>> {
        let mut active = self.active.borrow_mut();
        let active = active.as_mut().ok_or(Unavailable::Loading)?;
        let seen = look(&mut active.groups);
        let (tell, told) = oneshot::channel();
        let send = Box::new(move |committed: Told<()>| {
            // The asker may have gone.
            let _ = tell.send(committed.map(|()| seen));
        });
        self.queue(active, None, send);
        Ok(told)
    }

    /// Looks now, committed or not.
    pub(super) fn peek<R>(&self, look: impl FnOnce(&Groups) -> R) -> Told<R> {
        self.active.borrow().as_ref().map(|active| look(&active.groups)).ok_or(Unavailable::Loading)
    }

    pub(super) fn topics_deleted(self: &Rc<Self>, topics: &[Arc<str>]) {
        let Some(shard) = self.shard.upgrade() else { return };
        let mut active = self.active.borrow_mut();
        let Some(active) = active.as_mut() else { return };
        loop {
            let (effects, more) = active.groups.topics_deleted(topics);
            self.carry_out(&shard, active, effects);
            if !more {
                break;
            }
        }
    }

    pub(super) fn close(&self) {
        self.closed.set(true);
        self.abandon();
        self.stirred.notify_one();
        self.releases_due.notify_one();
    }

    /// Appends the records as one batch, and queues the replies behind it.
    fn carry_out(&self, shard: &Rc<Shard>, active: &mut Active, effects: Effects) {
        let Effects { records, replies } = effects;
        let committed = (!records.is_empty()).then(|| {
            let mut batch = BatchBuilder::new(Codec::None);
            let timestamp = shard.now().wall_ms;
            for record in records {
                batch.push(&NewRecord {
                    timestamp,
                    key: Some(record.key),
                    value: record.value,
                    headers: Vec::new(),
                });
            }
            let (tell, told) = oneshot::channel();
            shard.append(self.id, batch.finish(), Origin::Coordinator, Acks::All, tell);
            told
        });
        if committed.is_some() || !replies.is_empty() {
            let replies: Vec<_> = replies
                .into_iter()
                .filter_map(|(token, reply)| Some((active.open.remove(&token)?, reply)))
                .collect();
            let send = Box::new(move |committed: Told<()>| {
                for (tell, reply) in replies {
                    // The asker may have gone.
                    let _ = tell.send(committed.map(|()| reply));
                }
            });
            self.queue(active, committed, send);
        }
        self.stirred.notify_one();
    }

    /// At once if nothing has to be waited for.
    fn queue(
        &self,
        active: &mut Active,
        committed: Option<oneshot::Receiver<AppendOutcome>>,
        send: Box<dyn FnOnce(Told<()>)>,
    ) {
        if committed.is_none() && active.releases.is_empty() {
            send(Ok(()));
            return;
        }
        active.releases.push_back(Release { committed, send });
        self.releases_due.notify_one();
    }

    /// Sends replies in order, each when what it rests on is committed.
    async fn release(self: Rc<Self>) {
        while !self.closed.get() {
            let committed = self
                .active
                .borrow_mut()
                .as_mut()
                .and_then(|active| Some(active.releases.front_mut()?.committed.take()));
            let outcome = match committed {
                None => {
                    self.releases_due.notified().await;
                    continue;
                }
                Some(None) => Ok(()),
                Some(Some(told)) => match told.await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err("the partition is gone".to_owned()),
                },
            };
            match outcome {
                Ok(()) => {
                    let release = self
                        .active
                        .borrow_mut()
                        .as_mut()
                        .and_then(|active| active.releases.pop_front());
                    if let Some(release) = release {
                        (release.send)(Ok(()));
                    }
                }
                Err(error) => {
                    tracing::error!(partition = self.id.index, error, "group state is not stored");
                    self.abandon();
                    self.stirred.notify_one();
                }
            }
        }
    }

    /// Memory is ahead of the log, or the broker stops: everybody who waits is sent away.
    fn abandon(&self) {
        let Some(active) = self.active.borrow_mut().take() else { return };
        for release in active.releases {
            (release.send)(Err(Unavailable::NotCoordinator));
        }
        for tell in active.open.into_values() {
            let _ = tell.send(Err(Unavailable::NotCoordinator));
        }
    }

    /// Loads, then lets time pass; again after a failure.
    async fn live(self: Rc<Self>) {
        while !self.closed.get() {
            let Some(shard) = self.shard.upgrade() else { return };
            let loaded = load::groups(&shard, self.id).await;
            self.has_tried.set(true);
            match loaded {
                Ok((mut groups, end)) => {
                    self.until_committed(&shard, end).await;
                    let effects = groups.loaded(shard.now());
                    let mut active = Active {
                        groups,
                        next_token: 0,
                        open: BTreeMap::new(),
                        releases: VecDeque::new(),
                    };
                    self.carry_out(&shard, &mut active, effects);
                    if self.closed.get() {
                        return;
                    }
                    *self.active.borrow_mut() = Some(active);
                    self.releases_due.notify_one();
                    self.pass_time(&shard).await;
                }
                Err(error) => {
                    tracing::error!(partition = self.id.index, error, "cannot load groups");
                }
            }
            shard.shared.world.clock.sleep(RELOAD_PAUSE).await;
        }
    }

    /// What was read from the log may be lost until it is committed, and so is told to nobody before.
    async fn until_committed(&self, shard: &Rc<Shard>, end: Offset) {
        while !self.closed.get() {
            let wait = FetchWait::new(1);
            {
                // A partition that is gone is another's, who closes this.
                let Ok(partition) = shard.partition(self.id) else { return };
                let mut partition = partition.borrow_mut();
                if partition.log.state().high_watermark() >= end {
                    return;
                }
                partition.readers.watch(&wait);
            }
            tokio::select! {
                biased;
                () = self.stirred.notified() => {}
                () = wait.ready() => {}
            }
        }
    }

    /// Ticks and expires until the groups are abandoned.
    async fn pass_time(self: &Rc<Self>, shard: &Rc<Shard>) {
        let clock = &shard.shared.world.clock;
        let mut expire_at = shard.now().after(expiry_interval(shard));
        loop {
            let deadline = match &*self.active.borrow() {
                Some(active) => active.groups.next_deadline(),
                None => return,
            };
            let wake_at = deadline.map_or(expire_at, |deadline| deadline.min(expire_at));
            tokio::select! {
                biased;
                () = self.stirred.notified() => {}
                () = clock.sleep_until(wake_at) => {}
            }
            let now = shard.now();
            let mut active = self.active.borrow_mut();
            let Some(active) = active.as_mut() else { return };
            if active.groups.next_deadline().is_some_and(|deadline| deadline <= now.tick) {
                let effects = active.groups.tick(now);
                self.carry_out(shard, active, effects);
            }
            if expire_at <= now.tick {
                let (effects, more) = active.groups.expire(now);
                self.carry_out(shard, active, effects);
                expire_at = if more { now.tick } else { now.after(expiry_interval(shard)) };
            }
        }
    }
}

fn expiry_interval(shard: &Shard) -> Duration {
    let state = shard.shared.state();
    Duration::from_millis(
        state.settings.broker.offsets_retention_check_interval_ms.unsigned_abs().max(1),
    )
}
