//! Topics and partitions: create, delete, grow, move, measure.

mod by_topic;

pub(super) use by_topic::by_topic;

pub(super) mod alter_partition_reassignments;
pub(super) mod auto_create;
pub(super) mod create_partitions;
pub(super) mod create_topics;
pub(super) mod delete_topics;
pub(super) mod describe_log_dirs;
pub(super) mod elect_leaders;
pub(super) mod list_partition_reassignments;
