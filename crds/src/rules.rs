//! Each rule that spans fields or time, once: as the CEL that goes into the CRD, and as the Rust that a
//! laptop evaluates. `tests/agreement.rs` runs one table of good and bad objects through both.
//!
//! Rules about one field alone (type, bounds, pattern) stand in the schema; see [`crate::schema`].

use std::collections::BTreeSet;
use std::fmt;

use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cluster::{NamespacesFrom, NodePool, PoolRoles};
use crate::{Cluster, ClusterSpec, ConsumerGroup, ConsumerGroupSpec, Topic, TopicSpec, schema};

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, for example `spec.topics[0].name`.
    pub path: String,
    /// What is wrong: lower case, no full stop, the value last.
    pub message: String,
    /// The next step, if there is an obvious one.
    pub hint: Option<String>,
}

impl FieldError {
    /// Says `message` of the field at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), hint: None }
    }

    /// Adds the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// One rule, twice.
pub struct Rule<S: 'static> {
    /// The field that is to blame, from the spec on, for example `.partitions`.
    pub field: &'static str,
    /// The rule as CEL; `self` and `oldSelf` are the spec.
    pub cel: &'static str,
    /// What a person reads when it does not hold.
    pub message: &'static str,
    /// The rule as Rust.
    pub holds: Holds<S>,
}

/// A rule as Rust.
pub enum Holds<S: 'static> {
    /// It looks at the new spec only.
    Always(fn(&S) -> bool),
    /// It compares the new spec with the old one, and says nothing about a new resource. First argument:
    /// the new one.
    OnUpdate(fn(&S, &S) -> bool),
}

/// A kind that has rules.
pub trait Declared: CustomResourceExt + Serialize {
    /// What a person declares.
    type Spec: 'static;

    /// What this person declares.
    fn declared(&self) -> &Self::Spec;

    /// The kind's rules.
    fn rules() -> &'static [Rule<Self::Spec>];
}

impl Declared for Cluster {
    type Spec = ClusterSpec;

    fn declared(&self) -> &ClusterSpec {
        &self.spec
    }

    fn rules() -> &'static [Rule<ClusterSpec>] {
        CLUSTER
    }
}

impl Declared for Topic {
    type Spec = TopicSpec;

    fn declared(&self) -> &TopicSpec {
        &self.spec
    }

    fn rules() -> &'static [Rule<TopicSpec>] {
        TOPIC
    }
}

impl Declared for ConsumerGroup {
    type Spec = ConsumerGroupSpec;

    fn declared(&self) -> &ConsumerGroupSpec {
        &self.spec
    }

    fn rules() -> &'static [Rule<ConsumerGroupSpec>] {
        CONSUMER_GROUP
    }
}

/// What the API server would say of `new`, which replaces `old` if that is given: first the schema,
/// then, if that holds, the rules. Empty: it is accepted.
pub fn validate<T: Declared>(old: Option<&T>, new: &T) -> Vec<FieldError> {
    let value = serde_json::to_value(new).expect("a resource is made of strings, numbers and maps");
    let errors = schema::check(&schema::of::<T>(), &value);
    if errors.is_empty() { broken_rules(old, new) } else { errors }
}

/// The rules of its kind that `new` breaks.
pub fn broken_rules<T: Declared>(old: Option<&T>, new: &T) -> Vec<FieldError> {
    T::rules()
        .iter()
        .filter(|rule| match (&rule.holds, old) {
            (Holds::Always(holds), _) => !holds(new.declared()),
            (Holds::OnUpdate(holds), Some(old)) => !holds(new.declared(), old.declared()),
            (Holds::OnUpdate(_), None) => false,
        })
        .map(|rule| {
            let (message, hint) = rule.message.split_once("; hint: ").unwrap_or((rule.message, ""));
            let error = FieldError::new(format!("spec{}", rule.field), message);
            if hint.is_empty() { error } else { error.hint(hint) }
        })
        .collect()
}

/// Broker settings that follow from the Cluster itself, and may not be set in `config`.
pub const OWNED_SETTINGS: [&str; 12] = [
    "advertised.listeners",
    "broker.id",
    "broker.rack",
    "controller.listener.names",
    "controller.quorum.voters",
    "klamm.cluster.id",
    "klamm.formation",
    "listeners",
    "log.dir",
    "log.dirs",
    "node.id",
    "process.roles",
];

/// Names of listeners, of ports and of what a Service is called after: another listener may not have them.
const TAKEN_LISTENERS: [&str; 7] =
    ["bootstrap", "brokers", "connection", "controller", "forward", "http", "internal"];

const CLUSTER: &[Rule<ClusterSpec>] = &[
    Rule {
        field: ".storage.size",
        cel: "quantity(self.storage.size).isGreaterThan(quantity('0'))",
        message: "must be more than nothing",
        holds: Holds::Always(|new| new.storage.size.bytes().is_ok_and(|bytes| bytes > 0)),
    },
    Rule {
        field: ".storage.size",
        cel: "quantity(self.storage.size).compareTo(quantity(oldSelf.storage.size)) >= 0",
        message: "cannot shrink; hint: make a new Cluster and move the topics",
        holds: Holds::OnUpdate(|new, old| {
            match (new.storage.size.bytes(), old.storage.size.bytes()) {
                (Ok(new), Ok(old)) => new >= old,
                (Ok(_), Err(_)) => true,
                (Err(_), _) => false,
            }
        }),
    },
    Rule {
        field: ".config",
        cel: "!has(self.config) || ['advertised.listeners', 'broker.id', 'broker.rack', \
              'controller.listener.names', 'controller.quorum.voters', 'klamm.cluster.id', \
              'klamm.formation', 'listeners', 'log.dir', 'log.dirs', 'node.id', \
              'process.roles'].all(key, !(key in self.config))",
        message: "holds a setting that follows from the Cluster itself (ids, roles, listeners, log \
                  directories); hint: leave it out",
        holds: Holds::Always(|new| !OWNED_SETTINGS.iter().any(|key| new.config.contains_key(*key))),
    },
    Rule {
        field: ".storage.storageClassName",
        cel: "has(self.storage.storageClassName) == has(oldSelf.storage.storageClassName) && \
              (!has(self.storage.storageClassName) || \
              self.storage.storageClassName == oldSelf.storage.storageClassName)",
        message: "never changes: volumes stay in their class; hint: make a new Cluster",
        holds: Holds::OnUpdate(|new, old| {
            new.storage.storage_class_name == old.storage.storage_class_name
        }),
    },
    Rule {
        field: ".replicas",
        cel: "!has(self.replicas) || !has(self.nodePools) || size(self.nodePools) == 0",
        message: "stands beside nodePools, of which each says how many it has; hint: leave it out",
        holds: Holds::Always(|new| new.replicas.is_none() || new.node_pools.is_empty()),
    },
    Rule {
        field: ".nodePools",
        cel: "(has(self.nodePools) && size(self.nodePools) > 0) == \
              (has(oldSelf.nodePools) && size(oldSelf.nodePools) > 0)",
        message: "cannot come or go: its brokers would be other ones; hint: make a new Cluster",
        holds: Holds::OnUpdate(|new, old| new.node_pools.is_empty() == old.node_pools.is_empty()),
    },
    Rule {
        field: ".nodePools",
        cel: "!has(self.nodePools) || self.nodePools.all(one, self.nodePools.all(other, \
              one.name == other.name || one.firstId + 100 <= other.firstId || \
              other.firstId + 100 <= one.firstId))",
        message: "has two whose firstId lie less than 100 apart",
        holds: Holds::Always(|new| {
            let apart = |one: &NodePool, other: &NodePool| {
                one.name == other.name || one.first_id.abs_diff(other.first_id) >= 100
            };
            new.node_pools.iter().all(|one| new.node_pools.iter().all(|other| apart(one, other)))
        }),
    },
    Rule {
        field: ".nodePools",
        cel: "!has(self.nodePools) || !has(oldSelf.nodePools) || oldSelf.nodePools.all(old, \
              self.nodePools.all(new, new.name != old.name || new.firstId == old.firstId))",
        message: "has one whose firstId was another: it never changes; hint: make a new pool",
        holds: Holds::OnUpdate(|new, old| {
            let keeps = |old: &NodePool, new: &NodePool| {
                new.name != old.name || new.first_id == old.first_id
            };
            old.node_pools.iter().all(|old| new.node_pools.iter().all(|new| keeps(old, new)))
        }),
    },
    Rule {
        field: ".nodePools",
        cel: "!has(self.nodePools) || size(self.nodePools) == 0 || \
              self.nodePools.exists(pool, !has(pool.roles) || pool.roles != 'Broker')",
        message: "has none that may vote; hint: roles: Combined or Controller",
        holds: Holds::Always(|new| {
            new.node_pools.is_empty()
                || new.node_pools.iter().any(|pool| pool.roles != PoolRoles::Broker)
        }),
    },
    Rule {
        field: ".nodePools",
        cel: "!has(self.nodePools) || size(self.nodePools) == 0 || \
              self.nodePools.exists(pool, !has(pool.roles) || pool.roles != 'Controller')",
        message: "has none that holds partitions; hint: roles: Combined or Broker",
        holds: Holds::Always(|new| {
            new.node_pools.is_empty()
                || new.node_pools.iter().any(|pool| pool.roles != PoolRoles::Controller)
        }),
    },
    Rule {
        field: ".listeners",
        cel: "!has(self.listeners) || self.listeners.all(one, !(one.port in [9090, 9091, 9644]) && \
              self.listeners.all(other, one.name == other.name || one.port != other.port))",
        message: "has a port that is taken: 9090, 9091 and 9644 by Klamm itself, or by another listener",
        holds: Holds::Always(|new| {
            let mut ports: BTreeSet<i32> = [9090, 9091, 9644].into();
            new.listeners.iter().all(|listener| ports.insert(listener.port))
        }),
    },
    Rule {
        field: ".listeners",
        cel: "!has(self.listeners) || \
              self.listeners.all(it, !(it.name in ['bootstrap', 'brokers', 'connection', 'controller', \
              'forward', 'http', 'internal']))",
        message: "has a name that Klamm needs itself: bootstrap, brokers, connection, controller, forward, \
                  http or internal",
        holds: Holds::Always(|new| {
            new.listeners.iter().all(|it| !TAKEN_LISTENERS.contains(&it.name.as_str()))
        }),
    },
    Rule {
        field: ".allowedNamespaces.names",
        cel: "!has(self.allowedNamespaces) || !has(self.allowedNamespaces.names) || \
              size(self.allowedNamespaces.names) == 0 || self.allowedNamespaces.from == 'Names'",
        message: "is read with from: Names only",
        holds: Holds::Always(|new| {
            let allowed = &new.allowed_namespaces;
            allowed.names.is_empty() || allowed.from == NamespacesFrom::Names
        }),
    },
];

const TOPIC: &[Rule<TopicSpec>] = &[
    Rule {
        field: ".clusterRef",
        cel: "self.clusterRef == oldSelf.clusterRef",
        message: "never changes; hint: make a new Topic in the other Cluster",
        holds: Holds::OnUpdate(|new, old| new.cluster_ref == old.cluster_ref),
    },
    Rule {
        field: ".topicName",
        cel: "has(self.topicName) == has(oldSelf.topicName) && \
              (!has(self.topicName) || self.topicName == oldSelf.topicName)",
        message: "never changes; hint: make a new Topic",
        holds: Holds::OnUpdate(|new, old| new.topic_name == old.topic_name),
    },
    Rule {
        field: ".topicName",
        cel: "!has(self.topicName) || !(self.topicName in ['.', '..'] || \
              self.topicName.startsWith('__'))",
        message: "may not be . or .. and may not begin with __, which is for Kafka's own topics",
        holds: Holds::Always(|new| match new.topic_name.as_deref() {
            Some(name) => name != "." && name != ".." && !name.starts_with("__"),
            None => true,
        }),
    },
    Rule {
        field: ".partitions",
        cel: "!has(self.partitions) || !has(oldSelf.partitions) || \
              self.partitions >= oldSelf.partitions",
        message: "cannot shrink: records would be lost; hint: make a new Topic with fewer partitions",
        holds: Holds::OnUpdate(|new, old| match (new.partitions, old.partitions) {
            (Some(new), Some(old)) => new >= old,
            (None, _) | (_, None) => true,
        }),
    },
    Rule {
        field: ".minInSyncReplicas",
        cel: "!has(self.minInSyncReplicas) || !has(self.replicas) || \
              self.minInSyncReplicas <= self.replicas",
        message: "may not exceed replicas: nothing could be produced with acks=all",
        holds: Holds::Always(|new| match (new.min_in_sync_replicas, new.replicas) {
            (Some(least), Some(replicas)) => least <= replicas,
            (None, _) | (_, None) => true,
        }),
    },
    Rule {
        field: ".retention.time",
        cel: "!has(self.retention) || !has(self.retention.time) || !has(self.config) || \
              !('retention.ms' in self.config)",
        message: "is set twice: also as config[\"retention.ms\"]",
        holds: Holds::Always(|new| {
            let typed = new.retention.as_ref().is_some_and(|it| it.time.is_some());
            !(typed && new.config.contains_key("retention.ms"))
        }),
    },
    Rule {
        field: ".retention.bytes",
        cel: "!has(self.retention) || !has(self.retention.bytes) || !has(self.config) || \
              !('retention.bytes' in self.config)",
        message: "is set twice: also as config[\"retention.bytes\"]",
        holds: Holds::Always(|new| {
            let typed = new.retention.as_ref().is_some_and(|it| it.bytes.is_some());
            !(typed && new.config.contains_key("retention.bytes"))
        }),
    },
    Rule {
        field: ".minInSyncReplicas",
        cel: "!has(self.minInSyncReplicas) || !has(self.config) || \
              !('min.insync.replicas' in self.config)",
        message: "is set twice: also as config[\"min.insync.replicas\"]",
        holds: Holds::Always(|new| {
            !(new.min_in_sync_replicas.is_some() && new.config.contains_key("min.insync.replicas"))
        }),
    },
    Rule {
        field: ".maxMessageBytes",
        cel: "!has(self.maxMessageBytes) || !has(self.config) || \
              !('max.message.bytes' in self.config)",
        message: "is set twice: also as config[\"max.message.bytes\"]",
        holds: Holds::Always(|new| {
            !(new.max_message_bytes.is_some() && new.config.contains_key("max.message.bytes"))
        }),
    },
    Rule {
        field: ".compression",
        cel: "!has(self.compression) || !has(self.config) || !('compression.type' in self.config)",
        message: "is set twice: also as config[\"compression.type\"]",
        holds: Holds::Always(|new| {
            !(new.compression.is_some() && new.config.contains_key("compression.type"))
        }),
    },
    Rule {
        field: ".durability",
        cel: "!has(self.durability) || !has(self.config) || !('klamm.durability' in self.config)",
        message: "is set twice: also as config[\"klamm.durability\"]",
        holds: Holds::Always(|new| {
            !(new.durability.is_some() && new.config.contains_key("klamm.durability"))
        }),
    },
    Rule {
        field: ".unmanagedConfig",
        cel: "!has(self.unmanagedConfig) || !has(self.config) || \
              self.unmanagedConfig.all(key, !(key in self.config))",
        message: "names a setting that config sets; hint: keep it in one of the two",
        holds: Holds::Always(|new| {
            !new.unmanaged_config.iter().any(|key| new.config.contains_key(key))
        }),
    },
];

const CONSUMER_GROUP: &[Rule<ConsumerGroupSpec>] = &[
    Rule {
        field: ".clusterRef",
        cel: "self.clusterRef == oldSelf.clusterRef",
        message: "never changes; hint: make a new ConsumerGroup in the other Cluster",
        holds: Holds::OnUpdate(|new, old| new.cluster_ref == old.cluster_ref),
    },
    Rule {
        field: ".groupId",
        cel: "has(self.groupId) == has(oldSelf.groupId) && \
              (!has(self.groupId) || self.groupId == oldSelf.groupId)",
        message: "never changes; hint: make a new ConsumerGroup",
        holds: Holds::OnUpdate(|new, old| new.group_id == old.group_id),
    },
    Rule {
        field: ".reset",
        cel: "!has(self.reset) || !has(oldSelf.reset) || self.reset == oldSelf.reset || \
              self.reset.token != oldSelf.reset.token",
        message: "was changed under its old token; hint: give reset.token a new value",
        holds: Holds::OnUpdate(|new, old| match (&new.reset, &old.reset) {
            (Some(new), Some(old)) => new == old || new.token != old.token,
            (None, _) | (_, None) => true,
        }),
    },
    Rule {
        field: ".reset.to.snapshot",
        cel: "!has(self.reset) || !has(self.reset.to.snapshot) || \
              self.reset.to.snapshot != self.reset.token",
        message: "names this reset's own token; hint: name the token of the reset to undo",
        holds: Holds::Always(|new| match &new.reset {
            Some(reset) => reset.to.snapshot.as_ref() != Some(&reset.token),
            None => true,
        }),
    },
    Rule {
        field: ".reset.topics",
        cel: "!has(self.reset) || !has(self.reset.mustExist) || self.reset.mustExist || \
              (has(self.reset.topics) && size(self.reset.topics) > 0)",
        message: "is needed with mustExist: false, because a new group has no committed offsets",
        holds: Holds::Always(|new| match &new.reset {
            Some(reset) => reset.must_exist || !reset.topics.is_empty(),
            None => true,
        }),
    },
    Rule {
        field: ".lag.warn",
        cel: "!has(self.lag) || !has(self.lag.warn) || !has(self.lag.critical) || \
              self.lag.warn <= self.lag.critical",
        message: "may not exceed lag.critical",
        holds: Holds::Always(|new| match new.lag.as_ref().map(|lag| (lag.warn, lag.critical)) {
            Some((Some(warn), Some(critical))) => warn <= critical,
            Some((None, _) | (_, None)) | None => true,
        }),
    },
];

/// Puts the Cluster's rules into its schema.
pub(crate) fn cluster_spec(schema: &mut Schema) {
    insert(schema, CLUSTER);
}

/// Puts the Topic's rules into its schema.
pub(crate) fn topic_spec(schema: &mut Schema) {
    insert(schema, TOPIC);
}

/// Puts the ConsumerGroup's rules into its schema.
pub(crate) fn consumer_group_spec(schema: &mut Schema) {
    insert(schema, CONSUMER_GROUP);
}

fn insert<S>(schema: &mut Schema, rules: &[Rule<S>]) {
    without_null(schema);
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| json!({ "fieldPath": rule.field, "message": rule.message, "rule": rule.cel }))
        .collect();
    schema.insert("x-kubernetes-validations".to_owned(), Value::Array(rules));
}

/// Makes an optional field one that may be left out, not one that may be null: a null would pass
/// `has()` and then fail every rule that reads it.
pub(crate) fn without_null(schema: &mut Schema) {
    if let Some(object) = schema.as_object_mut() {
        for value in object.values_mut() {
            strip_null(value);
        }
    }
}

fn strip_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strip_null),
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|it| it != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(variants)) = object.get_mut("anyOf") {
                variants.retain(|it| it.get("type").is_none_or(|it| it != "null"));
                if let [Value::Object(only)] = variants.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            object.values_mut().for_each(strip_null);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema of a map of at most `MAX` settings.
pub(crate) fn config_schema<const MAX: usize>(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": MAX,
        "additionalProperties": { "type": "string", "maxLength": 4096 },
    })
}
