//! The header of a record batch (v2, KIP-98), read and stamped where it lies.
//!
//! ```text
//!  0  base offset            i64   stamped by the leader, outside the checksum
//!  8  length                 i32   bytes that follow this field
//! 12  partition leader epoch i32   stamped by the leader, outside the checksum
//! 16  magic                  i8    2
//! 17  crc                    u32   CRC-32C of all bytes from 21 on
//! 21  attributes             i16   codec 0-2, timestamp type 3, transactional 4, control 5, horizon 6
//! 23  last offset delta      i32
//! 27  base timestamp         i64
//! 35  max timestamp          i64
//! 43  producer id            i64
//! 51  producer epoch         i16
//! 53  base sequence          i32
//! 57  record count           i32
//! 61  records
//! ```
//!
//! What is absent: whether a batch *may* enter a log. That is `engine::log::admit`.

use bytes::BytesMut;
use crc_fast::{CrcAlgorithm, checksum};

use super::compress::{Codec, CompressError, Limits, Packing, compress, decompress};
use super::item::Records;

/// Bytes of a batch's header, from the base offset to the record count.
pub const HEADER_LEN: usize = 61;
/// Bytes before those that the length field counts.
pub const LENGTH_PREFIX: usize = 12;
/// The largest batch that this crate walks: Kafka's positions in a file are 31 bits.
pub const BATCH_LEN_MAX: usize = i32::MAX as usize;

const CRC_FROM: usize = 21;
const CODEC_BITS: i16 = 0b111;
const TIMESTAMP_TYPE_BIT: i16 = 1 << 3;
const TRANSACTIONAL_BIT: i16 = 1 << 4;
const CONTROL_BIT: i16 = 1 << 5;
const DELETE_HORIZON_BIT: i16 = 1 << 6;
const KNOWN_BITS: i16 = 0b0111_1111;

/// Whose clock a batch's timestamps come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's, per record.
    #[default]
    CreateTime,
    /// The broker's, one per batch: the header's max timestamp.
    LogAppendTime,
}

/// What is wrong with a batch's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes are left than the header or the length field asks for.
    #[error("batch is cut: needs {needed} bytes, has {has}")]
    Cut {
        /// Bytes that a whole batch would take.
        needed: usize,
        /// Bytes that there are.
        has: usize,
    },
    /// The length field cannot be true.
    #[error("batch length {0} is out of bounds")]
    Length(i32),
    /// Not format v2.
    #[error("record format v{0} is not supported, only v2 is")]
    Magic(i8),
    /// The bytes are not those that were sent.
    #[error("batch checksum is {computed:08x}, its header says {stored:08x}")]
    Crc {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
}

/// The fields of a header, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes of the whole batch, length prefix included.
    pub size: usize,
    /// Epoch of the leader that appended it; -1 from a client.
    pub leader_epoch: i32,
    /// CRC-32C as stored.
    pub crc: u32,
    /// Raw attribute bits.
    pub attributes: i16,
    /// Last offset minus base offset.
    pub last_offset_delta: i32,
    /// Timestamp of the first record (or the delete horizon), milliseconds.
    pub base_timestamp: i64,
    /// Largest timestamp, milliseconds; the append time with [`TimestampType::LogAppendTime`].
    pub max_timestamp: i64,
    /// Idempotent producer, or -1.
    pub producer_id: i64,
    /// Its epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// How many records follow.
    pub record_count: i32,
}

impl Header {
    /// Decodes the header at the start of `bytes`, checking magic and the bounds of the length field, but
    /// not that all of the batch is there.
    ///
    /// # Errors
    /// When fewer than [`HEADER_LEN`] bytes are there, the length is out of bounds, or magic is not 2.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(head) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(BatchError::Cut { needed: HEADER_LEN, has: bytes.len() });
        };
        let length = i32_at(head, 8);
        let size = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(LENGTH_PREFIX))
            .filter(|size| (HEADER_LEN..=BATCH_LEN_MAX).contains(size));
        let magic = i8::from_be_bytes([head[16]]);
        let Some(size) = size else { return Err(BatchError::Length(length)) };
        if magic != 2 {
            return Err(BatchError::Magic(magic));
        }
        Ok(Self {
            base_offset: i64_at(head, 0),
            size,
            leader_epoch: i32_at(head, 12),
            crc: u32::from_be_bytes(at(head, 17)),
            attributes: i16::from_be_bytes(at(head, 21)),
            last_offset_delta: i32_at(head, 23),
            base_timestamp: i64_at(head, 27),
            max_timestamp: i64_at(head, 35),
            producer_id: i64_at(head, 43),
            producer_epoch: i16::from_be_bytes(at(head, 51)),
            base_sequence: i32_at(head, 53),
            record_count: i32_at(head, 57),
        })
    }

    /// Offset of the last record. Saturates on hostile input.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset after the last record. Saturates on hostile input.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Sequence number of the last record, wrapped at 2^31; -1 without a sequence.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        let sum = i64::from(self.base_sequence) + i64::from(self.last_offset_delta.max(0));
        i32::try_from(sum % (i64::from(i32::MAX) + 1)).expect("a remainder of 2^31 fits")
    }

    /// How the records are packed.
    ///
    /// # Errors
    /// When the three bits name no codec.
    pub fn codec(&self) -> Result<Codec, CompressError> {
        Codec::from_bits(self.attributes)
    }

    /// Whose clock the timestamps come from.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & TIMESTAMP_TYPE_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether the batch holds a marker and no user records.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// When compaction may drop the batch's tombstones (KIP-534), if set; milliseconds.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON_BIT != 0).then_some(self.base_timestamp)
    }

    /// Whether an idempotent producer sent it.
    pub fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }

    /// Attribute bits that have no meaning in format v2.
    pub fn unknown_bits(&self) -> i16 {
        self.attributes & !KNOWN_BITS
    }
}

/// One whole batch, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    header: Header,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch at the start of `bytes`, which may hold more after it. The checksum is not verified.
    ///
    /// # Errors
    /// As [`Header::parse`], and when the batch is cut.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let header = Header::parse(bytes)?;
        match bytes.get(..header.size) {
            Some(bytes) => Ok(Self { header, bytes }),
            None => Err(BatchError::Cut { needed: header.size, has: bytes.len() }),
        }
    }

    /// The decoded header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// All bytes of the batch.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records, packed as the header's codec says.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[HEADER_LEN..]
    }

    /// Verifies the checksum.
    ///
    /// # Errors
    /// [`BatchError::Crc`] when it does not match.
    pub fn verify(&self) -> Result<(), BatchError> {
        let computed = crc(self.bytes);
        if computed == self.header.crc {
            return Ok(());
        }
        Err(BatchError::Crc { stored: self.header.crc, computed })
    }

    /// Unpacks the records, within `limits`.
    ///
    /// # Errors
    /// When the codec is unknown, its bytes are damaged, or they unpack to more than `limits` allow.
    pub fn records(&self, limits: Limits) -> Result<Records<'a>, CompressError> {
        let codec = self.header.codec()?;
        Ok(Records::new(self.header, decompress(codec, self.payload(), limits)?))
    }
}

/// The batches in a buffer, one after the other; ends after the first error.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// Walks `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = Batch::parse(self.rest);
        self.rest = match &batch {
            Ok(batch) => &self.rest[batch.header.size..],
            Err(_) => &[],
        };
        Some(batch)
    }
}

/// CRC-32C over what a batch's checksum covers.
///
/// # Panics
/// When `batch` is shorter than a header.
pub fn crc(batch: &[u8]) -> u32 {
    assert!(batch.len() >= HEADER_LEN, "a batch has a header");
    crc32c(&batch[CRC_FROM..])
}

/// CRC-32C (Castagnoli), as Kafka uses it for batches and producer snapshots.
pub fn crc32c(bytes: &[u8]) -> u32 {
    u32::try_from(checksum(CrcAlgorithm::Crc32Iscsi, bytes))
        .expect("a 32-bit checksum fits 32 bits")
}

/// Writes base offset and leader epoch, which the checksum does not cover.
///
/// # Panics
/// When `batch` is shorter than a header.
pub fn stamp(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    assert!(batch.len() >= HEADER_LEN, "a batch has a header");
    batch[0..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Makes `max_timestamp` and its type the batch's, and hashes again. `batch` is exactly one batch.
///
/// # Panics
/// When `batch` is shorter than a header.
pub fn stamp_timestamp(batch: &mut [u8], kind: TimestampType, max_timestamp: i64) {
    assert!(batch.len() >= HEADER_LEN, "a batch has a header");
    let attributes = i16::from_be_bytes([batch[21], batch[22]]);
    let attributes = match kind {
        TimestampType::CreateTime => attributes & !TIMESTAMP_TYPE_BIT,
        TimestampType::LogAppendTime => attributes | TIMESTAMP_TYPE_BIT,
    };
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    batch[35..43].copy_from_slice(&max_timestamp.to_be_bytes());
    seal(batch);
}

/// The same records packed in another way; all else in the header stays as it is.
///
/// # Errors
/// When the records cannot be unpacked, within `limits`.
pub fn repack(
    batch: &Batch<'_>,
    packing: Packing,
    limits: Limits,
) -> Result<BytesMut, CompressError> {
    let plain = decompress(batch.header.codec()?, batch.payload(), limits)?;
    let packed = compress(packing, &plain)?;
    let size = HEADER_LEN + packed.len();
    let length = i32::try_from(size - LENGTH_PREFIX).expect("the limits are below 2 GiB");
    let attributes = (batch.header.attributes & !CODEC_BITS) | packing.codec.bits();
    let mut out = BytesMut::with_capacity(size);
    out.extend_from_slice(&batch.bytes[..HEADER_LEN]);
    out[8..12].copy_from_slice(&length.to_be_bytes());
    out[21..23].copy_from_slice(&attributes.to_be_bytes());
    out.extend_from_slice(&packed);
    seal(&mut out);
    Ok(out)
}

/// Writes the checksum of the bytes as they are.
pub(super) fn seal(batch: &mut [u8]) {
    let crc = crc(batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// The attribute bits for a batch.
pub(super) fn attributes(
    codec: Codec,
    kind: TimestampType,
    transactional: bool,
    control: bool,
) -> i16 {
    let mut bits = codec.bits();
    if kind == TimestampType::LogAppendTime {
        bits |= TIMESTAMP_TYPE_BIT;
    }
    if transactional {
        bits |= TRANSACTIONAL_BIT;
    }
    if control {
        bits |= CONTROL_BIT;
    }
    bits
}

fn at<const N: usize>(head: &[u8; HEADER_LEN], from: usize) -> [u8; N] {
    *head[from..].first_chunk::<N>().expect("the field lies within the header")
}

fn i32_at(head: &[u8; HEADER_LEN], from: usize) -> i32 {
    i32::from_be_bytes(at(head, from))
}

fn i64_at(head: &[u8; HEADER_LEN], from: usize) -> i64 {
    i64::from_be_bytes(at(head, from))
}
