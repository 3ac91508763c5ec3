//! What a client may do with a resource, as the bits that Metadata, DescribeCluster and DescribeGroups
//! tell when asked (KIP-430).
//!
//! Without an authorizer everybody may do everything that the resource knows, as in Kafka.

/// What is told when nobody asked.
pub(in crate::api) const NOT_ASKED: i32 = i32::MIN;

/// Kafka's `AclOperation` codes; an operation's bit is `1 << code`.
const READ: i32 = 1 << 3;
const WRITE: i32 = 1 << 4;
const CREATE: i32 = 1 << 5;
const DELETE: i32 = 1 << 6;
const ALTER: i32 = 1 << 7;
const DESCRIBE: i32 = 1 << 8;
const CLUSTER_ACTION: i32 = 1 << 9;
const DESCRIBE_CONFIGS: i32 = 1 << 10;
const ALTER_CONFIGS: i32 = 1 << 11;
const IDEMPOTENT_WRITE: i32 = 1 << 12;

/// Operations on a topic.
pub(in crate::api) const TOPIC: i32 =
    READ | WRITE | CREATE | DELETE | ALTER | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS;
/// Operations on a group.
pub(in crate::api) const GROUP: i32 = READ | DELETE | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS;
/// Operations on the cluster.
pub(in crate::api) const CLUSTER: i32 = CREATE
    | ALTER
    | DESCRIBE
    | CLUSTER_ACTION
    | DESCRIBE_CONFIGS
    | ALTER_CONFIGS
    | IDEMPOTENT_WRITE;

/// The bits if the client asked for them.
pub(in crate::api) fn if_asked(asked: bool, operations: i32) -> i32 {
    if asked { operations } else { NOT_ASKED }
}

#[cfg(test)]
mod tests {
    use super::{CLUSTER, GROUP, TOPIC};

    #[test]
    fn the_bits_are_those_that_kafka_tells_without_an_authorizer() {
        // Printed by AclEntry.supportedOperations and Utils.to32BitField.
        assert_eq!((TOPIC, GROUP, CLUSTER), (3576, 3400, 8096));
    }
}
