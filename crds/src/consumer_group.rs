//! The ConsumerGroup: a window onto a group, and a journal of offset resets.
//!
//! It never invents a group: the group's members make it. Deleting the resource leaves the group alone
//! unless it says otherwise.

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cluster_ref::ClusterRef;
use crate::conditions::{Condition, reasons};
use crate::duration::Span;
use crate::rules;

/// What a person declares of a ConsumerGroup.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, CustomResource, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "klamm.io",
    version = "v1alpha1",
    kind = "ConsumerGroup",
    plural = "consumergroups",
    namespaced,
    shortname = "klg",
    category = "klamm",
    status = "ConsumerGroupStatus",
    derive = "PartialEq",
    doc = "A window onto a consumer group, and a journal of offset resets.",
    selectable = ".spec.clusterRef.name",
    printcolumn = r#"{"name":"Cluster","type":"string","jsonPath":".spec.clusterRef.name"}"#,
    printcolumn = r#"{"name":"State","type":"string","jsonPath":".status.state"}"#,
    printcolumn = r#"{"name":"Members","type":"integer","jsonPath":".status.members"}"#,
    printcolumn = r#"{"name":"Lag","type":"integer","jsonPath":".status.lag.total"}"#,
    printcolumn = r#"{"name":"Behind","type":"date","jsonPath":".status.lag.behindSince"}"#,
    printcolumn = r#"{"name":"Uncommitted","type":"integer","jsonPath":".status.lag.uncommitted"}"#,
    printcolumn = r#"{"name":"Reset","type":"string","jsonPath":".status.lastReset.phase"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Group","type":"string","jsonPath":".spec.groupId","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::consumer_group_spec)]
pub struct ConsumerGroupSpec {
    /// The Cluster that the group lives in. It never changes.
    pub cluster_ref: ClusterRef,
    /// The group's id in Kafka, if it is not the resource's name. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub group_id: Option<String>,
    /// Moves the group's committed offsets, once per token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<Reset>,
    /// When the group's lag counts as unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<LagLimits>,
    /// What happens to the group when this resource is deleted.
    #[serde(default)]
    pub deletion_policy: GroupDeletionPolicy,
    /// While true, nothing is changed; the status is still written.
    #[serde(default)]
    pub paused: bool,
}

/// Moves the group's committed offsets, once per token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reset {
    /// Any text. A reset with a token that was never seen runs exactly once; changing anything else
    /// here needs a new token.
    #[schemars(length(min = 1, max = 64))]
    pub token: String,
    /// Where to.
    pub to: ResetTo,
    /// Which topics. Left out: all that the group has committed offsets for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub topics: Vec<ResetTopic>,
    /// What happens while the group has members.
    #[serde(default)]
    pub when_active: WhenActive,
    /// Whether the group must exist. False creates committed offsets for a group that was never seen,
    /// and then needs `topics`.
    #[serde(default = "yes")]
    pub must_exist: bool,
    /// How long `whenActive: Wait` waits for the members to leave; `1h` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// Shows the plan in the status, and moves nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// What happens when the target lies outside of the log.
    #[serde(default)]
    pub out_of_range: OutOfRange,
}

/// Where a reset goes: exactly one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct ResetTo {
    /// One end of each log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The first record at or after this time, RFC 3339, for example `2026-11-21T09:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 40),
        regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"),
        extend("format" = "date-time")
    )]
    pub timestamp: Option<String>,
    /// This offset, in every partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub offset: Option<i64>,
    /// This many records further (or back, if negative) than committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift_by: Option<i64>,
    /// The first record not older than this, for example `2h`, counted from when the reset was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ago: Option<Span>,
    /// Back to where the group stood before the reset of this token (undo).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub snapshot: Option<String>,
}

/// One end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Position {
    /// The first record that is still there.
    Earliest,
    /// Behind the last record.
    Latest,
}

/// A topic whose offsets are moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResetTopic {
    /// The topic's name in Kafka.
    #[schemars(length(min = 1, max = 249))]
    pub name: String,
    /// Which partitions. Left out: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(range(min = 0)), extend("x-kubernetes-list-type" = "set"))]
    pub partitions: Vec<i32>,
}

/// What happens while the group has members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenActive {
    /// Wait until they left, or until the deadline.
    #[default]
    Wait,
    /// Refuse.
    Fail,
    /// Move the offsets at once; the members must join again, and their late commits are refused.
    Fence,
}

/// What happens when the target lies outside of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OutOfRange {
    /// Take the nearest offset that is there.
    #[default]
    Clamp,
    /// Refuse.
    Fail,
}

/// When the group's lag counts as unhealthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LagLimits {
    /// From this many records on, `LagHealthy` says `Warning`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub warn: Option<i64>,
    /// From this many records on, `LagHealthy` is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub critical: Option<i64>,
    /// A lag that is not zero and whose committed offsets do not move for this long is a stall; `10m`
    /// if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_after: Option<Span>,
}

/// What happens to the group when its resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GroupDeletionPolicy {
    /// It stays, with its offsets.
    #[default]
    Retain,
    /// It is deleted with its offsets, once it has no members.
    DeleteGroup,
}

/// What Klamm says of a ConsumerGroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::without_null)]
pub struct ConsumerGroupStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The group's state, as Kafka names it, or `NotFound`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<GroupState>,
    /// The protocol type that the members gave, for example `consumer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub protocol: Option<String>,
    /// How many members.
    #[serde(default)]
    pub members: i32,
    /// The broker that coordinates the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinator: Option<i32>,
    /// How far the group is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Lag>,
    /// The topics with the largest lag; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub topics: Vec<GroupTopic>,
    /// The reset that was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reset: Option<LastReset>,
    /// Claims about the group; see the table of reasons in the reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// The group's state, as Kafka names it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum GroupState {
    /// Committed offsets, no members.
    Empty,
    /// Members are joining.
    PreparingRebalance,
    /// The leader is assigning partitions.
    CompletingRebalance,
    /// The members have their partitions.
    Stable,
    /// The group is being deleted.
    Dead,
    /// No such group.
    NotFound,
}

/// How far the group is behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lag {
    /// Records to be read, summed over the partitions with a committed offset.
    pub total: i64,
    /// The largest of one partition.
    pub max: i64,
    /// The partition with the largest, as `topic-partition`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 264))]
    pub max_partition: Option<String>,
    /// Partitions of the group's topics without a committed offset.
    pub uncommitted: i64,
    /// Which way it goes.
    pub trend: Trend,
    /// When the oldest record that the group has not read was written, RFC 3339: how far it is behind in time. Known when
    /// it has any to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub behind_since: Option<String>,
    /// When a committed offset last moved, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub progressed_at: Option<String>,
}

/// Which way the lag goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Trend {
    /// The group falls behind.
    Growing,
    /// The group catches up.
    Draining,
    /// Neither.
    #[default]
    Flat,
}

/// One topic of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupTopic {
    /// The topic's name in Kafka.
    #[schemars(length(max = 249))]
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many of them have a committed offset.
    pub committed_partitions: i32,
    /// The lag of those, in records.
    pub lag: i64,
}

/// The reset that was seen last, kept as history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastReset {
    /// The reset's token.
    #[schemars(length(max = 64))]
    pub token: String,
    /// How far it came.
    pub phase: ResetPhase,
    /// When it was first seen, RFC 3339. `ago` and `deadline` count from here.
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub started_at: String,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub finished_at: Option<String>,
    /// Why it waits, or was refused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 4096))]
    pub message: String,
    /// How many partitions it moves.
    #[serde(default)]
    pub partitions: i32,
    /// What it moves; the first 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub plan: Vec<ResetMove>,
}

/// How far a reset came.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ResetPhase {
    /// It waits for the members to leave.
    Pending,
    /// It was shown, not done (`dryRun`).
    Planned,
    /// It is being carried out.
    Applying,
    /// It is done, and was read back.
    Complete,
    /// It was refused; nothing moved. Another token tries again.
    Rejected,
    /// It was done, and a member has since committed an old position again.
    Overwritten,
}

/// One partition's move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResetMove {
    /// The topic's name in Kafka.
    #[schemars(length(max = 249))]
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The committed offset before, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// The committed offset after. Left out where only the journal knows of the reset: it keeps what was
    /// before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
}

reasons! {
    /// Why a ConsumerGroup's conditions are what they are.
    GroupReason {
        Observed: "The group is observed, and no reset is open.",
        GroupNotFound: "The group does not exist. It will when its first member joins.",
        ClusterNotFound: "The Cluster does not exist.",
        NamespaceNotAllowed: "The Cluster does not allow resources of this namespace to name it.",
        ClusterNotReady: "The Cluster exists, and its brokers do not answer.",
        ResetPending: "A reset waits for the members to leave.",
        ResetApplying: "A reset is being carried out.",
        ResetComplete: "The reset was done, and read back.",
        ResetPlanned: "The reset was shown, not done.",
        ResetRejected: "The reset was refused.",
        ResetOverwritten: "The reset was done, and a member committed an old position again.",
        HasMembers: "The group has members.",
        NoMembers: "The group has no members.",
        WithinLimits: "The lag is below its limits.",
        Warning: "The lag reached `lag.warn`.",
        Critical: "The lag reached `lag.critical`.",
        NoProgress: "The committed offsets do not move, and there is something to read.",
        NotEmpty: "The group cannot be deleted while it has members.",
        InvalidSpec: "The spec breaks a rule.",
        StepFailed: "The brokers refused or failed a step; it is tried again.",
        Paused: "Reconciliation is paused.",
        Deleting: "The resource is being deleted.",
    }
}

impl ConsumerGroup {
    /// The group's id in Kafka.
    pub fn group_id(&self) -> String {
        self.spec.group_id.clone().unwrap_or_else(|| self.name_any())
    }
}

fn yes() -> bool {
    true
}
