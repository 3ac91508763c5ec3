//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

use wire::join_group::request::JoinGroupRequestProtocol;
use wire::leave_group::request::MemberIdentity;
use wire::sync_group::request::SyncGroupRequestAssignment;
use wire::{
    FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, Str, SyncGroupRequest, SyncGroupResponse,
};

use crate::exchange::{Peer, text, versions, with_broker};

/// A member of a group, in the eyes of the tests.
pub(crate) struct Member {
    pub(crate) group: String,
    pub(crate) id: Str,
    pub(crate) generation: i32,
}

/// A JoinGroup as a consumer sends it.
pub(crate) fn join(group: &str, member_id: &Str, version: i16) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol {
        name: text("range"),
        metadata: "subscription".into(),
        ..Default::default()
    };
    JoinGroupRequest {
        group_id: text(group),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: if version >= 1 { 10_000 } else { -1 },
        member_id: member_id.clone(),
        protocol_type: text("consumer"),
        protocols: vec![protocol],
        ..Default::default()
    }
}

/// A SyncGroup of a leader who gives everything to itself.
pub(crate) fn sync(member: &Member, version: i16) -> SyncGroupRequest {
    let assignment = SyncGroupRequestAssignment {
        member_id: member.id.clone(),
        assignment: "everything".into(),
        ..Default::default()
    };
    SyncGroupRequest {
        group_id: text(&member.group),
        generation_id: member.generation,
        member_id: member.id.clone(),
        protocol_type: (version >= 5).then(|| text("consumer")),
        protocol_name: (version >= 5).then(|| text("range")),
        assignments: vec![assignment],
        ..Default::default()
    }
}

/// Joins as the only member, in as many steps as the version takes.
pub(crate) async fn join_alone(
    peer: &mut Peer,
    group: &str,
    version: i16,
) -> (Member, JoinGroupResponse) {
    peer.find_group(group).await;
    let mut joined = peer.ask(join(group, &Str::EMPTY, version), version).await;
    if version >= 4 {
        assert_eq!(joined.error_code, 79, "MEMBER_ID_REQUIRED, v{version}");
        assert!(joined.member_id.starts_with("tester-"), "{joined:?}");
        let member_id = joined.member_id.clone();
        joined = peer.ask(join(group, &member_id, version), version).await;
    }
    assert_eq!(joined.error_code, 0, "v{version}");
    let generation = joined.generation_id;
    let member = Member { group: group.to_owned(), id: joined.member_id.clone(), generation };
    (member, joined)
}

/// Joins and syncs as the only member.
pub(crate) async fn become_stable(peer: &mut Peer, group: &str) -> Member {
    let (member, _) = join_alone(peer, group, 9).await;
    assert_eq!(peer.ask(sync(&member, 5), 5).await.error_code, 0);
    member
}

#[test]
fn every_version_of_join_and_sync_makes_a_leader_of_the_only_member() {
    with_broker(async |peer| {
        for version in versions::<JoinGroupRequest>() {
            let group = format!("joined-by-v{version}");
            let (member, joined) = join_alone(peer, &group, version).await;
            assert_eq!((joined.generation_id, &joined.leader), (1, &member.id), "v{version}");
            assert_eq!(joined.protocol_type.is_some(), version >= 7, "v{version}");
            assert_eq!(joined.protocol_name.as_deref(), Some("range"));
            assert!(!joined.skip_assignment);
            let [only] = &joined.members[..] else { panic!("one member: {joined:?}") };
            assert_eq!((&only.member_id, &*only.metadata), (&member.id, &b"subscription"[..]));
            let version = version.min(*versions::<SyncGroupRequest>().end());
            let synced = peer.ask(sync(&member, version), version).await;
            assert_eq!((synced.error_code, &*synced.assignment), (0, &b"everything"[..]));
            assert_eq!(synced.protocol_name.is_some(), version >= 5, "v{version}");
        }
    });
}

#[test]
fn every_version_of_join_says_what_is_wrong() {
    with_broker(async |peer| {
        become_stable(peer, "orders").await;
        for version in versions::<JoinGroupRequest>() {
            let good = join("orders", &Str::EMPTY, version);
            let stranger = join("orders", &text("stranger"), version);
            for (request, expected) in [
                (JoinGroupRequest { session_timeout_ms: 1, ..good.clone() }, 26),
                (JoinGroupRequest { protocol_type: text("connect"), ..good }, 23),
                (stranger, 25),
            ] {
                let refused = peer.ask(request, version).await;
                assert_eq!(refused.error_code, expected, "v{version}");
                assert_eq!((refused.generation_id, &*refused.leader), (-1, ""));
                assert_eq!(refused.protocol_name.is_none(), version >= 7);
            }
        }
    });
}

#[test]
fn every_version_of_sync_and_heartbeat_refuses_strangers_and_old_generations() {
    with_broker(async |peer| {
        let member = become_stable(peer, "orders").await;
        let ids =
            [(member.id.clone(), 1, 0), (member.id.clone(), 9, 22), (text("stranger"), 1, 25)];
        for version in versions::<SyncGroupRequest>() {
            for (id, generation, expected) in ids.clone() {
                let member = Member { group: "orders".to_owned(), id, generation };
                let synced = peer.ask(sync(&member, version), version).await;
                assert_eq!(synced.error_code, expected, "v{version}");
                assert_eq!(synced.assignment.is_empty(), expected != 0);
            }
        }
        for version in versions::<HeartbeatRequest>() {
            for (member_id, generation_id, expected) in ids.clone() {
                let request = HeartbeatRequest {
                    group_id: text("orders"),
                    generation_id,
                    member_id,
                    ..Default::default()
                };
                assert_eq!(peer.ask(request, version).await.error_code, expected, "v{version}");
            }
        }
    });
}

#[test]
fn a_heartbeat_is_believed_while_the_coordinator_loads_and_all_else_is_told_so() {
    with_broker(async |peer| {
        let find =
            FindCoordinatorRequest { coordinator_keys: vec![text("a")], ..Default::default() };
        peer.ask_newest(find).await;
        // Of three partitions, "a" has loaded the second. What comes to another one first finds it
        // about to load.
        let alive = |group| HeartbeatRequest { group_id: text(group), ..Default::default() };
        let join = peer.ask_newest(join("b", &text(""), 9)).await;
        assert_eq!(join.error_code, 14);
        assert_eq!(peer.ask_newest(alive("c")).await.error_code, 0);
        // It has no doubts once it has loaded.
        while peer.ask_newest(alive("c")).await.error_code == 0 {}
        assert_eq!(peer.ask_newest(alive("c")).await.error_code, 25);
    });
}

#[test]
fn a_sync_from_version_5_on_names_the_protocol() {
    with_broker(async |peer| {
        let member = become_stable(peer, "orders").await;
        let request = SyncGroupRequest { protocol_name: None, ..sync(&member, 5) };
        let SyncGroupResponse { error_code, .. } = peer.ask(request, 5).await;
        assert_eq!(error_code, 23);
    });
}

#[test]
fn every_version_of_leave_lets_a_member_go() {
    with_broker(async |peer| {
        for version in versions::<LeaveGroupRequest>() {
            let member = become_stable(peer, "orders").await;
            let leave = |id: &Str| {
                let group_id = text("orders");
                if version < 3 {
                    return LeaveGroupRequest {
                        group_id,
                        member_id: id.clone(),
                        ..Default::default()
                    };
                }
                let one = |id: &Str| MemberIdentity { member_id: id.clone(), ..Default::default() };
                let members = vec![one(id), one(&text("stranger"))];
                LeaveGroupRequest { group_id, members, ..Default::default() }
            };
            let left = peer.ask(leave(&member.id), version).await;
            assert_eq!(left.error_code, 0, "v{version}");
            let codes: Vec<i16> = left.members.iter().map(|one| one.error_code).collect();
            assert_eq!(codes, if version < 3 { &[][..] } else { &[0, 25] });
            let again = peer.ask(leave(&member.id), version).await;
            assert_eq!(again.error_code, if version < 3 { 25 } else { 0 }, "v{version}");
        }
    });
}
