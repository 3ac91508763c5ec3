//! What a group coordinator answers, independent of the wire's versions.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::GroupError;
use crate::{Offset, TopicId, TopicPartition};

/// The answer to one [`super::Request`], variant by variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// JoinGroup.
    Join(JoinReply),
    /// SyncGroup.
    Sync(Result<SyncReply, GroupError>),
    /// Heartbeat.
    Heartbeat(Result<(), GroupError>),
    /// LeaveGroup.
    Leave(LeaveReply),
    /// OffsetCommit.
    Commit(CommitReply),
    /// OffsetDelete; the error is the top-level one.
    DeleteOffsets(Result<DeletedOffsets, GroupError>),
    /// DeleteGroups.
    DeleteGroup(Result<(), GroupError>),
    /// ResetGroupOffsets.
    Reset(Result<ResetReply, GroupError>),
}

/// JoinGroup. On an error, `generation` is -1 and all but `member_id` is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinReply {
    /// Why not, if not.
    pub error: Option<GroupError>,
    /// The generation joined.
    pub generation: i32,
    /// The group's protocol type (`None` on errors).
    pub protocol_type: Option<Arc<str>>,
    /// The protocol chosen (`None` on errors; versions 0 to 6 send an empty string then).
    pub protocol_name: Option<Arc<str>>,
    /// The leader's member id; empty on errors.
    pub leader: Arc<str>,
    /// The leader need not assign (version 9, KIP-814).
    pub skip_assignment: bool,
    /// The member's id.
    pub member_id: Arc<str>,
    /// All members, for the leader only.
    pub members: Vec<JoinedMember>,
}

/// One member as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its instance id, if static.
    pub instance_id: Option<Arc<str>>,
    /// Its metadata for the chosen protocol.
    pub metadata: Bytes,
}

/// SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncReply {
    /// The group's protocol type.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol chosen.
    pub protocol_name: Option<Arc<str>>,
    /// What the leader gave to this member.
    pub assignment: Bytes,
}

/// LeaveGroup. Versions 0 to 2 report the only member's error at the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveReply {
    /// The top-level error.
    pub error: Option<GroupError>,
    /// Per member, in the order of the request.
    pub members: Vec<(super::LeavingMember, Option<GroupError>)>,
}

/// OffsetCommit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitReply {
    /// Per partition, in the order of the request.
    pub partitions: Vec<(TopicPartition, Option<GroupError>)>,
}

/// OffsetDelete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedOffsets {
    /// Per partition, in the order of the request.
    pub partitions: Vec<(TopicPartition, Option<GroupError>)>,
}

/// One committed offset, or offset `-1` where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    /// Which partition.
    pub partition: TopicPartition,
    /// The topic's id when it was committed, zero if unknown.
    pub topic_id: TopicId,
    /// The next offset to read; `-1` for none.
    pub offset: Offset,
    /// The leader epoch; `-1` for unknown.
    pub leader_epoch: i32,
    /// The client's own words.
    pub metadata: Arc<str>,
    /// When it was committed, wall-clock milliseconds; `-1` for none.
    pub committed_at_ms: i64,
}

/// What a group is doing. `Display` gives Kafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    /// No members.
    Empty,
    /// Waiting for the members to join.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment, or can get it.
    Stable,
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        })
    }
}

/// DescribeGroups, and what Klamm's own request shows beyond it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is doing.
    pub state: GroupState,
    /// Its generation.
    pub generation: i32,
    /// Empty if never set.
    pub protocol_type: Arc<str>,
    /// The protocol chosen; empty unless `Stable`.
    pub protocol_name: Arc<str>,
    /// Its members.
    pub members: Vec<MemberDescription>,
    /// Its newest reset, if any.
    pub last_reset: Option<LastReset>,
}

/// One member of a [`Description`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its instance id, if static.
    pub instance_id: Option<Arc<str>>,
    /// Its client's id.
    pub client_id: Arc<str>,
    /// Where it is.
    pub client_host: Arc<str>,
    /// Its metadata for the chosen protocol; empty unless `Stable`.
    pub metadata: Bytes,
    /// Its assignment; empty unless `Stable`.
    pub assignment: Bytes,
}

/// One group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub group: Arc<str>,
    /// Its protocol type; empty for a group that only stores offsets.
    pub protocol_type: Arc<str>,
    /// What it is doing.
    pub state: GroupState,
}

/// The result of a reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetReply {
    /// The token was in the journal: nothing was done now.
    pub already_done: bool,
    /// The generation that the reset opened.
    pub generation: i32,
    /// When it was executed, wall-clock milliseconds.
    pub at_ms: i64,
    /// What moved, in the order of the request that was executed.
    pub moves: Vec<OffsetMove>,
    /// Partitions for which a member of a later generation committed the position of before the reset
    /// again (`ResetOverwritten`).
    pub overwritten: Vec<TopicPartition>,
}

/// One partition that a reset moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetMove {
    /// Which partition.
    pub partition: TopicPartition,
    /// The offset before; `-1` for none.
    pub from: Offset,
    /// The leader epoch before; `-1` for none.
    pub from_leader_epoch: i32,
    /// The offset after.
    pub to: Offset,
}

/// A group's newest reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastReset {
    /// Its token.
    pub token: Arc<str>,
    /// What it did.
    pub result: ResetReply,
}
