//! What the broker speaks, and what the cluster looks like.

pub(super) mod add_raft_voter;
pub(super) mod allocate_producer_ids;
pub(super) mod alter_partition;
pub(super) mod api_versions;
pub(super) mod broker_heartbeat;
pub(super) mod broker_registration;
pub(super) mod describe_cluster;
pub(super) mod describe_quorum;
pub(super) mod envelope;
pub(super) mod fetch_metadata;
pub(super) mod metadata;
pub(super) mod operations;
pub(super) mod quorum_message;
pub(super) mod remove_raft_voter;
pub(super) mod unregister_broker;
pub(super) mod update_features;
