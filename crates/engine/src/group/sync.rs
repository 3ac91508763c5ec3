//! SyncGroup: the leader hands out the assignment, everybody gets a part.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::records::GroupRecord;
use super::state::{Group, Step};
use super::{GroupError, GroupState, Reply, SyncReply, SyncRequest, Token};

impl Group {
    pub(super) fn sync(&mut self, token: Token, request: SyncRequest, step: &mut Step<'_>) {
        if let Err(error) = self.check_sync(&request) {
            step.reply(token, Reply::Sync(Err(error)));
            return;
        }
        let id = Arc::clone(&request.member.member_id);
        match self.state {
            GroupState::Empty => unreachable!("an empty group has no members"),
            GroupState::PreparingRebalance => {
                step.reply(token, Reply::Sync(Err(GroupError::RebalanceInProgress)));
            }
            GroupState::CompletingRebalance => {
                self.mark_synced(&id);
                let member = self.members.get_mut(&id).expect("it was checked");
                if let Some(stale) = member.syncing.replace(token) {
                    // Its client has given up on it.
                    step.reply(stale, Reply::Sync(Err(GroupError::RebalanceInProgress)));
                }
                if self.is_leader(&id) {
                    self.take_assignment(request.assignments, step);
                }
            }
            GroupState::Stable => {
                self.mark_synced(&id);
                let reply = self.assignment_of(&id);
                step.reply(token, Reply::Sync(Ok(reply)));
            }
        }
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), GroupError> {
        let member = &request.member;
        self.check_member(
            &member.member_id,
            member.instance_id.as_deref(),
            Some(member.generation),
        )?;
        if member.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let differs = |said: &Option<Arc<str>>, is: &Option<Arc<str>>| {
            said.as_ref().zip(is.as_ref()).is_some_and(|(said, is)| said != is)
        };
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol)
        {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn mark_synced(&mut self, id: &str) {
        self.unsynced.remove(id);
        if self.unsynced.is_empty() {
            self.sync_deadline = None;
        }
    }

    /// The leader's assignment makes the generation stable; a member that it forgot gets nothing.
    fn take_assignment(&mut self, assignments: Vec<(Arc<str>, Bytes)>, step: &mut Step<'_>) {
        let mut assignments: BTreeMap<_, _> = assignments.into_iter().collect();
        for member in self.members.values_mut() {
            member.assignment = assignments.remove(&member.id).unwrap_or_default();
        }
        let record = GroupRecord::of_group(self);
        if !record.fits(step.config) {
            // Kafka's answer to a group that its log cannot hold: everybody tries anew.
            self.refuse_syncs(GroupError::UnknownServerError, step);
            self.prepare_rebalance(step);
            return;
        }
        step.records.push(record);
        self.transition(GroupState::Stable, step.now);
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            let reply = self.assignment_of(&id);
            let member = self.members.get_mut(&id).expect("it was listed");
            if let Some(parked) = member.syncing.take() {
                step.reply(parked, Reply::Sync(Ok(reply)));
                self.renew_session(&id, step.now);
            }
        }
    }

    fn assignment_of(&self, id: &str) -> SyncReply {
        SyncReply {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment: self.members[id].assignment.clone(),
        }
    }

    /// Ends all parked syncs with an error; assignments are void.
    pub(super) fn refuse_syncs(&mut self, error: GroupError, step: &mut Step<'_>) {
        assert_eq!(self.state, GroupState::CompletingRebalance, "syncs are parked only then");
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            let member = self.members.get_mut(&id).expect("it was listed");
            member.assignment = Bytes::new();
            if let Some(parked) = member.syncing.take() {
                step.reply(parked, Reply::Sync(Err(error)));
                self.renew_session(&id, step.now);
            }
        }
    }
}
