//! The settings that a log obeys, as plain numbers. The broker maps a topic's settings to them.

use wire::record::{Packing, TimestampType};

/// What `max.decompressed.message.bytes` is when it is no bound: no batch is that large.
pub const RECORD_BYTES_UNBOUNDED: usize = 2_147_483_639;

/// Settings of one log. Times are milliseconds, sizes bytes; `None` is "without bound" (`-1` in Kafka).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: roll before the file would exceed this.
    pub segment_bytes: u32,
    /// `segment.ms`: roll when the first record is this old.
    pub segment_ms: i64,
    /// `segment.jitter.ms`, already drawn: taken off `segment_ms` so that not all logs roll at once.
    pub segment_jitter_ms: i64,
    /// `index.interval.bytes`: one index entry per so many bytes.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes`: roll when the index would exceed this.
    pub index_size_max: u32,
    /// `retention.ms`.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`.
    pub retention_bytes: Option<u64>,
    /// `max.message.bytes`: the largest batch, as packed.
    pub max_message_bytes: u32,
    /// `compression.type` and its level; `None` keeps what the producer sent.
    pub packing: Option<Packing>,
    /// `max.decompressed.message.bytes`: the largest record of a packed batch, unpacked.
    pub record_bytes_max: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `cleanup.policy` holds `compact`: every record needs a key.
    pub compact: bool,
    /// `cleanup.policy` holds `delete`: retention applies.
    pub delete: bool,
    /// Unpack and check every packed batch, not only where the topic needs it.
    pub validate_packed: bool,
    /// `producer.id.expiration.ms`: forget a producer that was silent for so long.
    pub producer_id_expiration_ms: i64,
}

impl Default for LogConfig {
    /// Kafka 4.4's defaults.
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            index_interval_bytes: 4096,
            index_size_max: 10 << 20,
            retention_ms: Some(7 * 24 * 3_600_000),
            retention_bytes: None,
            max_message_bytes: 1_048_588,
            packing: None,
            record_bytes_max: RECORD_BYTES_UNBOUNDED,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compact: false,
            delete: true,
            validate_packed: false,
            producer_id_expiration_ms: 86_400_000,
        }
    }
}
