//! The settings of one topic.

use crate::Properties;
use crate::error::ConfigError;
use crate::setting::{Alias, Kind, Setting, Valid};
use crate::table::settings;
use crate::value::{CleanupPolicy, Compression, Durability, ThrottledReplicas, TimestampType};

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// Why settings of tiered storage do nothing yet.
const TIERS: &str = "acts when tiered storage arrives";
/// Why settings of the cleaner do nothing yet.
const COMPACTION: &str =
    "acts when compaction arrives; until then nothing is dropped from a compacted topic";
/// Why settings of replication do nothing yet.
const REPLICATION: &str = "acts when a cluster may have more than one broker";

const fn row(key: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting::new(key, kind, Some(default)).cluster_wide()
}

const fn same(key: &'static str) -> Alias {
    Alias { key, scale: 1 }
}

settings! {
    /// What a topic reads, resolved from its overrides and the broker's layers.
    pub struct TopicConfig {
        /// What happens to old segments: `delete` drops them by age and size, `compact` keeps the latest
        /// record of each key, both do both, and an empty list keeps everything.
        cleanup_policy: CleanupPolicy = row("cleanup.policy", Kind::List, "delete")
            .valid(Valid::ListOf(&["compact", "delete"]))
            .aliases(&[same("log.cleanup.policy")]);
        /// The codec in which batches are stored. `producer` keeps the bytes that the producer sent; with
        /// any other, a broker unpacks and packs again what came in another codec, which takes its time.
        compression_type: Compression = row("compression.type", Kind::String, "producer")
            .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
            .aliases(&[same("compression.type")]);
        /// The level of gzip, if the broker compresses; `-1` leaves the choice to the codec.
        compression_gzip_level: i32 = row("compression.gzip.level", Kind::Int, "-1")
            .valid(Valid::BetweenOr(1, 9, -1))
            .aliases(&[same("compression.gzip.level")]);
        /// The level of LZ4, if the broker compresses.
        compression_lz4_level: i32 = row("compression.lz4.level", Kind::Int, "9")
            .valid(Valid::Between(1, 17))
            .aliases(&[same("compression.lz4.level")])
            .inert("the encoder has one level");
        /// The level of Zstandard, if the broker compresses.
        compression_zstd_level: i32 = row("compression.zstd.level", Kind::Int, "3")
            .valid(Valid::Between(-131_072, 22))
            .aliases(&[same("compression.zstd.level")]);
        /// How long a tombstone stays readable after it was compacted, so that a reader which started
        /// earlier still sees the deletion.
        delete_retention_ms: i64 = row("delete.retention.ms", Kind::Long, "86400000")
            .valid(Valid::AtLeast(0))
            .aliases(&[same("log.cleaner.delete.retention.ms")])
            .inert(COMPACTION);
        /// How long the files of a dropped segment stay on disk, for readers that still hold them.
        file_delete_delay_ms: i64 = row("file.delete.delay.ms", Kind::Long, "60000")
            .valid(Valid::AtLeast(0))
            .aliases(&[same("log.segment.delete.delay.ms")]);
        /// Sync a partition to disk after this many records. Prefer `klamm.durability`, which syncs
        /// before it acknowledges.
        flush_messages: i64 = row("flush.messages", Kind::Long, "9223372036854775807")
            .valid(Valid::AtLeast(1))
            .aliases(&[same("log.flush.interval.messages")]);
        /// Sync a partition to disk when a record has waited this long. `klamm.flush.interval.ms` is an
        /// upper bound for all partitions.
        flush_ms: i64 = row("flush.ms", Kind::Long, "9223372036854775807")
            .valid(Valid::AtLeast(0))
            .aliases(&[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")]);
        /// The replicas, as `partition:broker`, that copy from their leaders at no more than
        /// `follower.replication.throttled.rate` while they are not in sync; `*` is all.
        follower_throttled_replicas: ThrottledReplicas =
            row("follower.replication.throttled.replicas", Kind::List, "")
                .valid(Valid::ThrottledReplicas);
        /// At most this many bytes of log lie between two entries of the offset index.
        index_interval_bytes: i32 = row("index.interval.bytes", Kind::Int, "4096")
            .valid(Valid::AtLeast(0))
            .aliases(&[same("log.index.interval.bytes")]);
        /// When an acknowledged record is safe: `fsync` waits until `min.insync.replicas` disks have it,
        /// `replicated` until the in-sync replicas have it in memory, `auto` is `fsync` for a topic with
        /// one replica and `replicated` for others.
        durability: Option<Durability> = row("klamm.durability", Kind::String, "auto")
            .valid(Valid::OneOf(&["auto", "fsync", "replicated"]))
            .aliases(&[same("klamm.durability")]);
        /// The leaders, as `partition:broker`, that send to followers at no more than
        /// `leader.replication.throttled.rate` while these are not in sync; `*` is all.
        leader_throttled_replicas: ThrottledReplicas =
            row("leader.replication.throttled.replicas", Kind::List, "")
                .valid(Valid::ThrottledReplicas);
        /// The largest record batch that a producer may send, as sent.
        max_message_bytes: i32 = row("max.message.bytes", Kind::Int, "1048588")
            .valid(Valid::AtLeast(0))
            .aliases(&[same("message.max.bytes")]);
        /// The largest size that one record of a packed batch may have after decompression; a larger one is
        /// refused. Anything below the default makes a broker unpack all packed batches.
        max_decompressed_message_bytes: i32 =
            row("max.decompressed.message.bytes", Kind::Int, "2147483639")
                .valid(Valid::Between(1, 2_147_483_639))
                .aliases(&[same("max.decompressed.message.bytes")]);
        /// A record is compacted at the latest after this time, even if little else has changed.
        max_compaction_lag_ms: i64 =
            row("max.compaction.lag.ms", Kind::Long, "9223372036854775807")
                .valid(Valid::AtLeast(1))
                .aliases(&[same("log.cleaner.max.compaction.lag.ms")])
                .inert(COMPACTION);
        /// How far a producer's timestamp may lie in the future of the broker's clock.
        message_timestamp_after_max_ms: i64 =
            row("message.timestamp.after.max.ms", Kind::Long, "3600000")
                .valid(Valid::AtLeast(0))
                .aliases(&[same("log.message.timestamp.after.max.ms")]);
        /// How far a producer's timestamp may lie in the past of the broker's clock.
        message_timestamp_before_max_ms: i64 =
            row("message.timestamp.before.max.ms", Kind::Long, "9223372036854775807")
                .valid(Valid::AtLeast(0))
                .aliases(&[same("log.message.timestamp.before.max.ms")]);
        /// Whose clock stamps a record: the producer's (`CreateTime`) or the broker's (`LogAppendTime`).
        message_timestamp_type: TimestampType =
            row("message.timestamp.type", Kind::String, "CreateTime")
                .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
                .aliases(&[same("log.message.timestamp.type")]);
        /// The share of a log that must have been superseded before compaction is worth its work.
        min_cleanable_dirty_ratio: f64 = row("min.cleanable.dirty.ratio", Kind::Double, "0.5")
            .valid(Valid::Fraction(0.0, 1.0))
            .aliases(&[same("log.cleaner.min.cleanable.ratio")])
            .inert(COMPACTION);
        /// A record stays uncompacted for at least this long.
        min_compaction_lag_ms: i64 = row("min.compaction.lag.ms", Kind::Long, "0")
            .valid(Valid::AtLeast(0))
            .aliases(&[same("log.cleaner.min.compaction.lag.ms")])
            .inert(COMPACTION);
        /// A producer with `acks=all` is answered only while this many replicas are in sync.
        min_insync_replicas: i32 = row("min.insync.replicas", Kind::Int, "1")
            .valid(Valid::AtLeast(1))
            .aliases(&[same("min.insync.replicas")]);
        /// Whether a new segment's file is allocated at its full size.
        preallocate: bool = row("preallocate", Kind::Boolean, "false")
            .aliases(&[same("log.preallocate")])
            .inert("segments grow as they are written");
        /// The size of a partition above which its oldest segments are dropped; `-1` is no limit.
        retention_bytes: i64 = row("retention.bytes", Kind::Long, "-1")
            .valid(Valid::AtLeast(-1))
            .aliases(&[same("log.retention.bytes")]);
        /// How long a record is kept before its segment may be dropped; `-1` is for ever.
        retention_ms: i64 = row("retention.ms", Kind::Long, "604800000")
            .valid(Valid::AtLeast(-1))
            .aliases(&[
                same("log.retention.ms"),
                Alias { key: "log.retention.minutes", scale: MINUTE_MS },
                Alias { key: "log.retention.hours", scale: HOUR_MS },
            ]);
        /// A segment is closed, and a new one begun, before it grows beyond this size.
        segment_bytes: i32 = row("segment.bytes", Kind::Int, "1073741824")
            .valid(Valid::AtLeast(1 << 20))
            .aliases(&[same("log.segment.bytes")]);
        /// The size at which an index is full and its segment is closed.
        segment_index_bytes: i32 = row("segment.index.bytes", Kind::Int, "10485760")
            .valid(Valid::AtLeast(4))
            .aliases(&[same("log.index.size.max.bytes")]);
        /// Up to this much is taken off `segment.ms`, by chance, so that partitions do not all roll at
        /// once.
        segment_jitter_ms: i64 = row("segment.jitter.ms", Kind::Long, "0")
            .valid(Valid::AtLeast(0))
            .aliases(&[
                same("log.roll.jitter.ms"),
                Alias { key: "log.roll.jitter.hours", scale: HOUR_MS },
            ]);
        /// A segment is closed when it is this old, however small, so that retention can drop it.
        segment_ms: i64 = row("segment.ms", Kind::Long, "604800000")
            .valid(Valid::AtLeast(1))
            .aliases(&[same("log.roll.ms"), Alias { key: "log.roll.hours", scale: HOUR_MS }]);
        /// Whether a replica that was not in sync may lead when no other is left, which loses records.
        unclean_leader_election_enable: bool =
            row("unclean.leader.election.enable", Kind::Boolean, "false")
                .aliases(&[same("unclean.leader.election.enable")])
                .inert(REPLICATION);
    }
}

/// Topic settings that nothing reads yet.
pub const KNOWN: &[Setting] = &[
    row("errors.deadletterqueue.group.enable", Kind::Boolean, "false")
        .inert("acts when share groups arrive")
        .doc("Whether share groups may use this topic for records that they gave up on."),
    row("local.retention.bytes", Kind::Long, "-2")
        .valid(Valid::AtLeast(-2))
        .aliases(&[same("log.local.retention.bytes")])
        .inert(TIERS)
        .doc("How many bytes of a tiered partition stay on local disk; `-2` follows `retention.bytes`."),
    row("local.retention.ms", Kind::Long, "-2")
        .valid(Valid::AtLeast(-2))
        .aliases(&[same("log.local.retention.ms")])
        .inert(TIERS)
        .doc("How long a tiered record stays on local disk; `-2` follows `retention.ms`."),
    row("message.downconversion.enable", Kind::Boolean, "true")
        .inert("clients that need older record formats are not served, as in Kafka 4")
        .doc("Kept so that tools which still send it are not refused."),
    row("remote.copy.lag.bytes", Kind::Long, "-1")
        .valid(Valid::AtLeast(-1))
        .aliases(&[same("log.remote.copy.lag.bytes")])
        .inert(TIERS)
        .doc("A closed segment is copied to the bucket when this many bytes follow it; 0 is at once, `-1` follows `local.retention.bytes`."),
    row("remote.copy.lag.ms", Kind::Long, "0")
        .valid(Valid::AtLeast(-1))
        .aliases(&[same("log.remote.copy.lag.ms")])
        .inert(TIERS)
        .doc("A closed segment is copied to the bucket when its last record is this old; 0 is at once, `-1` follows `local.retention.ms`."),
    row("remote.log.copy.disable", Kind::Boolean, "false")
        .inert(TIERS)
        .doc("Stops copying segments to the bucket; what is there stays readable."),
    row("remote.log.delete.on.disable", Kind::Boolean, "false")
        .inert(TIERS)
        .doc("Whether the bucket's copy is deleted when tiering is switched off."),
    row("remote.storage.enable", Kind::Boolean, "false")
        .refused("tiered storage is not part of this version; leave it false")
        .doc("Whether closed segments are copied to the bucket."),
];

impl TopicConfig {
    /// What `klamm.durability` comes to for a topic with `replicas` replicas.
    pub fn durability(&self, replicas: usize) -> Durability {
        match self.durability {
            Some(durability) => durability,
            None if replicas <= 1 => Durability::Fsync,
            None => Durability::Replicated,
        }
    }
}

/// Every topic setting.
pub fn rows() -> impl Iterator<Item = &'static Setting> {
    TopicConfig::ROWS.iter().chain(KNOWN)
}

/// The row of a topic setting.
pub fn find(key: &str) -> Result<&'static Setting, ConfigError> {
    rows()
        .find(|row| row.key == key)
        .ok_or_else(|| ConfigError::unknown("topic", key, rows().map(|row| row.key)))
}

/// Checks the overrides of one topic, by themselves and, where two do not go together, with each other.
pub fn validate_topic_config(config: &Properties) -> Result<(), ConfigError> {
    config.iter().try_for_each(|(key, value)| find(key)?.check(value))?;
    let number = |key: &str| config.get(key).and_then(|value| value.trim().parse::<i64>().ok());
    if let (Some(least), Some(most)) =
        (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"))
        && least > most
    {
        return Err(ConfigError::Conflict {
            key: "min.compaction.lag.ms".to_owned(),
            value: least.to_string(),
            other: format!("max.compaction.lag.ms = {most}"),
            hint: "the minimum must not exceed the maximum".to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
#[path = "topic_test.rs"]
mod tests;
