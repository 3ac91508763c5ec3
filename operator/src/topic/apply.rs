//! Carries out the steps of a Topic's plan, one by one, up to the first that fails.

use crds::topic::TopicReason;
use crds::{Key, Topic};

use super::{Outcome, Plan, Refused, Step};
use crate::kafka::{Admin, AdminError, Refusal};
use crate::platform::Platform;

/// Carries out `plan`. `admin` may be missing where no step needs it.
pub async fn apply(
    topic: &Topic,
    plan: &Plan,
    admin: Option<&dyn Admin>,
    platform: &dyn Platform,
) -> Outcome {
    let mut outcome = Outcome::default();
    for step in &plan.steps {
        match perform(topic, step, admin, platform).await {
            Ok(()) => outcome.done.push(step.clone()),
            Err((failure, is_in_doubt)) => {
                outcome.may_have_created = is_in_doubt && matches!(step, Step::Create(_));
                outcome.failure = Some(failure);
                break;
            }
        }
    }
    outcome
}

/// Whether a step may have been done although it failed: its answer was lost, or it was tried again after that.
fn is_in_doubt(error: &AdminError) -> bool {
    match error {
        AdminError::Unreachable(_) => true,
        AdminError::Refused { why, .. } => *why == Refusal::TopicExists,
    }
}

/// What went wrong, and whether the step may have been done all the same.
async fn perform(
    topic: &Topic,
    step: &Step,
    admin: Option<&dyn Admin>,
    platform: &dyn Platform,
) -> Result<(), (Refused, bool)> {
    let certain = |reason, message| (Refused { reason, message }, false);
    if let Step::Release = step {
        let key: Key = crds::resource::key(crds::Kind::Topic, &topic.metadata);
        return platform
            .release(&key)
            .await
            .map_err(|error| certain(TopicReason::StepFailed, error.to_string()));
    }
    let Some(admin) = admin else {
        return Err(certain(TopicReason::ClusterNotReady, "the brokers do not answer".to_owned()));
    };
    let name = topic.topic_name();
    match step {
        Step::Create(new) => admin.create_topic(new.clone()).await,
        Step::AddPartitions { to } => admin.create_partitions(name, *to).await,
        Step::SetReplicas { to } => admin.set_replicas(name, *to).await,
        Step::SetConfig(changes) => admin.alter_topic_config(name, changes.clone()).await,
        Step::Delete { topic_id } => admin.delete_topic(topic_id.clone()).await,
        Step::Release => Ok(()),
    }
    .map_err(|error| (failed(&error), is_in_doubt(&error)))
}

fn failed(error: &AdminError) -> Refused {
    let reason = match error {
        AdminError::Unreachable(_) => TopicReason::ClusterNotReady,
        AdminError::Refused { why, .. } => match why {
            Refusal::InvalidConfig => TopicReason::InvalidConfig,
            Refusal::InvalidReplicas => TopicReason::NotEnoughBrokers,
            Refusal::InvalidTopic => TopicReason::InvalidSpec,
            // Somebody else was faster between our look and our step: the next look knows more.
            Refusal::TopicExists
            | Refusal::UnknownTopic
            | Refusal::InvalidPartitions
            | Refusal::GroupNotEmpty
            | Refusal::GroupNotFound
            | Refusal::Forbidden
            | Refusal::QuorumLost
            | Refusal::Other(_) => TopicReason::StepFailed,
        },
    };
    Refused { reason, message: error.to_string() }
}
