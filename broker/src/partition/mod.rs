//! One partition on the shard that owns it: its log, who waits to be acknowledged, who waits to read.
//!
//! ```text
//! append ──► log.admit ──► (end of the poll round) log.write ──► replicated: committed at once
//!                                                          └───► fsync: flush job ──► committed
//! committed ──► acknowledgements in order, long polls credited
//! ```
//!
//! Whether a batch may enter, and with which offsets, is [`storage::PartitionLog::admit`]'s decision;
//! this file carries it out and wakes who waits. It knows nothing of requests.

mod flush;
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
use engine::{LeaderEpoch, Now, Offset, TopicId, TopicPartition};
use storage::{Admitted, AppendError, PartitionLog, Read, ReadError, ReadRequest};
use tokio::sync::oneshot;

pub(crate) use flush::{flush, flush_after};
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
    pub(crate) epoch: LeaderEpoch,
    /// How many replicas are in sync.
    pub(crate) in_sync: usize,
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
    /// Aborted transactions may lie in the range; only looked up for `read_committed`.
    pub(crate) aborted: Option<storage::AbortedSearch>,
}

/// A partition and its waiters. Lives in a [`PartitionRef`].
pub(crate) struct Partition {
    pub(crate) id: PartitionId,
    pub(crate) log: PartitionLog,
    pub(crate) settings: Settings,
    pub(crate) readers: Readers,
    acks: VecDeque<Ack>,
    /// Written, but not committed yet; credited to long polls when it is.
    uncommitted_bytes: usize,
    /// Queued for the end of this poll round.
    dirty: bool,
    /// A flush job is out.
    flushing: bool,
    /// A flush is to come after [`Settings::flush_after`].
    flush_set: bool,
    /// Its log was given away, to be deleted or closed; what is left answers nobody.
    gone: bool,
    /// Monotonic time of the last append or read.
    used_at: Duration,
}

/// A partition, shared by the tasks of its shard. Never borrowed across an await.
pub(crate) type PartitionRef = Rc<RefCell<Partition>>;

impl Partition {
    pub(crate) fn new(
        id: PartitionId,
        mut log: PartitionLog,
        settings: Settings,
        now: Now,
    ) -> Self {
        // Known even if nothing is written under it: a consumer may ask where it begins (KIP-320).
        log.assign_epoch(settings.epoch, log.state().end());
        Self {
            id,
            log,
            settings,
            readers: Readers::default(),
            acks: VecDeque::new(),
            uncommitted_bytes: 0,
            dirty: false,
            flushing: false,
            flush_set: false,
            gone: false,
            used_at: now.tick,
        }
    }

    pub(crate) fn name(&self) -> &TopicPartition {
        self.log.partition()
    }

    /// Takes new settings; the next append or plan obeys them.
    pub(crate) fn configure(&mut self, settings: Settings) {
        if *self.log.config() != *settings.log {
            self.log.set_config(Arc::clone(&settings.log));
        }
        if settings.epoch != self.settings.epoch {
            self.log.assign_epoch(settings.epoch, self.log.state().end());
        }
        self.settings = settings;
    }

    /// Whether a producer with these acks may append (`min.insync.replicas`).
    pub(crate) fn enough_replicas(&self, acks: Acks) -> Result<(), Refused> {
        let Settings { in_sync, min_insync_replicas: wanted, .. } = self.settings;
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
        now: Now,
        tell: oneshot::Sender<AppendOutcome>,
    ) -> bool {
        self.used_at = now.tick;
        match self.log.admit(batch, origin, self.settings.epoch, now) {
            Ok(admitted) => {
                // A duplicate may repeat a batch of this very round: it waits for all that is queued.
                let until = match self.acks.back() {
                    Some(last) => last.until.max(admitted.last_offset + 1),
                    None => admitted.last_offset + 1,
                };
                self.acks.push_back(Ack { until, admitted, tell });
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
                match self.settings.durability {
                    Durability::Replicated => {
                        self.commit(written.end);
                        self.flush_wanted()
                    }
                    Durability::Fsync => {
                        // A round of duplicates only may be committed already.
                        self.commit(self.log.flushed_offset());
                        if self.log.flushed_offset() < self.log.state().end() {
                            FlushWanted::Now
                        } else {
                            FlushWanted::Later
                        }
                    }
                }
            }
            Err(error) => {
                tracing::error!(partition = %self.name(), %error, "cannot write");
                self.refuse_unwritten(&error);
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

    /// Whether as many records wait for the disk as may.
    fn is_flush_due(&self) -> bool {
        self.log.state().end() - self.log.flushed_offset() >= self.settings.flush_records
    }

    /// Everything below `to` is safe: acknowledge it and let it be read.
    pub(crate) fn commit(&mut self, to: Offset) {
        let moved = self.log.advance_high_watermark(to);
        let watermark = self.log.state().high_watermark();
        while self.acks.front().is_some_and(|ack| ack.until <= watermark) {
            let Ack { admitted, tell, .. } = self.acks.pop_front().expect("looked at it above");
            let _ = tell.send(Ok(Appended {
                base_offset: admitted.base_offset,
                append_time_ms: admitted.append_time_ms.unwrap_or(-1),
                log_start: self.log.state().start(),
            }));
        }
        if moved {
            self.readers.credit(std::mem::take(&mut self.uncommitted_bytes));
        }
    }

    /// What was queued and not written is refused: with the write's own error first, then as failed.
    fn refuse_unwritten(&mut self, error: &AppendError) {
        let end = self.log.state().end();
        while self.acks.back().is_some_and(|ack| ack.until > end) {
            let Ack { tell, .. } = self.acks.pop_back().expect("looked at it above");
            let refusal = match error {
                AppendError::DiskFull { path } => AppendError::DiskFull { path: path.clone() },
                other => AppendError::Failed(other.to_string()),
            };
            let _ = tell.send(Err(refusal.into()));
        }
    }

    /// The log is out of service: everybody who waits is told.
    pub(crate) fn fail(&mut self, why: &str) {
        self.log.fail(why);
        for Ack { tell, .. } in self.acks.drain(..) {
            let _ = tell.send(Err(AppendError::Failed(why.to_owned()).into()));
        }
        self.readers.wake_all();
    }

    /// Gives the log away, to be deleted or closed; `empty` takes its place for those who still hold
    /// this partition, and everybody who waits is told `why`.
    pub(crate) fn give_up(&mut self, empty: PartitionLog, why: &Missing) -> PartitionLog {
        self.gone = true;
        for Ack { tell, .. } in self.acks.drain(..) {
            let _ = tell.send(Err(Refused::Missing(why.clone())));
        }
        self.readers.wake_all();
        std::mem::replace(&mut self.log, empty)
    }

    /// Reads for a consumer: below the high watermark, or the last stable offset if `committed`.
    pub(crate) fn read(
        &mut self,
        from: Offset,
        max_bytes: usize,
        at_least_one: bool,
        committed: bool,
        now: Now,
    ) -> ReadOutcome {
        self.used_at = now.tick;
        let (start, high_watermark) = (self.log.state().start(), self.log.state().high_watermark());
        let last_stable = self.log.last_stable_offset();
        let limit = if committed { last_stable } else { high_watermark };
        // A consumer may stand between the last stable offset and the end: it waits there.
        let result = if (limit..=self.log.state().end()).contains(&from) {
            Ok(Read::Memory(Vec::new()))
        } else {
            self.log.read(ReadRequest { from, limit, max_bytes, at_least_one })
        };
        let aborted =
            if committed && result.is_ok() { self.log.search_aborted(from, limit) } else { None };
        ReadOutcome { result, high_watermark, last_stable, log_start: start, aborted }
    }

    /// Closes the files of a partition that nobody used since `idle`.
    pub(crate) fn rest(&mut self, now: Now, idle: Duration) {
        if !self.dirty && !self.flushing && now.tick.saturating_sub(self.used_at) >= idle {
            self.log.release_files();
        }
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
