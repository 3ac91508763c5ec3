//! The Topic: partitions, replicas and settings of one Kafka topic.

use std::collections::BTreeMap;

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cluster_ref::ClusterRef;
use crate::conditions::{Condition, reasons};
use crate::duration::Span;
use crate::quantity::Quantity;
use crate::rules;

/// What a person declares of a Topic.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, CustomResource, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "klamm.io",
    version = "v1alpha1",
    kind = "Topic",
    namespaced,
    shortname = "klt",
    category = "klamm",
    status = "TopicStatus",
    derive = "PartialEq",
    doc = "One Kafka topic: partitions, replicas and settings.",
    selectable = ".spec.clusterRef.name",
    printcolumn = r#"{"name":"Cluster","type":"string","jsonPath":".spec.clusterRef.name"}"#,
    printcolumn = r#"{"name":"Partitions","type":"integer","jsonPath":".status.partitions"}"#,
    printcolumn = r#"{"name":"Replicas","type":"integer","jsonPath":".status.replicas"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"TopicId","type":"string","jsonPath":".status.topicId","priority":1}"#,
    printcolumn = r#"{"name":"Policy","type":"string","jsonPath":".spec.deletionPolicy","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::topic_spec)]
pub struct TopicSpec {
    /// The Cluster that the topic lives in. It never changes.
    pub cluster_ref: ClusterRef,
    /// The topic's name in Kafka, if it is not the resource's name. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 249), regex(pattern = r"^[a-zA-Z0-9._-]+$"))]
    pub topic_name: Option<String>,
    /// How many partitions. It can grow, never shrink. Left out: the brokers' `num.partitions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub partitions: Option<i32>,
    /// How many brokers hold each partition. Left out: the brokers' `default.replication.factor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 15))]
    pub replicas: Option<i32>,
    /// How long, or how much of, the log is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// How many in-sync replicas `acks=all` needs (`min.insync.replicas`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 15))]
    pub min_in_sync_replicas: Option<i32>,
    /// The largest record batch that is taken, for example `1Mi` (`max.message.bytes`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_message_bytes: Option<Quantity>,
    /// How record batches are compressed on the broker (`compression.type`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// When a record counts as acknowledged: held by the in-sync replicas, or on their disks
    /// (`klamm.durability`). Left out: `Fsync` with one replica, `Replicated` otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// Topic settings by Kafka's names, for example `segment.bytes`. Values are strings. A setting that
    /// has a field of its own may not be set in both places.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "rules::config_schema::<128>")]
    pub config: BTreeMap<String, String>,
    /// Settings that Klamm leaves as they are, whoever set them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 128)), extend("x-kubernetes-list-type" = "set"))]
    pub unmanaged_config: Vec<String>,
    /// What happens to settings that are listed nowhere here.
    #[serde(default)]
    pub config_policy: ConfigPolicy,
    /// What happens when the topic exists already.
    #[serde(default)]
    pub existing: ExistingPolicy,
    /// What happens to the topic, and its records, when this resource is deleted.
    #[serde(default)]
    pub deletion_policy: TopicDeletionPolicy,
    /// While true, nothing is changed; the status is still written.
    #[serde(default)]
    pub paused: bool,
}

/// How long, or how much of, the log is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// How long a record is kept, for example `7d` (`retention.ms`). For ever: leave it out and set
    /// `retention.ms` to `"-1"` under `config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
    /// How much of each partition is kept, for example `50Gi` (`retention.bytes`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Quantity>,
}

/// How record batches are compressed on the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Compression {
    /// As the producer sent them.
    Producer,
    /// Not at all.
    Uncompressed,
    /// With gzip.
    Gzip,
    /// With snappy.
    Snappy,
    /// With LZ4.
    Lz4,
    /// With Zstandard.
    Zstd,
}

/// When a record counts as acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Durability {
    /// The in-sync replicas hold it.
    Replicated,
    /// It is on the disks of the in-sync replicas.
    Fsync,
}

/// What happens to settings that are listed nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConfigPolicy {
    /// They stay as they are.
    #[default]
    Merge,
    /// They go back to their default.
    Strict,
}

/// What happens when the topic exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExistingPolicy {
    /// It is taken over and corrected.
    #[default]
    Adopt,
    /// It is left alone, and the resource says `Conflict`.
    Fail,
}

/// What happens to the topic when its resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TopicDeletionPolicy {
    /// It is deleted, with its records. Retained all the same if the Cluster is gone.
    #[default]
    Delete,
    /// It stays.
    Retain,
}

/// What Klamm says of a Topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::without_null)]
pub struct TopicStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The id of the topic that belongs to this resource. A topic of the same name with another id is
    /// not touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub topic_id: Option<String>,
    /// With `existing: Fail`: there was no such topic, and this resource creates it. One that is there after a crash is
    /// then its own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub creating: bool,
    /// How many partitions there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// How many brokers hold each partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// How many partitions are being moved to have as many replicas as declared; left out if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_partitions: Option<i32>,
    /// Changes from elsewhere that Klamm put right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// Claims about the Topic; see the table of reasons in the reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

fn is_false(it: &bool) -> bool {
    !it
}

/// Changes from elsewhere that Klamm put right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// How often, since the resource was created.
    #[serde(default)]
    pub count: i64,
    /// When last, RFC 3339.
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub last_at: String,
    /// Which settings, the last time; at most ten.
    #[serde(default)]
    #[schemars(length(max = 10), inner(length(max = 256)))]
    pub keys: Vec<String>,
}

reasons! {
    /// Why a Topic is, or is not, `Ready`.
    TopicReason {
        Created: "The topic was created as declared.",
        Adopted: "The topic existed; it is as declared now.",
        InSync: "The topic is as declared.",
        DriftCorrected: "Somebody changed the topic; it was put right.",
        Syncing: "Steps are being carried out.",
        ClusterNotFound: "The Cluster does not exist.",
        ClusterNotReady: "The Cluster exists, and its brokers do not answer.",
        PartitionsLower: "Fewer partitions were asked for than there are.",
        NotEnoughBrokers: "More replicas were asked for than there are brokers.",
        MovingReplicas: "Partitions get the number of replicas that is declared; clients go on meanwhile.",
        NamespaceNotAllowed: "The Cluster does not allow resources of this namespace to name it.",
        InvalidConfig: "A setting is unknown, or its value is wrong.",
        InvalidSpec: "The spec breaks a rule.",
        Conflict: "Another resource, or `existing: Fail`, stands in the way.",
        RecreatedExternally: "The topic was deleted and created again by somebody else.",
        StepFailed: "The brokers refused or failed a step; it is tried again.",
        Paused: "Reconciliation is paused.",
        Deleting: "The resource is being deleted.",
    }
}

impl Topic {
    /// The topic's name in Kafka.
    pub fn topic_name(&self) -> String {
        self.spec.topic_name.clone().unwrap_or_else(|| self.name_any())
    }
}
