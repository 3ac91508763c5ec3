//! Kafka's `<offset>.snapshot`: what is known of the producers below an offset.
//!
//! ```text
//! version i16 = 1 | crc u32, CRC-32C of the rest | count i32 | per producer:
//! id i64, epoch i16, last sequence i32, last offset i64, offset delta i32, timestamp i64,
//! coordinator epoch i32, first offset of the open transaction i64 (-1: none)
//! ```
//!
//! Only the last batch of each producer is in it; [`Producers::remember`] adds the others from the log.

use wire::record::batch::crc32c;

use super::producers::{BatchMark, Producer, Producers};

const HEAD_LEN: usize = 6;
const ENTRY_LEN: usize = 46;

/// Why a snapshot cannot be used. Another one is then, or the log itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A newer format.
    #[error("producer snapshot has version {0}, only 1 is known")]
    Version(i16),
    /// Torn or rotten.
    #[error("producer snapshot does not match its checksum")]
    Checksum,
    /// The count does not fit the length.
    #[error("producer snapshot of {0} bytes has an impossible length")]
    Length(usize),
}

/// The content of a snapshot file.
pub fn encode(producers: &Producers) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_LEN + 4 + producers.len() * ENTRY_LEN);
    bytes.extend_from_slice(&1i16.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let count = i32::try_from(producers.len()).expect("the number of producers is bounded");
    bytes.extend_from_slice(&count.to_be_bytes());
    for (id, producer) in producers.iter() {
        let unknown =
            BatchMark { last_sequence: -1, last_offset: -1, offset_delta: 0, timestamp: -1 };
        let last = producer.batches().last().copied().unwrap_or(unknown);
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.extend_from_slice(&producer.epoch.to_be_bytes());
        bytes.extend_from_slice(&last.last_sequence.to_be_bytes());
        bytes.extend_from_slice(&last.last_offset.to_be_bytes());
        bytes.extend_from_slice(&last.offset_delta.to_be_bytes());
        bytes.extend_from_slice(&producer.last_timestamp.to_be_bytes());
        bytes.extend_from_slice(&producer.coordinator_epoch.to_be_bytes());
        let first = producer.transaction_first_offset.unwrap_or(-1);
        bytes.extend_from_slice(&first.to_be_bytes());
    }
    let crc = crc32c(&bytes[HEAD_LEN..]);
    bytes[2..HEAD_LEN].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Reads a snapshot file. Its producers count as seen at `now_ms`.
///
/// # Errors
/// When it is damaged or of another version.
pub fn decode(bytes: &[u8], now_ms: i64) -> Result<Producers, SnapshotError> {
    let length = SnapshotError::Length(bytes.len());
    let (head, rest) = bytes.split_at_checked(HEAD_LEN).ok_or(length)?;
    let version = i16::from_be_bytes([head[0], head[1]]);
    if version != 1 {
        return Err(SnapshotError::Version(version));
    }
    if crc32c(rest).to_be_bytes() != head[2..] {
        return Err(SnapshotError::Checksum);
    }
    let (count, entries) = rest.split_first_chunk::<4>().ok_or(length)?;
    let count = usize::try_from(i32::from_be_bytes(*count)).map_err(|_| length)?;
    if count.checked_mul(ENTRY_LEN) != Some(entries.len()) {
        return Err(length);
    }
    let mut producers = Producers::default();
    for entry in entries.chunks_exact(ENTRY_LEN) {
        let mut field = Field { entry };
        let id = i64::from_be_bytes(field.take());
        let mut producer = Producer::new(i16::from_be_bytes(field.take()), now_ms);
        let mut last = BatchMark {
            last_sequence: i32::from_be_bytes(field.take()),
            last_offset: i64::from_be_bytes(field.take()),
            offset_delta: i32::from_be_bytes(field.take()),
            timestamp: i64::from_be_bytes(field.take()),
        };
        producer.last_timestamp = last.timestamp;
        producer.coordinator_epoch = i32::from_be_bytes(field.take());
        let first = i64::from_be_bytes(field.take());
        producer.transaction_first_offset = (first >= 0).then_some(first);
        if last.last_offset >= 0 {
            last.offset_delta = last.offset_delta.max(0);
            producer.push(last);
        }
        producers.insert(id, producer);
    }
    Ok(producers)
}

struct Field<'a> {
    entry: &'a [u8],
}

impl Field<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.entry.split_first_chunk::<N>().expect("an entry has all fields");
        self.entry = rest;
        *field
    }
}
