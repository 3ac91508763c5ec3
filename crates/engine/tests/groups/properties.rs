//! What holds after any sequence of events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::group::{
    CommitRequest, Effects, EncodedRecord, GroupConfig, GroupState, Groups, HeartbeatRequest,
    JoinRequest, LeaveRequest, LeavingMember, MemberRef, OffsetToCommit, OffsetsWanted, Reply,
    Request, ResetMode, ResetRequest, ResetTarget, SyncRequest, Token,
};
use engine::{Now, TopicId, TopicPartition};
use proptest::prelude::*;

use crate::script::subscription;

const GROUPS: [&str; 2] = ["g", "h"];
const CLIENTS: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Event {
    Join { client: usize, forget: bool, version: i16, sticky: bool },
    Sync { client: usize },
    Heartbeat { client: usize },
    Leave { client: usize, by_instance: bool },
    Commit { client: usize, partition: i32, offset: i64, member: bool },
    DeleteGroup { group: usize },
    Reset { group: usize, token: u8, fence: bool },
    Wait { seconds: u64 },
    Expire,
    TopicDeleted,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let client = 0..CLIENTS;
    let group = 0..GROUPS.len();
    prop_oneof![
        8 => (client.clone(), prop::bool::weighted(0.2), prop::sample::select(vec![3i16, 5, 9]), any::<bool>())
            .prop_map(|(client, forget, version, sticky)| Event::Join { client, forget, version, sticky }),
        6 => client.clone().prop_map(|client| Event::Sync { client }),
        4 => client.clone().prop_map(|client| Event::Heartbeat { client }),
        1 => (client.clone(), any::<bool>())
            .prop_map(|(client, by_instance)| Event::Leave { client, by_instance }),
        3 => (client, 0..3i32, 0..100i64, any::<bool>()).prop_map(|(client, partition, offset, member)| {
            Event::Commit { client, partition, offset, member }
        }),
        1 => group.clone().prop_map(|group| Event::DeleteGroup { group }),
        1 => (group, 0..4u8, any::<bool>())
            .prop_map(|(group, token, fence)| Event::Reset { group, token, fence }),
        6 => (0..12u64).prop_map(|seconds| Event::Wait { seconds }),
        1 => Just(Event::Expire),
        1 => Just(Event::TopicDeleted),
        1 => Just(Event::Restart),
    ]
}

#[derive(Default)]
struct Client {
    member_id: Arc<str>,
    generation: i32,
    told_members: Vec<Arc<str>>,
}

struct World {
    config: GroupConfig,
    groups: Groups,
    log: Vec<EncodedRecord>,
    now: Now,
    clients: Vec<Client>,
    /// Who asked, until answered.
    open: BTreeMap<Token, usize>,
    asked: u64,
    generations: BTreeMap<Arc<str>, i32>,
    /// The protocol that each generation was told.
    protocols: BTreeMap<(Arc<str>, i32), Option<Arc<str>>>,
}

/// Clients 0 and 1 are static, 1 and 2 take turns in the same instance; 3 is in the other group.
fn home(client: usize) -> (Arc<str>, Option<Arc<str>>) {
    let group = GROUPS[usize::from(client == 3)];
    let instance = [Some("i"), Some("j"), Some("j"), None][client];
    (group.into(), instance.map(Arc::from))
}

impl World {
    fn new() -> Self {
        let config = GroupConfig {
            offsets_retention: Duration::from_secs(30),
            max_size: 3,
            max_resets_kept: 2,
            ..GroupConfig::default()
        };
        Self {
            groups: Groups::new(config.clone()),
            config,
            log: Vec::new(),
            now: Now { wall_ms: 0, tick: Duration::ZERO },
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            open: BTreeMap::new(),
            asked: 0,
            generations: BTreeMap::new(),
            protocols: BTreeMap::new(),
        }
    }

    fn run(&mut self, event: Event) {
        match event {
            Event::Join { client, forget, version, sticky } => {
                let request = self.join(client, forget, version, sticky);
                self.send(client, Request::Join(request));
            }
            Event::Sync { client } => {
                let (group, member) = self.member(client);
                let told = &self.clients[client].told_members;
                let assignments =
                    told.iter().map(|id| (Arc::clone(id), Bytes::copy_from_slice(id.as_bytes())));
                let assignments = assignments.collect();
                let request = SyncRequest {
                    group,
                    member,
                    protocol_type: None,
                    protocol_name: None,
                    assignments,
                };
                self.send(client, Request::Sync(request));
            }
            Event::Heartbeat { client } => {
                let (group, member) = self.member(client);
                self.send(client, Request::Heartbeat(HeartbeatRequest { group, member }));
            }
            Event::Leave { client, by_instance } => {
                let (group, member) = self.member(client);
                let MemberRef { member_id, instance_id, .. } = member;
                let member_id = if by_instance { Arc::from("") } else { member_id };
                let members = vec![LeavingMember { member_id, instance_id }];
                self.send(client, Request::Leave(LeaveRequest { group, members }));
            }
            Event::Commit { client, partition, offset, member } => {
                let (group, as_member) = self.member(client);
                let nobody = MemberRef { generation: -1, ..MemberRef::default() };
                let offsets = vec![OffsetToCommit {
                    partition: TopicPartition::new("t", partition),
                    topic_id: TopicId::ZERO,
                    offset,
                    leader_epoch: 1,
                    metadata: Arc::from("m"),
                }];
                let member = if member { as_member } else { nobody };
                let request = CommitRequest { group, member, retention_ms: None, offsets };
                self.send(client, Request::Commit(request));
            }
            Event::DeleteGroup { group } => {
                self.send(0, Request::DeleteGroup(GROUPS[group].into()));
            }
            Event::Reset { group, token, fence } => self.reset(group, token, fence),
            Event::Wait { seconds } => self.wait(seconds),
            Event::Expire => {
                let (effects, more) = self.groups.expire(self.now);
                assert!(!more, "it fits one batch");
                self.take(effects);
            }
            Event::TopicDeleted => {
                let (effects, _) = self.groups.topics_deleted(&[Arc::from("t")]);
                self.take(effects);
            }
            Event::Restart => self.restart(),
        }
    }

    fn join(&self, client: usize, forget: bool, version: i16, sticky: bool) -> JoinRequest {
        let (group, member) = self.member(client);
        let range = (Arc::from("range"), subscription(&["t"]));
        let other = (Arc::from("sticky"), subscription(&["t", "u"]));
        JoinRequest {
            group,
            member_id: if forget { Arc::from("") } else { member.member_id },
            instance_id: member.instance_id,
            client_id: Arc::from("c"),
            client_host: Arc::from("/1"),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 20_000,
            protocol_type: Arc::from("consumer"),
            protocols: if sticky { vec![other, range] } else { vec![range] },
            require_member_id: version >= 4,
            supports_skip_assignment: version >= 9,
            fresh_id: u128::from(self.asked),
        }
    }

    fn reset(&mut self, group: usize, token: u8, fence: bool) {
        let request = ResetRequest {
            group: GROUPS[group].into(),
            token: format!("r{token}").into(),
            mode: if fence { ResetMode::Fence } else { ResetMode::Fail },
            must_exist: token == 0,
            expected_generation: None,
            targets: vec![ResetTarget {
                partition: TopicPartition::new("t", 0),
                topic_id: TopicId::ZERO,
                offset: 7,
                leader_epoch: -1,
                metadata: Arc::from(""),
            }],
        };
        self.send(0, Request::Reset(request));
    }

    fn member(&self, client: usize) -> (Arc<str>, MemberRef) {
        let (group, instance_id) = home(client);
        let Client { member_id, generation, .. } = &self.clients[client];
        let member =
            MemberRef { member_id: Arc::clone(member_id), instance_id, generation: *generation };
        (group, member)
    }

    fn send(&mut self, client: usize, request: Request) {
        let token = Token(self.asked);
        self.asked += 1;
        self.open.insert(token, client);
        let effects = self.groups.step(token, request, self.now);
        self.take(effects);
    }

    fn wait(&mut self, seconds: u64) {
        let until = self.now.tick + Duration::from_secs(seconds);
        for round in 0.. {
            assert!(round < 10_000, "time stands still");
            let next = self.groups.next_deadline().filter(|next| *next <= until);
            let to = next.unwrap_or(until).max(self.now.tick);
            self.now.wall_ms += (to - self.now.tick).as_millis() as i64;
            self.now.tick = to;
            if next.is_none() {
                return;
            }
            let effects = self.groups.tick(self.now);
            self.take(effects);
        }
    }

    fn take(&mut self, effects: Effects) {
        self.log.extend(effects.records);
        for (token, reply) in effects.replies {
            let client = self.open.remove(&token).expect("each token is answered once");
            let Reply::Join(reply) = reply else { continue };
            if !reply.member_id.is_empty() {
                self.clients[client].member_id = Arc::clone(&reply.member_id);
            }
            if reply.error.is_none() {
                self.clients[client].generation = reply.generation;
                let members = reply.members.iter().map(|member| Arc::clone(&member.member_id));
                self.clients[client].told_members = members.collect();
                let (group, _) = home(client);
                let told = self
                    .protocols
                    .entry((group, reply.generation))
                    .or_insert_with(|| reply.protocol_name.clone());
                assert_eq!(*told, reply.protocol_name, "one generation, one protocol");
            }
        }
    }

    fn replayed(&self) -> Groups {
        let mut groups = Groups::new(self.config.clone());
        for record in &self.log {
            groups.apply(&record.key, record.value.as_deref()).expect("our own records");
        }
        groups
    }

    fn restart(&mut self) {
        let replayed = self.replayed();
        let open = std::mem::replace(&mut self.groups, replayed).close();
        assert_eq!(open.iter().copied().collect::<BTreeSet<_>>().len(), open.len());
        for token in open {
            self.open.remove(&token).expect("only open tokens are parked");
        }
        assert!(self.open.is_empty(), "what is open is parked: {:?}", self.open);
        // A generation that was never stored may be used again.
        self.generations.clear();
        self.protocols.clear();
        let effects = self.groups.loaded(self.now);
        self.take(effects);
    }

    fn check(&mut self) {
        let mut replayed = self.replayed();
        let names = |groups: &Groups| -> Vec<_> {
            groups.list().into_iter().map(|listed| listed.group).collect()
        };
        assert_eq!(names(&self.groups), names(&replayed));
        for group in GROUPS {
            let Some(live) = self.groups.describe(group) else {
                self.generations.remove(group);
                self.protocols.retain(|(of, _), _| **of != *group);
                continue;
            };
            let before = self.generations.insert(group.into(), live.generation).unwrap_or(0);
            assert!(live.generation >= before, "{} after {before}", live.generation);

            let stored = replayed.describe(group).expect("it is listed");
            assert_eq!(live.last_reset, stored.last_reset);
            match live.state {
                GroupState::Stable | GroupState::Empty => {
                    assert_eq!(live, stored);
                }
                GroupState::PreparingRebalance | GroupState::CompletingRebalance => {
                    assert!(stored.generation <= live.generation);
                }
            }
            let live = self.groups.fetch_offsets(group, &OffsetsWanted::All);
            assert_eq!(live, replayed.fetch_offsets(group, &OffsetsWanted::All));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn tokens_are_answered_once_and_records_rebuild_the_group(
        events in prop::collection::vec(event(), 1..120)
    ) {
        let mut world = World::new();
        for event in events {
            world.run(event);
            world.check();
        }
        // In the end time answers everybody: nothing stays parked for ever.
        world.wait(3600);
        prop_assert!(world.open.is_empty(), "still open: {:?}", world.open);
        world.check();
    }
}
