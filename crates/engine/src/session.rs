//! Incremental fetch sessions (KIP-227): what a client reads, and what it was last told.
//!
//! ```text
//!   Fetch ─► FetchSessions::begin ─► FetchPlan { partitions to read, in turn } ─► (host reads)
//!                                          │
//!   answer ◄── session id, partitions ◄────┴── FetchSessions::finish(plan, what was read)
//! ```
//!
//! A client names its partitions once; later requests carry changes only, and later answers carry
//! only partitions that have records, an error or a mark (high watermark, log start, …) that the
//! client was not told. Pure data: the host draws the ids, reads the logs and waits.

use std::time::Duration;

use crate::{Now, Offset, TopicId};

/// What bounds the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// `max.incremental.fetch.session.cache.slots`.
    pub max_sessions: usize,
    /// Partitions of all sessions together.
    pub max_partitions: usize,
    /// How long a session must have been idle before a new one may take its place.
    pub min_eviction_age: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            max_sessions: 1000,
            max_partitions: 500_000,
            min_eviction_age: Duration::from_secs(120),
        }
    }
}

/// A topic as the client names it: by id from version 13 on, by name before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicKey {
    /// By id.
    Id(TopicId),
    /// By name.
    Name(std::sync::Arc<str>),
}

/// A partition as the client names it.
pub type PartitionKey = (TopicKey, i32);

/// What a client wants of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Read from here.
    pub fetch_offset: Offset,
    /// At most this many bytes.
    pub max_bytes: i32,
    /// The leader epoch that the client knows; `-1` for unknown.
    pub current_leader_epoch: i32,
    /// The epoch of the last record read; `-1` for unknown.
    pub last_fetched_epoch: i32,
    /// The log start offset of a follower; `-1` from consumers.
    pub log_start_offset: Offset,
}

/// The session part of a Fetch request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    /// 0 for none.
    pub session_id: i32,
    /// 0 to create, -1 to close or to do without, else the next of the session.
    pub epoch: i32,
    /// Version 13 on.
    pub uses_topic_ids: bool,
    /// A follower's; the client's own sessions never displace these.
    pub privileged: bool,
    /// Partitions added or changed; all of them when there is no session.
    pub partitions: Vec<(PartitionKey, Wanted)>,
    /// Partitions no longer wanted.
    pub forgotten: Vec<PartitionKey>,
}

/// Why a session cannot be used: the whole answer is this error, with session id 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(i16)]
pub enum SessionError {
    /// No such session: it was evicted, or never was here.
    #[error("FETCH_SESSION_ID_NOT_FOUND")]
    IdNotFound = 70,
    /// Not the epoch that follows.
    #[error("INVALID_FETCH_SESSION_EPOCH")]
    InvalidEpoch = 71,
    /// The session names topics by id and the request by name, or the other way.
    #[error("FETCH_SESSION_TOPIC_ID_ERROR")]
    TopicIdError = 106,
}

impl SessionError {
    /// The error's number on the wire.
    pub fn code(self) -> i16 {
        self as i16
    }
}

/// One Fetch under way.
#[derive(Debug)]
#[must_use = "a plan ends in FetchSessions::finish"]
pub struct FetchPlan {
    /// What to read, in this order: those that had to wait longest come first.
    pub partitions: Vec<(PartitionKey, Wanted)>,
    session_id: i32,
    epoch: i32,
    keep: bool,
}

impl FetchPlan {
    /// Whether the answer names only what changed.
    pub fn is_incremental(&self) -> bool {
        self.session_id != 0 && self.epoch > 0
    }
}

/// What was read of one partition, as far as sessions care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer has records.
    pub has_records: bool,
    /// Kafka's error code, 0 for none.
    pub error: i16,
    /// As answered.
    pub high_watermark: Offset,
    /// As answered.
    pub last_stable_offset: Offset,
    /// As answered.
    pub log_start_offset: Offset,
    /// As answered; `-1` for none.
    pub preferred_read_replica: i32,
    /// The answer tells a diverging epoch (KIP-595).
    pub diverging: bool,
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionAnswer {
    /// 0 if there is no session.
    pub session_id: i32,
    /// For each outcome given to [`FetchSessions::finish`], in order: whether it is answered.
    pub include: Vec<bool>,
}

/// The sessions of one shard.
#[derive(Debug)]
pub struct FetchSessions {
    config: SessionConfig,
}

impl FetchSessions {
    /// No sessions yet.
    pub fn new(config: SessionConfig) -> Self {
        Self { config }
    }

    /// Takes the session part of a request and tells what to read.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub fn begin(&mut self, request: SessionRequest, now: Now) -> Result<FetchPlan, SessionError> {
        let _ = (request, now, &self.config);
        unreachable!("door only")
    }

    /// Before the answer: opens the session if one was asked for and there is room, notes what the
    /// client is told, and tells which partitions the answer names. `outcomes` are those of the
    /// plan's partitions that were read, by index. `fresh_id` is the host's chance for a new session
    /// id; one that is in use or below 1 is moved on.
    ///
    /// # Errors
    /// When the session was closed or moved on meanwhile.
    pub fn finish(
        &mut self,
        plan: FetchPlan,
        outcomes: &[(usize, Outcome)],
        fresh_id: i32,
        now: Now,
    ) -> Result<SessionAnswer, SessionError> {
        let _ = (plan, outcomes, fresh_id, now, &self.config);
        unreachable!("door only")
    }

    /// Sessions open now.
    pub fn len(&self) -> usize {
        0
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
