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

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::{BrokerId, Now, Offset, TopicId};

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
    Name(Arc<str>),
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
    /// The follower, if it is one's; the client's own sessions never displace these.
    pub replica: Option<BrokerId>,
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
    kind: PlanKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlanKind {
    Sessionless,
    Create {
        uses_topic_ids: bool,
        replica: Option<BrokerId>,
    },
    /// With the epoch that the session expects next.
    Incremental {
        session_id: i32,
        next_epoch: i32,
    },
}

impl FetchPlan {
    /// Whether the answer names only what changed.
    pub fn is_incremental(&self) -> bool {
        matches!(self.kind, PlanKind::Incremental { .. })
    }

    /// The session of an incremental fetch, else 0: what an answer without partitions (to a client
    /// that is throttled) must carry.
    pub fn session_id(&self) -> i32 {
        match self.kind {
            PlanKind::Incremental { session_id, .. } => session_id,
            PlanKind::Sessionless | PlanKind::Create { .. } => 0,
        }
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

/// What a client was told of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    high_watermark: Offset,
    last_stable_offset: Offset,
    log_start_offset: Offset,
}

impl Told {
    /// After an error the next answer names the partition too, whatever it is.
    fn from_outcome(outcome: &Outcome) -> Option<Self> {
        (outcome.error == 0).then_some(Self {
            high_watermark: outcome.high_watermark,
            last_stable_offset: outcome.last_stable_offset,
            log_start_offset: outcome.log_start_offset,
        })
    }
}

#[derive(Debug)]
struct Entry {
    /// Its place in the order of reading.
    turn: u64,
    wanted: Wanted,
    told: Option<Told>,
}

#[derive(Debug)]
struct Session {
    /// The follower, if it is one's.
    replica: Option<BrokerId>,
    uses_topic_ids: bool,
    /// The epoch of the next request.
    epoch: i32,
    created: Duration,
    used: Duration,
    partitions: BTreeMap<PartitionKey, Entry>,
    /// The partitions that are not quiet, in the order of reading.
    turns: BTreeMap<u64, PartitionKey>,
    next_turn: u64,
}

impl Session {
    fn put(&mut self, key: PartitionKey, wanted: Wanted) {
        if let Some(entry) = self.partitions.get_mut(&key) {
            entry.wanted = wanted;
            self.turns.insert(entry.turn, key);
            return;
        }
        let turn = self.next_turn;
        self.next_turn += 1;
        self.turns.insert(turn, key.clone());
        self.partitions.insert(key, Entry { turn, wanted, told: None });
    }

    fn forget(&mut self, key: &PartitionKey) {
        if let Some(entry) = self.partitions.remove(key) {
            self.turns.remove(&entry.turn);
        }
    }

    /// Notes what the client is told and returns whether the answer must name the partition. One that
    /// gave records goes to the back.
    fn tell(&mut self, key: &PartitionKey, outcome: &Outcome) -> bool {
        let Some(entry) = self.partitions.get_mut(key) else { return false };
        let told = Told::from_outcome(outcome);
        let news = entry.told != told;
        entry.told = told;
        if outcome.has_records {
            self.turns.remove(&entry.turn);
            entry.turn = self.next_turn;
            self.next_turn += 1;
            self.turns.insert(entry.turn, key.clone());
        }
        news || outcome.has_records
            || outcome.error != 0
            || outcome.preferred_read_replica >= 0
            || outcome.diverging
    }

    fn to_read(&self) -> Vec<(PartitionKey, Wanted)> {
        let keys = self.turns.values();
        keys.map(|key| (key.clone(), self.partitions[key].wanted)).collect()
    }

    /// What is worth less goes first: clients before followers, small before large.
    fn worth(&self) -> (bool, usize) {
        (self.replica.is_some(), self.partitions.len())
    }
}

/// The sessions of one shard.
#[derive(Debug)]
pub struct FetchSessions {
    config: SessionConfig,
    sessions: BTreeMap<i32, Session>,
    /// Of all sessions.
    partitions: usize,
}

impl FetchSessions {
    /// No sessions yet.
    pub fn new(config: SessionConfig) -> Self {
        Self { config, sessions: BTreeMap::new(), partitions: 0 }
    }

    /// Takes the session part of a request and tells what to read.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub fn begin(&mut self, request: SessionRequest, now: Now) -> Result<FetchPlan, SessionError> {
        if request.epoch == 0 || request.epoch == -1 {
            // All is said anew: whatever session there was ends.
            self.close(request.session_id);
            let kind = if request.epoch == 0 {
                let SessionRequest { uses_topic_ids, replica, .. } = request;
                PlanKind::Create { uses_topic_ids, replica }
            } else {
                PlanKind::Sessionless
            };
            return Ok(FetchPlan { partitions: request.partitions, kind });
        }
        let session_id = request.session_id;
        let session = self.sessions.get_mut(&session_id).ok_or(SessionError::IdNotFound)?;
        if session.epoch != request.epoch {
            return Err(SessionError::InvalidEpoch);
        }
        if session.uses_topic_ids != request.uses_topic_ids {
            return Err(SessionError::TopicIdError);
        }
        let before = session.partitions.len();
        for (key, wanted) in request.partitions {
            session.put(key, wanted);
        }
        for key in &request.forgotten {
            session.forget(key);
        }
        self.partitions = self.partitions - before + session.partitions.len();
        session.epoch = next_epoch(session.epoch);
        session.used = now.tick;
        let next_epoch = session.epoch;
        let partitions = session.to_read();
        if session.partitions.is_empty() {
            self.close(session_id);
            return Ok(FetchPlan { partitions, kind: PlanKind::Sessionless });
        }
        if self.partitions > self.config.max_partitions {
            self.close(session_id);
            return Err(SessionError::IdNotFound);
        }
        Ok(FetchPlan { partitions, kind: PlanKind::Incremental { session_id, next_epoch } })
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
        match plan.kind {
            PlanKind::Sessionless => {
                Ok(SessionAnswer { session_id: 0, include: vec![true; outcomes.len()] })
            }
            PlanKind::Create { uses_topic_ids, replica } => {
                let session = Session {
                    replica,
                    uses_topic_ids,
                    epoch: 1,
                    created: now.tick,
                    used: now.tick,
                    partitions: BTreeMap::new(),
                    turns: BTreeMap::new(),
                    next_turn: 0,
                };
                let session_id = self.create(session, plan.partitions, outcomes, fresh_id);
                Ok(SessionAnswer { session_id, include: vec![true; outcomes.len()] })
            }
            PlanKind::Incremental { session_id, next_epoch } => {
                let session = self.sessions.get_mut(&session_id).ok_or(SessionError::IdNotFound)?;
                if session.epoch != next_epoch {
                    return Err(SessionError::InvalidEpoch);
                }
                let tell = |(at, outcome): &(usize, Outcome)| {
                    session.tell(&plan.partitions[*at].0, outcome)
                };
                Ok(SessionAnswer { session_id, include: outcomes.iter().map(tell).collect() })
            }
        }
    }

    /// Leaves a partition out of the plans of a session until [`FetchSessions::mark`], so that a
    /// fetch of many idle partitions costs nothing for them. The host promises to mark it as soon as
    /// there is anything to tell. Call it after [`FetchSessions::finish`].
    pub fn quiet(&mut self, session_id: i32, key: &PartitionKey) {
        if let Some(session) = self.sessions.get_mut(&session_id)
            && let Some(entry) = session.partitions.get(key)
        {
            session.turns.remove(&entry.turn);
        }
    }

    /// Ends [`FetchSessions::quiet`] for a partition: it keeps the turn that it had.
    pub fn mark(&mut self, session_id: i32, key: &PartitionKey) {
        if let Some(session) = self.sessions.get_mut(&session_id)
            && let Some(entry) = session.partitions.get(key)
        {
            session.turns.insert(entry.turn, key.clone());
        }
    }

    /// What the session of a waiting fetch would read now: its plan, and what was marked since.
    /// Positions in the plan are those of the answer.
    pub fn refresh(&self, plan: &mut FetchPlan) {
        if let Some(session) = self.sessions.get(&plan.session_id()) {
            plan.partitions = session.to_read();
        }
    }

    /// Whether a partition of an incremental fetch has another mark than the client was told.
    pub fn is_news(&self, plan: &FetchPlan, slot: usize, outcome: &Outcome) -> bool {
        let session = self.sessions.get(&plan.session_id());
        let entry = session.and_then(|session| session.partitions.get(&plan.partitions[slot].0));
        entry.is_some_and(|entry| entry.told != Told::from_outcome(outcome))
    }

    /// Sessions open now.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is a session of this id.
    pub fn contains(&self, session_id: i32) -> bool {
        self.sessions.contains_key(&session_id)
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Partitions of all sessions.
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    fn close(&mut self, session_id: i32) {
        if let Some(session) = self.sessions.remove(&session_id) {
            self.partitions -= session.partitions.len();
        }
    }

    /// Opens a session if there is room; 0 if not, and the client names all its partitions again.
    fn create(
        &mut self,
        mut session: Session,
        partitions: Vec<(PartitionKey, Wanted)>,
        outcomes: &[(usize, Outcome)],
        fresh_id: i32,
    ) -> i32 {
        let keys: Vec<_> = outcomes.iter().map(|(at, _)| partitions[*at].0.clone()).collect();
        for (key, wanted) in partitions {
            session.put(key, wanted);
        }
        for (key, (_, outcome)) in keys.iter().zip(outcomes) {
            session.tell(key, outcome);
        }
        let count = session.partitions.len();
        if count == 0 || count > self.config.max_partitions || self.config.max_sessions == 0 {
            return 0;
        }
        self.close_left_over_by(&session);
        while self.sessions.len() >= self.config.max_sessions
            || self.partitions + count > self.config.max_partitions
        {
            match self.displaced_by(&session) {
                Some(displaced) => self.close(displaced),
                None => return 0,
            }
        }
        let mut id = fresh_id.max(1);
        while self.sessions.contains_key(&id) {
            id = id.checked_add(1).unwrap_or(1);
        }
        self.partitions += count;
        self.sessions.insert(id, session);
        id
    }

    /// Closes the sessions of this follower that name a partition of its new one: it copies each over one
    /// connection at a time, and has left the others.
    fn close_left_over_by(&mut self, new: &Session) {
        if new.replica.is_none() {
            return;
        }
        let is_left = |old: &Session| {
            let mut keys = old.partitions.keys();
            old.replica == new.replica && keys.any(|key| new.partitions.contains_key(key))
        };
        let left: Vec<i32> =
            self.sessions.iter().filter(|(_, old)| is_left(old)).map(|(id, _)| *id).collect();
        left.into_iter().for_each(|id| self.close(id));
    }

    /// Who makes room for a new session: one that was idle for long, else the least worth of those
    /// that may be displaced, unless the new one is worth less still. A young session is safe from
    /// all, except a client's from a follower.
    fn displaced_by(&self, new: &Session) -> Option<i32> {
        let old =
            |since: Duration| new.created.saturating_sub(since) > self.config.min_eviction_age;
        let idle = self.sessions.iter().min_by_key(|(_, session)| session.used);
        if let Some((id, _)) = idle.filter(|(_, session)| old(session.used)) {
            return Some(*id);
        }
        let exposed = self.sessions.iter().filter(|(_, session)| {
            old(session.created) || (new.replica.is_some() && session.replica.is_none())
        });
        let (id, least) = exposed.min_by_key(|(id, session)| (session.worth(), **id))?;
        // An equal one makes room, as in Kafka.
        (new.worth() >= least.worth()).then_some(*id)
    }
}

/// Epochs run from 1 to the largest, and around.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
#[path = "session_test.rs"]
mod tests;
