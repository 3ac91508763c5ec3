//! Staying and going: heartbeats, LeaveGroup, sessions that end.

use std::sync::Arc;
use std::time::Duration;

use super::state::{Group, Step};
use super::{
    GroupError, GroupState, HeartbeatRequest, JoinReply, LeaveReply, LeaveRequest, LeavingMember,
    Reply,
};
use crate::Now;

/// What is due in a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Pending(Arc<str>),
    Session(Arc<str>),
    Join,
    Sync,
}

impl Group {
    pub(super) fn heartbeat(
        &mut self,
        request: &HeartbeatRequest,
        now: Now,
    ) -> Result<(), GroupError> {
        let member = &request.member;
        self.check_member(
            &member.member_id,
            member.instance_id.as_deref(),
            Some(member.generation),
        )?;
        if member.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        self.renew_session(&member.member_id, now);
        match self.state {
            GroupState::Empty => unreachable!("an empty group has no members"),
            GroupState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            GroupState::CompletingRebalance | GroupState::Stable => Ok(()),
        }
    }

    /// A member has shown that it lives.
    pub(super) fn renew_session(&mut self, id: &str, now: Now) {
        let member = self.members.get_mut(id).expect("the caller has looked it up");
        member.deadline = now.after(member.session_timeout);
        let deadline = member.deadline;
        self.arm(deadline);
    }

    pub(super) fn leave(&mut self, request: &LeaveRequest, step: &mut Step<'_>) -> LeaveReply {
        let mut members = Vec::with_capacity(request.members.len());
        let before = self.members.len();
        for leaving in &request.members {
            let left = self.leave_one(leaving, step);
            members.push((leaving.clone(), left.err()));
        }
        let (any_left, member_left) = (
            members.iter().any(|(_, error)| error.is_none()),
            // Who was only about to join had nothing that others could be given.
            self.members.len() < before,
        );
        if any_left {
            match self.state {
                GroupState::Stable | GroupState::CompletingRebalance if member_left => {
                    self.prepare_rebalance(step);
                }
                GroupState::PreparingRebalance => self.maybe_complete_join(step),
                GroupState::Stable | GroupState::CompletingRebalance | GroupState::Empty => {}
            }
        }
        LeaveReply { error: None, members }
    }

    fn leave_one(
        &mut self,
        leaving: &LeavingMember,
        step: &mut Step<'_>,
    ) -> Result<(), GroupError> {
        let instance_id = leaving.instance_id.as_deref();
        if leaving.member_id.is_empty() {
            // An administrator removes a static member.
            let holder = instance_id.and_then(|instance_id| self.static_members.get(instance_id));
            let holder = holder.cloned().ok_or(GroupError::UnknownMemberId)?;
            self.drop_member(&holder, step);
        } else if self.pending.remove(&leaving.member_id).is_none() {
            self.check_member(&leaving.member_id, instance_id, None)?;
            self.drop_member(&leaving.member_id, step);
        }
        Ok(())
    }

    /// Removes a member; what it has parked is answered `UNKNOWN_MEMBER_ID`, so that a client that is
    /// still there joins anew.
    pub(super) fn drop_member(&mut self, id: &str, step: &mut Step<'_>) {
        let error = GroupError::UnknownMemberId;
        self.answer_join(id, JoinReply::refused(error, Arc::from("")), step);
        let Some(mut member) = self.remove(id) else { return };
        if let Some(parked) = member.syncing.take() {
            step.reply(parked, Reply::Sync(Err(error)));
        }
    }

    /// Starts the timers of members that came from the log.
    pub(super) fn start_timers(&mut self, step: &mut Step<'_>) {
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            self.renew_session(&id, step.now);
        }
        if self.members.len() > step.config.max_size {
            self.prepare_rebalance(step);
        }
    }

    /// Does all that is due, in the order of the deadlines, then finds out when to wake next.
    pub(super) fn on_time(&mut self, step: &mut Step<'_>) {
        for (_, due) in self.due(step.now.tick) {
            match due {
                Due::Pending(id) => {
                    self.pending.remove(&id);
                    self.complete_if_all_joined(step);
                }
                Due::Session(id) => self.on_session_end(&id, step),
                Due::Join => {
                    if let Some(timer) = self.join_timer.filter(|t| t.at() <= step.now.tick) {
                        self.on_join_timer(timer, step);
                    }
                }
                Due::Sync => {
                    if self.sync_deadline.is_some_and(|at| at <= step.now.tick) {
                        self.on_sync_timeout(step);
                    }
                }
            }
        }
        self.wake = self.earliest();
    }

    fn due(&self, tick: Duration) -> Vec<(Duration, Due)> {
        let mut due: Vec<(Duration, Due)> = Vec::new();
        due.extend(self.pending.iter().map(|(id, at)| (*at, Due::Pending(Arc::clone(id)))));
        let expiring = self.members.values().filter(|member| member.may_expire());
        due.extend(expiring.map(|member| (member.deadline, Due::Session(Arc::clone(&member.id)))));
        due.extend(self.join_timer.map(|timer| (timer.at(), Due::Join)));
        due.extend(self.sync_deadline.map(|at| (at, Due::Sync)));
        due.retain(|(at, _)| *at <= tick);
        due.sort();
        due
    }

    fn earliest(&self) -> Option<Duration> {
        let expiring = self.members.values().filter(|member| member.may_expire());
        expiring
            .map(|member| member.deadline)
            .chain(self.pending.values().copied())
            .chain(self.join_timer.map(super::state::JoinTimer::at))
            .chain(self.sync_deadline)
            .min()
    }

    fn on_session_end(&mut self, id: &Arc<str>, step: &mut Step<'_>) {
        let ended = self
            .members
            .get(id)
            .is_some_and(|member| member.may_expire() && member.deadline <= step.now.tick);
        if !ended {
            return;
        }
        self.drop_member(id, step);
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(step),
            GroupState::PreparingRebalance => self.complete_if_all_joined(step),
            GroupState::Empty => unreachable!("an empty group has no members"),
        }
    }

    /// Even an initial rebalance ends here: whoever was waited for is gone.
    fn complete_if_all_joined(&mut self, step: &mut Step<'_>) {
        if self.state == GroupState::PreparingRebalance && self.all_joined() {
            self.complete_join(step);
        }
    }

    /// Members that joined but never synced hold the others up: they are out.
    fn on_sync_timeout(&mut self, step: &mut Step<'_>) {
        self.sync_deadline = None;
        for id in std::mem::take(&mut self.unsynced) {
            self.drop_member(&id, step);
        }
        self.prepare_rebalance(step);
    }
}
