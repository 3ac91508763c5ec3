//! What a group coordinator is asked for, independent of the wire's versions.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Offset, TopicId, TopicPartition};

/// A request that may change a group. Reads are methods of [`super::Groups`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// JoinGroup.
    Join(JoinRequest),
    /// SyncGroup.
    Sync(SyncRequest),
    /// Heartbeat.
    Heartbeat(HeartbeatRequest),
    /// LeaveGroup.
    Leave(LeaveRequest),
    /// OffsetCommit.
    Commit(CommitRequest),
    /// OffsetDelete.
    DeleteOffsets(DeleteOffsetsRequest),
    /// DeleteGroups, one group of it.
    DeleteGroup(Arc<str>),
    /// ResetGroupOffsets, Klamm's own.
    Reset(ResetRequest),
}

/// JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// The group's id.
    pub group: Arc<str>,
    /// Empty on the first join.
    pub member_id: Arc<str>,
    /// Set by static members (KIP-345).
    pub instance_id: Option<Arc<str>>,
    /// The request's client id; a new member's id begins with it.
    pub client_id: Arc<str>,
    /// Where the client is, as DescribeGroups shows it.
    pub client_host: Arc<str>,
    /// Milliseconds without a heartbeat after which the member is dropped.
    pub session_timeout_ms: i32,
    /// Milliseconds that the member may take to join again; in version 0 the session timeout.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, …
    pub protocol_type: Arc<str>,
    /// Names and metadata, the member's favourite first.
    pub protocols: Vec<(Arc<str>, Bytes)>,
    /// Version 4 on: a new dynamic member is given an id and must come back with it (KIP-394).
    pub require_member_id: bool,
    /// Version 9 on: a leader may be told to skip the assignment (KIP-814).
    pub supports_skip_assignment: bool,
    /// Chance for a new member id.
    pub fresh_id: u128,
}

/// Who asks, for requests of members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberRef {
    /// The member's id.
    pub member_id: Arc<str>,
    /// The static member's instance id, if any.
    pub instance_id: Option<Arc<str>>,
    /// The generation that the member believes in; `-1` for none.
    pub generation: i32,
}

/// SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    /// The group's id.
    pub group: Arc<str>,
    /// Who asks.
    pub member: MemberRef,
    /// Version 5 on: must agree with the group's if given (KIP-559).
    pub protocol_type: Option<Arc<str>>,
    /// Version 5 on: must agree with the group's if given.
    pub protocol_name: Option<Arc<str>>,
    /// Member ids and assignments, from the leader; empty from all others.
    pub assignments: Vec<(Arc<str>, Bytes)>,
}

/// Heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatRequest {
    /// The group's id.
    pub group: Arc<str>,
    /// Who asks.
    pub member: MemberRef,
}

/// LeaveGroup; versions 0 to 2 name one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveRequest {
    /// The group's id.
    pub group: Arc<str>,
    /// Who leaves.
    pub members: Vec<LeavingMember>,
}

/// One member of a [`LeaveRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingMember {
    /// The member's id; empty when an administrator removes a static member by instance id.
    pub member_id: Arc<str>,
    /// The static member's instance id, if any.
    pub instance_id: Option<Arc<str>>,
}

/// OffsetCommit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRequest {
    /// The group's id.
    pub group: Arc<str>,
    /// Who asks; generation `-1` and no member id for a consumer without a group membership.
    pub member: MemberRef,
    /// Versions 2 to 4: how long to keep the offsets, milliseconds; `None` for the broker's setting.
    pub retention_ms: Option<i64>,
    /// What to store.
    pub offsets: Vec<OffsetToCommit>,
}

/// One partition of a [`CommitRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetToCommit {
    /// Which partition.
    pub partition: TopicPartition,
    /// The topic's id, zero if unknown.
    pub topic_id: TopicId,
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the last record read; `-1` for unknown.
    pub leader_epoch: i32,
    /// The client's own words.
    pub metadata: Arc<str>,
}

/// Which offsets to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OffsetsWanted {
    /// All of the group.
    All,
    /// These; a partition without a commit is answered with offset `-1`. With a topic id that is not
    /// zero, an offset that was committed for another topic of that name does not count.
    These(Vec<(TopicPartition, TopicId)>),
}

/// OffsetDelete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOffsetsRequest {
    /// The group's id.
    pub group: Arc<str>,
    /// Which partitions.
    pub partitions: Vec<TopicPartition>,
}

/// What a reset does when the group has members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResetMode {
    /// Refuses with `NON_EMPTY_GROUP`.
    Fail,
    /// Drops the members and opens a new generation: their late commits are refused, and they join
    /// again by the normal protocol.
    Fence,
}

/// ResetGroupOffsets: moves committed offsets, exactly once per token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetRequest {
    /// The group's id.
    pub group: Arc<str>,
    /// Names the reset; 1 to 64 bytes. A token that is in the journal is not executed again.
    pub token: Arc<str>,
    /// What to do with members.
    pub mode: ResetMode,
    /// Refuse with `GROUP_ID_NOT_FOUND` instead of making a group.
    pub must_exist: bool,
    /// Refuse with `ILLEGAL_GENERATION` unless the group is at this generation.
    pub expected_generation: Option<i32>,
    /// Where to.
    pub targets: Vec<ResetTarget>,
}

/// One partition of a [`ResetRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetTarget {
    /// Which partition.
    pub partition: TopicPartition,
    /// The topic's id, zero if unknown.
    pub topic_id: TopicId,
    /// The offset to commit.
    pub offset: Offset,
    /// Its leader epoch; `-1` for unknown.
    pub leader_epoch: i32,
    /// A note kept with the offset.
    pub metadata: Arc<str>,
}
