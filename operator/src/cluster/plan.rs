//! Decides how the brokers of a Cluster should run. Pure.

use crds::Cluster;
use crds::cluster::ClusterReason;

use super::{Observed, Plan, Refused, Step};
use crate::platform::Brokers;

/// What to do so that the brokers run as declared.
pub fn plan(cluster: &Cluster, seen: &Observed) -> Plan {
    let mut plan = Plan::default();
    if cluster.spec.paused {
        return plan;
    }
    if cluster.metadata.deletion_timestamp.is_some() {
        plan.steps = vec![Step::Stop, Step::Release];
        return plan;
    }
    let storage_bytes = match cluster.spec.storage.size.bytes() {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("spec.storage.size: {error}");
            plan.refusals.push(Refused { reason: ClusterReason::InvalidSpec, message });
            return plan;
        }
    };
    if cluster.spec.replicas > seen.limits.max_brokers {
        let can = seen.limits.max_brokers;
        plan.refusals.push(Refused {
            reason: ClusterReason::NotEnoughBrokers,
            message: format!(
                "{} brokers are declared and this place can run {can}; it runs {can}",
                cluster.spec.replicas
            ),
        });
    }
    let wanted = Brokers {
        count: cluster.spec.replicas.min(seen.limits.max_brokers),
        storage_bytes,
        config: cluster.spec.config.clone(),
    };
    let as_wanted =
        seen.running.as_ref().is_some_and(|it| it.asked == wanted && it.failure.is_none());
    if !as_wanted {
        plan.steps.push(Step::Run(wanted));
    }
    plan
}
