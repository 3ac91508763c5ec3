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
    assert!(is_internal(topic), "{topic} is not internal");
    let _ = (broker, live_brokers, dice);
    todo!()
}
