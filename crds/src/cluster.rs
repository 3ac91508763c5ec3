//! The Cluster: brokers, their storage and their settings.
//!
//! Only fields whose feature exists are here: listeners, pools, tiering, security and rollout arrive
//! with their features.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions::{Condition, reasons};
use crate::quantity::Quantity;
use crate::rules;

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
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Brokers","type":"integer","jsonPath":".status.readyReplicas"}"#,
    printcolumn = r#"{"name":"Desired","type":"integer","jsonPath":".spec.replicas"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Bootstrap","type":"string","jsonPath":".status.listeners[0].bootstrap"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Paused","type":"boolean","jsonPath":".spec.paused","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::cluster_spec)]
pub struct ClusterSpec {
    /// How many brokers run.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 256))]
    pub replicas: i32,
    /// The disk of each broker.
    pub storage: Storage,
    /// Broker settings by Kafka's names, for example `log.retention.hours`. Values are strings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::config_schema::<256>")]
    pub config: BTreeMap<String, String>,
    /// While true, nothing is changed; the status is still written.
    #[serde(default)]
    pub paused: bool,
}

/// The disk of each broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// How much a broker may store, for example `10Gi`. It can grow, never shrink.
    pub size: Quantity,
}

/// What Klamm says of a Cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::without_null)]
pub struct ClusterStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The id that the brokers gave themselves when the cluster was formed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cluster_id: Option<String>,
    /// How many brokers exist.
    #[serde(default)]
    pub replicas: i32,
    /// How many brokers serve.
    #[serde(default)]
    pub ready_replicas: i32,
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

reasons! {
    /// Why a Cluster is, or is not, `Ready`.
    ClusterReason {
        Available: "Every broker that was asked for serves.",
        Creating: "Brokers are starting.",
        NotEnoughBrokers: "Fewer brokers run than were asked for, because this place cannot run more.",
        Draining: "Brokers that are too many give away what they hold; then they are stopped.",
        BrokerDown: "A broker does not run, or does not answer.",
        InvalidConfig: "The brokers refused a setting.",
        InvalidSpec: "The spec breaks a rule.",
        Paused: "Reconciliation is paused.",
        Deleting: "The Cluster is being deleted.",
    }
}

fn default_replicas() -> i32 {
    3
}
