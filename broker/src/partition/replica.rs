//! A partition as one of several replicas: who leads it, how far its followers are, what is copied from
//! its leader.
//!
//! Every rule is the engine's: [`leader::Progress`] for the one that leads, [`follower::Follow`] for those
//! that copy. This file carries out what they say on the log.

use std::time::Duration;

use engine::log::LogState;
use engine::replication::follower::{self, Follow};
use engine::replication::leader::{self, Progress, Proposal};
use engine::replication::nearest::nearest;
use engine::session::Wanted;
use engine::{BrokerId, LeaderEpoch, Now, Offset};
use storage::{Checkpoint, RemoveJob};
use wire::ErrorCode;
use wire::fetch::response::PartitionData;

use super::{Ack, Missing, Partition, Refused, Settings};
use crate::replication::{Counts, Lane};

/// What this broker is to a partition.
pub(crate) enum Role {
    /// Takes records, and counts who has them.
    Leader(Progress),
    /// Copies them.
    Follower(Follow),
    /// Nobody leads it, as far as is known.
    Waiting,
}

/// What became of a leader's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    /// Nothing to write.
    Nothing,
    /// Records are queued for the next write.
    Records,
    /// The log is to be cut: nothing is added until the checkpoints allow for it and it is
    /// ([`Partition::carry_out_cut`]).
    Cut,
}

/// A cut that is due once the checkpoints allow for it.
pub(super) struct Cut {
    /// Only a follower in this epoch cuts.
    leader_epoch: LeaderEpoch,
    /// Where the log ends after it.
    to: Offset,
    /// Whether it begins there as well: nothing of it stays.
    begins_anew: bool,
    /// Whether it takes away records that were committed.
    is_committed: bool,
}

impl Partition {
    /// Whether records are taken here.
    pub(crate) fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Where it is to be copied from, if it is.
    pub(crate) fn lane(&self) -> Option<Lane> {
        match self.role {
            Role::Follower(_) => {
                let place = &self.settings.place;
                let leader = place.leader.expect("a follower has a leader");
                let is_in_sync = place.isr.contains(&self.settings.me);
                Some(Lane::new(leader, self.settings.durability, is_in_sync))
            }
            Role::Leader(_) | Role::Waiting => None,
        }
    }

    /// Takes the role that the settings give; `before` are those until now, if there were any.
    pub(super) fn take_role(&mut self, before: Option<&Settings>) {
        let place = &self.settings.place;
        let same = |before: &Settings| {
            before.place.leader == place.leader && before.place.leader_epoch == place.leader_epoch
        };
        let me = self.settings.me;
        if before.is_some_and(same) {
            if let Role::Leader(progress) = &mut self.role {
                progress.configured(place);
                // Who left the in-sync replicas is looked at again.
                self.followers.tell(self.id, true);
            }
            return;
        }
        self.role = match place.leader {
            Some(leader) if leader == me => {
                let end = self.log.state().end();
                // Known even if nothing is written under it: a consumer may ask where it begins (KIP-320).
                self.log.assign_epoch(place.leader_epoch, end);
                let high_watermark = self.log.state().high_watermark();
                Role::Leader(Progress::new(leader::Begin { me, place, start: end, high_watermark }))
            }
            Some(_) => Role::Follower(Follow::new(place.leader_epoch)),
            None => Role::Waiting,
        };
        // What another leader has said of its log is not this one's.
        self.leader_start = 0;
        if !self.is_leader() {
            // They may be committed yet, by the next leader: not a refusal that could be taken for one.
            self.send_away(&Missing::NotLeader);
            // What is not written yet is not the next leader's; the log may be cut before this round is written.
            self.log.forget_queued();
        }
        self.wake_all();
    }

    pub(super) fn send_away(&mut self, why: &Missing) {
        for Ack { tell, .. } in self.acks.drain(..).chain(self.own_acks.drain(..)) {
            let _ = tell.send(Err(Refused::Missing(why.clone())));
        }
    }

    /// Up to where this replica vouches for its records.
    pub(super) fn vouched(&self) -> Offset {
        match self.settings.durability {
            config::Durability::Replicated => self.log.state().end(),
            config::Durability::Fsync => self.log.flushed_offset(),
        }
    }

    /// The leader's log, or what is known of its followers, has moved: acknowledge what may be.
    pub(crate) fn advance(&mut self) {
        let vouched = self.vouched();
        let Role::Leader(progress) = &mut self.role else { return };
        let watermark = progress.high_watermark(vouched, self.settings.min_insync_replicas);
        self.acknowledge_own(vouched);
        self.commit(watermark);
    }

    /// A follower asks from an offset on: it has everything below, down to where its log begins. `may_join`: the
    /// controller would let it join the in-sync replicas.
    pub(crate) fn fetched_by(
        &mut self,
        (follower, epoch): (BrokerId, i64),
        asked: &Wanted,
        may_join: bool,
        now: Now,
    ) {
        let end = self.log.state().end();
        if let Role::Leader(progress) = &mut self.role {
            progress.fetched(leader::Fetched {
                follower,
                broker_epoch: epoch,
                offset: asked.fetch_offset,
                start: asked.log_start_offset,
                end,
                may_join,
                now,
            });
            self.advance();
        }
    }

    /// Whether a follower is in sync.
    pub(crate) fn is_in_sync(&self, follower: BrokerId) -> bool {
        matches!(&self.role, Role::Leader(progress) if progress.is_in_sync(follower))
    }

    /// Whether what a follower copies is throttled here.
    pub(crate) fn sends_slowly_to(&self, follower: BrokerId) -> bool {
        self.settings.sends_slowly && !self.is_in_sync(follower)
    }

    /// Whether what is copied here is throttled.
    pub(crate) fn copies_slowly(&self) -> bool {
        self.settings.copies_slowly && !self.settings.place.isr.contains(&self.settings.me)
    }

    /// Whether consumers may read here although another leads: everybody knows that this replica is in sync.
    pub(crate) fn serves_far_readers(&self) -> bool {
        let Settings { has_far_readers, place, me, .. } = &self.settings;
        *has_far_readers && matches!(self.role, Role::Follower(_)) && place.isr.contains(me)
    }

    /// The follower that a consumer in `rack` should rather read from.
    pub(crate) fn nearest<'r>(
        &self,
        rack: &str,
        offset: Offset,
        rack_of: impl Fn(BrokerId) -> Option<&'r str>,
    ) -> Option<BrokerId> {
        match &self.role {
            Role::Leader(progress) if self.settings.has_far_readers => {
                nearest(rack, self.settings.me, progress.holders(), offset, rack_of)
            }
            Role::Leader(_) | Role::Follower(_) | Role::Waiting => None,
        }
    }

    /// Whether the watermark is known to be that of this leader's epoch (KIP-207).
    pub(crate) fn is_serving(&self) -> bool {
        match &self.role {
            Role::Leader(progress) => progress.is_serving(),
            Role::Follower(_) | Role::Waiting => false,
        }
    }

    /// A change of the in-sync replicas to propose, if one is due and none is on its way.
    pub(crate) fn proposal(
        &mut self,
        now: Now,
        lag_max: Duration,
        may_join: &dyn Fn(BrokerId) -> bool,
    ) -> Option<Proposal> {
        let end = self.log.state().end();
        let Role::Leader(progress) = &mut self.role else { return None };
        let waited = progress.waits_for_joining();
        let proposal = progress.proposal(end, now, lag_max, may_join);
        if waited && !progress.waits_for_joining() {
            // Who was waited for does not join after all.
            self.advance();
        }
        proposal
    }

    /// The controller has answered the proposal.
    pub(crate) fn proposal_answered(&mut self, done: bool) {
        if let Role::Leader(progress) = &mut self.role {
            progress.answered(done);
            self.advance();
        }
    }

    /// Nobody knows whether the proposal was taken: it is made again.
    pub(crate) fn proposal_unanswered(&mut self) {
        if let Role::Leader(progress) = &mut self.role {
            progress.unanswered();
        }
    }

    /// What to ask the leader for; nothing while it refuses, or while a cut is due.
    pub(crate) fn wants_copied(&mut self, now: Now, max_bytes: i32) -> Option<Wanted> {
        let LogEnds { start, end, epoch } = self.ends();
        match &self.role {
            _ if self.is_to_be_flushed() => None,
            Role::Follower(follow) if self.may_copy() && follow.may_fetch(now) => Some(Wanted {
                fetch_offset: end,
                max_bytes,
                current_leader_epoch: self.settings.place.leader_epoch.0,
                last_fetched_epoch: epoch,
                log_start_offset: start,
            }),
            _ => None,
        }
    }

    /// Whether the leader must not be asked before the log is on disk. Below its watermark nobody joins those in
    /// sync: until there a replica copies as fast as it can.
    pub(crate) fn is_to_be_flushed(&self) -> bool {
        let end = self.log.state().end();
        let counts_when_flushed = match self.lane().map(|lane| lane.counts) {
            None | Some(Counts::Written) => false,
            Some(Counts::Flushed) => true,
            Some(Counts::FlushedToJoin) => end >= self.known_watermark,
        };
        counts_when_flushed && self.log.flushed_offset() < end
    }

    /// Until when nothing is asked for because the leader has refused.
    pub(crate) fn refused_until(&self, now: Now) -> Option<Duration> {
        match &self.role {
            Role::Follower(follow) if self.may_copy() && !follow.may_fetch(now) => {
                Some(follow.not_before())
            }
            _ => None,
        }
    }

    fn ends(&self) -> LogEnds {
        let state: &LogState = self.log.state();
        let epoch = self.log.latest_epoch().map_or(-1, |epoch| epoch.0);
        LogEnds { start: state.start(), end: state.end(), epoch }
    }

    /// Takes the leader's answer to what was `asked` ([`Partition::wants_copied`]). One to another question than would be
    /// asked now is passed over: the log was cut meanwhile, or somebody else led.
    pub(crate) fn take_copied(&mut self, asked: &Wanted, data: &PartitionData, now: Now) -> Copied {
        let is_todays = asked.fetch_offset == self.log.state().end()
            && asked.current_leader_epoch == self.settings.place.leader_epoch.0;
        if self.gone || !self.may_copy() || !is_todays {
            return Copied::Nothing;
        }
        let Role::Follower(follow) = &mut self.role else { return Copied::Nothing };
        self.used_at = now.tick;
        let diverging = (data.diverging_epoch.epoch >= 0 || data.diverging_epoch.end_offset >= 0)
            .then_some((LeaderEpoch(data.diverging_epoch.epoch), data.diverging_epoch.end_offset));
        let error =
            ErrorCode::from_number(data.error_code).unwrap_or(ErrorCode::UnknownServerError);
        let answer = follower::Answer { error, diverging, log_start: data.log_start_offset };
        match follow.answered(&answer, self.log.state(), self.log.epochs(), now) {
            follower::Step::Nothing => {
                tracing::debug!(partition = %self.name(), error = error.name(), "not copied now");
                Copied::Nothing
            }
            follower::Step::Cut { .. } | follower::Step::StartAgain { .. } if self.flushing => {
                // It would write down what is cut.
                follow.failed(now);
                Copied::Nothing
            }
            follower::Step::Cut { to, is_committed } => {
                self.plan_cut(to, false, is_committed);
                Copied::Cut
            }
            follower::Step::StartAgain { at, is_committed } => {
                self.plan_cut(at, true, is_committed);
                Copied::Cut
            }
            follower::Step::Append => self.append_copied(data, now),
        }
    }

    fn plan_cut(&mut self, to: Offset, begins_anew: bool, is_committed: bool) {
        let leader_epoch = self.settings.place.leader_epoch;
        self.cut_due = Some(Cut { leader_epoch, to, begins_anew, is_committed });
    }

    /// The checkpoints allow for the cut, and no flush runs: cuts, unless the leader is another one by now.
    pub(crate) fn carry_out_cut(&mut self) {
        let Some(cut) = self.cut_due.take() else { return };
        let is_same_leader =
            self.lane().is_some() && self.settings.place.leader_epoch == cut.leader_epoch;
        let counts_although_damaged = self.is_damaged() && self.has_standing();
        if !is_same_leader || counts_although_damaged || self.log.failure().is_some() {
            return;
        }
        let (before, watermark) = (self.log.state().end(), self.log.state().high_watermark());
        let done = if cut.begins_anew {
            self.log.truncate_fully_and_start_at(cut.to)
        } else {
            self.log.truncate_to(cut.to).map(|_| ())
        };
        if let Err(error) = done {
            tracing::error!(partition = %self.name(), %error, "cannot cut the log");
            return;
        }
        let to = self.log.state().end();
        self.unsettled = cut.begins_anew;
        self.damaged_from = self.damaged_from.filter(|from| *from < cut.to && !cut.begins_anew);
        if cut.is_committed {
            tracing::error!(
                partition = %self.name(), from = before, to, watermark,
                "records that were committed are cut off: the leader does not have them"
            );
        } else {
            tracing::info!(
                partition = %self.name(), from = before, to, "cut off what the leader does not have"
            );
        }
    }

    /// What the checkpoint files are to say of its log.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        match &self.cut_due {
            Some(cut) if cut.begins_anew => self.log.checkpoint_before_start_at(cut.to),
            Some(cut) => self.log.checkpoint_before_cut(cut.to),
            None => self.log.checkpoint(),
        }
    }

    /// Whether the log begins anew, and the checkpoints do not say so.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    /// The checkpoints say where the log begins.
    pub(crate) fn settled(&mut self) {
        self.unsettled = false;
    }

    fn append_copied(&mut self, data: &PartitionData, now: Now) -> Copied {
        let mut queued = false;
        for piece in data.records.iter().flat_map(wire::Records::chunks) {
            match self.log.admit_replica(piece.clone(), now) {
                Ok(_) => queued = true,
                Err(error) => {
                    tracing::error!(partition = %self.name(), %error, "cannot copy from the leader");
                    if let Role::Follower(follow) = &mut self.role {
                        follow.failed(now);
                    }
                    break;
                }
            }
        }
        self.known_watermark = data.high_watermark;
        self.commit(data.high_watermark);
        self.leader_start = data.log_start_offset;
        if queued { Copied::Records } else { Copied::Nothing }
    }

    /// Moves the start to the leader's, as far as is committed. The job removes what lies before it.
    pub(crate) fn follow_start(&mut self) -> Option<RemoveJob> {
        let is_behind = self.leader_start > self.log.state().start();
        (is_behind && self.lane().is_some()).then(|| self.log.advance_start(self.leader_start))?
    }

    /// Whether every replica in sync begins at `to` or later, as far as this leader knows.
    pub(crate) fn all_begin_at(&self, to: Offset) -> bool {
        match &self.role {
            Role::Leader(progress) => self.log.state().start() >= to && progress.all_begin_at(to),
            Role::Follower(_) | Role::Waiting => false,
        }
    }

    fn may_copy(&self) -> bool {
        self.cut_due.is_none() && !self.unsettled && self.damaged_from.is_none()
    }

    /// A read has met a damaged batch in the segment that begins at `from`. Other replicas have it: all from
    /// there on is to be copied again. The only replica keeps what it has.
    pub(crate) fn found_damage(&mut self, from: Offset) -> bool {
        if self.gone || self.settings.place.replicas.len() == 1 {
            return false;
        }
        let known = self.damaged_from.unwrap_or(from);
        self.damaged_from = Some(known.min(from));
        true
    }

    /// Whether there is something to copy again.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged_from.is_some()
    }

    /// Whether the controller is to be asked to take this replica's standing away. A leader keeps it while
    /// nobody is in sync who could lead.
    pub(crate) fn may_give_up(&self) -> bool {
        let place = &self.settings.place;
        self.has_standing() && (place.leader != Some(self.settings.me) || place.isr.len() > 1)
    }

    fn has_standing(&self) -> bool {
        let place = &self.settings.place;
        place.isr.contains(&self.settings.me) || place.elr.contains(&self.settings.me)
    }

    /// Has what is damaged and all behind it cut off, if nobody counts on it any more; says whether.
    pub(crate) fn cut_damage(&mut self) -> bool {
        let may_not = self.gone || self.cut_due.is_some() || self.unsettled || self.flushing;
        if may_not || self.has_standing() || self.lane().is_none() {
            return false;
        }
        let Some(from) = self.damaged_from else { return false };
        tracing::warn!(partition = %self.name(), from, "a damaged log is cut, and copied again from there");
        self.plan_cut(from, false, false);
        true
    }
}

struct LogEnds {
    start: Offset,
    end: Offset,
    epoch: i32,
}
