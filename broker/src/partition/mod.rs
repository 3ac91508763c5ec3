//! One partition on the shard that owns it: its log, who waits to be acknowledged, who waits to read.
//!
//! ```text
//! append ──► log.admit ──► (end of the poll round) log.write ──► replicated: vouched for at once
//!                                                          └───► fsync: flush job ──► vouched for
//! vouched for by every replica in sync ──► committed ──► acknowledgements in order, long polls credited
//! ```
//!
//! Whether a batch may enter, and with which offsets, is [`storage::PartitionLog::admit`]'s decision;
//! this file carries it out and wakes who waits. It knows nothing of requests. `replica` is what changes
//! where there are several replicas.

mod flush;
mod news;
mod replica;
mod wait;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use config::Durability;
use engine::log::LogConfig;
use engine::log::admit::Origin;
use engine::{BrokerId, Now, Offset, TopicId, TopicPartition};
use storage::{Admitted, AppendError, PartitionLog, Read, ReadError, ReadRequest};
use tokio::sync::{Notify, oneshot};

pub(crate) use flush::{FLUSHED_TOGETHER_MIN, flush, flush_after, flush_all, flushed, jobs_ended};
pub(crate) use news::{Followers, News};
pub(crate) use replica::{Copied, Role};
pub(crate) use wait::{FetchWait, Readers};

/// Names a partition for routing: the same on every shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PartitionId {
    pub(crate) topic: TopicId,
    pub(crate) index: i32,
}

impl PartitionId {
    /// The shard, of `shards`, that owns this partition. Neighbours lie on different shards.
    pub(crate) fn shard(self, shards: usize) -> usize {
        let low: [u8; 8] = self.topic.0[8..].try_into().expect("eight of sixteen bytes");
        let spread = u64::from_be_bytes(low).wrapping_add(u64::from(self.index.unsigned_abs()));
        usize::try_from(spread % shards as u64).expect("below the number of shards")
    }
}

/// What a partition obeys, resolved from its topic's settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) log: Arc<LogConfig>,
    /// Whether an acknowledgement waits for the disk.
    pub(crate) durability: Durability,
    /// Records that may wait for the disk (`flush.messages`).
    pub(crate) flush_records: i64,
    /// How long a record may wait for it (`flush.ms`), if less than the shard lets all wait.
    pub(crate) flush_after: Option<Duration>,
    pub(crate) min_insync_replicas: i32,
    /// Whether what followers copy that are not in sync is throttled.
    pub(crate) sends_slowly: bool,
    /// Whether what is copied here is throttled, while this replica is not in sync.
    pub(crate) copies_slowly: bool,
    /// Whether consumers may read from followers.
    pub(crate) has_far_readers: bool,
    /// This broker.
    pub(crate) me: BrokerId,
    /// Who leads, who copies, who is in sync.
    pub(crate) place: engine::metadata::Partition,
    /// How long the files of a dropped segment stay.
    pub(crate) delete_delay: Duration,
}

/// Whose word a producer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acks {
    /// The leader's (acks 0 and 1).
    Leader,
    /// Every in-sync replica's (acks -1).
    All,
}

/// What an acknowledged batch got.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended {
    pub(crate) base_offset: Offset,
    /// `-1` unless the broker stamped the records.
    pub(crate) append_time_ms: i64,
    pub(crate) log_start: Offset,
}

/// How an append ended.
pub(crate) type AppendOutcome = Result<Appended, Refused>;

/// When what was written is to be flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlushWanted {
    /// Somebody waits for it.
    Now,
    /// After so long, at the latest with all others of the shard.
    After(Duration),
    /// With all others of the shard.
    Later,
}

struct Ack {
    /// Acknowledged once everything below is committed.
    until: Offset,
    admitted: Admitted,
    tell: oneshot::Sender<AppendOutcome>,
}

/// What a read found.
pub(crate) struct ReadOutcome {
    pub(crate) result: Result<Read, ReadError>,
    pub(crate) high_watermark: Offset,
    pub(crate) last_stable: Offset,
    pub(crate) log_start: Offset,
    /// The end of what this reader may see, transactions aside.
    pub(crate) visible: Offset,
    /// Aborted transactions may lie in the range; only looked up for `read_committed`.
    pub(crate) aborted: Option<storage::AbortedSearch>,
}

/// A partition and its waiters. Lives in a [`PartitionRef`].
pub(crate) struct Partition {
    pub(crate) id: PartitionId,
    pub(crate) log: PartitionLog,
    pub(crate) settings: Settings,
    /// Consumers that wait for records.
    pub(crate) readers: Readers,
    /// Followers without a session that wait for records.
    pub(crate) copiers: Readers,
    /// Followers with one.
    pub(crate) followers: Followers,
    pub(crate) role: Role,
    /// Producers that wait for every replica in sync.
    acks: VecDeque<Ack>,
    /// Producers that wait for this one.
    own_acks: VecDeque<Ack>,
    /// The leader's watermark, as it told last.
    known_watermark: Offset,
    /// The leader's first offset, as it told last.
    leader_start: Offset,
    /// The log is to be cut, once the checkpoints allow for it.
    cut_due: Option<replica::Cut>,
    /// The log begins anew, and the checkpoints do not say so yet.
    unsettled: bool,
    /// From here on the log is to be copied again: a batch behind it is damaged.
    damaged_from: Option<Offset>,
    /// Written, but not committed yet; credited to long polls when it is.
    uncommitted_bytes: usize,
    /// Queued for the end of this poll round.
    dirty: bool,
    /// A flush job is out.
    flushing: bool,
    /// How many jobs are out that remove segments.
    removing: u32,
    /// A flush is to come after [`Settings::flush_after`].
    flush_set: bool,
    /// It is among those that the shard flushes next.
    pub(crate) is_listed: bool,
    /// Told whenever a flush or a removal has ended.
    jobs_done: Rc<Notify>,
    /// A follower waits until everything below is on disk.
    flush_awaited: Offset,
    /// Its log was given away, to be deleted or closed; what is left answers nobody.
    gone: bool,
    /// Monotonic time of the last append or read.
    used_at: Duration,
}

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// What is committed.
    Committed,
    /// What is committed and not part of an open transaction.
    Stable,
    /// All that was written: a follower's.
    All,
}

/// A partition, shared by the tasks of its shard. Never borrowed across an await.
pub(crate) type PartitionRef = Rc<RefCell<Partition>>;

impl Partition {
    pub(crate) fn new(id: PartitionId, log: PartitionLog, settings: Settings, now: Now) -> Self {
        let mut partition = Self {
            id,
            log,
            settings,
            readers: Readers::default(),
            copiers: Readers::default(),
            followers: Followers::default(),
            role: Role::Waiting,
            acks: VecDeque::new(),
            own_acks: VecDeque::new(),
            known_watermark: 0,
            leader_start: 0,
            cut_due: None,
            unsettled: false,
            damaged_from: None,
            uncommitted_bytes: 0,
            dirty: false,
            flushing: false,
            removing: 0,
            flush_set: false,
            is_listed: false,
            jobs_done: Rc::default(),
            flush_awaited: 0,
            gone: false,
            used_at: now.tick,
        };
        partition.take_role(None);
        partition
    }

    pub(crate) fn name(&self) -> &TopicPartition {
        self.log.partition()
    }

    /// Takes new settings; the next append or plan obeys them.
    pub(crate) fn configure(&mut self, settings: Settings) {
        if *self.log.config() != *settings.log {
            self.log.set_config(Arc::clone(&settings.log));
        }
        let before = std::mem::replace(&mut self.settings, settings);
        self.take_role(Some(&before));
        self.advance();
    }

    /// Whether a producer with these acks may append (`min.insync.replicas`).
    pub(crate) fn enough_replicas(&self, acks: Acks) -> Result<(), Refused> {
        let (in_sync, wanted) = (self.settings.place.isr.len(), self.settings.min_insync_replicas);
        let enough = in_sync >= usize::try_from(wanted).unwrap_or(0);
        match acks {
            Acks::All if !enough => Err(Refused::NotEnoughReplicas { in_sync, wanted }),
            Acks::All | Acks::Leader => Ok(()),
        }
    }

    /// Queues one batch for the end of the poll round; `tell` hears when it is committed, or why it was
    /// refused. Returns whether the partition has to be put on the round's list.
    pub(crate) fn append(
        &mut self,
        batch: BytesMut,
        origin: Origin,
        acks: Acks,
        now: Now,
        tell: oneshot::Sender<AppendOutcome>,
    ) -> bool {
        self.used_at = now.tick;
        let epoch = self.settings.place.leader_epoch;
        match self.log.admit(batch, origin, epoch, now) {
            Ok(admitted) => {
                let waiting = match acks {
                    Acks::All => &mut self.acks,
                    Acks::Leader => &mut self.own_acks,
                };
                // A duplicate may repeat a batch of this very round: it waits for all that is queued.
                let until = match waiting.back() {
                    Some(last) => last.until.max(admitted.last_offset + 1),
                    None => admitted.last_offset + 1,
                };
                waiting.push_back(Ack { until, admitted, tell });
                !std::mem::replace(&mut self.dirty, true)
            }
            Err(error) => {
                // The asker may have gone: then nobody wants to know.
                let _ = tell.send(Err(error.into()));
                false
            }
        }
    }

    /// Ends the poll round: one write for all that was queued. Says when it is to be flushed.
    pub(crate) fn write(&mut self, now: Now) -> FlushWanted {
        self.dirty = false;
        if self.gone {
            return FlushWanted::Later;
        }
        match self.log.write(now) {
            Ok(written) => {
                self.uncommitted_bytes += written.bytes;
                self.copiers.credit(written.bytes);
                self.followers.tell(self.id, true);
                // In the mode that waits for the disk, a round of duplicates may be committed already.
                self.advance();
                if matches!(self.role, Role::Follower(_)) {
                    self.commit(self.known_watermark);
                }
                match self.settings.durability {
                    Durability::Replicated => self.flush_wanted(),
                    Durability::Fsync if self.log.flushed_offset() < self.log.state().end() => {
                        FlushWanted::Now
                    }
                    Durability::Fsync => FlushWanted::Later,
                }
            }
            Err(error) => {
                tracing::error!(partition = %self.name(), %error, "cannot write");
                self.refuse_unwritten(&error);
                if let Role::Follower(follow) = &mut self.role {
                    follow.failed(now);
                }
                FlushWanted::Later
            }
        }
    }

    /// When records that nobody waits for are to be flushed.
    fn flush_wanted(&mut self) -> FlushWanted {
        match self.settings.flush_after {
            // A flush that runs goes on with these.
            _ if self.is_flush_due() && !self.flushing => FlushWanted::After(Duration::ZERO),
            Some(after) if !std::mem::replace(&mut self.flush_set, true) => {
                FlushWanted::After(after)
            }
            Some(_) | None => FlushWanted::Later,
        }
    }

    /// Whether a job is out that makes records survive a power loss.
    pub(crate) fn is_flushing(&self) -> bool {
        self.flushing
    }

    /// Whether as many records wait for the disk as may.
    fn is_flush_due(&self) -> bool {
        self.log.state().end() - self.log.flushed_offset() >= self.settings.flush_records
    }

    /// Everything below `to` is safe: acknowledge it and let it be read.
    pub(crate) fn commit(&mut self, to: Offset) {
        let moved = self.log.advance_high_watermark(to);
        let watermark = self.log.state().high_watermark();
        acknowledge(&mut self.acks, watermark, self.log.state().start());
        if moved {
            // Whoever reads from a follower waits until that knows.
            self.followers.tell(self.id, self.settings.has_far_readers);
            // What was written is credited with the first of it that is committed; the rest is worth a look.
            self.readers.credit(std::mem::take(&mut self.uncommitted_bytes).max(1));
        }
    }

    /// Everything below `to` is safe here: producers that wait for no other replica are told.
    fn acknowledge_own(&mut self, to: Offset) {
        acknowledge(&mut self.own_acks, to, self.log.state().start());
    }

    /// What was queued and not written is refused: with the write's own error first, then as failed.
    fn refuse_unwritten(&mut self, error: &AppendError) {
        let end = self.log.state().end();
        for waiting in [&mut self.acks, &mut self.own_acks] {
            while waiting.back().is_some_and(|ack| ack.until > end) {
                let Ack { tell, .. } = waiting.pop_back().expect("looked at it above");
                let refusal = match error {
                    AppendError::DiskFull { path } => AppendError::DiskFull { path: path.clone() },
                    other => AppendError::Failed(other.to_string()),
                };
                let _ = tell.send(Err(refusal.into()));
            }
        }
    }

    /// The log is out of service: everybody who waits is told.
    pub(crate) fn fail(&mut self, why: &str) {
        self.log.fail(why);
        for Ack { tell, .. } in self.acks.drain(..).chain(self.own_acks.drain(..)) {
            let _ = tell.send(Err(AppendError::Failed(why.to_owned()).into()));
        }
        self.wake_all();
    }

    /// Everybody who reads is answered now: something else has changed than the end.
    pub(crate) fn wake_all(&mut self) {
        self.readers.wake_all();
        self.copiers.wake_all();
        self.followers.tell(self.id, true);
    }

    /// Gives the log away, to be deleted or closed; `empty` takes its place for those who still hold
    /// this partition, and everybody who waits is told `why`.
    pub(crate) fn give_up(&mut self, empty: PartitionLog, why: &Missing) -> PartitionLog {
        self.gone = true;
        self.role = Role::Waiting;
        self.send_away(why);
        self.wake_all();
        // Whoever waits for a flush that runs waits for nothing.
        self.jobs_done.notify_waiters();
        std::mem::replace(&mut self.log, empty)
    }

    /// Segments are about to be removed; says whether they may be: not if the log was given away.
    pub(crate) fn begins_to_remove(&mut self) -> bool {
        self.removing += u32::from(!self.gone);
        !self.gone
    }

    /// They are, or could not be.
    pub(crate) fn removed(&mut self) {
        self.removing -= 1;
        self.jobs_done.notify_waiters();
    }

    /// Reads for a consumer, below the high watermark, or the last stable offset if `committed`; or for
    /// a follower, up to the end.
    pub(crate) fn read(
        &mut self,
        from: Offset,
        max_bytes: usize,
        at_least_one: bool,
        view: View,
        now: Now,
    ) -> ReadOutcome {
        self.used_at = now.tick;
        let (start, high_watermark) = (self.log.state().start(), self.log.state().high_watermark());
        let last_stable = self.log.last_stable_offset();
        let committed = view == View::Stable;
        let limit = match view {
            View::Committed => high_watermark,
            View::Stable => last_stable,
            View::All => self.log.state().end(),
        };
        // A consumer may stand between the last stable offset and the end: it waits there.
        let result = if (limit..=self.log.state().end()).contains(&from) {
            Ok(Read::Memory(Vec::new()))
        } else {
            self.log.read(ReadRequest { from, limit, max_bytes, at_least_one })
        };
        let aborted =
            if committed && result.is_ok() { self.log.search_aborted(from, limit) } else { None };
        let visible = if view == View::All { limit } else { high_watermark };
        ReadOutcome { result, high_watermark, last_stable, log_start: start, visible, aborted }
    }

    /// Closes the files of a partition that nobody used since `idle`.
    pub(crate) fn rest(&mut self, now: Now, idle: Duration) {
        if !self.dirty && !self.flushing && now.tick.saturating_sub(self.used_at) >= idle {
            self.log.release_files();
        }
    }
}

/// Tells the producers whose records all lie below `to`.
fn acknowledge(waiting: &mut VecDeque<Ack>, to: Offset, log_start: Offset) {
    while waiting.front().is_some_and(|ack| ack.until <= to) {
        let Ack { admitted, tell, .. } = waiting.pop_front().expect("looked at it above");
        let _ = tell.send(Ok(Appended {
            base_offset: admitted.base_offset,
            append_time_ms: admitted.append_time_ms.unwrap_or(-1),
            log_start,
        }));
    }
}

/// Why a partition is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Missing {
    /// There is no such topic or partition; or not any more.
    #[error("there is no such partition")]
    Unknown,
    /// Its log could not be opened.
    #[error("the partition is offline: {0}")]
    Offline(String),
    /// The folder of a deleted topic of the same name is still being removed.
    #[error("a deleted topic of this name is still being removed")]
    BeingRemoved,
    /// Another broker leads it, or nobody does.
    #[error("this broker does not lead the partition")]
    NotLeader,
    /// The broker is stopping.
    #[error("the broker is stopping")]
    Stopping,
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Missing(#[from] Missing),
    /// `klamm.storage.limit.bytes` is reached.
    #[error(
        "the broker's storage limit is reached; hint: lower retention, or raise the Cluster's \
         storage.size (klamm.storage.limit.bytes)"
    )]
    StorageLimit,
    /// Fewer replicas are in sync than `min.insync.replicas` asks for.
    #[error("{in_sync} replicas are in sync, min.insync.replicas asks for {wanted}")]
    NotEnoughReplicas { in_sync: usize, wanted: i32 },
}
