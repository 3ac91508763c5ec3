//! The Cluster: brokers, their storage, where clients connect, and their settings.
//!
//! Only fields whose feature exists are here: tiering, security and rollout arrive with their features. What is
//! about pods and volumes acts on Kubernetes; a laptop checks it and goes on without.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions::{Condition, reasons};
use crate::quantity::Quantity;
use crate::rules;
use crate::template::Template;

/// What a person declares of a Cluster.
#[derive(Clone, Debug, PartialEq, Eq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "klamm.io",
    version = "v1alpha1",
    kind = "Cluster",
    namespaced,
    shortname = "klc",
    category = "klamm",
    status = "ClusterStatus",
    derive = "PartialEq",
    doc = "Brokers that serve the Kafka protocol, their storage and their settings.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Brokers","type":"integer","jsonPath":".status.readyReplicas"}"#,
    printcolumn = r#"{"name":"Desired","type":"integer","jsonPath":".status.replicas"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Bootstrap","type":"string","jsonPath":".status.listeners[0].bootstrap"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Paused","type":"boolean","jsonPath":".spec.paused","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::cluster_spec)]
pub struct ClusterSpec {
    /// How many brokers run. With `nodePools` it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub replicas: Option<i32>,
    /// Brokers of several makes, instead of `replicas`: each pool has its own number, roles and pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub node_pools: Vec<NodePool>,
    /// The disk of each broker.
    pub storage: Storage,
    /// Where clients connect. Left out: one listener `client` on port 9092, inside of Kubernetes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub listeners: Vec<Listener>,
    /// Broker settings by Kafka's names, for example `log.retention.hours`. Values are strings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::config_schema::<256>")]
    pub config: BTreeMap<String, String>,
    /// Where brokers stand, so that a partition's replicas do not stand together. Left out: nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<Rack>,
    /// What the cluster bears of evictions and lost nodes.
    #[serde(default)]
    pub disruption: Disruption,
    /// In which namespaces Topics and ConsumerGroups may name this Cluster.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
    /// The container image of the brokers. Left out: the operator's own when the Cluster was made; a newer operator
    /// changes nothing and says `UpgradeAvailable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// What the brokers' pods have besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// While true, nothing is changed; the status is still written.
    #[serde(default)]
    pub paused: bool,
    /// While true, the API server refuses to delete the Cluster (a policy of the chart `klamm-crds`).
    #[serde(default)]
    pub deletion_protection: bool,
}

/// The disk of each broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// How much a broker may store, for example `10Gi`. It can grow, never shrink.
    pub size: Quantity,
    /// The StorageClass of the volumes. It never changes. Left out: the default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// What happens to the volumes, and the records on them, when the Cluster is deleted.
    #[serde(default)]
    pub on_delete: VolumePolicy,
}

/// What happens to volumes when their Cluster is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VolumePolicy {
    /// They stay. A Cluster of the same name in the same namespace takes them up again.
    #[default]
    Retain,
    /// They are deleted, with all records.
    Delete,
}

/// Brokers of one make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodePool {
    /// The pool's name; pods are called CLUSTER-POOL-N. It never changes.
    #[schemars(length(min = 1, max = 15), regex(pattern = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// How many brokers of this make run.
    #[schemars(range(min = 1, max = 100))]
    pub replicas: i32,
    /// The id of the pool's first broker; the others' follow. Pools lie a hundred ids apart. It never changes.
    #[schemars(range(min = 0, max = 10_000))]
    pub first_id: i32,
    /// What these nodes are.
    #[serde(default)]
    pub roles: PoolRoles,
    /// What their pods have besides. Left out: the Cluster's `template`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
}

/// What the nodes of a pool are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PoolRoles {
    /// Brokers, of which the first may vote on the metadata.
    #[default]
    Combined,
    /// Brokers that never vote.
    Broker,
    /// Voters on the metadata that hold no partitions.
    Controller,
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Its name; some that Klamm needs itself are taken.
    #[schemars(length(min = 1, max = 15), regex(pattern = r"^[a-z][a-z0-9]*$"))]
    pub name: String,
    /// The port on which brokers listen, and that of the bootstrap Service. 9090, 9091 and 9644 are taken.
    #[schemars(range(min = 1024, max = 65_535))]
    pub port: i32,
    /// From where it can be reached.
    #[serde(default, rename = "type")]
    pub type_: ListenerType,
    /// The host that clients outside are told, with `{id}` for the broker's id. Left out: what Kubernetes says of the
    /// node or of the load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub advertised_host: Option<String>,
    /// Annotations of the listener's Services, for the load balancer's maker.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::config_schema::<32>")]
    pub annotations: BTreeMap<String, String>,
}

/// From where a listener can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ListenerType {
    /// From pods.
    #[default]
    Internal,
    /// On a port of the nodes.
    NodePort,
    /// Through a load balancer for each broker.
    LoadBalancer,
}

/// Where brokers stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rack {
    /// The label of the nodes that becomes each broker's `broker.rack`. Kubernetes 1.35 or later tells it to pods.
    #[serde(default)]
    pub topology_key: TopologyKey,
}

/// A label of nodes that says where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TopologyKey {
    /// The zone.
    #[default]
    #[serde(rename = "topology.kubernetes.io/zone")]
    Zone,
    /// The region.
    #[serde(rename = "topology.kubernetes.io/region")]
    Region,
}

impl TopologyKey {
    /// The label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Zone => "topology.kubernetes.io/zone",
            Self::Region => "topology.kubernetes.io/region",
        }
    }
}

/// What the cluster bears of evictions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disruption {
    /// Whether a PodDisruptionBudget keeps evictions to one broker at a time.
    #[serde(default = "yes")]
    pub pdb: bool,
}

impl Default for Disruption {
    fn default() -> Self {
        Self { pdb: true }
    }
}

/// In which namespaces a Cluster may be named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedNamespaces {
    /// Which.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// Their names, with `from: Names`. The Cluster's own is always among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub names: Vec<String>,
}

/// Which namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// The Cluster's own.
    #[default]
    Same,
    /// All.
    All,
    /// Those that are listed.
    Names,
}

impl AllowedNamespaces {
    /// Whether a resource in `namespace` may name a Cluster that lies in `own`.
    pub fn allows(&self, namespace: &str, own: &str) -> bool {
        namespace == own
            || match self.from {
                NamespacesFrom::Same => false,
                NamespacesFrom::All => true,
                NamespacesFrom::Names => self.names.iter().any(|it| it == namespace),
            }
    }
}

/// How many brokers run if nobody says how many.
const DEFAULT_REPLICAS: i32 = 3;

impl ClusterSpec {
    /// How many nodes there are, over all pools.
    pub fn node_count(&self) -> i32 {
        match self.node_pools.as_slice() {
            [] => self.replicas.unwrap_or(DEFAULT_REPLICAS),
            pools => pools.iter().map(|pool| pool.replicas).sum(),
        }
    }
}

/// What Klamm says of a Cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::without_null)]
pub struct ClusterStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The cluster's id. Once it is here, brokers with empty disks form no other cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cluster_id: Option<String>,
    /// How many brokers exist.
    #[serde(default)]
    pub replicas: i32,
    /// How many brokers serve.
    #[serde(default)]
    pub ready_replicas: i32,
    /// The labels of the brokers' pods, as a selector; for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub selector: Option<String>,
    /// Each broker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub brokers: Vec<BrokerStatus>,
    /// Where clients connect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub listeners: Vec<ListenerStatus>,
    /// Claims about the Cluster; see the table of reasons in the reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerStatus {
    /// The broker's node id.
    pub id: i32,
    /// What it is doing.
    pub state: BrokerState,
    /// Its pod, on Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub pod: Option<String>,
}

/// What a broker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BrokerState {
    /// It serves clients.
    Ready,
    /// It is on its way: opening logs, registering.
    Starting,
    /// It does not run.
    Down,
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// The listener's name.
    #[schemars(length(max = 15))]
    pub name: String,
    /// `host:port` pairs for `bootstrap.servers`, separated by commas.
    #[schemars(length(max = 4096))]
    pub bootstrap: String,
}

/// Brokers run with settings or an image that the spec no longer declares, until each has been restarted.
pub const RESTART_PENDING: &str = "RestartPending";

/// The operator comes with another image than the brokers run, which go on with theirs until `image` says otherwise.
pub const UPGRADE_AVAILABLE: &str = "UpgradeAvailable";

/// Volumes are smaller than `storage.size` says.
pub const STORAGE_PENDING: &str = "StoragePending";

reasons! {
    /// Why a Cluster is, or is not, `Ready`.
    ClusterReason {
        Available: "Every broker that was asked for serves.",
        Creating: "Brokers are starting.",
        NotEnoughBrokers: "Fewer brokers run than were asked for, because this place cannot run more.",
        Draining: "Brokers that are too many give away what they hold; then they are stopped.",
        BrokerDown: "A broker does not run, or does not answer.",
        QuorumLost: "The disks of a majority of the voters are gone; only a person can decide what to do.",
        InvalidConfig: "The brokers refused a setting.",
        InvalidSpec: "The spec breaks a rule, or asks for what cannot be done.",
        Forbidden: "The operator lacks a right that it needs here.",
        NotYetRestarted: "Some brokers run with what was declared before; they are restarted by hand, one by one.",
        NotYetGrown: "Volumes are smaller than declared; they are grown by hand.",
        NewerImage: "The operator comes with another image than the brokers run; they go on with theirs.",
        Paused: "Reconciliation is paused.",
        Deleting: "The Cluster is being deleted.",
    }
}

fn yes() -> bool {
    true
}
