//! FindCoordinator, DescribeGroups, ListGroups, DeleteGroups.

use wire::find_coordinator::response::{Coordinator, FindCoordinatorResponse};
use wire::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, ListGroupsRequest, Str,
};

use crate::exchange::{Peer, text, versions, with_broker};
use crate::members::{become_stable, join_alone};
use crate::offsets::commit;

impl Peer {
    /// Finds the coordinator of one key, at any version.
    pub(crate) async fn coordinator(
        &mut self,
        key: &str,
        key_type: i8,
        version: i16,
    ) -> Coordinator {
        let mut request = FindCoordinatorRequest { key_type, ..Default::default() };
        if version < 4 {
            request.key = text(key);
        } else {
            request.coordinator_keys = vec![text(key)];
        }
        let answer = self.ask(request, version).await;
        if version >= 4 {
            return { answer }.coordinators.remove(0);
        }
        let FindCoordinatorResponse { error_code, error_message, node_id, host, port, .. } = answer;
        Coordinator {
            key: text(key),
            error_code,
            error_message,
            node_id,
            host,
            port,
            ..Default::default()
        }
    }

    /// Sees to it that groups can be used.
    pub(crate) async fn find_group(&mut self, group: &str) {
        assert_eq!(self.coordinator(group, 0, 6).await.error_code, 0);
        let groups = vec![text(group)];
        let request = DescribeGroupsRequest { groups, ..Default::default() };
        // It reads its log now.
        while self.ask(request.clone(), 5).await.groups[0].error_code == 14 {}
    }
}

#[test]
fn every_version_of_find_coordinator_finds_a_groups_coordinator_at_the_first_time_of_asking() {
    for version in versions::<FindCoordinatorRequest>() {
        with_broker(async |peer| {
            let found = peer.coordinator("inventory", 0, version).await;
            assert_eq!((found.error_code, found.node_id), (0, 0), "v{version}");
            assert_eq!((&*found.host, found.port), ("127.0.0.1", i32::from(peer.port)));
            assert_eq!(found.error_message.unwrap_or_default(), "");
            assert_eq!(peer.describe("__consumer_offsets").await.partitions.len(), 3);
        });
    }
}

#[test]
fn from_version_4_on_every_key_is_answered_in_order() {
    with_broker(async |peer| {
        for version in 4..=6 {
            let keys: Vec<Str> = ["a", "b", "", "a"].map(text).into();
            let request =
                FindCoordinatorRequest { coordinator_keys: keys.clone(), ..Default::default() };
            let found = peer.ask(request, version).await.coordinators;
            assert!(found.iter().map(|one| &one.key).eq(&keys));
            assert!(found.iter().all(|one| one.error_code == 0 && one.node_id == 0));
        }
    });
}

#[test]
fn every_version_of_describe_groups_shows_members_and_missing_groups() {
    with_broker(async |peer| {
        let member = become_stable(peer, "orders").await;
        peer.find_group("missing").await;
        for version in versions::<DescribeGroupsRequest>() {
            let groups = vec![text("orders"), text("missing")];
            let request = DescribeGroupsRequest { groups, ..Default::default() };
            let answer = peer.ask(request, version).await.groups;
            let [group, missing] = &answer[..] else { panic!("two groups: {answer:?}") };
            assert_eq!((group.error_code, &*group.group_id), (0, "orders"));
            assert_eq!(&*group.group_state, "Stable");
            assert_eq!((&*group.protocol_type, &*group.protocol_data), ("consumer", "range"));
            assert_eq!(group.authorized_operations, i32::MIN);
            let [only] = &group.members[..] else { panic!("one member: {group:?}") };
            assert_eq!((&only.member_id, &*only.client_id), (&member.id, "tester"));
            assert_eq!(&*only.client_host, "/127.0.0.1");
            assert_eq!(
                (&*only.member_metadata, &*only.member_assignment),
                (&b"subscription"[..], &b"everything"[..])
            );
            assert_eq!(&*missing.group_state, "Dead");
            assert_eq!(missing.error_code, if version >= 6 { 69 } else { 0 }, "v{version}");
            assert_eq!(missing.error_message.is_some(), version >= 6, "v{version}");
        }
        for version in 3..=6 {
            let request = DescribeGroupsRequest {
                groups: vec![text("orders")],
                include_authorized_operations: true,
                ..Default::default()
            };
            assert_eq!(peer.ask(request, version).await.groups[0].authorized_operations, 3400);
        }
    });
}

async fn list(peer: &mut Peer, states: &[&str], types: &[&str], version: i16) -> Vec<String> {
    let request = ListGroupsRequest {
        states_filter: states.iter().map(|state| text(state)).collect(),
        types_filter: types.iter().map(|one| text(one)).collect(),
        ..Default::default()
    };
    let answer = peer.ask(request, version).await;
    assert_eq!(answer.error_code, 0);
    let groups = answer.groups.iter().map(|group| {
        format!(
            "{} {} {} {}",
            group.group_id, group.protocol_type, group.group_state, group.group_type
        )
    });
    groups.map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn every_version_of_list_groups_lists_those_of_all_shards() {
    with_broker(async |peer| {
        assert!(list(peer, &[], &[], 5).await.is_empty());
        peer.create("orders", 1).await;
        for group in ["a", "b", "c"] {
            become_stable(peer, group).await;
        }
        commit(peer, "d", "orders", 3).await;
        for version in versions::<ListGroupsRequest>() {
            let lines = list(peer, &[], &[], version).await;
            let expected = match version {
                0..=3 => ["a consumer", "b consumer", "c consumer", "d"],
                4 => ["a consumer Stable", "b consumer Stable", "c consumer Stable", "d  Empty"],
                _ => [
                    "a consumer Stable classic",
                    "b consumer Stable classic",
                    "c consumer Stable classic",
                    "d  Empty classic",
                ],
            };
            assert_eq!(lines, expected, "v{version}");
        }
        assert_eq!(list(peer, &["eMPTY"], &[], 4).await, ["d  Empty"]);
        assert_eq!(list(peer, &["empty", "dead"], &["CLASSIC"], 5).await, ["d  Empty classic"]);
        assert!(list(peer, &[], &["share"], 5).await.is_empty());
    });
}

#[test]
fn every_version_of_delete_groups_deletes_empty_groups_only() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        become_stable(peer, "busy").await;
        peer.find_group("missing").await;
        for version in versions::<DeleteGroupsRequest>() {
            commit(peer, "idle", "orders", 3).await;
            let groups_names = ["idle", "busy", "missing"].map(text).into();
            let request = DeleteGroupsRequest { groups_names, ..Default::default() };
            let results = peer.ask(request, version).await.results;
            let codes: Vec<(&str, i16)> =
                results.iter().map(|one| (&*one.group_id, one.error_code)).collect();
            assert_eq!(codes, [("idle", 0), ("busy", 68), ("missing", 69)], "v{version}");
            assert_eq!(list(peer, &[], &[], 0).await, ["busy consumer"]);
        }
    });
}

#[test]
fn a_group_that_is_asked_for_before_anybody_looked_for_its_coordinator_says_so() {
    with_broker(async |peer| {
        let groups = vec![text("orders")];
        let request = DescribeGroupsRequest { groups, ..Default::default() };
        assert_eq!(peer.ask(request, 6).await.groups[0].error_code, 16);
        let (member, _) = join_alone(peer, "orders", 5).await;
        assert_eq!(member.generation, 1);
    });
}
