//! Decides how the brokers of a Cluster should run. Pure.

use crds::Cluster;
use crds::cluster::ClusterReason;

use super::{Observed, Plan, Refused, Step};

/// What to do so that the brokers run as declared.
pub fn plan(cluster: &Cluster, seen: &Observed) -> Plan {
    let mut plan = Plan::default();
    if cluster.metadata.deletion_timestamp.is_some() {
        plan.steps = vec![Step::Stop, Step::Release];
        return plan;
    }
    if cluster.spec.paused {
        return plan;
    }
    if let Err(error) = cluster.spec.storage.size.bytes() {
        let message = format!("spec.storage.size: {error}");
        plan.refusals.push(Refused { reason: ClusterReason::InvalidSpec, message });
        return plan;
    }
    let (declared, can) = (cluster.spec.node_count(), seen.limits.max_brokers);
    if declared > can {
        plan.refusals.push(Refused {
            reason: ClusterReason::NotEnoughBrokers,
            message: format!(
                "{declared} brokers are declared and this place can run {can}; it runs {can}"
            ),
        });
    }
    if !seen.running.as_ref().is_some_and(|it| it.is_as_wanted) {
        plan.steps.push(Step::Run(declared.min(can)));
    }
    plan
}
