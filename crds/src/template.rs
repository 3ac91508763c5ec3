//! What a person may add to the brokers' pods. What Kubernetes has types for keeps Kubernetes' names and shapes;
//! the long ones (affinity and its kin) pass through unread, so that the CRD stays small: the API server checks them
//! when the pods are made.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rules;

/// What the brokers' pods have besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Further labels. Those of Klamm win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::config_schema::<64>")]
    pub labels: BTreeMap<String, String>,
    /// Further annotations. Those of Klamm win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::config_schema::<64>")]
    pub annotations: BTreeMap<String, String>,
    /// CPU and memory. Left out: 250m and 512Mi are requested, and memory is limited to 2Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Labels of the nodes on which brokers may run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::config_schema::<32>")]
    pub node_selector: BTreeMap<String, String>,
    /// As in a pod. Left out: brokers prefer nodes without another broker of this Cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub affinity: Option<Value>,
    /// As in a pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "open_list::<32>")]
    pub tolerations: Vec<Value>,
    /// As in a pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "open_list::<8>")]
    pub topology_spread_constraints: Vec<Value>,
    /// As in a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Names of Secrets with which the image is pulled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub image_pull_secrets: Vec<String>,
    /// How long a broker may take to hand over its leadership before it is killed, in seconds.
    #[serde(default = "grace_default")]
    #[schemars(range(min = 30, max = 86_400))]
    pub termination_grace_period_seconds: i64,
}

impl Default for Template {
    fn default() -> Self {
        Self {
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            resources: None,
            node_selector: BTreeMap::new(),
            affinity: None,
            tolerations: Vec::new(),
            topology_spread_constraints: Vec::new(),
            priority_class_name: None,
            image_pull_secrets: Vec::new(),
            termination_grace_period_seconds: GRACE_DEFAULT,
        }
    }
}

/// CPU and memory, by Kubernetes' names and in its units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What is set aside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::config_schema::<16>")]
    pub requests: BTreeMap<String, String>,
    /// What may be used at most. Brokers size themselves by the memory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::config_schema::<16>")]
    pub limits: BTreeMap<String, String>,
}

/// Design decision 11: five minutes for lease and hand-over.
pub const GRACE_DEFAULT: i64 = 300;

fn grace_default() -> i64 {
    GRACE_DEFAULT
}

fn open_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

fn open_list<const MAX: usize>(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": MAX,
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    })
}
