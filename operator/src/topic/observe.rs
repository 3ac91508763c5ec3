//! Reads all that the planner of a Topic needs to know.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crds::conditions::{self, READY};
use crds::{Cluster, Key, Kind, Topic};

use super::Observed;
use crate::cluster::{ClusterSeen, cluster_key};
use crate::kafka::{Admin, AdminError, TopicFacts};
use crate::platform::Resources;

/// Looks at the topic and its settings. `admin` is the way to its Cluster, if there is one.
///
/// # Errors
/// When the brokers stop answering half-way; what was seen is not enough to plan with.
pub async fn observe(
    topic: &Topic,
    cluster: ClusterSeen,
    claimed_by: Option<Key>,
    admin: Option<Rc<dyn Admin>>,
) -> Result<Observed, AdminError> {
    let (config, moving) = (BTreeMap::new(), 0);
    let mut seen = Observed { cluster, topic: None, config, moving, claimed_by };
    if let Some(admin) = admin {
        let name = topic.topic_name();
        seen.topic = admin.describe_topics(BTreeSet::from([name.clone()])).await?.remove(&name);
        if seen.topic.is_some() {
            seen.config = admin.topic_config(name.clone()).await?;
        }
        if seen.topic.as_ref().is_some_and(|facts| has_other_replicas(topic, facts)) {
            seen.moving = admin.moving_partitions(name).await?;
        }
    }
    Ok(seen)
}

/// Whether some partition has another number of replicas than is declared.
pub(super) fn has_other_replicas(topic: &Topic, facts: &TopicFacts) -> bool {
    let is_other = |wanted| (facts.replicas, facts.replicas_max) != (wanted, wanted);
    topic.spec.replicas.is_some_and(is_other)
}

/// The resource that the topic of `topic` belongs to, if that is another one: two Topics may not want
/// the same topic of the same Cluster. The one that has it keeps it; else the older one gets it; among
/// equals the first by name.
pub fn claimed_by(topic: &Topic, all: &Resources) -> Option<Key> {
    let cluster = cluster_key(&topic.spec.cluster_ref, &topic.metadata);
    let mine = rank(topic);
    // Who may not name the Cluster takes nothing away from who may.
    let may_name = |other: &&Topic| {
        let namespace = crds::resource::key(Kind::Topic, &other.metadata).namespace;
        let is_allowed =
            |it: &Cluster| it.spec.allowed_namespaces.allows(&namespace, &cluster.namespace);
        all.cluster(&cluster).is_none_or(is_allowed)
    };
    let name = topic.topic_name();
    let first = all.wanting(&cluster, &name).filter(may_name).map(rank).min();
    first.filter(|first| *first < mine).map(|(_, _, key)| key)
}

/// Who comes first: the one that has the topic, then the older one, then by name.
fn rank(topic: &Topic) -> (bool, Option<i64>, Key) {
    let status = topic.status.as_ref();
    let lost = status.is_some_and(|status| {
        conditions::get(&status.conditions, READY)
            .is_some_and(|it| it.reason == crds::topic::TopicReason::Conflict.as_str())
    });
    let has_it = !lost && status.is_some_and(|it| it.topic_id.is_some());
    // A resource without a creation time is older than none: it was not stored anywhere yet.
    let created = topic.metadata.creation_timestamp.as_ref().map(|it| it.0.as_millisecond());
    (!has_it, created, crds::resource::key(Kind::Topic, &topic.metadata))
}

#[cfg(test)]
mod tests {
    use crds::{ClusterRef, TopicSpec, TopicStatus};

    use super::*;

    fn topic(name: &str, topic_name: Option<&str>, topic_id: Option<&str>) -> Topic {
        let mut topic = Topic::new(
            name,
            TopicSpec {
                cluster_ref: ClusterRef { name: "demo".to_owned(), namespace: None },
                topic_name: topic_name.map(str::to_owned),
                ..TopicSpec::default()
            },
        );
        topic.status =
            Some(TopicStatus { topic_id: topic_id.map(str::to_owned), ..TopicStatus::default() });
        topic
    }

    fn loser(a: &Topic, b: &Topic) -> (Option<String>, Option<String>) {
        let both = [a, b].map(|it| crds::Resource::Topic(Box::new(it.clone())));
        let all: Resources = both.into_iter().collect();
        (claimed_by(a, &all).map(|it| it.name), claimed_by(b, &all).map(|it| it.name))
    }

    #[test]
    fn of_two_topics_of_one_name_exactly_one_has_it() {
        let a = topic("a", Some("orders"), None);
        let b = topic("orders", None, None);
        assert_eq!(loser(&a, &b), (None, Some("a".to_owned())), "the first by name");

        let b = topic("orders", None, Some("id"));
        assert_eq!(loser(&a, &b), (Some("orders".to_owned()), None), "the one that has it");

        let other = topic("payments", None, None);
        assert_eq!(loser(&a, &other), (None, None), "different topics");
    }
}
