//! The errors that a group coordinator answers with, by Kafka's names and numbers.

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[repr(i16)]
pub enum GroupError {
    /// What the group would have to write does not fit a batch.
    #[error("UNKNOWN_SERVER_ERROR")]
    UnknownServerError = -1,
    /// The metadata string of an offset is too long.
    #[error("OFFSET_METADATA_TOO_LARGE")]
    OffsetMetadataTooLarge = 12,
    /// The generation is not the group's.
    #[error("ILLEGAL_GENERATION")]
    IllegalGeneration = 22,
    /// The protocol type differs from the group's, or no protocol is common to all members.
    #[error("INCONSISTENT_GROUP_PROTOCOL")]
    InconsistentGroupProtocol = 23,
    /// The group id is empty where it may not be.
    #[error("INVALID_GROUP_ID")]
    InvalidGroupId = 24,
    /// The group does not know this member.
    #[error("UNKNOWN_MEMBER_ID")]
    UnknownMemberId = 25,
    /// The session timeout is out of the bounds.
    #[error("INVALID_SESSION_TIMEOUT")]
    InvalidSessionTimeout = 26,
    /// The member must join again.
    #[error("REBALANCE_IN_PROGRESS")]
    RebalanceInProgress = 27,
    /// The offsets of one request do not fit a batch.
    #[error("INVALID_COMMIT_OFFSET_SIZE")]
    InvalidCommitOffsetSize = 28,
    /// A field of the request makes no sense, or a string is longer than any record can hold.
    #[error("INVALID_REQUEST")]
    InvalidRequest = 42,
    /// The group still has members.
    #[error("NON_EMPTY_GROUP")]
    NonEmptyGroup = 68,
    /// There is no such group. OffsetCommit below version 9 says `ILLEGAL_GENERATION` instead.
    #[error("GROUP_ID_NOT_FOUND")]
    GroupIdNotFound = 69,
    /// Join again with the member id in this answer (KIP-394).
    #[error("MEMBER_ID_REQUIRED")]
    MemberIdRequired = 79,
    /// The group is full.
    #[error("GROUP_MAX_SIZE_REACHED")]
    GroupMaxSizeReached = 81,
    /// Another member has taken this group instance id (KIP-345).
    #[error("FENCED_INSTANCE_ID")]
    FencedInstanceId = 82,
    /// The group reads this topic: its offsets cannot be deleted.
    #[error("GROUP_SUBSCRIBED_TO_TOPIC")]
    GroupSubscribedToTopic = 86,
}

impl GroupError {
    /// The error's number on the wire.
    pub fn code(self) -> i16 {
        self as i16
    }
}
