//! May this batch enter the log?
//!
//! Checked is what a broker can check cheaply: frame, checksum, counts, attributes, size, timestamps. The
//! records of an unpacked batch are walked (bounds only); those of a packed one are unpacked only where a
//! rule needs them: a compacted topic, a bound on old timestamps, a header that breaks the bound on
//! future ones, a bound on unpacked records, or [`LogConfig::validate_packed`].
//!
//! What is absent: sequence numbers ([`super::producers`]) and offsets (given at the append).

use bytes::BytesMut;
use wire::record::compress::decompress;
use wire::record::{
    Batch, BatchError, Codec, CompressError, Header, Limits, Outlines, RecordError, TimestampType,
    batch,
};

use super::config::{LogConfig, RECORD_BYTES_UNBOUNDED};

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

/// A batch that may enter, as it is after stamping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its header. Offsets and leader epoch are not stamped yet.
    pub header: Header,
    /// The broker's time, if the topic has `LogAppendTime`.
    pub append_time_ms: Option<i64>,
}

/// Decides about `bytes`, which should hold exactly one batch, and stamps its timestamps in place.
///
/// # Errors
/// When the batch may not enter; `bytes` are unchanged then.
pub fn admit(
    bytes: &mut [u8],
    origin: Origin,
    config: &LogConfig,
    now_ms: i64,
) -> Result<Accepted, AdmitError> {
    let batch = Batch::parse(bytes).map_err(damaged)?;
    let mut header = *batch.header();
    check_header(&header, bytes.len(), origin, config)?;
    batch.verify().map_err(damaged)?;
    let walked = match origin {
        Origin::Client => check_records(&batch, config, now_ms)?,
        Origin::Coordinator => None,
    };
    let mut append_time_ms = None;
    if config.timestamp_type == TimestampType::LogAppendTime {
        append_time_ms = Some(now_ms);
        batch::stamp_timestamp(bytes, TimestampType::LogAppendTime, now_ms);
    } else if let Some(largest) = walked.filter(|largest| *largest != header.max_timestamp) {
        // Retention and the time index believe the header: it must not lie.
        batch::stamp_timestamp(bytes, TimestampType::CreateTime, largest);
    } else {
        return Ok(Accepted { header, append_time_ms });
    }
    header = *Batch::parse(bytes).map_err(damaged)?.header();
    Ok(Accepted { header, append_time_ms })
}

/// The batch in the codec in which the log keeps batches; `None` if it is in that already. `bytes` have
/// been admitted.
///
/// # Errors
/// When the records cannot be unpacked, or take too much room in that codec.
pub fn repack(bytes: &[u8], config: &LogConfig) -> Result<Option<BytesMut>, AdmitError> {
    let Some(packing) = config.packing else { return Ok(None) };
    let batch = Batch::parse(bytes).map_err(damaged)?;
    if batch.header().codec() == Ok(packing.codec) {
        return Ok(None);
    }
    let repacked = batch::repack(&batch, packing, Limits::default()).map_err(AdmitError::Packed)?;
    check_size(repacked.len(), config.max_message_bytes, config)?;
    Ok(Some(repacked))
}

fn check_size(size: usize, allowed: u32, config: &LogConfig) -> Result<(), AdmitError> {
    if size > allowed as usize {
        return Err(AdmitError::TooLarge { size, max: allowed });
    }
    let max = config.segment_bytes;
    if size > max as usize {
        return Err(AdmitError::ExceedsSegment { size, max });
    }
    Ok(())
}

fn damaged(error: BatchError) -> AdmitError {
    match error {
        BatchError::Magic(magic) => AdmitError::Magic(magic),
        BatchError::Cut { .. } | BatchError::Length(_) | BatchError::Crc { .. } => {
            AdmitError::Damaged(error)
        }
    }
}

fn invalid(message: impl Into<String>) -> AdmitError {
    AdmitError::InvalidRecord { message: message.into(), faults: Vec::new() }
}

fn check_header(
    header: &Header,
    len: usize,
    origin: Origin,
    config: &LogConfig,
) -> Result<(), AdmitError> {
    if header.size != len {
        return Err(invalid(format!(
            "{} bytes follow the batch, one is allowed",
            len - header.size
        )));
    }
    // What a coordinator writes is bound by its own rules.
    let allowed = if origin == Origin::Client { config.max_message_bytes } else { u32::MAX };
    check_size(header.size, allowed, config)?;
    let count = header.record_count;
    if count < 1 || header.last_offset_delta != count - 1 {
        let last = header.last_offset_delta;
        return Err(invalid(format!("batch has {count} records but last offset delta {last}")));
    }
    if let Err(error) = header.codec() {
        return Err(invalid(error.to_string()));
    }
    if origin == Origin::Coordinator {
        return Ok(());
    }
    if header.base_offset != 0 {
        let base = header.base_offset;
        return Err(invalid(format!("base offset of a producer's batch is {base}, not 0")));
    }
    if header.is_control() {
        return Err(invalid("producers may not write control records"));
    }
    if header.unknown_bits() != 0 || header.delete_horizon_ms().is_some() {
        return Err(invalid(format!("attributes {:#06x} are not legal", header.attributes)));
    }
    if header.has_producer() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(invalid("batch of an idempotent producer has no sequence or no epoch"));
    }
    if header.is_transactional() && !header.has_producer() {
        return Err(invalid("transactional batch has no producer id"));
    }
    Ok(())
}

/// Walks the records where a rule needs them. Returns the largest timestamp if they were walked.
fn check_records(
    batch: &Batch<'_>,
    config: &LogConfig,
    now_ms: i64,
) -> Result<Option<i64>, AdmitError> {
    let header = batch.header();
    let by_creator = config.timestamp_type == TimestampType::CreateTime;
    if by_creator && header.timestamp_type() == TimestampType::LogAppendTime {
        let message = "a producer may not claim the broker's timestamp type".to_owned();
        return Err(AdmitError::InvalidTimestamp {
            faults: vec![RecordFault { index: 0, message }],
        });
    }
    let latest = now_ms.saturating_add(config.timestamp_after_max_ms);
    let earliest = now_ms.saturating_sub(config.timestamp_before_max_ms);
    let codec = header.codec().map_err(AdmitError::Packed)?;
    let must_walk = codec == Codec::None
        || config.compact
        || config.validate_packed
        || config.record_bytes_max < RECORD_BYTES_UNBOUNDED
        || (by_creator
            && (header.max_timestamp > latest || config.timestamp_before_max_ms != i64::MAX));
    if !must_walk {
        return Ok(None);
    }
    let records =
        decompress(codec, batch.payload(), Limits::default()).map_err(AdmitError::Packed)?;
    let mut keyless = Vec::new();
    let mut mistimed = Vec::new();
    let mut largest = i64::MIN;
    for (index, outline) in (0i32..).zip(Outlines::new(header, &records)) {
        let outline = outline.map_err(AdmitError::Records)?;
        // Of a batch that is not packed, the size is bound already.
        if codec != Codec::None && outline.size > config.record_bytes_max {
            let (size, max) = (outline.size, config.record_bytes_max);
            let message = format!(
                "record of {size} bytes, unpacked, exceeds max.decompressed.message.bytes: {max}"
            );
            let fault = RecordFault { index, message: message.clone() };
            return Err(AdmitError::InvalidRecord { message, faults: vec![fault] });
        }
        if outline.offset_delta != index {
            let found = outline.offset_delta;
            return Err(invalid(format!("record {index} has offset delta {found}")));
        }
        largest = largest.max(outline.timestamp);
        if config.compact && !outline.has_key && keyless.len() < FAULTS_MAX {
            let message = "a compacted topic takes no record without a key".to_owned();
            keyless.push(RecordFault { index, message });
        }
        let timed = (earliest..=latest).contains(&outline.timestamp) || outline.timestamp == -1;
        if by_creator && !timed && mistimed.len() < FAULTS_MAX {
            let at = outline.timestamp;
            let message = format!("timestamp {at} is not within {earliest}..={latest}");
            mistimed.push(RecordFault { index, message });
        }
    }
    if !mistimed.is_empty() {
        return Err(AdmitError::InvalidTimestamp { faults: mistimed });
    }
    if !keyless.is_empty() {
        let message = "one or more records have no key, which a compacted topic needs".to_owned();
        return Err(AdmitError::InvalidRecord { message, faults: keyless });
    }
    Ok(Some(largest))
}
