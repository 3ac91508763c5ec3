//! All resources at one moment, by key, by Cluster, and by the Kafka topic that they want.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crds::{Cluster, Key, Kind, Resource, Topic};

use crate::cluster::cluster_key;

/// All resources. Cheap to look up in: a thousand Topics that are created at once ask for each other.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    all: BTreeMap<Key, Rc<Resource>>,
    /// By the Cluster that they name, a Cluster by itself.
    by_cluster: BTreeMap<Key, BTreeSet<Key>>,
    /// Topics by their Cluster and their name in Kafka.
    by_topic: BTreeMap<(Key, String), BTreeSet<Key>>,
}

impl Resources {
    /// Puts a resource in, in the place of the one with its key.
    pub fn put(&mut self, resource: Resource) {
        let key = resource.key();
        self.take(&key);
        self.by_cluster.entry(cluster_of(&resource)).or_default().insert(key.clone());
        if let Resource::Topic(topic) = &resource {
            self.by_topic.entry(wanted(topic)).or_default().insert(key.clone());
        }
        self.all.insert(key, Rc::new(resource));
    }

    /// Takes the resource with this key out.
    pub fn take(&mut self, key: &Key) -> Option<Rc<Resource>> {
        let old = self.all.remove(key)?;
        remove(&mut self.by_cluster, &cluster_of(&old), key);
        if let Resource::Topic(topic) = old.as_ref() {
            remove(&mut self.by_topic, &wanted(topic), key);
        }
        Some(old)
    }

    /// The resource with this key.
    pub fn get(&self, key: &Key) -> Option<&Rc<Resource>> {
        self.all.get(key)
    }

    /// The Cluster with this key.
    pub fn cluster(&self, key: &Key) -> Option<&Cluster> {
        match self.all.get(key).map(Rc::as_ref) {
            Some(Resource::Cluster(cluster)) => Some(cluster),
            Some(Resource::Topic(_) | Resource::ConsumerGroup(_)) | None => None,
        }
    }

    /// All of them, by key: Clusters first, then Topics, then ConsumerGroups.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Rc<Resource>)> {
        self.all.iter()
    }

    /// The keys of the Clusters, also of those that are named and do not exist.
    pub fn clusters(&self) -> impl Iterator<Item = &Key> {
        self.by_cluster.keys()
    }

    /// What belongs to a Cluster, itself first.
    pub fn of_cluster(&self, cluster: &Key) -> impl Iterator<Item = (&Key, &Rc<Resource>)> {
        let keys = self.by_cluster.get(cluster).into_iter().flatten();
        keys.filter_map(|key| Some((key, self.all.get(key)?)))
    }

    /// The Topics that want this topic of this Cluster.
    pub fn wanting(&self, cluster: &Key, topic: &str) -> impl Iterator<Item = &Topic> {
        let keys = self.by_topic.get(&(cluster.clone(), topic.to_owned())).into_iter().flatten();
        keys.filter_map(|key| match self.all.get(key)?.as_ref() {
            Resource::Topic(topic) => Some(topic.as_ref()),
            Resource::Cluster(_) | Resource::ConsumerGroup(_) => None,
        })
    }
}

impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(resources: I) -> Self {
        let mut all = Self::default();
        resources.into_iter().for_each(|resource| all.put(resource));
        all
    }
}

/// The key of the Cluster that a resource belongs to, its own if it is one.
pub(crate) fn cluster_of(resource: &Resource) -> Key {
    match resource {
        Resource::Cluster(cluster) => crds::resource::key(Kind::Cluster, &cluster.metadata),
        Resource::Topic(topic) => cluster_key(&topic.spec.cluster_ref, &topic.metadata),
        Resource::ConsumerGroup(group) => cluster_key(&group.spec.cluster_ref, &group.metadata),
    }
}

fn wanted(topic: &Topic) -> (Key, String) {
    (cluster_key(&topic.spec.cluster_ref, &topic.metadata), topic.topic_name())
}

fn remove<K: Ord>(index: &mut BTreeMap<K, BTreeSet<Key>>, at: &K, key: &Key) {
    if let Some(keys) = index.get_mut(at) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use crds::{ClusterRef, TopicSpec};

    use super::*;

    fn topic(name: &str, cluster: &str, topic_name: Option<&str>) -> Resource {
        let spec = TopicSpec {
            cluster_ref: ClusterRef { name: cluster.to_owned(), namespace: None },
            topic_name: topic_name.map(str::to_owned),
            ..TopicSpec::default()
        };
        Resource::Topic(Box::new(Topic::new(name, spec)))
    }

    fn cluster(name: &str) -> Key {
        Key { kind: Kind::Cluster, namespace: "default".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn an_index_follows_what_is_put_and_taken() {
        let mut all: Resources =
            [topic("a", "one", Some("x")), topic("x", "one", None)].into_iter().collect();
        assert_eq!(all.wanting(&cluster("one"), "x").count(), 2);
        all.put(topic("a", "two", Some("x")));
        assert_eq!(all.wanting(&cluster("one"), "x").count(), 1);
        assert_eq!(all.of_cluster(&cluster("two")).count(), 1);
        assert!(all.take(&topic("a", "two", None).key()).is_some());
        assert_eq!(all.of_cluster(&cluster("two")).count(), 0);
        assert_eq!(all.clusters().count(), 1, "a Cluster that is named by nobody is forgotten");
    }
}
