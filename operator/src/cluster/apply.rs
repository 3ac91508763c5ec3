//! Carries out the steps of a Cluster's plan through the platform.

use crds::cluster::ClusterReason;
use crds::{Cluster, Key, Kind};

use super::{Outcome, Plan, Refused, Step};
use crate::platform::{Platform, PlatformError};

/// Carries out `plan`, up to the first step that fails.
pub async fn apply(cluster: &Cluster, plan: &Plan, platform: &dyn Platform) -> Outcome {
    let key: Key = crds::resource::key(Kind::Cluster, &cluster.metadata);
    let mut outcome = Outcome::default();
    for step in &plan.steps {
        let result = match step {
            Step::Run(count) => platform.run_brokers(cluster, *count).await,
            Step::Stop => platform.stop_brokers(cluster).await,
            Step::Release => platform.release(&key).await,
        };
        match result {
            Ok(()) => outcome.done.push(step.clone()),
            Err(error) => {
                let reason = match error {
                    PlatformError::Forbidden(_) => ClusterReason::Forbidden,
                    PlatformError::Taken(_) => ClusterReason::InvalidSpec,
                    PlatformError::Failed(_) => ClusterReason::BrokerDown,
                };
                outcome.failure = Some(Refused { reason, message: error.to_string() });
                break;
            }
        }
    }
    outcome
}
