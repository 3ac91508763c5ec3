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

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

mod error;
mod expire;
mod join;
mod membership;
mod offsets;
mod rebalance;
mod records;
mod reply;
mod request;
mod reset;
mod state;
mod sync;

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

use self::expire::Tombstones;
use self::records::GroupRecord;
use self::state::{Group, Step};
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
    /// [`GroupConfig::max_batch_bytes`], except when a big group is deleted: such tombstones may be
    /// cut into several batches.
    pub records: Vec<EncodedRecord>,
    /// To send.
    pub replies: Vec<(Token, Reply)>,
}

/// All groups of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct Groups {
    config: GroupConfig,
    groups: BTreeMap<Arc<str>, Group>,
    /// When groups want to be woken; each is in here at its `wake`.
    timers: BTreeSet<(Duration, Arc<str>)>,
}

impl Groups {
    /// No groups yet; follow with [`Groups::apply`] for each record, then [`Groups::loaded`].
    pub fn new(config: GroupConfig) -> Self {
        Self { config, groups: BTreeMap::new(), timers: BTreeSet::new() }
    }

    /// Replays one record of the log. Records of key versions that belong to others are skipped.
    ///
    /// # Errors
    /// When key or value do not decode; the state is unchanged and loading may go on.
    pub fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RecordError> {
        match GroupRecord::decode(key, value)? {
            Some(GroupRecord::Group { group, value: Some(stored) }) => {
                self.group_mut(&group).restore(stored);
            }
            Some(record) => self.write(record),
            None => {}
        }
        Ok(())
    }

    /// The log is read: starts the timers of the restored members.
    pub fn loaded(&mut self, now: Now) -> Effects {
        let ids: Vec<_> = self.groups.keys().cloned().collect();
        let mut records = Vec::new();
        let mut replies = Vec::new();
        for id in ids {
            let (_, step) = self.with(&id, now, Group::start_timers);
            records.extend(step.0);
            replies.extend(step.1);
        }
        self.finish(records, replies)
    }

    /// Takes a request. The reply to `token` is in these effects or, for parked joins and syncs, in
    /// the effects of a later call.
    pub fn step(&mut self, token: Token, request: Request, now: Now) -> Effects {
        let (reply, (records, mut replies)) = match request {
            Request::Join(request) => (None, self.join(token, &request, now)),
            Request::Sync(request) => self.sync(token, request, now),
            Request::Heartbeat(request) => {
                let (done, gathered) =
                    self.of_member(&request.group.clone(), now, |group, step| {
                        group.heartbeat(&request, step.now)
                    });
                (Some(Reply::Heartbeat(done)), gathered)
            }
            Request::Leave(request) => self.leave(&request, now),
            Request::Commit(request) => self.commit(&request, now),
            Request::DeleteOffsets(request) => {
                let (done, gathered) = self.existing(&request.group.clone(), now, |group, step| {
                    group.delete_offsets(&request, step)
                });
                (Some(Reply::DeleteOffsets(done)), gathered)
            }
            Request::DeleteGroup(id) => {
                let (done, gathered) = self.existing(&id, now, |group, step| {
                    step.records = group.delete()?;
                    Ok(())
                });
                (Some(Reply::DeleteGroup(done)), gathered)
            }
            Request::Reset(request) => {
                let (done, gathered) = self.reset(&request, now);
                (Some(Reply::Reset(done)), gathered)
            }
        };
        replies.extend(reply.map(|reply| (token, reply)));
        self.finish(records, replies)
    }

    /// When [`Groups::tick`] should be called next, in monotonic time. Ticking early or late is
    /// harmless (late ticks delay timeouts).
    pub fn next_deadline(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Lets time pass: session, rebalance and sync timeouts, the initial delay.
    pub fn tick(&mut self, now: Now) -> Effects {
        let mut records = Vec::new();
        let mut replies = Vec::new();
        let due: Vec<_> = self.timers.iter().take_while(|(at, _)| *at <= now.tick).collect();
        let due: Vec<_> = due.into_iter().map(|(_, id)| Arc::clone(id)).collect();
        for id in due {
            if GroupRecord::sizes(&records) > self.config.max_batch_bytes / 2 {
                break; // The rest stays due.
            }
            // What is due is done whenever a group is looked at.
            let (_, step) = self.with(&id, now, |_, _| ());
            records.extend(step.0);
            replies.extend(step.1);
        }
        self.finish(records, replies)
    }

    /// Removes expired offsets and empty groups without offsets. Call it every
    /// `offsets.retention.check.interval.ms` (10 minutes); when it returns `true`, the batch was full
    /// and there is more to remove: call it again.
    pub fn expire(&mut self, now: Now) -> (Effects, bool) {
        let mut out = Tombstones::new(&self.config);
        for group in self.groups.values() {
            if out.full {
                break;
            }
            group.expire(now, &self.config, &mut out);
        }
        (self.finish_tombstones(out.records), out.full)
    }

    /// Removes the offsets of deleted topics. When it returns `true`, call it again with the same
    /// topics.
    pub fn topics_deleted(&mut self, topics: &[Arc<str>]) -> (Effects, bool) {
        let mut out = Tombstones::new(&self.config);
        for group in self.groups.values() {
            for topic in topics {
                group.forget_topic(topic, &mut out);
            }
        }
        (self.finish_tombstones(out.records), out.full)
    }

    /// Committed offsets of one group; a group that does not exist has none. Release the answer after
    /// everything appended so far is committed, as a reply.
    ///
    /// Changes nothing but the watch for a reset that is overwritten.
    pub fn fetch_offsets(&mut self, group: &str, wanted: &OffsetsWanted) -> Vec<FetchedOffset> {
        match (self.groups.get_mut(group), wanted) {
            (Some(group), wanted) => group.fetch_offsets(wanted),
            (None, OffsetsWanted::All) => Vec::new(),
            (None, OffsetsWanted::These(these)) => {
                let none =
                    these.iter().map(|(partition, id)| FetchedOffset::none(partition.clone(), *id));
                none.collect()
            }
        }
    }

    /// What one group looks like; `None` if it does not exist (DescribeGroups answers state `Dead`,
    /// from version 6 on `GROUP_ID_NOT_FOUND`).
    pub fn describe(&self, group: &str) -> Option<Description> {
        self.groups.get(group).map(Group::describe)
    }

    /// All groups. The host filters by state and type.
    pub fn list(&self) -> Vec<Listed> {
        self.groups.values().map(Group::listed).collect()
    }

    /// Ends this coordinator: the tokens of all parked requests, to be answered `NOT_COORDINATOR`.
    pub fn close(self) -> Vec<Token> {
        let members = self.groups.into_values().flat_map(|group| group.members.into_values());
        members.flat_map(|member| member.joining.into_iter().chain(member.syncing)).collect()
    }
}

/// Records and replies of a step.
type Gathered = (Vec<GroupRecord>, Vec<(Token, Reply)>);

/// Requests whose group may have to be made, or is not there.
impl Groups {
    fn join(&mut self, token: Token, request: &JoinRequest, now: Now) -> Gathered {
        let is_new = !self.groups.contains_key(&request.group);
        let refused = match request.check(&self.config) {
            Err(error) => Some(error),
            Ok(()) if is_new && !request.member_id.is_empty() => Some(GroupError::UnknownMemberId),
            Ok(()) => None,
        };
        if let Some(error) = refused {
            let reply = JoinReply::refused(error, Arc::clone(&request.member_id));
            return (Vec::new(), vec![(token, Reply::Join(reply))]);
        }
        self.group_mut(&request.group);
        let ((), gathered) = self.with(&request.group, now, |group, step| {
            group.join(token, request, is_new, step);
        });
        gathered
    }

    fn sync(&mut self, token: Token, request: SyncRequest, now: Now) -> (Option<Reply>, Gathered) {
        let id = Arc::clone(&request.group);
        let (parked, gathered) = self.of_member(&id, now, |group, step| {
            group.sync(token, request, step);
            Ok(())
        });
        (parked.err().map(|error| Reply::Sync(Err(error))), gathered)
    }

    fn leave(&mut self, request: &LeaveRequest, now: Now) -> (Option<Reply>, Gathered) {
        let (done, gathered) =
            self.of_member(&request.group, now, |group, step| Ok(group.leave(request, step)));
        let reply = done.unwrap_or_else(|error| {
            if error == GroupError::InvalidGroupId {
                return LeaveReply { error: Some(error), members: Vec::new() };
            }
            // Without the group every member is unknown.
            let members = request.members.iter().map(|member| (member.clone(), Some(error)));
            LeaveReply { error: None, members: members.collect() }
        });
        (Some(Reply::Leave(reply)), gathered)
    }

    fn commit(&mut self, request: &CommitRequest, now: Now) -> (Option<Reply>, Gathered) {
        let (reply, gathered) = if self.groups.contains_key(&request.group) {
            self.with(&request.group, now, |group, step| {
                match group.admit_commit(&request.member, step.now) {
                    Ok(()) => group.commit(request, step),
                    Err(error) => CommitReply::refused(request, error),
                }
            })
        } else if request.member.generation >= 0 {
            let error = GroupError::GroupIdNotFound;
            (CommitReply::refused(request, error), Gathered::default())
        } else {
            // A group that only stores offsets comes to be with its first one.
            let mut step = self.new_step(now);
            let reply = Group::new(Arc::clone(&request.group)).commit(request, &mut step);
            (reply, (step.records, step.replies))
        };
        (Some(Reply::Commit(reply)), gathered)
    }

    fn reset(
        &mut self,
        request: &ResetRequest,
        now: Now,
    ) -> (Result<ResetReply, GroupError>, Gathered) {
        if let Err(error) = request.check(&self.config) {
            return (Err(error), Gathered::default());
        }
        let group = self.groups.get(&request.group);
        if let Some(done) = group.and_then(|group| group.reset_done(&request.token)) {
            return (Ok(done), Gathered::default());
        }
        if group.is_none() {
            if request.must_exist {
                return (Err(GroupError::GroupIdNotFound), Gathered::default());
            }
            let mut step = self.new_step(now);
            let done = Group::new(Arc::clone(&request.group)).reset(request, &mut step);
            return (done, (step.records, step.replies));
        }
        self.with(&request.group, now, |group, step| group.reset(request, step))
    }

    /// For requests of members: without the group there are none.
    fn of_member<T>(
        &mut self,
        id: &Arc<str>,
        now: Now,
        act: impl FnOnce(&mut Group, &mut Step<'_>) -> Result<T, GroupError>,
    ) -> (Result<T, GroupError>, Gathered) {
        let (done, gathered) = self.existing(id, now, act);
        let known = done.map_err(|error| match error {
            GroupError::GroupIdNotFound => GroupError::UnknownMemberId,
            other => other,
        });
        (known, gathered)
    }

    fn existing<T>(
        &mut self,
        id: &Arc<str>,
        now: Now,
        act: impl FnOnce(&mut Group, &mut Step<'_>) -> Result<T, GroupError>,
    ) -> (Result<T, GroupError>, Gathered) {
        if self.groups.contains_key(id) {
            self.with(id, now, act)
        } else if id.is_empty() {
            (Err(GroupError::InvalidGroupId), Gathered::default())
        } else {
            (Err(GroupError::GroupIdNotFound), Gathered::default())
        }
    }
}

/// How a group is reached, and what follows.
impl Groups {
    fn new_step(&self, now: Now) -> Step<'_> {
        Step { now, config: &self.config, records: Vec::new(), replies: Vec::new() }
    }

    fn group_mut(&mut self, id: &Arc<str>) -> &mut Group {
        self.groups.entry(Arc::clone(id)).or_insert_with(|| Group::new(Arc::clone(id)))
    }

    /// Lets a group act, then do what is due, and keeps its timer.
    fn with<T>(
        &mut self,
        id: &Arc<str>,
        now: Now,
        act: impl FnOnce(&mut Group, &mut Step<'_>) -> T,
    ) -> (T, Gathered) {
        let mut step = Step { now, config: &self.config, records: Vec::new(), replies: Vec::new() };
        let group = self.groups.get_mut(id).expect("the caller has looked it up");
        let before = group.wake;
        let result = act(group, &mut step);
        if group.wake.is_some_and(|wake| wake <= now.tick) {
            group.on_time(&mut step);
        }
        if group.wake != before {
            if let Some(before) = before {
                self.timers.remove(&(before, Arc::clone(id)));
            }
            if let Some(wake) = group.wake {
                self.timers.insert((wake, Arc::clone(id)));
            }
        }
        (result, (step.records, step.replies))
    }

    /// Writes what was decided to memory, and hands it out. What the protocol does to a living group
    /// is in memory already: its record is only for the log.
    fn finish(&mut self, records: Vec<GroupRecord>, replies: Vec<(Token, Reply)>) -> Effects {
        let encoded = records.iter().map(GroupRecord::encode).collect();
        for record in records {
            self.write(record);
        }
        Effects { records: encoded, replies }
    }

    fn finish_tombstones(&mut self, records: Vec<GroupRecord>) -> Effects {
        self.finish(records, Vec::new())
    }

    /// The only place that changes offsets and journals, and that removes groups.
    fn write(&mut self, record: GroupRecord) {
        match record {
            GroupRecord::Offset { group, partition, committed: Some(committed) } => {
                self.group_mut(&group).offsets.insert(partition, committed);
            }
            GroupRecord::Offset { group, partition, committed: None } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.offsets.remove(&partition);
                }
            }
            GroupRecord::Group { group, value: Some(stored) } => {
                if !self.groups.contains_key(&group) {
                    self.group_mut(&group).restore(stored);
                }
            }
            GroupRecord::Group { group, value: None } => self.forget_group(&group),
            GroupRecord::Reset { group, value: Some(reset), .. } => {
                self.group_mut(&group).put_reset(reset);
            }
            GroupRecord::Reset { group, token, value: None } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.resets.retain(|reset| reset.token != token);
                }
            }
        }
    }

    /// The group's membership is over. Offsets that were not deleted stay, as of a group that only
    /// stores offsets.
    fn forget_group(&mut self, id: &Arc<str>) {
        let Some(group) = self.groups.get_mut(id) else { return };
        assert!(group.members.is_empty() || group.wake.is_none(), "only empty groups are deleted");
        if let Some(wake) = group.wake {
            self.timers.remove(&(wake, Arc::clone(id)));
        }
        let mut rest = Group::new(Arc::clone(id));
        rest.offsets = std::mem::take(&mut group.offsets);
        rest.resets = std::mem::take(&mut group.resets);
        if rest.offsets.is_empty() && rest.resets.is_empty() {
            self.groups.remove(id);
        } else {
            *group = rest;
        }
    }
}
