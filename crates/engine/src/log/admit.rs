//! May this batch enter the log?
//!
//! Checked is what a broker can check cheaply: frame, checksum, counts, attributes, size, timestamps. The
//! records of an unpacked batch are walked (bounds only); those of a packed one are unpacked only where a
//! rule needs them: a compacted topic, a bound on old timestamps, a header that breaks the bound on
//! future ones, or [`LogConfig::validate_packed`].
//!
//! What is absent: sequence numbers ([`super::producers`]) and offsets (given at the append).

use super::config::LogConfig;
use wire::record::{BatchError, CompressError, RecordError, TimestampType};

/// One record that is at fault (KIP-467).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFault {
    /// Which record of the batch, from 0.
    pub index: i32,
    /// What is wrong with it.
    pub message: String,
}

/// Why a batch may not enter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// → `CORRUPT_MESSAGE`.
    #[error("batch is damaged: {0}")]
    Damaged(BatchError),
    /// → `UNSUPPORTED_FOR_MESSAGE_FORMAT`.
    #[error("record format v{0} is not supported, only v2 is")]
    Magic(i8),
    /// → `MESSAGE_TOO_LARGE`.
    #[error("batch of {size} bytes exceeds max.message.bytes: {max}")]
    TooLarge {
        /// Bytes of the batch, as packed.
        size: usize,
        /// Bytes that are allowed.
        max: u32,
    },
    /// → `RECORD_LIST_TOO_LARGE`.
    #[error("batch of {size} bytes exceeds segment.bytes: {max}")]
    ExceedsSegment {
        /// Bytes of the batch, as packed.
        size: usize,
        /// Bytes that are allowed.
        max: u32,
    },
    /// → `INVALID_RECORD`, with [`AdmitError::faults`].
    #[error("{message}")]
    InvalidRecord {
        /// What is wrong with the batch.
        message: String,
        /// The records at fault, at most [`FAULTS_MAX`]; empty if the batch as such is.
        faults: Vec<RecordFault>,
    },
    /// → `INVALID_TIMESTAMP`, with [`AdmitError::faults`].
    #[error("one or more records have a timestamp out of bounds")]
    InvalidTimestamp {
        /// The records at fault, at most [`FAULTS_MAX`].
        faults: Vec<RecordFault>,
    },
    /// → `CORRUPT_MESSAGE`.
    #[error("records cannot be unpacked: {0}")]
    Packed(CompressError),
    /// → `INVALID_RECORD`.
    #[error("records are damaged: {0}")]
    Records(RecordError),
}

/// How many faults are reported for one batch.
pub const FAULTS_MAX: usize = 128;

impl AdmitError {
    /// The records at fault, for the response's `RecordErrors`.
    pub fn faults(&self) -> &[RecordFault] {
        match self {
            Self::InvalidRecord { faults, .. } | Self::InvalidTimestamp { faults } => faults,
            Self::Damaged(_)
            | Self::Magic(_)
            | Self::TooLarge { .. }
            | Self::ExceedsSegment { .. }
            | Self::Packed(_)
            | Self::Records(_) => &[],
        }
    }
}

/// Who hands in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: all rules.
    Client,
    /// A coordinator of this broker: may write control batches, larger ones, and any timestamp.
    Coordinator,
}
