//! Topics and partitions: create, delete, grow, measure.

pub(super) mod auto_create;
pub(super) mod create_partitions;
pub(super) mod create_topics;
pub(super) mod delete_topics;
pub(super) mod describe_log_dirs;
