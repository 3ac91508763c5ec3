//! What operators of a cluster ask of it. All of it is Klamm's own.

use std::sync::Arc;

use engine::BrokerId;
use engine::metadata::Voter;

use crate::quorum::VoterProgress;
use crate::shared::Shared;

pub(super) mod balance_cluster;
pub(super) mod cordon_broker;
pub(in crate::api) mod describe_brokers;
pub(super) mod disruption_lease;
pub(super) mod drain_broker;
pub(super) mod forget_broker;
pub(super) mod restart_check;
pub(super) mod validate_config;
pub(super) mod watch_metadata;

/// How many entries of the metadata log may be on their way to a voter that is there.
const UNDER_WAY: u64 = 100;

/// The voters of the quorum, and those that the settings name beside; nobody once this node takes part no
/// more.
pub(crate) async fn voters(shared: &Arc<Shared>) -> Vec<Voter> {
    let Some(progress) = shared.quorum.progress().await else { return Vec::new() };
    let needed = progress.high_watermark.saturating_sub(UNDER_WAY);
    let voter = |VoterProgress { id, directory, log_end, .. }| {
        let is_current = log_end.is_some_and(|end| end >= needed);
        Voter { id, directory, is_member: true, is_current }
    };
    let mut voters: Vec<Voter> = progress.voters.into_iter().map(voter).collect();
    for named in &shared.state().settings.broker.controller_quorum_voters {
        let id = BrokerId(named.id);
        if !voters.iter().any(|voter| voter.id == id) {
            let directory = wire::Uuid::ZERO;
            voters.push(Voter { id, directory, is_member: false, is_current: false });
        }
    }
    voters
}
