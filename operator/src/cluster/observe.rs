//! Looks at a Cluster's brokers, for its own room and for those of its Topics and ConsumerGroups.

use std::rc::Rc;

use crds::{Key, Resource};

use super::{ClusterSeen, Observed};
use crate::kafka::Admin;
use crate::platform::Platform;

/// How the brokers of the Cluster `key` run, and what they say.
pub async fn observe(key: &Key, platform: &dyn Platform) -> Observed {
    let facts = match platform.admin(key) {
        Ok(admin) => admin.describe_cluster().await.map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    };
    Observed { limits: platform.limits(), running: platform.brokers(key), facts }
}

/// Whether the Cluster `key` can be asked, and the way to it if so. A Cluster that is being deleted
/// counts as gone, so that nothing that belongs to it waits for it.
pub async fn see(
    key: &Key,
    all: &[Resource],
    platform: &dyn Platform,
) -> (ClusterSeen, Option<Rc<dyn Admin>>) {
    let exists = all.iter().any(|it| it.key() == *key && it.meta().deletion_timestamp.is_none());
    if !exists {
        return (ClusterSeen::NotFound, None);
    }
    let admin = match platform.admin(key) {
        Ok(admin) => admin,
        Err(error) => return (ClusterSeen::NotReady(error.to_string()), None),
    };
    match admin.describe_cluster().await {
        Ok(facts) => {
            let brokers = i32::try_from(facts.brokers.len()).unwrap_or(i32::MAX);
            (ClusterSeen::Ready { brokers }, Some(admin))
        }
        Err(error) => (ClusterSeen::NotReady(error.to_string()), None),
    }
}
