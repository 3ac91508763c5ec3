//! Carries out the steps of a ConsumerGroup's plan, one by one, up to the first that fails.

use crds::consumer_group::GroupReason;
use crds::{ConsumerGroup, Key, Kind};

use super::{Failure, Outcome, Plan, Refused, Step};
use crate::kafka::{Admin, AdminError, Refusal};
use crate::platform::Platform;

/// Carries out `plan`. `admin` may be missing where no step needs it.
pub async fn apply(
    group: &ConsumerGroup,
    plan: &Plan,
    admin: Option<&dyn Admin>,
    platform: &dyn Platform,
) -> Outcome {
    let mut outcome = Outcome::default();
    for step in &plan.steps {
        match perform(group, step, admin, platform, &mut outcome).await {
            Ok(()) => outcome.done.push(step.clone()),
            Err(failure) => {
                outcome.failure = Some(failure);
                break;
            }
        }
    }
    outcome
}

async fn perform(
    group: &ConsumerGroup,
    step: &Step,
    admin: Option<&dyn Admin>,
    platform: &dyn Platform,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let retry =
        |message: String| Failure::Retry(Refused { reason: GroupReason::StepFailed, message });
    if let Step::Release = step {
        let key: Key = crds::resource::key(Kind::ConsumerGroup, &group.metadata);
        return platform.release(&key).await.map_err(|e| retry(e.to_string()));
    }
    let Some(admin) = admin else {
        let message = "the brokers do not answer".to_owned();
        return Err(Failure::Retry(Refused { reason: GroupReason::ClusterNotReady, message }));
    };
    match step {
        Step::Reset(reset) => {
            let done = admin.reset_group_offsets(reset.clone()).await.map_err(|e| failed(&e))?;
            outcome.reset = Some(done);
            Ok(())
        }
        Step::DeleteGroup => admin.delete_group(group.group_id()).await.map_err(|e| failed(&e)),
        Step::Release => Ok(()),
    }
}

fn failed(error: &AdminError) -> Failure {
    let retry = |reason| Failure::Retry(Refused { reason, message: error.to_string() });
    match error {
        AdminError::Unreachable(_) => retry(GroupReason::ClusterNotReady),
        AdminError::Refused { why, message } => match why {
            Refusal::GroupNotEmpty => Failure::GroupNotEmpty,
            Refusal::GroupNotFound | Refusal::UnknownTopic => Failure::Rejected(message.clone()),
            Refusal::TopicExists
            | Refusal::InvalidTopic
            | Refusal::InvalidPartitions
            | Refusal::InvalidReplicas
            | Refusal::InvalidConfig
            | Refusal::Forbidden
            | Refusal::QuorumLost
            | Refusal::Other(_) => retry(GroupReason::StepFailed),
        },
    }
}
