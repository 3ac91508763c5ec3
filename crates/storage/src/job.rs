//! What may block, taken out of a log to be run on a pool.

use bytes::Bytes;
use engine::Offset;

use crate::error::{FlushError, ReadError};
use crate::log_dir::Checkpoint;

/// A read from a segment. Holds no lock; a segment that goes away meanwhile gives [`ReadError::Gone`].
pub struct FileRead {}

impl FileRead {
    /// Reads if neither index nor data need the disk. Call it on the shard.
    ///
    /// # Errors
    /// [`ReadError::WouldBlock`] when they do: then [`FileRead::run`] it on `Pool::Read`.
    pub fn try_now(&self) -> Result<Bytes, ReadError> {
        todo!()
    }

    /// Reads whole batches, verifying each. Blocks.
    ///
    /// # Errors
    /// As [`ReadError`] says.
    pub fn run(self) -> Result<Bytes, ReadError> {
        todo!()
    }
}

/// Writes indexes and syncs what was appended since the last one.
pub struct FlushJob {}

impl FlushJob {
    /// Blocks. Give the ticket to [`crate::PartitionLog::flushed`].
    ///
    /// # Errors
    /// Final: tell [`crate::PartitionLog::fail`], and take the log dir out of service.
    pub fn run(self) -> Result<FlushTicket, FlushError> {
        todo!()
    }
}

/// Proof of a flush.
#[derive(Debug)]
pub struct FlushTicket {}

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampFound {
    /// The record's offset.
    pub offset: Offset,
    /// The record's timestamp.
    pub timestamp: i64,
    /// The epoch of the leader that wrote it; -1 if unknown.
    pub leader_epoch: i32,
}

/// Looks for the record that a [`crate::TimestampQuery`] asks for.
pub struct TimestampSearch {}

impl TimestampSearch {
    /// Blocks. `None` when there is no such record.
    ///
    /// # Errors
    /// As [`ReadError`] says.
    pub fn run(self) -> Result<Option<TimestampFound>, ReadError> {
        todo!()
    }
}

/// An aborted transaction that overlaps a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Its producer.
    pub producer_id: i64,
    /// Its first offset.
    pub first_offset: Offset,
}

/// Looks for aborted transactions in a range of offsets.
pub struct AbortedSearch {}

impl AbortedSearch {
    /// Blocks. Ascending by first offset.
    ///
    /// # Errors
    /// As [`ReadError`] says.
    pub fn run(self) -> Result<Vec<AbortedTransaction>, ReadError> {
        todo!()
    }
}

/// Removes segments that the log has let go of, or a whole partition's folder.
pub struct RemoveJob {}

/// What a [`RemoveJob`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovedSegments {
    /// How many segments.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl RemoveJob {
    /// Blocks. Run it on `Pool::Files`.
    ///
    /// # Errors
    /// The system's answer; what is left is removed at the next start.
    pub fn run(self) -> std::io::Result<RemovedSegments> {
        todo!()
    }
}

/// Flushes all, writes indexes and a producer snapshot: a log closed so opens without a scan.
pub struct CloseJob {}

impl CloseJob {
    /// Blocks. Give the checkpoint to [`crate::LogDir::close`].
    ///
    /// # Errors
    /// As [`FlushJob::run`].
    pub fn run(self) -> Result<Checkpoint, FlushError> {
        todo!()
    }
}
