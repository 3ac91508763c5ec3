//! JoinGroup: who may come in, and under which id.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::records::GroupRecord;
use super::state::{Group, Member, Step};
use super::{GroupConfig, GroupError, GroupState, JoinReply, JoinRequest, Reply, Token};

/// How long a parked join of a member without an id is kept: such a client cannot send heartbeats and
/// its going away is not seen. Kafka's constant.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(300);

/// The longest text of a join: records hold `i16::MAX` bytes, a member id is a text and 37 more.
const TEXT_MAX_BYTES: usize = i16::MAX as usize - 37;

impl JoinReply {
    /// A join that failed.
    pub(super) fn refused(error: GroupError, member_id: Arc<str>) -> Self {
        Self {
            error: Some(error),
            generation: -1,
            protocol_type: None,
            protocol_name: None,
            leader: Arc::from(""),
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        }
    }
}

impl JoinRequest {
    /// What can be refused before looking at the group.
    pub(super) fn check(&self, config: &GroupConfig) -> Result<(), GroupError> {
        if self.group.is_empty() || self.group.len() > TEXT_MAX_BYTES {
            return Err(GroupError::InvalidGroupId);
        }
        let session_timeout = millis(self.session_timeout_ms);
        if self.session_timeout_ms < 0
            || session_timeout < config.min_session_timeout
            || session_timeout > config.max_session_timeout
        {
            return Err(GroupError::InvalidSessionTimeout);
        }
        let names = self.protocols.iter().map(|(name, _)| name);
        let mut texts = names
            .chain([&self.protocol_type, &self.client_id, &self.client_host])
            .chain(&self.instance_id);
        if texts.any(|text| text.len() > TEXT_MAX_BYTES) {
            return Err(GroupError::InvalidRequest);
        }
        Ok(())
    }

    /// Protocols by name, the first of each name.
    fn distinct_protocols(&self) -> Vec<(Arc<str>, Bytes)> {
        let mut protocols: Vec<(Arc<str>, Bytes)> = Vec::with_capacity(self.protocols.len());
        let mut seen = std::collections::BTreeSet::new();
        for (name, metadata) in &self.protocols {
            if seen.insert(name) {
                protocols.push((Arc::clone(name), metadata.clone()));
            }
        }
        protocols
    }

    /// `client id or instance id`, dash, a random UUID.
    fn new_member_id(&self) -> Arc<str> {
        let mut id = self.instance_id.as_ref().unwrap_or(&self.client_id).to_string();
        let hex = format!("{:032x}", self.fresh_id);
        for (at, digit) in hex.chars().enumerate() {
            if matches!(at, 0 | 8 | 12 | 16 | 20) {
                id.push('-');
            }
            write!(id, "{digit}").expect("a String takes all");
        }
        id.into()
    }
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

impl Group {
    /// A join. `is_new_group`: the group was made for it and is stored even if nothing else is.
    pub(super) fn join(
        &mut self,
        token: Token,
        request: &JoinRequest,
        is_new_group: bool,
        step: &mut Step<'_>,
    ) {
        let protocols = request.distinct_protocols();
        let unknown = request.member_id.is_empty();
        let refusal = if !self.has_room_for(&request.member_id, step.config) {
            if let Some(member) = self.remove(&request.member_id) {
                assert!(member.joining.is_none(), "a member that waits has its place");
                self.maybe_complete_join(step);
            }
            Some(JoinReply::refused(GroupError::GroupMaxSizeReached, Arc::from("")))
        } else if !self.supports(&request.protocol_type, &protocols) {
            let error = GroupError::InconsistentGroupProtocol;
            Some(JoinReply::refused(error, Arc::clone(&request.member_id)))
        } else if unknown {
            self.join_new(token, request, protocols, step)
        } else {
            self.join_known(token, request, protocols, step)
        };
        if let Some(reply) = refusal {
            step.reply(token, Reply::Join(reply));
        }
        if is_new_group && step.records.is_empty() {
            step.records.push(GroupRecord::empty_group(&self.id));
        }
    }

    /// While members gather, those that wait count, so that a group that has become too big sheds the
    /// last to come back. Otherwise members count.
    fn has_room_for(&self, member_id: &str, config: &GroupConfig) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            GroupState::Empty => true,
            GroupState::PreparingRebalance => {
                member.is_some_and(|member| member.joining.is_some())
                    || self.joining() < config.max_size
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                member.is_some() || self.members.len() < config.max_size
            }
        }
    }

    /// A join without a member id. Returns an answer, or parks the request.
    fn join_new(
        &mut self,
        token: Token,
        request: &JoinRequest,
        protocols: Vec<(Arc<str>, Bytes)>,
        step: &mut Step<'_>,
    ) -> Option<JoinReply> {
        let id = request.new_member_id();
        if let Some(instance) = &request.instance_id {
            if let Some(holder) = self.static_members.get(instance).cloned() {
                self.take_over(token, request, (&holder, &id), protocols, step);
            } else {
                self.add_member(token, request, &id, protocols, step);
            }
            return None;
        }
        if !request.require_member_id {
            self.add_member(token, request, &id, protocols, step);
            return None;
        }
        if self.pending.len() >= step.config.max_pending_members {
            return Some(JoinReply::refused(GroupError::GroupMaxSizeReached, Arc::from("")));
        }
        let until = step.now.after(millis(request.session_timeout_ms));
        self.pending.insert(Arc::clone(&id), until);
        self.arm(until);
        Some(JoinReply::refused(GroupError::MemberIdRequired, id))
    }

    /// A join with a member id. Returns an answer, or parks the request.
    fn join_known(
        &mut self,
        token: Token,
        request: &JoinRequest,
        protocols: Vec<(Arc<str>, Bytes)>,
        step: &mut Step<'_>,
    ) -> Option<JoinReply> {
        let id = &request.member_id;
        if self.pending.contains_key(id) {
            if request.instance_id.is_some() {
                // An id that was given to a dynamic member.
                return Some(JoinReply::refused(GroupError::UnknownServerError, Arc::clone(id)));
            }
            self.add_member(token, request, id, protocols, step);
            return None;
        }
        if let Err(error) = self.check_member(id, request.instance_id.as_deref(), None) {
            return Some(JoinReply::refused(error, Arc::clone(id)));
        }
        let same = self.members[id].protocols == protocols;
        let stay = match self.state {
            GroupState::Empty => unreachable!("an empty group has no members"),
            GroupState::PreparingRebalance => false,
            // It may have missed the answer to its join.
            GroupState::CompletingRebalance => same,
            // A leader that joins again wants to assign again.
            GroupState::Stable => same && !self.is_leader(id),
        };
        if stay {
            return Some(self.joined(id));
        }
        self.update_member(token, request, id, protocols, step);
        self.rebalance_or_complete(step);
        None
    }

    fn add_member(
        &mut self,
        token: Token,
        request: &JoinRequest,
        id: &Arc<str>,
        protocols: Vec<(Arc<str>, Bytes)>,
        step: &mut Step<'_>,
    ) {
        if self.state == GroupState::PreparingRebalance && self.came_from_empty {
            self.new_member_added = true;
        }
        let member = Member {
            id: Arc::clone(id),
            instance_id: request.instance_id.clone(),
            client_id: Arc::clone(&request.client_id),
            client_host: Arc::clone(&request.client_host),
            session_timeout: millis(request.session_timeout_ms),
            rebalance_timeout: millis(request.rebalance_timeout_ms),
            protocols,
            assignment: Bytes::new(),
            joining: Some(token),
            syncing: None,
            is_new: true,
            deadline: step.now.after(NEW_MEMBER_JOIN_TIMEOUT),
            order: 0,
        };
        self.add(member, &request.protocol_type);
        self.rebalance_or_complete(step);
    }

    fn update_member(
        &mut self,
        token: Token,
        request: &JoinRequest,
        id: &str,
        protocols: Vec<(Arc<str>, Bytes)>,
        step: &mut Step<'_>,
    ) {
        self.set_protocols(id, protocols);
        let member = self.members.get_mut(id).expect("the caller has looked it up");
        member.session_timeout = millis(request.session_timeout_ms);
        member.rebalance_timeout = millis(request.rebalance_timeout_ms);
        self.park_join(id, token, step);
    }

    /// A static member comes back without its id, or another process uses its instance id: the new
    /// one takes the place, whoever else waits in it is fenced.
    fn take_over(
        &mut self,
        token: Token,
        request: &JoinRequest,
        (old, new): (&Arc<str>, &Arc<str>),
        protocols: Vec<(Arc<str>, Bytes)>,
        step: &mut Step<'_>,
    ) {
        let leader_before = self.leader.clone();
        let fenced = GroupError::FencedInstanceId;
        self.answer_join(old, JoinReply::refused(fenced, Arc::clone(old)), step);
        let holder = self.members.get_mut(old).expect("the instance id names a member");
        if let Some(parked) = holder.syncing.take() {
            step.reply(parked, Reply::Sync(Err(fenced)));
        }
        self.rename(old, new);
        self.renew_session(new, step.now);
        self.update_member(token, request, new, protocols, step);
        match self.state {
            GroupState::Empty => unreachable!("an empty group has no members"),
            GroupState::PreparingRebalance => self.maybe_complete_join(step),
            // The leader may be assigning to the old id right now.
            GroupState::CompletingRebalance => self.prepare_rebalance(step),
            GroupState::Stable
                if self.protocol.as_ref() != Some(&self.select_protocol())
                    || !GroupRecord::of_group(self).fits(step.config) =>
            {
                self.prepare_rebalance(step);
            }
            GroupState::Stable => {
                // Its assignment stays: the group is stored with the new id, nobody else notices.
                let mut reply = self.joined(new);
                if request.supports_skip_assignment {
                    reply.skip_assignment = self.is_leader(new);
                } else {
                    // Older clients would assign anew if told that they lead (KIP-814).
                    reply.leader = leader_before.unwrap_or_default();
                    reply.members.clear();
                }
                self.answer_join(new, reply, step);
                step.records.push(GroupRecord::of_group(self));
            }
        }
    }
}
