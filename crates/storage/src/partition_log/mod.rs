//! One partition's log: the single writer's view.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use engine::log::admit::Origin;
use engine::log::{Epochs, LogConfig, LogState, Producers};
use engine::{LeaderEpoch, Now, Offset, TopicId, TopicPartition};

use crate::error::{AppendError, ReadError};
use crate::job::{
    AbortedSearch, CloseJob, FileRead, FlushJob, FlushTicket, RemoveJob, TimestampFound,
    TimestampSearch,
};
use crate::log_dir::Checkpoint;

/// A partition's log. `Send`, but not shared: its owner alone calls it.
pub struct PartitionLog {}

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

/// What ListOffsets asks a search for. (Earliest and latest are [`LogState`]'s.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampQuery {
    /// The first record with this timestamp or a later one.
    AtOrAfter(i64),
    /// The record with the largest timestamp, the first such (-3, KIP-734).
    Max,
}

impl PartitionLog {
    /// Whose log it is.
    pub fn partition(&self) -> &TopicPartition {
        todo!()
    }

    /// The topic's id.
    pub fn topic_id(&self) -> TopicId {
        todo!()
    }

    /// The settings in force.
    pub fn config(&self) -> &LogConfig {
        todo!()
    }

    /// Changes the settings, from the next append or plan on.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        let _ = config;
        todo!()
    }

    /// Start, end, high watermark.
    pub fn state(&self) -> &LogState {
        todo!()
    }

    /// The first offset that a transaction still holds back, at most the high watermark.
    pub fn last_stable_offset(&self) -> Offset {
        todo!()
    }

    /// Everything below survives a power loss.
    pub fn flushed_offset(&self) -> Offset {
        todo!()
    }

    /// Bytes on disk, all segments.
    pub fn size_bytes(&self) -> u64 {
        todo!()
    }

    /// Why the log is out of service, if it is.
    pub fn failure(&self) -> Option<&str> {
        todo!()
    }

    /// Takes the log out of service: appends fail from now on.
    pub fn fail(&mut self, why: &str) {
        let _ = why;
        todo!()
    }

    /// Checks one batch of a producer or coordinator, gives it offsets, and queues it for the next write.
    /// `batch` is exactly one batch; it is stamped in place and, if large, kept by reference.
    ///
    /// # Errors
    /// When the batch may not enter; nothing is queued then.
    pub fn admit(
        &mut self,
        batch: BytesMut,
        origin: Origin,
        epoch: LeaderEpoch,
        now: Now,
    ) -> Result<Admitted, AppendError> {
        let _ = (batch, origin, epoch, now);
        todo!()
    }

    /// Queues batches as the leader sent them: one or more, offsets and epochs given. Returns the end
    /// that the log will have. A cut batch at the end is ignored.
    ///
    /// # Errors
    /// When a batch is damaged or does not continue the log; those before it stay queued.
    pub fn admit_replica(&mut self, batches: Bytes, now: Now) -> Result<Offset, AppendError> {
        let _ = (batches, now);
        todo!()
    }

    /// Bytes queued for the next write.
    pub fn queued_bytes(&self) -> usize {
        todo!()
    }

    /// Writes all that is queued, with one call per segment touched.
    ///
    /// # Errors
    /// The log is as it was after the last write that succeeded ([`LogState::end`] says where); of the
    /// round, treat all as failed. Disk full leaves it in service, anything else does not.
    pub fn write(&mut self, now: Now) -> Result<Written, AppendError> {
        let _ = now;
        todo!()
    }

    /// Moves the high watermark forward, at most to the end; says whether it moved.
    pub fn advance_high_watermark(&mut self, to: Offset) -> bool {
        let _ = to;
        todo!()
    }

    /// Finds what a fetch wants. Never blocks.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] when `from` is below the start or beyond the end.
    pub fn read(&mut self, request: ReadRequest) -> Result<Read, ReadError> {
        let _ = request;
        todo!()
    }

    /// Finds a record by time. Answers at once if the log is empty.
    pub fn search_timestamp(&self, query: TimestampQuery) -> TimestampSearch {
        let _ = query;
        todo!()
    }

    /// Aborted transactions that a read of `from..to` must name; `None` if the log knows of none.
    pub fn search_aborted(&self, from: Offset, to: Offset) -> Option<AbortedSearch> {
        let _ = (from, to);
        todo!()
    }

    /// How many bytes of recent records are kept in memory.
    pub fn tail_bytes(&self) -> usize {
        todo!()
    }

    /// Lets go of the oldest records in memory until at most `keep` bytes are left; returns what was
    /// freed. The next appends add to the tail, up to `cap`.
    pub fn trim_tail(&mut self, keep: usize) -> usize {
        let _ = keep;
        todo!()
    }

    /// The tail's own bound: appends trim it to this. 0 keeps nothing.
    pub fn set_tail_cap(&mut self, cap: usize) {
        let _ = cap;
        todo!()
    }

    /// Closes the files of an idle log; they are opened again when needed.
    pub fn release_files(&mut self) {
        todo!()
    }

    /// Open files, for the owner's bound.
    pub fn open_files(&self) -> usize {
        todo!()
    }

    /// What makes all that was written so far survive a power loss; `None` if it does, or if a job is
    /// out already.
    pub fn flush_job(&mut self) -> Option<FlushJob> {
        todo!()
    }

    /// Takes note of a flush; returns [`PartitionLog::flushed_offset`].
    pub fn flushed(&mut self, ticket: FlushTicket) -> Offset {
        let _ = ticket;
        todo!()
    }

    /// What the checkpoint files are to say of this log.
    pub fn checkpoint(&self) -> Checkpoint {
        todo!()
    }

    /// Plans retention and lets go of segments that are due; the start moves. `None` if none is.
    pub fn retain(&mut self, now: Now) -> Option<RemoveJob> {
        let _ = now;
        todo!()
    }

    /// Moves the start forward (DeleteRecords, or the leader's start), at most to the high watermark, and
    /// lets go of segments below it. Write the checkpoints before you acknowledge it.
    pub fn advance_start(&mut self, to: Offset) -> Option<RemoveJob> {
        let _ = to;
        todo!()
    }

    /// Cuts the log back so that it ends at `to`, or before it if `to` lies within a batch. Blocks
    /// (followers do it once per leader change). Write the checkpoints before appending again.
    ///
    /// # Errors
    /// The log is out of service then.
    pub fn truncate_to(&mut self, to: Offset) -> Result<Offset, AppendError> {
        let _ = to;
        todo!()
    }

    /// Empties the log; the next record gets `start`. Blocks; write the checkpoints before appending.
    ///
    /// # Errors
    /// The log is out of service then.
    pub fn truncate_fully_and_start_at(&mut self, start: Offset) -> Result<(), AppendError> {
        let _ = start;
        todo!()
    }

    /// Makes the folder unreachable under its name, and removes it.
    pub fn delete(self, unique: u128) -> RemoveJob {
        let _ = unique;
        todo!()
    }

    /// Ends the log's use.
    pub fn close(self) -> CloseJob {
        todo!()
    }

    /// The leader epochs.
    pub fn epochs(&self) -> &Epochs {
        todo!()
    }

    /// A new leader begins here, though it has not written yet.
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch, start: Offset) {
        let _ = (epoch, start);
        todo!()
    }

    /// The newest epoch in the log.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        todo!()
    }

    /// Where the largest epoch that is at most `epoch` ends (OffsetForLeaderEpoch); `None` is (-1, -1).
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let _ = epoch;
        todo!()
    }

    /// The idempotent producers.
    pub fn producers(&self) -> &Producers {
        todo!()
    }

    /// Forgets producers that were silent for too long.
    pub fn expire_producers(&mut self, now: Now) {
        let _ = now;
        todo!()
    }

    /// As a search would find: the timestamp index's answer is a job; this one needs none.
    pub fn largest_timestamp(&self) -> Option<TimestampFound> {
        todo!()
    }
}
