//! The resources as the planners see them: what files declare, merged with what was there before.
//!
//! Nothing here deletes. A Topic or ConsumerGroup that no file declares any more is *unmanaged*: it is
//! shown, and no planner sees it. A Cluster that no file declares goes on as it was: its brokers hold
//! data that clients use. A change that breaks a rule is shown, and the earlier spec stays.

use std::collections::{BTreeMap, BTreeSet};

use crds::{FieldError, Key, Kind, Resource};
use serde_json::json;

use super::status_file::{from_value, to_value};

/// All resources that we know.
#[derive(Default)]
pub(super) struct Resources {
    /// What planners see.
    managed: BTreeMap<Key, Resource>,
    /// What no file declares: Topics and ConsumerGroups that planners do not see, with their last spec.
    unmanaged: BTreeMap<Key, Resource>,
    /// Clusters that no file declares, and that go on all the same.
    orphans: BTreeSet<Key>,
    /// What `klamm delete` deleted: its document is ignored until it changes.
    deleted: BTreeMap<Key, Resource>,
    /// Why a declared change does not count.
    refused: BTreeMap<Key, String>,
    is_changed: bool,
}

impl Resources {
    /// What a status file remembers: nothing is managed before a file declares it.
    pub(super) fn remembered(resources: Vec<Resource>, deleted: Vec<Resource>) -> Self {
        let keyed = |all: Vec<Resource>| all.into_iter().map(|it| (it.key(), it)).collect();
        Self { unmanaged: keyed(resources), deleted: keyed(deleted), ..Self::default() }
    }

    /// Takes over what files declare now.
    pub(super) fn declare(&mut self, declared: BTreeMap<Key, Resource>) {
        self.refused.clear();
        self.is_changed = true;
        let names: BTreeSet<Key> = declared.keys().cloned().collect();
        let vanished: Vec<Key> =
            self.managed.keys().filter(|it| !names.contains(*it)).cloned().collect();
        for key in vanished {
            if key.kind == Kind::Cluster {
                self.orphans.insert(key);
            } else if let Some(resource) = self.managed.remove(&key) {
                if is_being_deleted(&resource) {
                    self.managed.insert(key, resource);
                } else {
                    self.unmanaged.insert(key, resource);
                }
            }
        }
        self.deleted.retain(|key, old| declared.get(key).is_some_and(|new| new.same_spec(old)));
        for (key, new) in declared {
            if self.deleted.contains_key(&key) {
                let why = "it was deleted; change its document to have it again, or take it out";
                self.refused.insert(key, why.to_owned());
                continue;
            }
            self.orphans.remove(&key);
            let old = self.managed.get(&key).or_else(|| self.unmanaged.get(&key)).cloned();
            match merged(old.as_ref(), new) {
                Ok(resource) => {
                    self.unmanaged.remove(&key);
                    self.managed.insert(key, resource);
                }
                Err(errors) => {
                    let told: Vec<_> = errors.iter().map(show).collect();
                    self.refused.insert(key.clone(), told.join("; "));
                    // It is declared: the planners go on with the spec from before.
                    if let Some(old) = self.unmanaged.remove(&key) {
                        self.managed.insert(key, old);
                    }
                }
            }
        }
    }

    /// Marks a resource as being deleted; whether there is one to delete.
    pub(super) fn delete(&mut self, key: &Key, now: &str) -> bool {
        let found = self.managed.get(key).or_else(|| self.unmanaged.get(key));
        let Some(found) = found.filter(|it| !is_being_deleted(it)) else { return false };
        let mut value = to_value(found);
        value["metadata"]["deletionTimestamp"] = json!(now);
        let Some(marked) = from_value(value) else { return false };
        self.unmanaged.remove(key);
        self.managed.insert(key.clone(), marked);
        self.is_changed = true;
        true
    }

    /// Lets a deleted resource go.
    pub(super) fn release(&mut self, key: &Key) {
        self.is_changed = true;
        self.orphans.remove(key);
        if let Some(resource) = self.managed.remove(key) {
            self.deleted.insert(key.clone(), resource);
        }
    }

    /// Keeps the status that `resource` carries.
    pub(super) fn write_status(&mut self, resource: &Resource) {
        // A spec that changed meanwhile stays; its status comes with the next pass.
        if let Some(known) = self.managed.get_mut(&resource.key()) {
            copy_status(resource, known);
            self.is_changed = true;
        }
    }

    /// What planners see.
    pub(super) fn managed(&self) -> Vec<Resource> {
        self.managed.values().cloned().collect()
    }

    /// All, managed or not.
    pub(super) fn all(&self) -> Vec<Resource> {
        self.managed.values().chain(self.unmanaged.values()).cloned().collect()
    }

    /// What was deleted, and may still be declared.
    pub(super) fn deleted(&self) -> Vec<Resource> {
        self.deleted.values().cloned().collect()
    }

    /// What no file declares.
    pub(super) fn unmanaged(&self) -> Vec<Key> {
        self.unmanaged.keys().chain(&self.orphans).cloned().collect()
    }

    /// Why declared changes do not count.
    pub(super) fn refused(&self) -> Vec<String> {
        self.refused.iter().map(|(key, why)| format!("{key}: {why}")).collect()
    }

    /// Whether anything changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }
}

fn is_being_deleted(resource: &Resource) -> bool {
    resource.meta().deletion_timestamp.is_some()
}

fn show(error: &FieldError) -> String {
    match &error.hint {
        Some(hint) => format!("{}: {} ({hint})", error.path, error.message),
        None => format!("{}: {}", error.path, error.message),
    }
}

/// `new` with the status and the generation of `old`, as an API server would keep them.
fn merged(old: Option<&Resource>, mut new: Resource) -> Result<Resource, Vec<FieldError>> {
    let Some(old) = old else {
        new.meta_mut().generation = Some(1);
        return Ok(new);
    };
    let errors = match (old, &new) {
        (Resource::Cluster(old), Resource::Cluster(new)) => crds::validate(Some(&**old), &**new),
        (Resource::Topic(old), Resource::Topic(new)) => crds::validate(Some(&**old), &**new),
        (Resource::ConsumerGroup(old), Resource::ConsumerGroup(new)) => {
            crds::validate(Some(&**old), &**new)
        }
        (Resource::Cluster(_) | Resource::Topic(_) | Resource::ConsumerGroup(_), _) => Vec::new(),
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    copy_status(old, &mut new);
    let generation = old.meta().generation.unwrap_or(1);
    let deletion = old.meta().deletion_timestamp.clone();
    let meta = new.meta_mut();
    meta.deletion_timestamp = deletion;
    meta.generation = Some(generation);
    if !old.same_spec(&new) {
        new.meta_mut().generation = Some(generation + 1);
    }
    Ok(new)
}

fn copy_status(from: &Resource, to: &mut Resource) {
    match (from, to) {
        (Resource::Cluster(from), Resource::Cluster(to)) => to.status.clone_from(&from.status),
        (Resource::Topic(from), Resource::Topic(to)) => to.status.clone_from(&from.status),
        (Resource::ConsumerGroup(from), Resource::ConsumerGroup(to)) => {
            to.status.clone_from(&from.status);
        }
        (Resource::Cluster(_) | Resource::Topic(_) | Resource::ConsumerGroup(_), _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(partitions: &[(&str, i32)]) -> BTreeMap<Key, Resource> {
        let cluster = "apiVersion: klamm.io/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\n\
                       spec: {replicas: 1, storage: {size: 1Gi}}\n";
        let mut text = cluster.to_owned();
        for (name, partitions) in partitions {
            text.push_str(&format!(
                "---\napiVersion: klamm.io/v1alpha1\nkind: Topic\nmetadata: {{name: {name}}}\n\
                 spec: {{clusterRef: {{name: demo}}, partitions: {partitions}}}\n"
            ));
        }
        crds::parse(&text, "test")
            .into_iter()
            .map(|it| it.unwrap())
            .map(|it| (it.key(), it))
            .collect()
    }

    fn key(name: &str) -> Key {
        Key { kind: Kind::Topic, namespace: "default".to_owned(), name: name.to_owned() }
    }

    fn managed(resources: &Resources) -> Vec<String> {
        let show = |it: &Resource| format!("{}@{}", it.key().name, it.meta().generation.unwrap());
        resources.managed().iter().map(show).collect()
    }

    #[test]
    fn a_changed_spec_is_a_new_generation_and_the_same_one_is_not() {
        let mut resources = Resources::default();
        resources.declare(declared(&[("a", 3)]));
        assert_eq!(managed(&resources), ["demo@1", "a@1"]);
        resources.declare(declared(&[("a", 3)]));
        assert_eq!(managed(&resources), ["demo@1", "a@1"]);
        resources.declare(declared(&[("a", 6)]));
        assert_eq!(managed(&resources), ["demo@1", "a@2"]);
    }

    #[test]
    fn what_vanishes_from_the_files_is_left_alone_and_comes_back() {
        let mut resources = Resources::default();
        resources.declare(declared(&[("a", 3)]));
        resources.declare(BTreeMap::new());
        assert_eq!(managed(&resources), ["demo@1"], "brokers go on");
        assert_eq!(resources.unmanaged().len(), 2);
        resources.declare(declared(&[("a", 3)]));
        assert_eq!(managed(&resources), ["demo@1", "a@1"]);
        assert!(resources.unmanaged().is_empty());
    }

    #[test]
    fn fewer_partitions_are_refused_and_the_earlier_spec_stays() {
        let mut resources = Resources::default();
        resources.declare(declared(&[("a", 3)]));
        resources.declare(declared(&[("a", 2)]));
        assert_eq!(managed(&resources), ["demo@1", "a@1"]);
        assert_eq!(resources.refused().len(), 1, "{:?}", resources.refused());
    }

    #[test]
    fn a_deleted_document_stays_deleted_until_it_changes() {
        let mut resources = Resources::default();
        resources.declare(declared(&[("a", 3)]));
        assert!(resources.delete(&key("a"), "2026-11-21T09:00:00Z"));
        assert!(!resources.delete(&key("a"), "2026-11-21T09:00:00Z"), "it is being deleted");
        assert!(is_being_deleted(&resources.managed()[1]));
        resources.release(&key("a"));
        resources.declare(declared(&[("a", 3)]));
        assert_eq!(managed(&resources), ["demo@1"]);
        resources.declare(declared(&[("a", 4)]));
        assert_eq!(managed(&resources), ["demo@1", "a@1"]);
    }
}
