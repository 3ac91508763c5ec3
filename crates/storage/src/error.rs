//! What can go wrong with a log, by operation.

use std::io;
use std::path::PathBuf;

use engine::log::{AdmitError, SequenceError};
use engine::{Offset, TopicId};

use crate::segment::name;

/// Why records were not appended. Nothing of the failed round is in the log.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The batch itself is at fault; see its variants for Kafka's codes.
    #[error(transparent)]
    Refused(#[from] AdmitError),
    /// The producer is at fault.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// A follower was sent records that do not continue its log. → `KAFKA_STORAGE_ERROR`, refetch.
    #[error("records from offset {found} do not continue the log at {expected}")]
    NotContiguous {
        /// The log's end.
        expected: Offset,
        /// The batch's base offset.
        found: Offset,
    },
    /// A follower was sent records of an older leader than those it has.
    #[error("records of leader epoch {found} come after those of {current}")]
    EpochWentBack {
        /// The newest epoch in the log.
        current: i32,
        /// The batch's.
        found: i32,
    },
    /// The volume is full. → `KAFKA_STORAGE_ERROR`; the log still serves reads, and later appends.
    #[error("no space left for {path}: free some or lower retention")]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The log is out of service (see [`crate::PartitionLog::failure`]). → `KAFKA_STORAGE_ERROR`.
    #[error("log is out of service: {0}")]
    Failed(String),
}

/// Why a read gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// → `OFFSET_OUT_OF_RANGE`.
    #[error("offset {offset} is not in the log, which holds {start}..{end}")]
    OutOfRange {
        /// What was asked for.
        offset: Offset,
        /// First offset.
        start: Offset,
        /// The limit that was given, or the log's end.
        end: Offset,
    },
    /// The disk would have to be asked: run the read on `Pool::Read`.
    #[error("not in memory")]
    WouldBlock,
    /// The bytes on disk are not those that were written: never served. → `CORRUPT_MESSAGE`.
    #[error("corrupt batch in {path} at position {position}: {problem}")]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        problem: String,
    },
    /// The segment was removed or cut meanwhile: ask the log again.
    #[error("segment changed while it was read: {0}")]
    Gone(PathBuf),
    /// → `KAFKA_STORAGE_ERROR`.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl ReadError {
    /// The first offset of the segment in which something is damaged, if that is it.
    pub fn damaged_from(&self) -> Option<Offset> {
        let Self::Corrupt { path, .. } = self else { return None };
        let file = path.file_name()?.to_str()?;
        name::parse(file).map(|(base, _)| base)
    }
}

/// A flush failed. Final: the log dir goes out of service, and no flush is tried again.
#[derive(Debug, thiserror::Error)]
#[error("cannot flush {path}: {source}")]
pub struct FlushError {
    /// The file.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

impl FlushError {
    /// Whether there was no room to write something, and no sync has failed: all that was written before is there, and the
    /// job can be run again.
    pub fn is_full(&self) -> bool {
        is_full(&self.source)
    }
}

/// Whether a volume, or what somebody may use of it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Damage below the recovery point: bit rot or a lost file, not a torn tail. The folder is left as
    /// it is, nothing is served from it; refetch it from another replica.
    #[error("{path} is damaged below the recovery point {recovery_point}: {problem}")]
    Quarantined {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// Everything below this had been flushed.
        recovery_point: Offset,
        /// What is wrong.
        problem: String,
    },
    /// A checkpoint file cannot be read as what it is.
    #[error("{path} is damaged: {problem}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The folder belongs to another topic of the same name: one that was deleted, or a foreign disk.
    #[error("{path} belongs to topic id {found}, not {expected}")]
    OtherTopic {
        /// The folder.
        path: PathBuf,
        /// What its metadata says.
        found: TopicId,
        /// Who asked.
        expected: TopicId,
    },
    /// The system refused.
    #[error("cannot open {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl OpenError {
    /// Whether there was no room for what has to be written first.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_full(source))
    }
}
