//! Says what a person reads about a Cluster. Pure.

use crds::cluster::{BrokerState, BrokerStatus, ClusterReason, ListenerStatus};
use crds::conditions::{self, Condition, READY, RECONCILING, STALLED};
use crds::{Cluster, ClusterStatus};

use super::{Observed, Outcome, Plan};
use crate::now::Now;
use crate::platform::BrokerFailure;

/// The status after a pass. `seen` is what was seen after the steps.
pub fn status(
    cluster: &Cluster,
    seen: &Observed,
    plan: &Plan,
    outcome: &Outcome,
    now: Now,
) -> ClusterStatus {
    let mut status = cluster.status.clone().unwrap_or_default();
    status.observed_generation = cluster.metadata.generation;
    status.replicas = seen.running.as_ref().map_or(0, |it| it.asked.count);
    let serving = seen.facts.as_ref().map(|it| it.brokers.as_slice()).unwrap_or_default();
    status.ready_replicas = i32::try_from(serving.len()).unwrap_or(i32::MAX);
    if let Ok(facts) = &seen.facts {
        status.cluster_id = Some(facts.cluster_id.clone());
    }
    let failed = seen.running.as_ref().is_some_and(|it| it.failure.is_some());
    status.brokers = broker_states(status.replicas, serving, failed);
    status.listeners = seen
        .running
        .iter()
        .filter(|it| !it.bootstrap.is_empty())
        .map(|it| ListenerStatus { name: "client".to_owned(), bootstrap: it.bootstrap.clone() })
        .collect();
    let (reason, message) = verdict(cluster, seen, plan, outcome, serving.len());
    set_conditions(&mut status, cluster, reason, &message, now);
    status
}

/// Ids are 0.. until pools arrive; a serving broker shows its own.
fn broker_states(count: i32, serving: &[i32], failed: bool) -> Vec<BrokerStatus> {
    let mut states: Vec<BrokerStatus> =
        serving.iter().map(|id| BrokerStatus { id: *id, state: BrokerState::Ready }).collect();
    let state = if failed { BrokerState::Down } else { BrokerState::Starting };
    let missing = usize::try_from(count).unwrap_or(0).saturating_sub(serving.len());
    let free_ids = (0..).filter(|id| !serving.contains(id)).take(missing);
    states.extend(free_ids.map(|id| BrokerStatus { id, state }));
    states.sort_by_key(|it| it.id);
    states.truncate(256);
    states
}

fn verdict(
    cluster: &Cluster,
    seen: &Observed,
    plan: &Plan,
    outcome: &Outcome,
    serving: usize,
) -> (ClusterReason, String) {
    if cluster.metadata.deletion_timestamp.is_some() {
        return (ClusterReason::Deleting, String::new());
    }
    if cluster.spec.paused {
        return (ClusterReason::Paused, "spec.paused is true".to_owned());
    }
    if let Some(failure) = &outcome.failure {
        return (failure.reason, failure.message.clone());
    }
    let failure = seen.running.as_ref().and_then(|it| it.failure.as_ref());
    match failure {
        Some(BrokerFailure::InvalidConfig(why)) => {
            return (ClusterReason::InvalidConfig, why.clone());
        }
        Some(BrokerFailure::Draining(why)) => return (ClusterReason::Draining, why.clone()),
        Some(BrokerFailure::Down(why)) => return (ClusterReason::BrokerDown, why.clone()),
        None => {}
    }
    let asked = seen.running.as_ref().map_or(0, |it| it.asked.count);
    match &seen.facts {
        Ok(_) if serving < usize::try_from(asked).unwrap_or(0) => {
            (ClusterReason::Creating, format!("{serving} of {asked} brokers serve"))
        }
        Ok(_) => match plan.refusals.first() {
            Some(refused) => (refused.reason, refused.message.clone()),
            None => (ClusterReason::Available, format!("{serving} of {asked} brokers serve")),
        },
        Err(why) => match plan.refusals.first().map(|it| it.reason) {
            Some(ClusterReason::InvalidSpec) => {
                (ClusterReason::InvalidSpec, plan.refusals[0].message.clone())
            }
            Some(_) | None => (ClusterReason::Creating, why.clone()),
        },
    }
}

fn set_conditions(
    status: &mut ClusterStatus,
    cluster: &Cluster,
    reason: ClusterReason,
    message: &str,
    now: Now,
) {
    use ClusterReason as R;
    let (ready, reconciling, stalled) = match reason {
        R::Available => (true, false, false),
        R::Creating | R::Draining | R::BrokerDown | R::Deleting => (false, true, false),
        R::NotEnoughBrokers | R::InvalidConfig | R::InvalidSpec => (false, false, true),
        R::Paused => (status.ready_replicas > 0, false, false),
    };
    let condition = |type_: &str, holds: bool| Condition {
        type_: type_.to_owned(),
        status: holds.into(),
        reason: reason.as_str().to_owned(),
        message: message.chars().take(1024).collect(),
        observed_generation: cluster.metadata.generation,
        last_transition_time: now.rfc3339(),
    };
    conditions::set(&mut status.conditions, condition(READY, ready));
    for (type_, holds) in [(RECONCILING, reconciling), (STALLED, stalled)] {
        if holds {
            conditions::set(&mut status.conditions, condition(type_, true));
        } else {
            conditions::clear(&mut status.conditions, type_);
        }
    }
}
