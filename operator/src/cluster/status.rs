//! Says what a person reads about a Cluster. Pure.

use crds::cluster::{
    BrokerState, BrokerStatus, ClusterReason, RESTART_PENDING, STORAGE_PENDING, UPGRADE_AVAILABLE,
};
use crds::conditions::{self, Condition, READY, RECONCILING, STALLED};
use crds::{Cluster, ClusterStatus};

use super::{Observed, Outcome, Plan};
use crate::kafka::Refusal;
use crate::now::Now;
use crate::platform::{BrokerFailure, Running};

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
    status.replicas = seen.running.as_ref().map_or(0, |it| it.count);
    let unready = seen.running.as_ref().map(|it| it.unready.as_slice()).unwrap_or_default();
    let mut serving = seen.facts.as_ref().map(|it| it.brokers.clone()).unwrap_or_default();
    serving.retain(|id| !unready.contains(id));
    status.ready_replicas = i32::try_from(serving.len()).unwrap_or(i32::MAX);
    if let Ok(facts) = &seen.facts {
        status.cluster_id = Some(facts.cluster_id.clone());
    }
    status.brokers = broker_states(seen.running.as_ref(), &serving);
    status.listeners = seen.running.as_ref().map(|it| it.listeners.clone()).unwrap_or_default();
    status.selector = seen.running.as_ref().and_then(|it| it.selector.clone());
    let (reason, message) = verdict(cluster, seen, plan, outcome, serving.len());
    set_conditions(&mut status, cluster, reason, &message, now);
    let outdated = seen.running.as_ref().map(|it| it.outdated.as_slice()).unwrap_or_default();
    // Brokers that run with what was declared before are no fault: the next restart of each ends it.
    let pending = (!outdated.is_empty()).then(|| {
        let ids = outdated.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
        let message = format!(
            "brokers {ids} run with what was declared before; hint: delete one pod after the other, each \
             once the one before is ready"
        );
        (ClusterReason::NotYetRestarted, message)
    });
    tell(&mut status, cluster, RESTART_PENDING, pending, now);
    let newer = seen.running.as_ref().and_then(|it| it.upgrade.as_ref()).map(|image| {
        let message = format!("the operator comes with {image}; hint: spec.image: {image}");
        (ClusterReason::NewerImage, message)
    });
    tell(&mut status, cluster, UPGRADE_AVAILABLE, newer, now);
    let smaller = seen.running.as_ref().and_then(|it| it.smaller.clone());
    let smaller = smaller.map(|message| (ClusterReason::NotYetGrown, message));
    tell(&mut status, cluster, STORAGE_PENDING, smaller, now);
    status
}

/// A claim that is there while it holds.
fn tell(
    status: &mut ClusterStatus,
    cluster: &Cluster,
    type_: &str,
    holds: Option<(ClusterReason, String)>,
    now: Now,
) {
    let Some((reason, message)) = holds else {
        conditions::clear(&mut status.conditions, type_);
        return;
    };
    let condition = Condition {
        type_: type_.to_owned(),
        status: true.into(),
        reason: reason.as_str().to_owned(),
        message,
        observed_generation: cluster.metadata.generation,
        last_transition_time: now.rfc3339(),
    };
    conditions::set(&mut status.conditions, condition);
}

/// Where there are pods, each has its broker's state; else who serves shows its own id, and the others get those
/// that are free.
fn broker_states(running: Option<&Running>, serving: &[i32]) -> Vec<BrokerStatus> {
    let Some(running) = running else { return Vec::new() };
    let failed = running.failure.as_ref().is_some_and(BrokerFailure::is_down);
    let missing = if failed { BrokerState::Down } else { BrokerState::Starting };
    let state = |id: &i32| if serving.contains(id) { BrokerState::Ready } else { missing };
    let mut states: Vec<BrokerStatus> = if running.pods.is_empty() {
        let count = usize::try_from(running.count).unwrap_or(0);
        let free = (1..).filter(|id| !serving.contains(id));
        let ids = serving.iter().copied().chain(free).take(count.max(serving.len()));
        ids.map(|id| BrokerStatus { id, state: state(&id), pod: None }).collect()
    } else {
        let pods = running.pods.iter();
        pods.map(|(id, pod)| BrokerStatus { id: *id, state: state(id), pod: Some(pod.clone()) })
            .collect()
    };
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
        Some(BrokerFailure::InvalidSpec(why)) => return (ClusterReason::InvalidSpec, why.clone()),
        Some(BrokerFailure::Forbidden(why)) => return (ClusterReason::Forbidden, why.clone()),
        Some(BrokerFailure::QuorumLost(why)) => return (ClusterReason::QuorumLost, why.clone()),
        Some(BrokerFailure::Draining(why)) => return (ClusterReason::Draining, why.clone()),
        Some(BrokerFailure::Down(why)) => return (ClusterReason::BrokerDown, why.clone()),
        Some(BrokerFailure::Starting(why)) => return (ClusterReason::Creating, why.clone()),
        None => {}
    }
    let asked = seen.running.as_ref().map_or(0, |it| it.count);
    match &seen.facts {
        Ok(_) if serving < usize::try_from(asked).unwrap_or(0) => {
            (ClusterReason::Creating, format!("{serving} of {asked} brokers serve"))
        }
        Ok(_) => match plan.refusals.first() {
            Some(refused) => (refused.reason, refused.message.clone()),
            None => (ClusterReason::Available, format!("{serving} of {asked} brokers serve")),
        },
        Err(error) if error.is(Refusal::QuorumLost) => {
            (ClusterReason::QuorumLost, error.to_string())
        }
        Err(error) => match plan.refusals.first().map(|it| it.reason) {
            Some(ClusterReason::InvalidSpec) => {
                (ClusterReason::InvalidSpec, plan.refusals[0].message.clone())
            }
            Some(_) | None => (ClusterReason::Creating, error.to_string()),
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
        R::Available | R::NotYetRestarted | R::NotYetGrown | R::NewerImage => (true, false, false),
        R::Creating | R::Draining | R::BrokerDown | R::Deleting => (false, true, false),
        R::NotEnoughBrokers | R::InvalidConfig | R::InvalidSpec | R::Forbidden | R::QuorumLost => {
            (false, false, true)
        }
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
