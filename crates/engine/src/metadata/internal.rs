//! The topics in which brokers keep their own state.

use config::BrokerConfig;

use super::topics::NewTopic;

/// Where groups keep their offsets and members.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
/// Where transactions keep their state.
pub const TRANSACTION_STATE: &str = "__transaction_state";

/// Whether clients are told that this topic is internal.
pub fn is_internal(topic: &str) -> bool {
    topic == CONSUMER_OFFSETS || topic == TRANSACTION_STATE
}

/// The creation of an internal topic. Fewer replicas than the settings ask for are accepted if no more
/// brokers are live. `dice` becomes the topic's id.
///
/// # Panics
/// If `topic` is not internal.
pub fn new_internal_topic(
    topic: &str,
    broker: &BrokerConfig,
    live_brokers: usize,
    dice: [u64; 2],
) -> NewTopic {
    let (partitions, replication_factor, segment_bytes) = match topic {
        CONSUMER_OFFSETS => (
            broker.offsets_topic_num_partitions,
            broker.offsets_topic_replication_factor,
            broker.offsets_topic_segment_bytes,
        ),
        TRANSACTION_STATE => (
            broker.transaction_topic_num_partitions,
            broker.transaction_topic_replication_factor,
            broker.transaction_topic_segment_bytes,
        ),
        other => panic!("{other} is not internal"),
    };
    let live = i16::try_from(live_brokers).unwrap_or(i16::MAX).max(1);
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", segment_bytes.to_string()),
        // What a group or a transaction was told is on disk before it is told.
        ("klamm.durability", "fsync".to_owned()),
    ];
    NewTopic {
        name: topic.to_owned(),
        partitions,
        replication_factor: replication_factor.min(live),
        assignments: Vec::new(),
        configs: configs.into_iter().map(|(key, value)| (key.to_owned(), Some(value))).collect(),
        dice,
    }
}
