//! One partition's log: the single writer's view.
//!
//! | what | file |
//! | --- | --- |
//! | batches in: checked, queued, written | `append` |
//! | batches out: from memory, or as a job | `read` |
//! | what makes written bytes safe; the end of a log's use | `flush` |
//! | the end goes back (a follower that diverged) | `truncate` |
//! | the start goes forward (retention, DeleteRecords); deletion | `remove` |
//!
//! Opening one is [`crate::LogDir::load`].

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use engine::log::{Epochs, LogConfig, LogState, Producers};
use engine::{LeaderEpoch, Now, Offset, TopicId, TopicPartition};
use world::Disk;

use crate::buffers::Buffers;
use crate::job::FileRead;
use crate::log_dir::Checkpoint;
use crate::segment::Segment;
use crate::tail::Tail;

mod append;
mod flush;
mod read;
mod remove;
mod truncate;

use append::Queued;

/// Bytes of recent records that a log keeps in memory unless its owner says otherwise.
pub const TAIL_CAP_DEFAULT: usize = 1 << 20;

/// A partition's log. `Send`, but not shared: its owner alone calls it.
pub struct PartitionLog {
    disk: Arc<dyn Disk>,
    buffers: Arc<Buffers>,
    dir: PathBuf,
    partition: TopicPartition,
    topic_id: TopicId,
    config: Arc<LogConfig>,
    state: LogState,
    epochs: Epochs,
    producers: Producers,
    /// Ascending; the last one is active. Empty until the first append.
    segments: VecDeque<Segment>,
    tail: Tail,
    queue: Vec<Queued>,
    /// Small batches of the queue, one after the other.
    copied: BytesMut,
    unsynced: Unsynced,
    recovery_point: Offset,
    failure: Option<String>,
    /// The wall clock when the log last heard it.
    heard_ms: i64,
}

/// What the next flush has to do besides syncing segments.
#[derive(Default)]
struct Unsynced {
    /// The folder is new: its parent must be synced.
    folder: bool,
    /// Files were created, renamed or removed in the folder.
    names: bool,
    epochs: bool,
    /// Taken at a roll, to be written: offset and content.
    snapshots: Vec<(Offset, Vec<u8>)>,
    /// A job is out.
    in_flight: bool,
    /// The log's end when the last producer snapshot was taken.
    snapshot_end: Offset,
    /// Bytes appended since.
    since_snapshot: u64,
}

/// What opening a log found out; see [`PartitionLog::assemble`].
pub(crate) struct Parts {
    pub dir: PathBuf,
    pub partition: TopicPartition,
    pub topic_id: TopicId,
    pub config: Arc<LogConfig>,
    pub state: LogState,
    pub epochs: Epochs,
    pub producers: Producers,
    pub segments: VecDeque<Segment>,
    pub recovery_point: Offset,
    pub snapshot_end: Offset,
    /// The epochs on disk are not those in memory.
    pub epochs_changed: bool,
    /// Nobody knows whether the names of files and folder were synced.
    pub names_unsynced: bool,
    pub now_ms: i64,
}

/// What became of a batch. It is in the log only after the next [`PartitionLog::write`] succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// The broker's time, with `LogAppendTime`; else `None` (-1 in the response).
    pub append_time_ms: Option<i64>,
    /// It had been appended before, with these offsets: nothing was queued. Acknowledge after the next
    /// write all the same, as the first copy may be in that round.
    pub is_duplicate: bool,
}

/// What a write did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The log's end after it.
    pub end: Offset,
    /// Bytes written.
    pub bytes: usize,
    /// Segments begun.
    pub rolled: usize,
}

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// From this offset; the batch that holds it is given whole.
    pub from: Offset,
    /// No batch that starts here or later: watermark, last stable offset or end, as the reader may see.
    pub limit: Offset,
    /// At most so many bytes, in whole batches.
    pub max_bytes: usize,
    /// One batch is given even if it is larger than `max_bytes` (KIP-74).
    pub at_least_one: bool,
}

/// Where the answer is.
pub enum Read {
    /// Here: whole batches, maybe none.
    Memory(Vec<Bytes>),
    /// On disk.
    File(FileRead),
}

/// What ListOffsets and ListTimestamps ask a search for. (Earliest and latest are [`LogState`]'s.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampQuery {
    /// The first record with this timestamp or a later one.
    AtOrAfter(i64),
    /// The record with the largest timestamp, the first such (-3, KIP-734).
    Max,
    /// The first record at this offset or behind it.
    From(Offset),
}

impl PartitionLog {
    pub(crate) fn assemble(disk: Arc<dyn Disk>, buffers: Arc<Buffers>, parts: Parts) -> Self {
        Self {
            disk,
            buffers,
            dir: parts.dir,
            partition: parts.partition,
            topic_id: parts.topic_id,
            config: parts.config,
            state: parts.state,
            epochs: parts.epochs,
            producers: parts.producers,
            segments: parts.segments,
            tail: Tail::new(TAIL_CAP_DEFAULT),
            queue: Vec::new(),
            copied: BytesMut::new(),
            unsynced: Unsynced {
                epochs: parts.epochs_changed,
                folder: parts.names_unsynced,
                names: parts.names_unsynced,
                snapshot_end: parts.snapshot_end,
                ..Unsynced::default()
            },
            recovery_point: parts.recovery_point,
            failure: None,
            heard_ms: parts.now_ms,
        }
    }

    /// Whose log it is.
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The topic's id.
    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// Its folder, which exists from the first append on.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The settings in force.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Changes the settings, from the next append or plan on.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// Start, end, high watermark.
    pub fn state(&self) -> &LogState {
        &self.state
    }

    /// The first offset that a transaction still holds back, at most the high watermark.
    pub fn last_stable_offset(&self) -> Offset {
        let watermark = self.state.high_watermark();
        self.producers
            .first_unstable()
            .map_or(watermark, |first| first.clamp(self.state.start(), watermark))
    }

    /// Everything below survives a power loss.
    pub fn flushed_offset(&self) -> Offset {
        self.recovery_point
    }

    /// Bytes on disk, all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }

    /// Whether a segment begins at `base`.
    pub(crate) fn has_segment_at(&self, base: Offset) -> bool {
        self.segments.iter().any(|segment| segment.base == base)
    }

    /// How many segments there are.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Why the log is out of service, if it is.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Takes the log out of service: appends fail from now on.
    pub fn fail(&mut self, why: &str) {
        if self.failure.is_none() {
            tracing::error!(partition = %self.partition, why, "log is out of service");
            self.failure = Some(why.to_owned());
        }
    }

    /// Moves the high watermark forward, at most to the end; says whether it moved.
    pub fn advance_high_watermark(&mut self, to: Offset) -> bool {
        let moved = self.state.commit(to);
        if moved {
            self.producers.commit(self.state.high_watermark());
        }
        moved
    }

    /// How many bytes of recent records are kept in memory.
    pub fn tail_bytes(&self) -> usize {
        self.tail.bytes()
    }

    /// Lets go of the oldest records in memory until at most `keep` bytes are left; returns what was
    /// freed. The next appends add to the tail, up to its cap.
    pub fn trim_tail(&mut self, keep: usize) -> usize {
        if keep == 0 && self.queue.is_empty() {
            self.copied = BytesMut::new();
        }
        self.tail.trim(keep)
    }

    /// The tail's own bound: appends trim it to this. 0 keeps nothing.
    pub fn set_tail_cap(&mut self, cap: usize) {
        self.tail.set_cap(cap);
    }

    /// Closes the files of an idle log; they are opened again when needed.
    pub fn release_files(&mut self) {
        for segment in &mut self.segments {
            // A file with unflushed bytes stays: a write error that the kernel has to tell is told to
            // those who hold it open.
            if !segment.is_dirty() {
                segment.file = None;
            }
        }
    }

    /// Open files, for the owner's bound.
    pub fn open_files(&self) -> usize {
        self.segments.iter().filter(|segment| segment.file.is_some()).count()
    }

    /// What the checkpoint files are to say of this log.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            partition: self.partition.clone(),
            recovery_point: self.recovery_point,
            log_start: self.state.start(),
            high_watermark: self.state.high_watermark(),
        }
    }

    /// The leader epochs.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// A new leader begins here, though it has not written yet.
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch, start: Offset) {
        self.unsynced.epochs |= self.epochs.assign(epoch, start);
    }

    /// The epoch of the newest record. A newer one may have begun, whose leader has written nothing.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.epoch_of(self.state.end() - 1)
    }

    /// Where the largest epoch that is at most `epoch` ends (OffsetForLeaderEpoch); `None` is (-1, -1).
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.end_offset_for(epoch, self.state.end())
    }

    /// The idempotent producers.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Forgets producers that were silent for too long.
    pub fn expire_producers(&mut self, now: Now) {
        self.producers.expire(self.config.producer_id_expiration_ms, now.wall_ms);
    }
}
