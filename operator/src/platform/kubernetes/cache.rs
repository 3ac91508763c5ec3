//! What the watches have shown, so that a look asks the API server nothing.
//!
//! Objects are kept as JSON without what nobody here reads (managed fields), the three kinds as types. One that does
//! not read as its type is left out and remembered: it must not stop the others.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crds::{Cluster, ConsumerGroup, Key, Kind, Resource, Topic};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{cluster_of, render};
use crate::platform::Resources;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watched {
    Cluster,
    Topic,
    ConsumerGroup,
    StatefulSet,
    Pod,
    Claim,
    Service,
    ConfigMap,
    Budget,
    Policy,
}

impl Watched {
    /// All of them, in the order in which they are first listed.
    pub(super) const ALL: [Self; 10] = [
        Self::StatefulSet,
        Self::Pod,
        Self::Claim,
        Self::Service,
        Self::ConfigMap,
        Self::Budget,
        Self::Policy,
        Self::Cluster,
        Self::Topic,
        Self::ConsumerGroup,
    ];

    /// Group, version, kind and plural.
    pub(super) fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Cluster => (crds::GROUP, crds::VERSION, "Cluster", "clusters"),
            Self::Topic => (crds::GROUP, crds::VERSION, "Topic", "topics"),
            Self::ConsumerGroup => (crds::GROUP, crds::VERSION, "ConsumerGroup", "consumergroups"),
            Self::StatefulSet => ("apps", "v1", "StatefulSet", "statefulsets"),
            Self::Pod => ("", "v1", "Pod", "pods"),
            Self::Claim => ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
            Self::Service => ("", "v1", "Service", "services"),
            Self::ConfigMap => ("", "v1", "ConfigMap", "configmaps"),
            Self::Budget => ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
            Self::Policy => ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
        }
    }

    /// The kind of ours that it is.
    pub(super) fn kind(self) -> Option<Kind> {
        match self {
            Self::Cluster => Some(Kind::Cluster),
            Self::Topic => Some(Kind::Topic),
            Self::ConsumerGroup => Some(Kind::ConsumerGroup),
            Self::StatefulSet
            | Self::Pod
            | Self::Claim
            | Self::Service
            | Self::ConfigMap
            | Self::Budget
            | Self::Policy => None,
        }
    }

    fn of_kind(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.names().2 == kind)
    }
}

/// Namespace and name.
type Name = (String, String);

/// What the watches have shown.
#[derive(Default)]
pub(super) struct Cache {
    objects: BTreeMap<Watched, BTreeMap<Name, Rc<Value>>>,
    resources: Rc<Resources>,
    /// Those that do not read as what they are.
    malformed: BTreeMap<Key, String>,
}

/// What a change means for who reconciles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wakes {
    /// Nobody: it is our own status, or news to nobody.
    Nobody,
    /// One resource of this Cluster.
    One { cluster: Key, key: Key },
    /// All resources of this Cluster.
    All { cluster: Key },
}

impl Cache {
    /// All resources.
    pub(super) fn resources(&self) -> Rc<Resources> {
        Rc::clone(&self.resources)
    }

    /// Takes in what we have written ourselves, unless a watch has shown something newer meanwhile, or that it is gone.
    pub(super) fn written(&mut self, resource: Resource) {
        let known = self.resources.get(&resource.key());
        if known.is_some_and(|known| version(known) < version(&resource)) {
            Rc::make_mut(&mut self.resources).put(resource);
        }
    }

    /// Takes in what a watch showed.
    pub(super) fn applied(&mut self, watched: Watched, object: Value) -> Wakes {
        let Some(name) = name_of(&object) else { return Wakes::Nobody };
        match watched.kind() {
            Some(kind) => self.applied_ours(kind, name, object),
            None => {
                let Some(cluster) = cluster_of_object(&object) else { return Wakes::Nobody };
                let old =
                    self.objects.entry(watched).or_default().insert(name, Rc::new(object.clone()));
                match old {
                    Some(old) if *old == object => Wakes::Nobody,
                    // Whoever waits for brokers need not wait longer.
                    old if watched == Watched::Pod
                        && old.as_deref().map(is_ready) != Some(is_ready(&object)) =>
                    {
                        Wakes::All { cluster }
                    }
                    _ => Wakes::One { key: cluster.clone(), cluster },
                }
            }
        }
    }

    fn applied_ours(&mut self, kind: Kind, (namespace, name): Name, object: Value) -> Wakes {
        let key = Key { kind, namespace, name };
        let resource = match read(kind, object) {
            Ok(resource) => resource,
            Err(error) => {
                tracing::warn!(resource = %key, error, "cannot be read: it is left alone");
                self.malformed.insert(key.clone(), error);
                Rc::make_mut(&mut self.resources).take(&key);
                return Wakes::Nobody;
            }
        };
        self.malformed.remove(&key);
        let cluster = crate::platform::cluster_of(&resource);
        let wakes = match self.resources.get(&key) {
            Some(old) if !is_news(old, &resource) => Wakes::Nobody,
            // What names a Cluster looks again when it comes, goes or allows others.
            _ if kind == Kind::Cluster => Wakes::All { cluster },
            _ => Wakes::One { cluster, key: key.clone() },
        };
        // A watch may be older than what we have written ourselves.
        let is_older = |old: &Rc<Resource>| version(old) > version(&resource);
        if !self.resources.get(&key).is_some_and(is_older) {
            Rc::make_mut(&mut self.resources).put(resource);
        }
        wakes
    }

    /// Takes out what a watch showed to be gone.
    pub(super) fn deleted(&mut self, watched: Watched, object: &Value) -> Wakes {
        let Some(name) = name_of(object) else { return Wakes::Nobody };
        self.remove(watched, &name)
    }

    fn remove(&mut self, watched: Watched, name: &Name) -> Wakes {
        if let Some(kind) = watched.kind() {
            let key = Key { kind, namespace: name.0.clone(), name: name.1.clone() };
            self.malformed.remove(&key);
            let Some(old) = Rc::make_mut(&mut self.resources).take(&key) else {
                return Wakes::Nobody;
            };
            let cluster = crate::platform::cluster_of(&old);
            // Two may have wanted the same topic.
            return Wakes::All { cluster };
        }
        let old = self.objects.get_mut(&watched).and_then(|it| it.remove(name));
        match old.and_then(|old| cluster_of_object(&old)) {
            Some(cluster) => Wakes::One { key: cluster.clone(), cluster },
            None => Wakes::Nobody,
        }
    }

    /// A watch began anew: what it looks at (`of`) and did not list is gone.
    pub(super) fn keep_only(
        &mut self,
        watched: Watched,
        listed: &[Name],
        of: impl Fn(&Name) -> bool,
    ) -> Vec<Wakes> {
        let known: Vec<Name> = match watched.kind() {
            Some(kind) => {
                let ours = self.resources.iter().filter(|(key, _)| key.kind == kind);
                ours.map(|(key, _)| (key.namespace.clone(), key.name.clone())).collect()
            }
            None => {
                self.objects.get(&watched).into_iter().flat_map(BTreeMap::keys).cloned().collect()
            }
        };
        let listed: BTreeSet<&Name> = listed.iter().collect();
        let gone = known.into_iter().filter(|name| of(name) && !listed.contains(name));
        gone.map(|name| self.remove(watched, &name)).collect()
    }

    /// The object of these names that is there.
    pub(super) fn object(&self, wanted: &Value) -> Option<Rc<Value>> {
        let watched = Watched::of_kind(wanted["kind"].as_str()?)?;
        self.objects.get(&watched)?.get(&name_of(wanted)?).cloned()
    }

    /// The objects of this kind that belong to a Cluster, by name.
    pub(super) fn of_cluster(&self, watched: Watched, cluster: &Key) -> Vec<Rc<Value>> {
        let all = self.objects.get(&watched).into_iter().flat_map(BTreeMap::values);
        all.filter(|it| cluster_of_object(it).as_ref() == Some(cluster)).cloned().collect()
    }

    /// What the Cluster owns and is not rendered any more.
    pub(super) fn superfluous(
        &self,
        cluster: &Cluster,
        rendered: &render::Rendered,
    ) -> Vec<Rc<Value>> {
        let key = crds::resource::key(Kind::Cluster, &cluster.metadata);
        let kinds = [Watched::Service, Watched::ConfigMap, Watched::Budget, Watched::Policy];
        let all = kinds.into_iter().flat_map(|watched| self.of_cluster(watched, &key));
        let is_rendered = |live: &Rc<Value>| {
            rendered.objects.iter().any(|it| {
                it["kind"] == live["kind"] && it["metadata"]["name"] == live["metadata"]["name"]
            })
        };
        let is_owned = |live: &Rc<Value>| {
            let owners = live["metadata"]["ownerReferences"].as_array();
            let uid = cluster.metadata.uid.as_deref();
            owners.into_iter().flatten().any(|owner| owner["uid"].as_str() == uid)
        };
        // What was left out is not superfluous.
        all.filter(|live| rendered.is_whole && is_owned(live) && !is_rendered(live)).collect()
    }

    /// The Cluster's StatefulSets.
    pub(super) fn sets_of(&self, cluster: &Cluster) -> Vec<Rc<Value>> {
        self.of_cluster(
            Watched::StatefulSet,
            &crds::resource::key(Kind::Cluster, &cluster.metadata),
        )
    }

    /// The Cluster's volume claims.
    pub(super) fn claims_of(&self, cluster: &Cluster) -> Vec<Rc<Value>> {
        self.of_cluster(Watched::Claim, &crds::resource::key(Kind::Cluster, &cluster.metadata))
    }
}

/// Whether a pod is ready.
pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|it| it["type"] == "Ready" && it["status"] == "True")
}

/// Whether there is more to a change than our own status.
fn is_news(old: &Resource, new: &Resource) -> bool {
    let (before, after) = (old.meta(), new.meta());
    before.uid != after.uid
        || before.generation != after.generation
        || before.deletion_timestamp != after.deletion_timestamp
        || before.annotations != after.annotations
        || before.finalizers != after.finalizers
        || !old.same_spec(new)
}

fn version(resource: &Resource) -> u64 {
    // Versions of one object are comparable since Kubernetes 1.35, and in fact always were.
    let version = resource.meta().resource_version.as_deref();
    version.and_then(|it| it.parse().ok()).unwrap_or(0)
}

pub(super) fn name_of(object: &Value) -> Option<Name> {
    let meta = &object["metadata"];
    Some((meta["namespace"].as_str()?.to_owned(), meta["name"].as_str()?.to_owned()))
}

fn cluster_of_object(object: &Value) -> Option<Key> {
    let meta = &object["metadata"];
    let name = meta["labels"][render::CLUSTER_LABEL].as_str()?;
    let labels = BTreeMap::from([(render::CLUSTER_LABEL.to_owned(), name.to_owned())]);
    cluster_of(Some(&labels), meta["namespace"].as_str().map(str::to_owned).as_ref())
}

fn read(kind: Kind, object: Value) -> Result<Resource, String> {
    fn typed<T: DeserializeOwned>(object: Value) -> Result<Box<T>, String> {
        serde_json::from_value(object).map(Box::new).map_err(|error| error.to_string())
    }
    Ok(match kind {
        Kind::Cluster => Resource::Cluster(typed::<Cluster>(object)?),
        Kind::Topic => Resource::Topic(typed::<Topic>(object)?),
        Kind::ConsumerGroup => Resource::ConsumerGroup(typed::<ConsumerGroup>(object)?),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn topic(version: &str, generation: i64, status: &Value) -> Value {
        json!({
            "apiVersion": crds::API_VERSION,
            "kind": "Topic",
            "metadata": {
                "name": "orders", "namespace": "shop", "uid": "1",
                "resourceVersion": version, "generation": generation,
            },
            "spec": { "clusterRef": { "name": "demo" }, "partitions": generation },
            "status": status,
        })
    }

    fn pod(is_ready: bool) -> Value {
        let status = if is_ready { "True" } else { "False" };
        json!({
            "kind": "Pod",
            "metadata": { "name": "demo-0", "namespace": "shop", "labels": { render::CLUSTER_LABEL: "demo" } },
            "status": { "conditions": [{ "type": "Ready", "status": status }] },
        })
    }

    #[test]
    fn our_own_status_wakes_nobody() {
        let mut cache = Cache::default();
        let woken = cache.applied(Watched::Topic, topic("1", 1, &json!({})));
        assert!(matches!(woken, Wakes::One { .. }));
        let status = json!({ "partitions": 1 });
        assert_eq!(cache.applied(Watched::Topic, topic("2", 1, &status)), Wakes::Nobody);
        assert!(matches!(
            cache.applied(Watched::Topic, topic("3", 2, &json!({}))),
            Wakes::One { .. }
        ));
    }

    #[test]
    fn what_a_watch_shows_late_does_not_undo_what_was_written() {
        let mut cache = Cache::default();
        cache.applied(Watched::Topic, topic("5", 1, &json!({ "partitions": 3 })));
        cache.applied(Watched::Topic, topic("4", 1, &json!({})));
        let all = cache.resources();
        let Some(Resource::Topic(found)) = all.iter().next().map(|(_, it)| it.as_ref().clone())
        else {
            panic!("a Topic");
        };
        assert_eq!(found.status.and_then(|it| it.partitions), Some(3));
    }

    #[test]
    fn a_pod_that_becomes_ready_wakes_all_that_wait_for_it() {
        let mut cache = Cache::default();
        cache.applied(Watched::Pod, pod(false));
        assert!(matches!(cache.applied(Watched::Pod, pod(true)), Wakes::All { .. }));
        assert_eq!(cache.applied(Watched::Pod, pod(true)), Wakes::Nobody);
    }

    #[test]
    fn what_does_not_read_is_left_out_alone() {
        let mut cache = Cache::default();
        let mut broken = topic("1", 1, &json!({}));
        broken["spec"]["partitions"] = json!("many");
        assert_eq!(cache.applied(Watched::Topic, broken), Wakes::Nobody);
        assert_eq!(cache.resources().iter().count(), 0);
    }

    #[test]
    fn a_watch_that_began_anew_forgets_what_is_gone() {
        let mut cache = Cache::default();
        cache.applied(Watched::Topic, topic("1", 1, &json!({})));
        assert_eq!(cache.keep_only(Watched::Topic, &[], |_| true).len(), 1);
        assert_eq!(cache.resources().iter().count(), 0);
    }
}
