//! What operators of a cluster ask of it. All of it is Klamm's own.

use std::sync::Arc;

use engine::BrokerId;

use crate::shared::Shared;

pub(super) mod cordon_broker;
pub(super) mod describe_brokers;
pub(super) mod disruption_lease;
pub(super) mod drain_broker;
pub(super) mod forget_broker;
pub(super) mod restart_check;
pub(super) mod validate_config;
pub(super) mod watch_metadata;

/// The voters of the quorum; nobody once this node takes part no more.
pub(crate) async fn voters(shared: &Arc<Shared>) -> Vec<BrokerId> {
    let progress = shared.quorum.progress().await;
    let voters = progress.map(|progress| progress.voters).unwrap_or_default();
    voters.into_iter().map(|voter| voter.id).collect()
}
