//! What the broker speaks, and what the cluster looks like.

pub(super) mod api_versions;
pub(super) mod describe_cluster;
pub(super) mod metadata;
pub(super) mod operations;
pub(super) mod quorum_message;
