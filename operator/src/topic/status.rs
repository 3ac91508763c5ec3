//! Says what a person reads about a Topic. Pure.

use crds::conditions::{self, Condition, ConditionStatus, READY, RECONCILING, STALLED};
use crds::topic::{Drift, ExistingPolicy, TopicReason};
use crds::{Topic, TopicStatus};

use super::{Observed, Outcome, Plan, Refused, Step};
use crate::cluster::ClusterSeen;
use crate::now::Now;

/// Keys of `status.drift`, at most.
const MAX_DRIFT_KEYS: usize = 10;

/// The status after a pass. `seen` is what was seen after the steps.
pub fn status(
    topic: &Topic,
    seen: &Observed,
    plan: &Plan,
    outcome: &Outcome,
    now: Now,
) -> TopicStatus {
    let old = topic.status.clone().unwrap_or_default();
    let mut status = old.clone();
    status.observed_generation = topic.metadata.generation;
    let refused = outcome.failure.as_ref().or(plan.refusals.first());
    let is_ours = seen.claimed_by.is_none()
        && !refused.is_some_and(|it| {
            matches!(it.reason, TopicReason::Conflict | TopicReason::RecreatedExternally)
        });
    if let Some(facts) = seen.topic.as_ref().filter(|_| is_ours && !topic.spec.paused) {
        status.topic_id = Some(facts.id.clone());
        status.creating = false;
        status.partitions = Some(facts.partitions);
        status.replicas = Some(facts.replicas);
        status.moving_partitions = (seen.moving > 0).then_some(seen.moving);
    }
    let is_gone = seen.topic.is_none()
        && old.topic_id.is_some()
        && refused.is_none()
        && !topic.spec.paused
        && topic.metadata.deletion_timestamp.is_none();
    if is_gone {
        status.topic_id = None;
        status.partitions = None;
        status.replicas = None;
        status.moving_partitions = None;
    }
    let is_there_none = matches!(seen.cluster, ClusterSeen::Ready { .. }) && seen.topic.is_none();
    if is_there_none && old.topic_id.is_none() && !topic.spec.paused {
        // What was refused was not created: one that appears is somebody else's.
        let goes_on = refused.is_none() || outcome.may_have_created;
        status.creating = goes_on && topic.spec.existing == ExistingPolicy::Fail;
    }
    let mut drifted = drifted(topic, &old, outcome);
    if is_gone {
        drifted.push("topic".to_owned());
    }
    if !drifted.is_empty() {
        status.drift = Some(Drift {
            count: old.drift.as_ref().map_or(0, |it| it.count) + 1,
            last_at: now.rfc3339(),
            keys: drifted.into_iter().take(MAX_DRIFT_KEYS).collect(),
        });
    }
    let (reason, message) = verdict(topic, &old, &status, refused, outcome);
    set_conditions(&mut status, topic, reason, &message, now);
    status
}

fn verdict(
    topic: &Topic,
    old: &TopicStatus,
    new: &TopicStatus,
    refused: Option<&Refused>,
    outcome: &Outcome,
) -> (TopicReason, String) {
    if topic.spec.paused {
        return (TopicReason::Paused, "spec.paused is true".to_owned());
    }
    if let Some(refused) = refused {
        return (refused.reason, refused.message.clone());
    }
    if topic.metadata.deletion_timestamp.is_some() {
        return (TopicReason::Deleting, String::new());
    }
    if new.topic_id.is_none() {
        let message = match old.topic_id {
            Some(_) => "somebody deleted the topic; it is created again, empty",
            None => "the brokers do not show the topic yet",
        };
        return (TopicReason::Syncing, message.to_owned());
    }
    let has_begun = outcome.done.iter().any(|step| matches!(step, Step::SetReplicas { .. }));
    if let Some(moving) = new.moving_partitions {
        let message = format!("{moving} partitions are being moved to have the replicas declared");
        return (TopicReason::MovingReplicas, message);
    }
    if has_begun {
        return (TopicReason::MovingReplicas, "replicas begin to move".to_owned());
    }
    let name = topic.topic_name();
    let created = outcome.done.iter().any(|step| matches!(step, Step::Create(_)));
    match (created, &old.topic_id) {
        (true, _) => (TopicReason::Created, format!("{name} was created")),
        (false, None) => (TopicReason::Adopted, format!("{name} existed and was adopted")),
        (false, Some(_)) if new.drift != old.drift => {
            let keys = new.drift.as_ref().map(|it| it.keys.join(", ")).unwrap_or_default();
            (TopicReason::DriftCorrected, format!("changed by somebody else and put right: {keys}"))
        }
        (false, Some(_)) => settled(old, outcome),
    }
}

/// Nothing happened: what was said last goes on being true, unless it was a refusal.
fn settled(old: &TopicStatus, outcome: &Outcome) -> (TopicReason, String) {
    let last = conditions::get(&old.conditions, READY);
    let lasting = [TopicReason::Created, TopicReason::Adopted, TopicReason::DriftCorrected];
    for reason in lasting {
        if let Some(last) =
            last.filter(|it| it.reason == reason.as_str() && outcome.done.is_empty())
        {
            return (reason, last.message.clone());
        }
    }
    (TopicReason::InSync, String::new())
}

/// The settings that somebody else changed: those corrected although the spec is the one that was last
/// made true.
fn drifted(topic: &Topic, old: &TopicStatus, outcome: &Outcome) -> Vec<String> {
    let was_true = old.observed_generation == topic.metadata.generation
        && conditions::get(&old.conditions, READY)
            .is_some_and(|it| it.status == ConditionStatus::True);
    if !was_true {
        return Vec::new();
    }
    let keys = |step: &Step| match step {
        Step::SetConfig(changes) => changes.keys().cloned().collect(),
        Step::AddPartitions { .. } => vec!["partitions".to_owned()],
        Step::SetReplicas { .. } => vec!["replicas".to_owned()],
        Step::Create(_) | Step::Delete { .. } | Step::Release => Vec::new(),
    };
    outcome.done.iter().flat_map(keys).collect()
}

fn set_conditions(
    status: &mut TopicStatus,
    topic: &Topic,
    reason: TopicReason,
    message: &str,
    now: Now,
) {
    use TopicReason as R;
    let (ready, reconciling, stalled) = match reason {
        R::Created | R::Adopted | R::InSync | R::DriftCorrected => (true, false, false),
        R::Syncing | R::MovingReplicas | R::ClusterNotReady | R::StepFailed | R::Deleting => {
            (false, true, false)
        }
        R::ClusterNotFound
        | R::PartitionsLower
        | R::NotEnoughBrokers
        | R::NamespaceNotAllowed
        | R::InvalidConfig
        | R::InvalidSpec
        | R::Conflict
        | R::RecreatedExternally => (false, false, true),
        R::Paused => (status.topic_id.is_some(), false, false),
    };
    let condition = |type_: &str, holds: bool| Condition {
        type_: type_.to_owned(),
        status: holds.into(),
        reason: reason.as_str().to_owned(),
        message: message.chars().take(1024).collect(),
        observed_generation: topic.metadata.generation,
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
