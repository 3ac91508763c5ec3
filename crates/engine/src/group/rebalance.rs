//! From one generation to the next: members gather, a generation begins.
//!
//! ```text
//!            a member joins                  all joined, or time is up
//!   Empty ───────────────────► Preparing ─────────────────────────────► Completing ──► Stable
//!     ▲                        Rebalance ◄───────────────────────────── Rebalance        │
//!     │                          │  ▲        a member joins or goes                      │
//!     └──── nobody is left ──────┘  └────────────────────────────────────────────────────┘
//! ```

use std::sync::Arc;
use std::time::Duration;

use super::records::GroupRecord;
use super::state::{Group, JoinTimer, Step};
use super::{GroupError, GroupState};

/// The least time until a join phase that nobody joined is looked at again.
const RETRY_AT_LEAST: Duration = Duration::from_millis(100);

impl Group {
    /// Begins a rebalance, or ends the join phase of the one under way if all are there.
    pub(super) fn rebalance_or_complete(&mut self, step: &mut Step<'_>) {
        if self.state == GroupState::PreparingRebalance {
            self.maybe_complete_join(step);
        } else {
            self.prepare_rebalance(step);
        }
    }

    /// Ends the join phase if all are there; the initial delay is waited out all the same.
    pub(super) fn maybe_complete_join(&mut self, step: &mut Step<'_>) {
        if self.state == GroupState::PreparingRebalance
            && !self.came_from_empty
            && self.all_joined()
        {
            self.complete_join(step);
        }
    }

    pub(super) fn prepare_rebalance(&mut self, step: &mut Step<'_>) {
        if self.state == GroupState::CompletingRebalance {
            self.refuse_syncs(GroupError::RebalanceInProgress, step);
        }
        self.unsynced.clear();
        self.sync_deadline = None;
        let initial = self.state == GroupState::Empty;
        self.transition(GroupState::PreparingRebalance, step.now);
        if initial {
            let delay = step.config.initial_rebalance_delay;
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            self.new_member_added = false;
            let at = step.now.after(delay);
            self.set_join_timer(JoinTimer::Initial { at, delay, remaining });
        } else if self.all_joined() {
            self.complete_join(step);
        } else {
            let at = step.now.after(self.rebalance_timeout());
            self.set_join_timer(JoinTimer::Rejoin { at });
        }
    }

    fn set_join_timer(&mut self, timer: JoinTimer) {
        self.join_timer = Some(timer);
        self.arm(timer.at());
    }

    /// The join timer has fired.
    pub(super) fn on_join_timer(&mut self, timer: JoinTimer, step: &mut Step<'_>) {
        self.join_timer = None;
        match timer {
            JoinTimer::Initial { delay, remaining, .. }
                if self.new_member_added && !remaining.is_zero() =>
            {
                self.new_member_added = false;
                let next = step.config.initial_rebalance_delay.min(remaining);
                let at = step.now.after(next);
                let remaining = remaining.saturating_sub(delay);
                self.set_join_timer(JoinTimer::Initial { at, delay: next, remaining });
            }
            JoinTimer::Initial { .. } | JoinTimer::Rejoin { .. } => self.complete_join(step),
        }
    }

    /// Ends the join phase: dynamic members that did not come are out, the next generation begins.
    pub(super) fn complete_join(&mut self, step: &mut Step<'_>) {
        assert_eq!(self.state, GroupState::PreparingRebalance, "only a join phase can end");
        self.join_timer = None;
        let absent: Vec<_> = self
            .members
            .values()
            .filter(|member| member.joining.is_none() && member.instance_id.is_none())
            .map(|member| Arc::clone(&member.id))
            .collect();
        for id in absent {
            self.remove(&id);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Only static members that stay away: wait until they come or their sessions end.
            let at = step.now.after(self.rebalance_timeout().max(RETRY_AT_LEAST));
            self.set_join_timer(JoinTimer::Rejoin { at });
            return;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(0);
        self.unsynced.clear();
        if self.members.is_empty() {
            self.protocol = None;
            self.refresh_subscriptions();
            self.transition(GroupState::Empty, step.now);
            step.records.push(GroupRecord::of_group(self));
        } else {
            self.protocol = Some(self.select_protocol());
            self.refresh_subscriptions();
            self.transition(GroupState::CompletingRebalance, step.now);
            self.tell_joined(step);
        }
    }

    /// A leader that did not come gives way to the oldest member that did.
    fn elect_joined_leader(&mut self) -> bool {
        let leader = self.leader.as_ref().and_then(|leader| self.members.get(leader));
        if leader.is_some_and(|leader| leader.joining.is_some()) {
            return true;
        }
        let came = self.members.values().filter(|member| member.joining.is_some());
        match came.min_by_key(|member| member.order) {
            Some(member) => {
                self.leader = Some(Arc::clone(&member.id));
                true
            }
            None => false,
        }
    }

    /// Answers all joins; from now on every member has a rebalance timeout to sync.
    fn tell_joined(&mut self, step: &mut Step<'_>) {
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in &ids {
            let reply = self.joined(id);
            self.answer_join(id, reply, step);
            self.members.get_mut(id).expect("it was listed").is_new = false;
            self.renew_session(id, step.now);
        }
        self.unsynced.extend(ids);
        let until = step.now.after(self.rebalance_timeout());
        self.sync_deadline = Some(until);
        self.arm(until);
    }
}
