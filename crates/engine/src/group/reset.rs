//! ResetGroupOffsets: moves committed offsets, exactly once per token, even under running members.
//!
//! One batch holds the new offsets, the group at its next generation and without members, and a
//! journal with the token and what was there before. Whoever committed under an older generation is
//! refused from then on; members join again by the normal protocol and fetch the new offsets. The
//! journal answers a repeated token, also after a restart.
//!
//! One leak cannot be closed by generations: a client that keeps a position through a rebalance and
//! commits it as a member of the new generation. It is detected: a member commits another offset than
//! the reset's for a partition that nobody has fetched since the new generation began.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::offsets::{self, CommittedOffset};
use super::records::GroupRecord;
use super::state::{Group, Step};
use super::{
    CommitRequest, GroupConfig, GroupError, GroupState, LastReset, OffsetMove, ResetMode,
    ResetReply, ResetRequest,
};
use crate::TopicPartition;

/// The longest token.
const TOKEN_MAX_BYTES: usize = 64;

/// A journal entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reset {
    pub(super) token: Arc<str>,
    /// The generation that it opened.
    pub(super) generation: i32,
    pub(super) at_ms: i64,
    /// In the order of the request.
    pub(super) moves: Vec<OffsetMove>,
    pub(super) overwritten: BTreeSet<TopicPartition>,
    /// Moved partitions that no member has fetched or committed since. Not stored: after a restart
    /// it is not known who has fetched, so nobody is accused.
    pub(super) unsettled: BTreeSet<TopicPartition>,
}

impl Reset {
    fn reply(&self, already_done: bool) -> ResetReply {
        ResetReply {
            already_done,
            generation: self.generation,
            at_ms: self.at_ms,
            moves: self.moves.clone(),
            overwritten: self.overwritten.iter().cloned().collect(),
        }
    }

    pub(super) fn describe(&self) -> LastReset {
        LastReset { token: Arc::clone(&self.token), result: self.reply(true) }
    }

    fn target_of(&self, partition: &TopicPartition) -> Option<i64> {
        let moved = self.moves.iter().find(|moved| moved.partition == *partition);
        moved.map(|moved| moved.to)
    }
}

impl ResetRequest {
    /// What can be refused before looking at the group.
    pub(super) fn check(&self, config: &GroupConfig) -> Result<(), GroupError> {
        if self.group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        let mut seen = BTreeSet::new();
        let too_long = |target: &super::ResetTarget| offsets::too_long(&target.metadata, config);
        if self.targets.iter().any(too_long) {
            return Err(GroupError::OffsetMetadataTooLarge);
        }
        let good = !self.token.is_empty()
            && self.token.len() <= TOKEN_MAX_BYTES
            && !self.targets.is_empty()
            && self.targets.iter().all(|target| {
                target.offset >= 0
                    && target.leader_epoch >= -1
                    && target.partition.partition >= 0
                    && seen.insert(&target.partition)
            });
        if good { Ok(()) } else { Err(GroupError::InvalidRequest) }
    }
}

impl Group {
    /// What this token did, if it was executed.
    pub(super) fn reset_done(&self, token: &str) -> Option<ResetReply> {
        let done = self.resets.iter().find(|reset| *reset.token == *token);
        done.map(|reset| reset.reply(true))
    }

    /// Executes a reset. Nothing has changed when it is refused.
    pub(super) fn reset(
        &mut self,
        request: &ResetRequest,
        step: &mut Step<'_>,
    ) -> Result<ResetReply, GroupError> {
        if request.expected_generation.is_some_and(|expected| expected != self.generation) {
            return Err(GroupError::IllegalGeneration);
        }
        if self.state != GroupState::Empty && request.mode == ResetMode::Fail {
            return Err(GroupError::NonEmptyGroup);
        }
        let reset = Reset {
            token: Arc::clone(&request.token),
            generation: self.generation.checked_add(1).ok_or(GroupError::InvalidRequest)?,
            at_ms: step.now.wall_ms,
            moves: self.moves(request),
            overwritten: BTreeSet::new(),
            unsettled: request.targets.iter().map(|target| target.partition.clone()).collect(),
        };
        let mut records = self.records_of(request, &reset, step);
        if !GroupRecord::fit(&records, step.config) {
            return Err(GroupError::InvalidCommitOffsetSize);
        }
        self.fence(reset.generation, step);
        step.records.append(&mut records);
        Ok(reset.reply(false))
    }

    fn moves(&self, request: &ResetRequest) -> Vec<OffsetMove> {
        let moved = request.targets.iter().map(|target| {
            let before = self.offsets.get(&target.partition);
            OffsetMove {
                partition: target.partition.clone(),
                from: before.map_or(-1, |before| before.offset),
                from_leader_epoch: before.map_or(-1, |before| before.leader_epoch),
                to: target.offset,
            }
        });
        moved.collect()
    }

    fn records_of(
        &self,
        request: &ResetRequest,
        reset: &Reset,
        step: &Step<'_>,
    ) -> Vec<GroupRecord> {
        let mut snapshot = self.snapshot();
        snapshot.members.clear();
        snapshot.generation = reset.generation;
        snapshot.protocol = None;
        snapshot.leader = None;
        snapshot.state_since_ms = step.now.wall_ms;
        let group = Arc::clone(&self.id);
        let mut records = vec![GroupRecord::Group { group, value: Some(snapshot) }];
        records.extend(request.targets.iter().map(|target| GroupRecord::Offset {
            group: Arc::clone(&self.id),
            partition: target.partition.clone(),
            committed: Some(CommittedOffset {
                offset: target.offset,
                leader_epoch: target.leader_epoch,
                metadata: Arc::clone(&target.metadata),
                committed_at_ms: step.now.wall_ms,
                expires_at_ms: None,
                topic_id: target.topic_id,
            }),
        }));
        records.extend(self.superseded(step.config));
        records.push(GroupRecord::reset(&self.id, reset));
        records
    }

    /// Tombstones of journals that the next one pushes out.
    fn superseded(&self, config: &GroupConfig) -> impl Iterator<Item = GroupRecord> {
        let kept = config.max_resets_kept.max(1) - 1;
        let excess = self.resets.len().saturating_sub(kept);
        self.resets[..excess].iter().map(|old| GroupRecord::reset_tombstone(&self.id, &old.token))
    }

    /// Drops all members and opens `generation`, empty. Members that were given an id and have not
    /// come back yet stay welcome.
    fn fence(&mut self, generation: i32, step: &mut Step<'_>) {
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            self.drop_member(&id, step);
        }
        self.unsynced.clear();
        self.sync_deadline = None;
        self.join_timer = None;
        self.generation = generation;
        self.protocol = None;
        self.leader = None;
        self.state = GroupState::Empty;
        self.came_from_empty = false;
        self.state_since_ms = Some(step.now.wall_ms);
        self.refresh_subscriptions();
    }

    /// Files a journal entry, in the order of generations; the same token replaces itself.
    pub(super) fn put_reset(&mut self, reset: Reset) {
        self.resets.retain(|old| old.token != reset.token);
        let at = self.resets.partition_point(|old| old.generation <= reset.generation);
        self.resets.insert(at, reset);
    }

    /// Somebody was told the new position of a partition.
    pub(super) fn note_fetched(&mut self, partition: &TopicPartition) {
        let generation = self.generation;
        if let Some(reset) = self.resets.last_mut().filter(|reset| reset.generation < generation) {
            reset.unsettled.remove(partition);
        }
    }

    /// Somebody was told the new position of every partition.
    pub(super) fn note_all_fetched(&mut self) {
        let generation = self.generation;
        if let Some(reset) = self.resets.last_mut().filter(|reset| reset.generation < generation) {
            reset.unsettled.clear();
        }
    }

    /// A member commits. Where it cannot have the position from us, it overwrites the reset: the
    /// journal is written again, with this partition marked.
    pub(super) fn note_overwritten(&mut self, request: &CommitRequest) -> Option<GroupRecord> {
        let reset = self.resets.last_mut().filter(|reset| !reset.unsettled.is_empty())?;
        let mut marked = reset.clone();
        for asked in &request.offsets {
            let unsettled = reset.unsettled.remove(&asked.partition);
            if unsettled && reset.target_of(&asked.partition) != Some(asked.offset) {
                marked.overwritten.insert(asked.partition.clone());
            }
        }
        if marked.overwritten == reset.overwritten {
            return None;
        }
        marked.unsettled.clone_from(&reset.unsettled);
        Some(GroupRecord::reset(&self.id, &marked))
    }
}

impl Reset {
    /// An entry as it is read back.
    pub(super) fn restored(
        token: Arc<str>,
        generation: i32,
        at_ms: i64,
        moves: Vec<OffsetMove>,
        overwritten: BTreeSet<TopicPartition>,
    ) -> Self {
        Self { token, generation, at_ms, moves, overwritten, unsettled: BTreeSet::new() }
    }
}
