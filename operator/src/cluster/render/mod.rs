//! What Kubernetes shall hold for a Cluster, as objects. Pure: the same Cluster and [`Known`] give the same bytes, so
//! that a look at nothing new writes nothing.
//!
//! ```text
//! Cluster ─┬─ nodes.rs         which nodes: id, pod, roles, who votes at first
//!          ├─ settings.rs      each node's properties file                → ConfigMap NAME-brokers
//!          ├─ stateful_set.rs  one per pool: pods and their volumes       → StatefulSet NAME[-POOL]
//!          ├─ services.rs      how pods and clients are reached           → Services, ConfigMap NAME-connection
//!          └─ policies.rs      who may disturb and who may connect        → PodDisruptionBudget, NetworkPolicy
//! ```
//!
//! | object | name | what for |
//! | --- | --- | --- |
//! | Service, headless | `NAME-brokers` | a name in DNS for each pod, ready or not |
//! | Service | `NAME-bootstrap` | where clients begin |
//! | Service | `NAME-LISTENER`, `NAME-LISTENER-ID` | the same for listeners outside, and each broker's |
//! | ConfigMap | `NAME-brokers` | POD.properties for each pod |
//! | ConfigMap | `NAME-connection` | what an application needs: `bootstrap.servers` |
//! | StatefulSet | `NAME`, or `NAME-POOL` | the pods and their volumes |
//! | PodDisruptionBudget, NetworkPolicy | `NAME` | one eviction at a time; brokers' own ports are the brokers' |
//!
//! Volumes are not owned by the Cluster: they outlive it (`storage.onDelete`). Their labels say of which cluster they
//! are, by its id, and whether it was formed (design decision 11).

use std::collections::BTreeMap;

use crds::{Cluster, Quantity};
use serde_json::{Value, json};

mod fnv;
mod nodes;
mod policies;
mod services;
mod settings;
mod stateful_set;

pub use nodes::{Node, nodes};

#[cfg(test)]
mod tests;

/// Longest name of a Cluster: what is made of it has to be a name in DNS, and a label.
pub const NAME_MAX: usize = 40;
/// Which Cluster an object belongs to.
pub const CLUSTER_LABEL: &str = "klamm.io/cluster";
/// Which pool.
pub const POOL_LABEL: &str = "klamm.io/pool";
/// The id of the cluster whose data a volume holds.
pub const CLUSTER_ID_LABEL: &str = "klamm.io/cluster-id";
/// Whether that cluster was formed: then nothing empty forms another one.
pub const FORMED_LABEL: &str = "klamm.io/formed";
/// What brokers were started with, as a hash: who differs needs a restart.
pub const SETTINGS_ANNOTATION: &str = "klamm.io/settings";
/// What an object was made from, as a hash: one that differs is made anew, also where a field went.
pub const RENDERED_ANNOTATION: &str = "klamm.io/rendered";
/// The environment variable of a pod that holds its node's address.
const NODE_ADDRESS: &str = "NODE_ADDRESS";
/// The port among brokers, and of who operates them.
pub const INTERNAL_PORT: u16 = 9090;
/// The port for `kubectl klamm forward`, on each pod's loopback.
pub const FORWARD_PORT: u16 = 9091;
/// The port of probes and metrics.
pub const HTTP_PORT: u16 = 9644;

/// What rendering needs besides the Cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The cluster's id: that of the volumes that are there, else one for ever of this resource.
    pub cluster_id: String,
    /// Whether it was formed.
    pub is_formed: bool,
    /// The image of brokers whose Cluster names none.
    pub image: String,
    /// Where a broker is reached from outside through a listener: host and port. The host of a node is the pod's to
    /// know.
    pub outside: BTreeMap<(String, i32), (Option<String>, u16)>,
    /// The volume claim templates of StatefulSets that are there already, by name: they never change.
    pub claims: BTreeMap<String, Value>,
    /// How large the volume of each pod is, of those that are there.
    pub capacities: BTreeMap<String, Quantity>,
    /// What stands in the way of pods for now: then there are Services and policies only.
    pub obstacle: Option<String>,
    /// The namespace of the operator, whose pods may connect as brokers do.
    pub operator_namespace: String,
}

/// What Kubernetes shall hold for `cluster`, in the order in which it is written. What needs an address that is not
/// known yet ([`Known::outside`]) is left out, and said: brokers would tell clients the wrong one.
pub fn render(cluster: &Cluster, known: &Known) -> Rendered {
    let of = Of { cluster, known, nodes: nodes(&cluster.spec) };
    let mut objects = services::render(&of);
    objects.extend(policies::render(&of));
    let missing = services::missing_addresses(&of);
    let is_whole = missing.is_empty() && known.obstacle.is_none();
    if is_whole {
        let settings = settings::files(&of);
        objects.push(of.object(
            "v1",
            "ConfigMap",
            &of.name("brokers"),
            json!({ "data": settings }),
        ));
        objects.extend(stateful_set::render(&of));
    }
    objects.iter_mut().for_each(sign);
    Rendered { objects, missing, is_whole }
}

/// Notes on an object what it was made from. The claims of a StatefulSet never change, but for what the API server
/// writes into them.
fn sign(object: &mut Value) {
    let mut signed = object.clone();
    if let Some(spec) = signed["spec"].as_object_mut() {
        spec.remove("volumeClaimTemplates");
    }
    let mut hash = fnv::Fnv::default();
    hash.write(signed.to_string().as_bytes());
    merge(
        object,
        json!({ "metadata": { "annotations": { RENDERED_ANNOTATION: hash.to_string() } } }),
    );
}

/// What [`render`] came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendered {
    /// The objects, each with `apiVersion`, `kind`, name, namespace, labels and owner.
    pub objects: Vec<Value>,
    /// Listeners whose address outside is not known yet, for people.
    pub missing: Vec<String>,
    /// Whether nothing was left out.
    pub is_whole: bool,
}

/// A Cluster that is being rendered.
struct Of<'a> {
    cluster: &'a Cluster,
    known: &'a Known,
    nodes: Vec<Node>,
}

impl Of<'_> {
    fn cluster_name(&self) -> &str {
        self.cluster.metadata.name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.cluster.metadata.namespace.as_deref().unwrap_or("default")
    }

    /// The name of something of the Cluster.
    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.cluster_name())
    }

    /// The labels by which its pods are found; they never change.
    fn selector(&self) -> Value {
        json!({ CLUSTER_LABEL: self.cluster_name(), "app.kubernetes.io/component": "broker" })
    }

    /// The labels of everything.
    fn labels(&self) -> Value {
        json!({
            "app.kubernetes.io/name": "klamm",
            "app.kubernetes.io/instance": self.cluster_name(),
            "app.kubernetes.io/component": "broker",
            "app.kubernetes.io/managed-by": "klamm",
            CLUSTER_LABEL: self.cluster_name(),
        })
    }

    /// An object of the Cluster, which goes with it.
    fn object(&self, api_version: &str, kind: &str, name: &str, body: Value) -> Value {
        let mut object = json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": self.namespace(),
                "labels": self.labels(),
                "ownerReferences": [{
                    "apiVersion": crds::API_VERSION,
                    "kind": "Cluster",
                    "name": self.cluster_name(),
                    "uid": self.cluster.metadata.uid.as_deref().unwrap_or_default(),
                    "controller": true,
                    "blockOwnerDeletion": false,
                }],
            },
        });
        merge(&mut object, body);
        object
    }
}

/// Puts `from` into `into`, object by object.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
