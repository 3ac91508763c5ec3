//! One group: its members, what it is doing, and what is parked in it.
//!
//! The rules of who is in, who leads, which protocol wins and who is who. The moves between states are
//! in `join`, `rebalance`, `sync` and `membership`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::offsets::CommittedOffset;
use super::records::{GroupRecord, GroupSnapshot, MemberSnapshot};
use super::reset::Reset;
use super::{
    Description, GroupConfig, GroupError, GroupState, JoinReply, JoinedMember, Listed,
    MemberDescription, Reply, Token,
};
use crate::{Now, TopicPartition};

/// What one step gathers.
pub(super) struct Step<'a> {
    pub(super) now: Now,
    pub(super) config: &'a GroupConfig,
    pub(super) records: Vec<GroupRecord>,
    pub(super) replies: Vec<(Token, Reply)>,
}

impl Step<'_> {
    pub(super) fn reply(&mut self, token: Token, reply: Reply) {
        self.replies.push((token, reply));
    }
}

/// A member of a group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: Arc<str>,
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    /// Its favourite first; names differ.
    pub(super) protocols: Vec<(Arc<str>, Bytes)>,
    pub(super) assignment: Bytes,
    /// Its parked JoinGroup.
    pub(super) joining: Option<Token>,
    /// Its parked SyncGroup.
    pub(super) syncing: Option<Token>,
    /// It has not seen a JoinGroup answer yet, so it cannot send heartbeats.
    pub(super) is_new: bool,
    /// When it is taken for dead.
    pub(super) deadline: Duration,
    /// Counts members in the order they came: the oldest leads.
    pub(super) order: u64,
}

impl Member {
    /// A member that waits for an answer of ours is not expected to send heartbeats, except one that
    /// never got an answer: its client may be gone.
    pub(super) fn may_expire(&self) -> bool {
        self.is_new || (self.joining.is_none() && self.syncing.is_none())
    }

    /// Its metadata for `protocol`, empty if it does not know it.
    pub(super) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| Some(&**name) == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }
}

/// When the join phase ends by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum JoinTimer {
    /// The first rebalance of an empty group: extended by `remaining` as long as members come.
    Initial { at: Duration, delay: Duration, remaining: Duration },
    /// Members of the generation before are waited for.
    Rejoin { at: Duration },
}

impl JoinTimer {
    pub(super) fn at(self) -> Duration {
        match self {
            Self::Initial { at, .. } | Self::Rejoin { at } => at,
        }
    }
}

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: Arc<str>,
    pub(super) state: GroupState,
    /// The state before; tells an initial rebalance from others.
    pub(super) came_from_empty: bool,
    pub(super) generation: i32,
    /// `None` for a group that only stores offsets.
    pub(super) protocol_type: Option<Arc<str>>,
    /// Chosen when the generation began.
    pub(super) protocol: Option<Arc<str>>,
    pub(super) leader: Option<Arc<str>>,
    /// Wall clock of the last change of state, if known.
    pub(super) state_since_ms: Option<i64>,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// Instance id to member id.
    pub(super) static_members: BTreeMap<Arc<str>, Arc<str>>,
    /// Member ids that were given out (KIP-394), and until when they are good.
    pub(super) pending: BTreeMap<Arc<str>, Duration>,
    /// Members of this generation that have not synced yet.
    pub(super) unsynced: BTreeSet<Arc<str>>,
    /// Until when they may.
    pub(super) sync_deadline: Option<Duration>,
    pub(super) join_timer: Option<JoinTimer>,
    /// A member came during the initial rebalance.
    pub(super) new_member_added: bool,
    /// What the members read; `None` if that cannot be known.
    pub(super) subscribed: Option<BTreeSet<Arc<str>>>,
    pub(super) offsets: BTreeMap<TopicPartition, CommittedOffset>,
    /// Oldest first.
    pub(super) resets: Vec<Reset>,
    /// Not later than the earliest deadline of all in here.
    pub(super) wake: Option<Duration>,
    /// How many members have a parked join.
    joining: usize,
    /// How many members know a protocol.
    supported: BTreeMap<Arc<str>, usize>,
    next_order: u64,
}

impl Group {
    pub(super) fn new(id: Arc<str>) -> Self {
        Self {
            id,
            state: GroupState::Empty,
            came_from_empty: false,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            state_since_ms: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            sync_deadline: None,
            join_timer: None,
            new_member_added: false,
            subscribed: None,
            offsets: BTreeMap::new(),
            resets: Vec::new(),
            wake: None,
            joining: 0,
            supported: BTreeMap::new(),
            next_order: 0,
        }
    }

    /// Asks to be woken at `at`, or earlier.
    pub(super) fn arm(&mut self, at: Duration) {
        if self.wake.is_none_or(|wake| at < wake) {
            self.wake = Some(at);
        }
    }

    pub(super) fn transition(&mut self, to: GroupState, now: Now) {
        use GroupState::{CompletingRebalance, Empty, PreparingRebalance, Stable};
        assert!(
            matches!(
                (self.state, to),
                (Empty | Stable | CompletingRebalance, PreparingRebalance)
                    | (PreparingRebalance, CompletingRebalance | Empty)
                    | (CompletingRebalance, Stable)
            ),
            "a group goes from {} to {to} never",
            self.state
        );
        self.came_from_empty = self.state == Empty;
        self.state = to;
        self.state_since_ms = Some(now.wall_ms);
    }

    // Members.

    /// Takes a member in. The first one gives the group its protocol type and leads it.
    pub(super) fn add(&mut self, mut member: Member, protocol_type: &Arc<str>) {
        if self.members.is_empty() {
            self.protocol_type = Some(Arc::clone(protocol_type));
        }
        if let Some(instance) = &member.instance_id {
            let before = self.static_members.insert(Arc::clone(instance), Arc::clone(&member.id));
            assert!(before.is_none(), "an instance id names one member");
        }
        if self.leader.is_none() {
            self.leader = Some(Arc::clone(&member.id));
        }
        self.pending.remove(&member.id);
        self.count_protocols(&member.protocols, true);
        self.joining += usize::from(member.joining.is_some());
        member.order = self.next_order;
        self.next_order += 1;
        self.arm(member.deadline);
        let before = self.members.insert(Arc::clone(&member.id), member);
        assert!(before.is_none(), "a member id names one member");
    }

    /// Takes a member out and returns it with what is parked; another leads if it led.
    pub(super) fn remove(&mut self, id: &str) -> Option<Member> {
        self.pending.remove(id);
        self.unsynced.remove(id);
        let member = self.members.remove(id)?;
        self.count_protocols(&member.protocols, false);
        self.joining -= usize::from(member.joining.is_some());
        if let Some(instance) = &member.instance_id {
            self.static_members.remove(instance);
        }
        if self.is_leader(id) {
            let oldest = self.members.values().min_by_key(|member| member.order);
            self.leader = oldest.map(|member| Arc::clone(&member.id));
        }
        Some(member)
    }

    /// Gives a static member another id; all else stays.
    pub(super) fn rename(&mut self, from: &str, to: &Arc<str>) {
        let mut member = self.members.remove(from).expect("the instance id names a member");
        assert!(
            member.joining.is_none() && member.syncing.is_none(),
            "the old holder was answered"
        );
        member.id = Arc::clone(to);
        member.is_new = false;
        if self.is_leader(from) {
            self.leader = Some(Arc::clone(to));
        }
        if self.unsynced.remove(from) {
            self.unsynced.insert(Arc::clone(to));
        }
        let instance = member.instance_id.clone().expect("only static members are renamed");
        self.static_members.insert(instance, Arc::clone(to));
        self.members.insert(Arc::clone(to), member);
    }

    pub(super) fn set_protocols(&mut self, id: &str, protocols: Vec<(Arc<str>, Bytes)>) {
        let member = self.members.get_mut(id).expect("the caller has looked it up");
        let before = std::mem::replace(&mut member.protocols, protocols);
        let after = member.protocols.clone();
        self.count_protocols(&before, false);
        self.count_protocols(&after, true);
    }

    fn count_protocols(&mut self, protocols: &[(Arc<str>, Bytes)], more: bool) {
        for (name, _) in protocols {
            let count = self.supported.entry(Arc::clone(name)).or_default();
            if more {
                *count += 1;
            } else {
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(name);
                }
            }
        }
    }

    pub(super) fn is_leader(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    /// Checks who asks (KIP-345): the instance id must name this member, and the member be known.
    /// A holder of an instance id that a reset has dropped (its generation is older) is only unknown:
    /// the error for a fenced instance would end the client.
    pub(super) fn check_member(
        &self,
        id: &str,
        instance_id: Option<&str>,
        generation: Option<i32>,
    ) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            let holder = self.static_members.get(instance_id).ok_or(GroupError::UnknownMemberId)?;
            if **holder != *id {
                let fence = self.resets.last().map(|reset| reset.generation);
                let dropped =
                    generation.zip(fence).is_some_and(|(generation, fence)| generation < fence);
                return Err(if dropped {
                    GroupError::UnknownMemberId
                } else {
                    GroupError::FencedInstanceId
                });
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(GroupError::UnknownMemberId) }
    }

    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    // Parked requests.

    /// How many joins are parked.
    pub(super) fn joining(&self) -> usize {
        self.joining
    }

    pub(super) fn all_joined(&self) -> bool {
        self.joining == self.members.len() && self.pending.is_empty()
    }

    /// Parks a join. A join of this member that was parked already is told to come again: its client
    /// has given up on it.
    pub(super) fn park_join(&mut self, id: &str, token: Token, step: &mut Step<'_>) {
        self.answer_join(
            id,
            JoinReply::refused(GroupError::RebalanceInProgress, Arc::from(id)),
            step,
        );
        let member = self.members.get_mut(id).expect("the caller has looked it up");
        member.joining = Some(token);
        self.joining += 1;
    }

    /// Answers a member's parked join, if there is one.
    pub(super) fn answer_join(&mut self, id: &str, reply: JoinReply, step: &mut Step<'_>) {
        let parked = self.members.get_mut(id).and_then(|member| member.joining.take());
        if let Some(token) = parked {
            self.joining -= 1;
            step.reply(token, Reply::Join(reply));
        }
    }

    // Protocols.

    /// Whether a member of this type and protocols fits in.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[(Arc<str>, Bytes)]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|(name, _)| self.known_to_all(name))
    }

    fn known_to_all(&self, protocol: &str) -> bool {
        self.supported.get(protocol).copied().unwrap_or_default() == self.members.len()
    }

    /// The protocol that most members like best among those that all know. Among equals, the one that
    /// the oldest member likes better.
    pub(super) fn select_protocol(&self) -> Arc<str> {
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            let favourite = member.protocols.iter().find(|(name, _)| self.known_to_all(name));
            let (name, _) = favourite.expect("members were let in with a common protocol");
            *votes.entry(name).or_default() += 1;
        }
        let most = votes.values().max().copied().unwrap_or_default();
        let oldest = self.members.values().min_by_key(|member| member.order);
        let oldest = oldest.expect("a protocol is chosen among members");
        let chosen = oldest.protocols.iter().find(|(name, _)| votes.get(name) == Some(&most));
        match chosen {
            Some((name, _)) => Arc::clone(name),
            None => unreachable!("what all know, the oldest knows"),
        }
    }

    pub(super) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some("consumer")
    }

    /// Reads the members' subscriptions for the chosen protocol.
    pub(super) fn refresh_subscriptions(&mut self) {
        self.subscribed = self.read_subscriptions();
    }

    fn read_subscriptions(&self) -> Option<BTreeSet<Arc<str>>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let metadata = member.metadata(Some(self.protocol.as_deref()?));
            topics.append(&mut super::records::subscribed_topics(&metadata)?);
        }
        Some(topics)
    }

    /// Whether the group reads `topic`. A consumer group whose subscriptions cannot be read counts as
    /// reading all.
    pub(super) fn reads(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    // What others see.

    /// The members as the leader gets them, oldest first.
    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let mut members: Vec<_> = self.members.values().collect();
        members.sort_by_key(|member| member.order);
        let protocol = self.protocol.as_deref();
        let seen = members.into_iter().map(|member| JoinedMember {
            member_id: Arc::clone(&member.id),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        });
        seen.collect()
    }

    /// The answer to a member that is part of the current generation.
    pub(super) fn joined(&self, id: &Arc<str>) -> JoinReply {
        JoinReply {
            error: None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member_id: Arc::clone(id),
            members: if self.is_leader(id) { self.joined_members() } else { Vec::new() },
        }
    }

    /// The group as it is stored.
    pub(super) fn snapshot(&self) -> GroupSnapshot {
        let mut members: Vec<_> = self.members.values().collect();
        members.sort_by_key(|member| member.order);
        let protocol = self.protocol.as_deref();
        GroupSnapshot {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_since_ms: self.state_since_ms.unwrap_or(-1),
            members: members
                .into_iter()
                .map(|member| MemberSnapshot {
                    id: Arc::clone(&member.id),
                    instance_id: member.instance_id.clone(),
                    client_id: Arc::clone(&member.client_id),
                    client_host: Arc::clone(&member.client_host),
                    rebalance_timeout: member.rebalance_timeout,
                    session_timeout: member.session_timeout,
                    subscription: member.metadata(protocol),
                    assignment: member.assignment.clone(),
                })
                .collect(),
        }
    }

    /// Becomes what was stored. Offsets and resets stay.
    pub(super) fn restore(&mut self, stored: GroupSnapshot) {
        let mut fresh = Self::new(Arc::clone(&self.id));
        fresh.offsets = std::mem::take(&mut self.offsets);
        fresh.resets = std::mem::take(&mut self.resets);
        fresh.generation = stored.generation;
        for member in stored.members {
            let protocol = stored.protocol.clone().unwrap_or_default();
            let restored = Member {
                id: member.id,
                instance_id: member.instance_id,
                client_id: member.client_id,
                client_host: member.client_host,
                session_timeout: member.session_timeout,
                rebalance_timeout: member.rebalance_timeout,
                protocols: vec![(protocol, member.subscription)],
                assignment: member.assignment,
                joining: None,
                syncing: None,
                is_new: false,
                deadline: Duration::MAX,
                order: 0,
            };
            fresh.state = GroupState::Stable;
            fresh.add(restored, &stored.protocol_type);
        }
        fresh.protocol_type =
            Some(stored.protocol_type).filter(|protocol_type| !protocol_type.is_empty());
        fresh.protocol = stored.protocol;
        fresh.leader = stored.leader;
        fresh.state_since_ms = Some(stored.state_since_ms).filter(|since| *since >= 0);
        fresh.wake = None;
        fresh.refresh_subscriptions();
        *self = fresh;
    }

    pub(super) fn describe(&self) -> Description {
        let stable = self.state == GroupState::Stable;
        let protocol = self.protocol.as_deref().filter(|_| stable);
        Description {
            state: self.state,
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_name: self.protocol.clone().filter(|_| stable).unwrap_or_default(),
            members: self
                .members
                .values()
                .map(|member| MemberDescription {
                    member_id: Arc::clone(&member.id),
                    instance_id: member.instance_id.clone(),
                    client_id: Arc::clone(&member.client_id),
                    client_host: Arc::clone(&member.client_host),
                    metadata: member.metadata(protocol),
                    assignment: if stable { member.assignment.clone() } else { Bytes::new() },
                })
                .collect(),
            last_reset: self.resets.last().map(Reset::describe),
        }
    }

    pub(super) fn listed(&self) -> Listed {
        Listed {
            group: Arc::clone(&self.id),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state,
        }
    }
}
