//! What topics may be given.

use super::*;

fn check(key: &str, value: &str) -> Result<(), String> {
    let config = Properties::from([(key.to_owned(), value.to_owned())]);
    validate_topic_config(&config).map_err(|error| error.to_string())
}

#[test]
fn good_values_are_accepted() {
    for (key, value) in [
        ("cleanup.policy", "compact"),
        ("cleanup.policy", "delete, compact"),
        ("cleanup.policy", " compact ,delete "),
        ("cleanup.policy", ""),
        ("compression.type", "zstd"),
        ("compression.gzip.level", "-1"),
        ("flush.messages", "1"),
        ("klamm.durability", "fsync"),
        ("leader.replication.throttled.replicas", "*"),
        ("leader.replication.throttled.replicas", ""),
        ("follower.replication.throttled.replicas", "0:1, 12:3"),
        ("message.downconversion.enable", "TRUE"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("remote.storage.enable", "false"),
        ("retention.bytes", "-1"),
        ("retention.ms", "-1"),
        ("retention.ms", " 1000 "),
        ("segment.bytes", "1048576"),
    ] {
        assert_eq!(check(key, value), Ok(()), "{key}={value}");
    }
}

#[test]
fn bad_values_say_what_is_expected() {
    for (key, value, expected) in [
        (
            "cleanup.policy",
            "delete,delete",
            "invalid value for cleanup.policy: \"delete,delete\", expected a list of compact, delete, none twice",
        ),
        (
            "compression.gzip.level",
            "0",
            "invalid value for compression.gzip.level: \"0\", expected a whole number of 32 bits from 1 to 9, or -1",
        ),
        (
            "leader.replication.throttled.replicas",
            "0:1,*",
            "invalid value for leader.replication.throttled.replicas: \"0:1,*\", expected partition:broker, more of them divided by commas, or *",
        ),
        (
            "compression.type",
            "brotli",
            "invalid value for compression.type: \"brotli\", expected one of uncompressed, zstd, lz4, snappy, gzip, producer",
        ),
        (
            "min.cleanable.dirty.ratio",
            "NaN",
            "invalid value for min.cleanable.dirty.ratio: \"NaN\", expected a number from 0 to 1",
        ),
        (
            "min.insync.replicas",
            "0",
            "invalid value for min.insync.replicas: \"0\", expected a whole number of 32 bits, at least 1",
        ),
        ("preallocate", "yes", "invalid value for preallocate: \"yes\", expected true or false"),
        (
            "remote.storage.enable",
            "true",
            "remote.storage.enable cannot be set to \"true\" in this version; hint: tiered storage is not part of this version; leave it false",
        ),
        (
            "retention.ms",
            "-2",
            "invalid value for retention.ms: \"-2\", expected a whole number of 64 bits, at least -1",
        ),
        (
            "retention.ms",
            "1h",
            "invalid value for retention.ms: \"1h\", expected a whole number of 64 bits, at least -1",
        ),
        (
            "segment.bytes",
            "1048575",
            "invalid value for segment.bytes: \"1048575\", expected a whole number of 32 bits, at least 1048576",
        ),
        (
            "segment.bytes",
            "2147483648",
            "invalid value for segment.bytes: \"2147483648\", expected a whole number of 32 bits, at least 1048576",
        ),
        (
            "retention.msec",
            "1",
            "unknown topic setting: retention.msec; hint: did you mean retention.ms?",
        ),
        ("colour", "red", "unknown topic setting: colour"),
    ] {
        assert_eq!(check(key, value), Err(expected.to_owned()), "{key}={value}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let config = Properties::from([
        ("min.compaction.lag.ms".to_owned(), "10".to_owned()),
        ("max.compaction.lag.ms".to_owned(), "5".to_owned()),
    ]);
    assert_eq!(
        validate_topic_config(&config).unwrap_err().to_string(),
        "min.compaction.lag.ms = 10 does not go with max.compaction.lag.ms = 5; \
         hint: the minimum must not exceed the maximum"
    );
}

#[test]
fn every_key_that_a_kafka_client_knows_is_known() {
    // `org.apache.kafka.common.config.TopicConfig` of Kafka 4.4.
    let keys = "segment.bytes segment.ms segment.jitter.ms segment.index.bytes flush.messages flush.ms \
        retention.bytes retention.ms remote.storage.enable local.retention.ms local.retention.bytes \
        remote.log.copy.disable remote.copy.lag.ms remote.copy.lag.bytes remote.log.delete.on.disable \
        max.message.bytes max.decompressed.message.bytes index.interval.bytes file.delete.delay.ms \
        delete.retention.ms min.compaction.lag.ms max.compaction.lag.ms min.cleanable.dirty.ratio \
        cleanup.policy unclean.leader.election.enable min.insync.replicas compression.type \
        compression.gzip.level compression.lz4.level compression.zstd.level preallocate \
        message.timestamp.type message.timestamp.before.max.ms message.timestamp.after.max.ms \
        message.downconversion.enable errors.deadletterqueue.group.enable";
    for key in keys.split_whitespace() {
        assert!(find(key).is_ok(), "{key}");
    }
}

#[test]
fn every_row_is_sound() {
    let mut keys: Vec<_> = rows().map(|row| row.key).collect();
    keys.sort_unstable();
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "a key has one row");
    for row in rows() {
        let default = row.default.expect("a topic setting has a default");
        assert_eq!(row.check(default), Ok(()), "{}", row.key);
        assert!(!row.doc.trim().is_empty(), "{}", row.key);
        assert!(!row.is_read_only(), "{}", row.key);
        for alias in row.aliases {
            let broker =
                crate::rows::broker::find(alias.key).expect("a broker-wide name has a row");
            if alias.scale == 1 {
                assert!(broker.kind == row.kind, "{}", alias.key);
                if alias.key != "log.flush.scheduler.interval.ms" {
                    assert!(broker.valid == row.valid, "{}", alias.key);
                }
            }
            if let Some(text) = broker.default {
                let scaled = text.parse::<i64>().map(|n| n.saturating_mul(alias.scale).to_string());
                assert_eq!(scaled.unwrap_or(text.to_owned()), default, "{}", alias.key);
            }
        }
    }
}

#[test]
fn durability_follows_the_replication_factor_unless_it_is_set() {
    let settings = crate::Settings::resolve(Properties::new()).unwrap();
    let auto = settings.topic(&Properties::new()).unwrap();
    assert_eq!(auto.durability(1), Durability::Fsync);
    assert_eq!(auto.durability(3), Durability::Replicated);
    let set = Properties::from([("klamm.durability".to_owned(), "replicated".to_owned())]);
    assert_eq!(settings.topic(&set).unwrap().durability(1), Durability::Replicated);
}

#[test]
fn throttled_replicas_are_named_by_partition_and_broker() {
    let settings = crate::Settings::resolve(Properties::new()).unwrap();
    let throttled = |value: &str| {
        let key = "follower.replication.throttled.replicas".to_owned();
        let config = settings.topic(&Properties::from([(key, value.to_owned())])).unwrap();
        let of =
            |(partition, broker)| config.follower_throttled_replicas.contains(partition, broker);
        [(0, 1), (1, 0), (12, 3)].map(of)
    };
    assert_eq!(throttled(""), [false; 3]);
    assert_eq!(throttled("*"), [true; 3]);
    assert_eq!(throttled("0:1,12:3"), [true, false, true]);
}
