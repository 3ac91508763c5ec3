//! Reads all that the planner of a Topic needs to know.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crds::conditions::{self, READY};
use crds::{Key, Resource, Topic};

use super::Observed;
use crate::cluster::{ClusterSeen, cluster_key};
use crate::kafka::{Admin, AdminError};

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
    let mut seen = Observed { cluster, topic: None, config: BTreeMap::new(), claimed_by };
    if let Some(admin) = admin {
        let name = topic.topic_name();
        seen.topic = admin.describe_topics(BTreeSet::from([name.clone()])).await?.remove(&name);
        if seen.topic.is_some() {
            seen.config = admin.topic_config(name).await?;
        }
    }
    Ok(seen)
}

/// The resource that the topic of `topic` belongs to, if that is another one: two Topics may not want
/// the same topic of the same Cluster. The one that has it keeps it; else the older one gets it; among
/// equals the first by name.
pub fn claimed_by(topic: &Topic, all: &[Resource]) -> Option<Key> {
    let cluster = cluster_key(&topic.spec.cluster_ref, &topic.metadata);
    let name = topic.topic_name();
    let mine = rank(topic);
    all.iter()
        .filter_map(|resource| match resource {
            Resource::Topic(other) => Some(other.as_ref()),
            Resource::Cluster(_) | Resource::ConsumerGroup(_) => None,
        })
        .filter(|other| {
            other.topic_name() == name
                && cluster_key(&other.spec.cluster_ref, &other.metadata) == cluster
        })
        .map(rank)
        .min()
        .filter(|first| *first < mine)
        .map(|(_, _, key)| key)
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
    (!has_it, created, crds::resource::key(crds::Kind::Topic, &topic.metadata))
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
        let all = [Resource::Topic(Box::new(a.clone())), Resource::Topic(Box::new(b.clone()))];
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
