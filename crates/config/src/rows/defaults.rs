//! Broker-wide defaults of topic settings. Nothing but [`crate::TopicConfig`] reads them; its rows name
//! them as aliases, and a test holds the two tables together.

use crate::setting::{Kind, Setting, Valid};

use Kind::{Boolean, Double, Int, List, Long, String};

/// A row and the topic setting whose default it is.
macro_rules! of {
    ($topic_key:literal, $row:expr) => {
        $row.doc(concat!("The default of the topic setting `", $topic_key, "`."))
    };
}

const fn row(key: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting::new(key, kind, Some(default)).cluster_wide()
}

const fn unset(key: &'static str, kind: Kind) -> Setting {
    Setting::new(key, kind, None).cluster_wide()
}

/// The defaults, in the order of the topic settings.
#[rustfmt::skip]
pub const ROWS: &[Setting] = &[
    of!("cleanup.policy", row("log.cleanup.policy", List, "delete").valid(Valid::ListOf(&["compact", "delete"]))),
    of!("compression.type", row("compression.type", String, "producer").valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))),
    of!("compression.gzip.level", row("compression.gzip.level", Int, "-1").valid(Valid::BetweenOr(1, 9, -1))),
    of!("compression.lz4.level", row("compression.lz4.level", Int, "9").valid(Valid::Between(1, 17))),
    of!("compression.zstd.level", row("compression.zstd.level", Int, "3").valid(Valid::Between(-131_072, 22))),
    of!("delete.retention.ms", row("log.cleaner.delete.retention.ms", Long, "86400000").valid(Valid::AtLeast(0))),
    of!("file.delete.delay.ms", row("log.segment.delete.delay.ms", Long, "60000").valid(Valid::AtLeast(0))),
    of!("flush.messages", row("log.flush.interval.messages", Long, "9223372036854775807").valid(Valid::AtLeast(1))),
    of!("flush.ms", unset("log.flush.interval.ms", Long).valid(Valid::AtLeast(0))),
    of!("index.interval.bytes", row("log.index.interval.bytes", Int, "4096").valid(Valid::AtLeast(0))),
    of!("klamm.durability", row("klamm.durability", String, "auto").valid(Valid::OneOf(&["auto", "fsync", "replicated"]))),
    of!("local.retention.bytes", row("log.local.retention.bytes", Long, "-2").valid(Valid::AtLeast(-2))),
    of!("local.retention.ms", row("log.local.retention.ms", Long, "-2").valid(Valid::AtLeast(-2))),
    of!("max.message.bytes", row("message.max.bytes", Int, "1048588").valid(Valid::AtLeast(0))),
    of!("max.decompressed.message.bytes", row("max.decompressed.message.bytes", Int, "2147483639").valid(Valid::Between(1, 2_147_483_639))),
    of!("max.compaction.lag.ms", row("log.cleaner.max.compaction.lag.ms", Long, "9223372036854775807").valid(Valid::AtLeast(1))),
    of!("message.timestamp.after.max.ms", row("log.message.timestamp.after.max.ms", Long, "3600000").valid(Valid::AtLeast(0))),
    of!("message.timestamp.before.max.ms", row("log.message.timestamp.before.max.ms", Long, "9223372036854775807").valid(Valid::AtLeast(0))),
    of!("message.timestamp.type", row("log.message.timestamp.type", String, "CreateTime").valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))),
    of!("min.cleanable.dirty.ratio", row("log.cleaner.min.cleanable.ratio", Double, "0.5").valid(Valid::Fraction(0.0, 1.0))),
    of!("min.compaction.lag.ms", row("log.cleaner.min.compaction.lag.ms", Long, "0").valid(Valid::AtLeast(0))),
    of!("min.insync.replicas", row("min.insync.replicas", Int, "1").valid(Valid::AtLeast(1))),
    of!("preallocate", row("log.preallocate", Boolean, "false")),
    of!("remote.copy.lag.bytes", row("log.remote.copy.lag.bytes", Long, "-1").valid(Valid::AtLeast(-1))),
    of!("remote.copy.lag.ms", row("log.remote.copy.lag.ms", Long, "0").valid(Valid::AtLeast(-1))),
    of!("retention.bytes", row("log.retention.bytes", Long, "-1").valid(Valid::AtLeast(-1))),
    of!("retention.ms", unset("log.retention.ms", Long).valid(Valid::AtLeast(-1))),
    of!("retention.ms", Setting::new("log.retention.minutes", Int, None).valid(Valid::AtLeast(-1))),
    of!("retention.ms", Setting::new("log.retention.hours", Int, Some("168")).valid(Valid::AtLeast(-1))),
    of!("segment.bytes", row("log.segment.bytes", Int, "1073741824").valid(Valid::AtLeast(1 << 20))),
    of!("segment.index.bytes", row("log.index.size.max.bytes", Int, "10485760").valid(Valid::AtLeast(4))),
    of!("segment.jitter.ms", unset("log.roll.jitter.ms", Long).valid(Valid::AtLeast(0))),
    of!("segment.jitter.ms", Setting::new("log.roll.jitter.hours", Int, Some("0")).valid(Valid::AtLeast(0))),
    of!("segment.ms", unset("log.roll.ms", Long).valid(Valid::AtLeast(1))),
    of!("segment.ms", Setting::new("log.roll.hours", Int, Some("168")).valid(Valid::AtLeast(1))),
    of!("unclean.leader.election.enable", row("unclean.leader.election.enable", Boolean, "false")),
];
