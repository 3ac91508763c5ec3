//! Looks at a Cluster's brokers, for its own room and for those of its Topics and ConsumerGroups.

use std::rc::Rc;

use crds::{Cluster, Key, Kind, Resource};

use super::{ClusterSeen, Observed};
use crate::kafka::{Admin, AdminError, ClusterFacts};
use crate::platform::{Platform, Resources, cluster_of};

/// How the brokers of `cluster` run, and what they say.
pub async fn observe(cluster: &Cluster, platform: &dyn Platform) -> Observed {
    let key = crds::resource::key(Kind::Cluster, &cluster.metadata);
    let facts = match platform.admin(&key) {
        Ok(admin) => its_facts(cluster, admin.as_ref(), platform).await,
        Err(error) => Err(error),
    };
    Observed { limits: platform.limits(), running: platform.brokers(cluster), facts }
}

/// Whether the Cluster `key` can be asked, and the way to it if so. A Cluster that is being deleted
/// counts as gone, so that nothing that belongs to it waits for it.
pub async fn see(
    key: &Key,
    all: &Resources,
    platform: &dyn Platform,
) -> (ClusterSeen, Option<Rc<dyn Admin>>) {
    let cluster = all.cluster(key).filter(|it| it.metadata.deletion_timestamp.is_none());
    let Some(cluster) = cluster else { return (ClusterSeen::NotFound, None) };
    let admin = match platform.admin(key) {
        Ok(admin) => admin,
        Err(error) => return (ClusterSeen::NotReady(error.to_string()), None),
    };
    match its_facts(cluster, admin.as_ref(), platform).await {
        Ok(facts) => (ClusterSeen::Ready { brokers: facts.brokers }, Some(admin)),
        Err(error) => (ClusterSeen::NotReady(error.to_string()), None),
    }
}

/// What the Cluster's own brokers say. An address may be another cluster's by now.
async fn its_facts(
    cluster: &Cluster,
    admin: &dyn Admin,
    platform: &dyn Platform,
) -> Result<ClusterFacts, AdminError> {
    let facts = admin.describe_cluster().await?;
    match platform.cluster_id(cluster).filter(|id| *id != facts.cluster_id) {
        None => Ok(facts),
        Some(id) => Err(AdminError::Unreachable(format!(
            "brokers of another cluster answer ({}, and not {id})",
            facts.cluster_id
        ))),
    }
}

/// Why `resource` may not name its Cluster, if so.
pub fn not_allowed(resource: &Resource, all: &Resources) -> Option<String> {
    let (key, own) = (cluster_of(resource), resource.key());
    let cluster = all.cluster(&key)?;
    let is_allowed = cluster.spec.allowed_namespaces.allows(&own.namespace, &key.namespace);
    (!is_allowed).then(|| {
        format!(
            "{key} does not allow resources of the namespace {}; hint: name it in the Cluster's \
             spec.allowedNamespaces",
            own.namespace
        )
    })
}
