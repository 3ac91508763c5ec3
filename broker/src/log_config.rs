//! What a log obeys, from the settings of its topic and broker.

use config::{BrokerConfig, Compression, TopicConfig};
use engine::log::LogConfig;
use wire::record::{Codec, Packing};

use crate::partition::PartitionId;

/// What the log of a partition obeys.
pub(crate) fn log_config(topic: &TopicConfig, broker: &BrokerConfig, id: PartitionId) -> LogConfig {
    let unsigned = |value: i32| u32::try_from(value).unwrap_or(0);
    LogConfig {
        segment_bytes: unsigned(topic.segment_bytes),
        segment_ms: topic.segment_ms,
        segment_jitter_ms: jitter_ms(topic, id),
        index_interval_bytes: unsigned(topic.index_interval_bytes),
        index_size_max: unsigned(topic.segment_index_bytes),
        retention_ms: (topic.retention_ms >= 0).then_some(topic.retention_ms),
        retention_bytes: u64::try_from(topic.retention_bytes).ok(),
        max_message_bytes: unsigned(topic.max_message_bytes),
        packing: packing(topic),
        record_bytes_max: usize::try_from(topic.max_decompressed_message_bytes).unwrap_or(0),
        timestamp_type: match topic.message_timestamp_type {
            config::TimestampType::CreateTime => wire::record::TimestampType::CreateTime,
            config::TimestampType::LogAppendTime => wire::record::TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: topic.message_timestamp_before_max_ms,
        timestamp_after_max_ms: topic.message_timestamp_after_max_ms,
        compact: topic.cleanup_policy.compact,
        // Until compaction arrives, nothing is dropped from a topic that asks for it.
        delete: topic.cleanup_policy.delete && !topic.cleanup_policy.compact,
        validate_packed: false,
        producer_id_expiration_ms: i64::from(broker.producer_id_expiration_ms),
    }
}

/// How the broker packs what producers sent in another way; `None` if it keeps that.
fn packing(topic: &TopicConfig) -> Option<Packing> {
    let (codec, level) = match topic.compression_type {
        Compression::Producer => return None,
        Compression::Uncompressed => (Codec::None, None),
        Compression::Gzip => (Codec::Gzip, Some(topic.compression_gzip_level)),
        Compression::Snappy => (Codec::Snappy, None),
        Compression::Lz4 => (Codec::Lz4, None),
        Compression::Zstd => (Codec::Zstd, Some(topic.compression_zstd_level)),
    };
    // -1 leaves gzip's to the codec; zstd has negative ones.
    let level = level.filter(|level| codec != Codec::Gzip || *level > 0);
    Some(Packing { codec, level })
}

/// A part of `segment.jitter.ms`: another one for each partition, the same whenever it is asked for.
fn jitter_ms(topic: &TopicConfig, id: PartitionId) -> i64 {
    let bound = topic.segment_jitter_ms.min(topic.segment_ms).unsigned_abs();
    let [high, low] = [0, 8].map(|at| {
        u64::from_be_bytes(id.topic.0[at..at + 8].try_into().expect("eight of sixteen bytes"))
    });
    // Fibonacci hashing: neighbours end up far from each other.
    let index = u64::from(id.index.unsigned_abs());
    let mixed = (high ^ low ^ index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let scaled = (u128::from(mixed) * u128::from(bound)) >> 64;
    i64::try_from(scaled).expect("below a setting of 63 bits")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use config::{Properties, Settings};
    use wire::Uuid;

    use super::*;

    fn config(overrides: &[(&str, &str)], index: i32) -> LogConfig {
        let settings = Settings::resolve(Properties::new()).unwrap();
        let overrides = overrides.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        let topic = settings.topic(&overrides.collect()).unwrap();
        log_config(&topic, &settings.broker, PartitionId { topic: Uuid([7; 16]), index })
    }

    #[test]
    fn the_defaults_are_those_of_a_log() {
        assert_eq!(config(&[], 0), LogConfig::default());
    }

    #[test]
    fn a_codec_brings_its_level() {
        let packing = |name, level: Option<(&str, &str)>| {
            let level = level.into_iter();
            config(&[("compression.type", name)].into_iter().chain(level).collect::<Vec<_>>(), 0)
                .packing
        };
        let some = |codec, level| Some(Packing { codec, level });
        assert_eq!(packing("producer", None), None);
        assert_eq!(packing("uncompressed", None), some(Codec::None, None));
        assert_eq!(packing("gzip", None), some(Codec::Gzip, None));
        let gzip = Some(("compression.gzip.level", "9"));
        assert_eq!(packing("gzip", gzip), some(Codec::Gzip, Some(9)));
        let zstd = Some(("compression.zstd.level", "-7"));
        assert_eq!(packing("zstd", zstd), some(Codec::Zstd, Some(-7)));
        assert_eq!(packing("lz4", zstd), some(Codec::Lz4, None));
        assert_eq!(packing("snappy", None), some(Codec::Snappy, None));
    }

    #[test]
    fn partitions_roll_at_different_times_and_each_always_at_the_same() {
        let jitter = |index| {
            let overrides = [("segment.jitter.ms", "1000"), ("segment.ms", "5000")];
            config(&overrides, index).segment_jitter_ms
        };
        let drawn: BTreeSet<i64> = (0..100).map(jitter).collect();
        assert!(drawn.len() > 80 && drawn.iter().all(|ms| (0..1000).contains(ms)), "{drawn:?}");
        assert_eq!(jitter(7), jitter(7));
        let more_than_all = [("segment.jitter.ms", "1000"), ("segment.ms", "10")];
        assert!(config(&more_than_all, 3).segment_jitter_ms < 10);
    }
}
