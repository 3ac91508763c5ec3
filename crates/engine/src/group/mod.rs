//! Consumer groups: the classic protocol and committed offsets, as a machine.
//!
//! ```text
//!   request + token ─► Groups::step ─┐
//!   time ────────────► Groups::tick ─┼─► Effects { records, replies }
//!   topics deleted ──► …             ┘        │         │
//!                                     one batch in      to the clients, once the records (and all
//!                                  __consumer_offsets   records before them) are committed
//! ```
//!
//! One [`Groups`] holds all groups of one partition of `__consumer_offsets`. On load the host feeds it
//! every record of the log ([`Groups::apply`]), then calls [`Groups::loaded`]. A member that was
//! there before the restart finds itself still a member of the same generation.
//!
//! What is absent: lag (it needs the logs), ACLs, finding the coordinator, wire versions. Requests
//! and replies here are plain; the host maps them. The protocol is indifferent to the protocol type:
//! `consumer`, `connect` and any other behave alike, subscriptions are looked into only for expiry
//! and [`Request::DeleteOffsets`].

use std::sync::Arc;
use std::time::Duration;

mod error;
mod records;
mod reply;
mod request;

pub use error::GroupError;
pub use records::{EncodedRecord, RecordError};
pub use reply::{
    CommitReply, DeletedOffsets, Description, FetchedOffset, GroupState, JoinReply, JoinedMember,
    LastReset, LeaveReply, Listed, MemberDescription, OffsetMove, Reply, ResetReply, SyncReply,
};
pub use request::{
    CommitRequest, DeleteOffsetsRequest, HeartbeatRequest, JoinRequest, LeaveRequest,
    LeavingMember, MemberRef, OffsetToCommit, OffsetsWanted, Request, ResetMode, ResetRequest,
    ResetTarget, SyncRequest,
};

use crate::Now;

/// Names one request of the host; its reply carries it back. Each token is answered exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

/// What bounds groups and offsets. Durations; the names of Kafka's settings stand beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout: Duration,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members.
    pub initial_rebalance_delay: Duration,
    /// `group.max.size`: members of one group.
    pub max_size: usize,
    /// Members of one group that were given an id and did not come back with it yet.
    pub max_pending_members: usize,
    /// `offset.metadata.max.bytes`: the metadata string of one committed offset.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`: how long an offset outlives its group's last member.
    pub offsets_retention: Duration,
    /// The most bytes of keys and values that one step may write: `max.message.bytes` of
    /// `__consumer_offsets` less the framing.
    pub max_batch_bytes: usize,
    /// Reset journals kept for one group, newest first.
    pub max_resets_kept: usize,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(1800),
            initial_rebalance_delay: Duration::from_secs(3),
            max_size: i32::MAX as usize,
            max_pending_members: 10_000,
            offset_metadata_max_bytes: 4096,
            offsets_retention: Duration::from_secs(7 * 24 * 3600),
            max_batch_bytes: 1_000_000,
            max_resets_kept: 8,
        }
    }
}

/// What the host must do, in this order: append all `records` as **one batch**, wait until that batch
/// and everything before it is committed, then send the `replies`.
///
/// Steps follow each other without waiting: replies are released in the order of the steps. When an
/// append fails, memory is ahead of the log: the host takes the open tokens with [`Groups::close`],
/// answers them and the unreleased replies with `NOT_COORDINATOR`, and loads the partition anew.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use = "records must be appended and replies sent"]
pub struct Effects {
    /// To append, timestamp = the wall clock of the step. Their bytes stay within
    /// [`GroupConfig::max_batch_bytes`].
    pub records: Vec<EncodedRecord>,
    /// To send.
    pub replies: Vec<(Token, Reply)>,
}

/// All groups of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct Groups {
    config: GroupConfig,
}

impl Groups {
    /// No groups yet; follow with [`Groups::apply`] for each record, then [`Groups::loaded`].
    pub fn new(config: GroupConfig) -> Self {
        Self { config }
    }

    /// Replays one record of the log. Records of key versions that belong to others are skipped.
    ///
    /// # Errors
    /// When key or value do not decode; the state is unchanged and loading may go on.
    pub fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RecordError> {
        let _ = (key, value, &self.config);
        unreachable!("door only")
    }

    /// The log is read: starts the timers of the restored members.
    pub fn loaded(&mut self, now: Now) -> Effects {
        let _ = now;
        unreachable!("door only")
    }

    /// Takes a request. The reply to `token` is in these effects or, for parked joins and syncs, in
    /// the effects of a later call.
    pub fn step(&mut self, token: Token, request: Request, now: Now) -> Effects {
        let _ = (token, request, now);
        unreachable!("door only")
    }

    /// When [`Groups::tick`] should be called next, in monotonic time. Ticking early or late is
    /// harmless (late ticks delay timeouts).
    pub fn next_deadline(&self) -> Option<Duration> {
        unreachable!("door only")
    }

    /// Lets time pass: session, rebalance and sync timeouts, the initial delay.
    pub fn tick(&mut self, now: Now) -> Effects {
        let _ = now;
        unreachable!("door only")
    }

    /// Removes expired offsets and empty groups without offsets. Call it every
    /// `offsets.retention.check.interval.ms` (10 minutes); when it returns `true`, the batch was full
    /// and there is more to remove: call it again.
    pub fn expire(&mut self, now: Now) -> (Effects, bool) {
        let _ = now;
        unreachable!("door only")
    }

    /// Removes the offsets of deleted topics. When it returns `true`, call it again with the same
    /// topics.
    pub fn topics_deleted(&mut self, topics: &[Arc<str>]) -> (Effects, bool) {
        let _ = topics;
        unreachable!("door only")
    }

    /// Committed offsets of one group; a group that does not exist has none. Release the answer after
    /// everything appended so far is committed, as a reply.
    pub fn fetch_offsets(&self, group: &str, wanted: &OffsetsWanted) -> Vec<FetchedOffset> {
        let _ = (group, wanted);
        unreachable!("door only")
    }

    /// What one group looks like; `None` if it does not exist (DescribeGroups answers state `Dead`,
    /// from version 6 on `GROUP_ID_NOT_FOUND`).
    pub fn describe(&self, group: &str) -> Option<Description> {
        let _ = group;
        unreachable!("door only")
    }

    /// All groups. The host filters by state and type.
    pub fn list(&self) -> Vec<Listed> {
        unreachable!("door only")
    }

    /// Ends this coordinator: the tokens of all parked requests, to be answered `NOT_COORDINATOR`.
    pub fn close(self) -> Vec<Token> {
        unreachable!("door only")
    }
}
