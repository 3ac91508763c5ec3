//! OffsetCommit, OffsetFetch, OffsetDelete, ResetGroupOffsets.

use wire::delete_topics::request::DeleteTopicState;
use wire::offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::offset_delete::request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use wire::offset_fetch::request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use wire::reset_group_offsets::request::{ResetPartition, ResetTopic};
use wire::{
    DeleteTopicsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    OffsetFetchResponse, ResetGroupOffsetsRequest, ResetGroupOffsetsResponse, Uuid,
};

use crate::exchange::{Peer, text, versions, with_broker};
use crate::members::become_stable;

/// A topic with partitions to commit: index and offset.
fn topic(name: &str, id: Uuid, offsets: &[(i32, i64)], version: i16) -> OffsetCommitRequestTopic {
    let partitions =
        offsets.iter().map(|&(partition_index, committed_offset)| OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_leader_epoch: if version >= 6 { 4 } else { -1 },
            committed_metadata: Some(text("note")),
            ..Default::default()
        });
    let partitions = partitions.collect();
    if version >= 10 {
        OffsetCommitRequestTopic { topic_id: id, partitions, ..Default::default() }
    } else {
        OffsetCommitRequestTopic { name: text(name), partitions, ..Default::default() }
    }
}

fn commit_request(group: &str, topics: Vec<OffsetCommitRequestTopic>) -> OffsetCommitRequest {
    OffsetCommitRequest { group_id: text(group), topics, ..Default::default() }
}

/// Commits an offset of partition 0, as a consumer without a membership.
pub(crate) async fn commit(peer: &mut Peer, group: &str, name: &str, offset: i64) {
    peer.find_group(group).await;
    let topics = vec![topic(name, Uuid::ZERO, &[(0, offset)], 9)];
    assert_eq!(codes(peer, commit_request(group, topics), 9).await, [0]);
}

async fn codes(peer: &mut Peer, request: OffsetCommitRequest, version: i16) -> Vec<i16> {
    let topics = peer.ask(request, version).await.topics;
    topics.iter().flat_map(|topic| &topic.partitions).map(|one| one.error_code).collect()
}

/// One line per partition: name or id, index, offset, epoch, metadata, error.
struct Fetched {
    lines: Vec<String>,
    error_code: i16,
}

async fn fetch(
    peer: &mut Peer,
    group: &str,
    topics: Option<&[(&str, Uuid, &[i32])]>,
    version: i16,
) -> Fetched {
    let mut request = OffsetFetchRequest::default();
    if version < 8 {
        request.group_id = text(group);
        request.topics = topics.map(|topics| {
            let topics = topics.iter().map(|(name, _, indexes)| OffsetFetchRequestTopic {
                name: text(name),
                partition_indexes: indexes.to_vec(),
                ..Default::default()
            });
            topics.collect()
        });
    } else {
        let topics = topics.map(|topics| {
            let topics = topics.iter().map(|&(name, topic_id, indexes)| OffsetFetchRequestTopics {
                name: if version < 10 { text(name) } else { text("") },
                topic_id: if version < 10 { Uuid::ZERO } else { topic_id },
                partition_indexes: indexes.to_vec(),
                ..Default::default()
            });
            topics.collect()
        });
        request.groups =
            vec![OffsetFetchRequestGroup { group_id: text(group), topics, ..Default::default() }];
    }
    let answer = peer.ask(request, version).await;
    read_fetched(&answer, version)
}

fn read_fetched(answer: &OffsetFetchResponse, version: i16) -> Fetched {
    let line = |name: &str, index: i32, offset: i64, epoch: i32, note: Option<&str>, error: i16| {
        format!("{name}-{index} {offset} e{epoch} {:?} {error}", note.unwrap_or("(null)"))
    };
    let mut lines = Vec::new();
    if version < 8 {
        for topic in &answer.topics {
            lines.extend(topic.partitions.iter().map(|one| {
                let (index, offset) = (one.partition_index, one.committed_offset);
                let (epoch, note) = (one.committed_leader_epoch, one.metadata.as_deref());
                line(&topic.name, index, offset, epoch, note, one.error_code)
            }));
        }
        return Fetched { lines, error_code: answer.error_code };
    }
    let [group] = &answer.groups[..] else { panic!("one group: {answer:?}") };
    for topic in &group.topics {
        let name = if version < 10 { topic.name.to_string() } else { topic.topic_id.to_string() };
        lines.extend(topic.partitions.iter().map(|one| {
            let (index, offset) = (one.partition_index, one.committed_offset);
            let (epoch, note) = (one.committed_leader_epoch, one.metadata.as_deref());
            line(&name, index, offset, epoch, note, one.error_code)
        }));
    }
    Fetched { lines, error_code: group.error_code }
}

#[test]
fn what_every_version_commits_every_version_fetches() {
    with_broker(async |peer| {
        let id = peer.create("orders", 3).await;
        peer.find_group("g").await;
        commit(peer, "g", "orders", 0).await;
        for committing in versions::<OffsetCommitRequest>() {
            let offset = i64::from(committing) * 10;
            let topics = vec![topic("orders", id, &[(0, offset), (2, offset + 1)], committing)];
            assert_eq!(codes(peer, commit_request("g", topics), committing).await, [0, 0]);
            for fetching in versions::<OffsetFetchRequest>() {
                let asked: &[i32] = &[2, 1, 0];
                let fetched = fetch(peer, "g", Some(&[("orders", id, asked)]), fetching).await;
                let epoch = if committing >= 6 && fetching >= 5 { 4 } else { -1 };
                let name = if fetching < 10 { "orders".to_owned() } else { id.to_string() };
                let expected = [
                    format!("{name}-2 {} e{epoch} \"note\" 0", offset + 1),
                    // Without a commit: -1, and no error.
                    format!("{name}-1 -1 e-1 \"\" 0"),
                    format!("{name}-0 {offset} e{epoch} \"note\" 0"),
                ];
                assert_eq!(fetched.lines, expected, "v{committing}, v{fetching}");
                assert_eq!(fetched.error_code, 0);
                if fetching >= 2 {
                    let all = fetch(peer, "g", None, fetching).await;
                    let expected = [&expected[2], &expected[0]];
                    assert!(all.lines.iter().eq(expected), "v{fetching}: {:?}", all.lines);
                }
            }
        }
    });
}

#[test]
fn every_version_of_commit_answers_each_partition_in_the_order_of_the_request() {
    with_broker(async |peer| {
        let id = peer.create("orders", 2).await;
        commit(peer, "g", "orders", 0).await;
        for version in versions::<OffsetCommitRequest>() {
            let topics = vec![
                topic("missing", Uuid([9; 16]), &[(0, 1)], version),
                topic("orders", id, &[(5, 1), (1, 2), (-1, 3), (0, 4)], version),
            ];
            let answer = codes(peer, commit_request("g", topics), version).await;
            let unknown_topic = if version >= 10 { 100 } else { 3 };
            assert_eq!(answer, [unknown_topic, 3, 0, 3, 0], "v{version}");
        }
    });
}

#[test]
fn every_version_of_commit_refuses_strangers_old_generations_and_long_notes() {
    with_broker(async |peer| {
        let id = peer.create("orders", 1).await;
        let member = become_stable(peer, "g").await;
        peer.find_group("nobody").await;
        for version in versions::<OffsetCommitRequest>() {
            let topics = |note: &str| {
                let mut topics = vec![topic("orders", id, &[(0, 1)], version)];
                topics[0].partitions[0].committed_metadata = Some(text(note));
                topics
            };
            for (group, member_id, generation, note, expected) in [
                ("g", member.id.clone(), 1, "", 0),
                ("g", member.id.clone(), 9, "", 22),
                ("g", text("stranger"), 1, "", 25),
                // Only an empty group takes offsets of consumers without a membership.
                ("g", text(""), -1, "", 25),
                ("nobody", member.id.clone(), 1, "", if version >= 9 { 69 } else { 22 }),
                ("g", member.id.clone(), 1, &"x".repeat(4097), 12),
            ] {
                let request = OffsetCommitRequest {
                    generation_id_or_member_epoch: generation,
                    member_id,
                    ..commit_request(group, topics(note))
                };
                assert_eq!(codes(peer, request, version).await, [expected], "v{version} {group}");
            }
        }
    });
}

#[test]
fn an_error_of_the_group_lies_on_partitions_in_version_1_and_on_the_group_from_version_2_on() {
    with_broker(async |peer| {
        let id = peer.create("orders", 1).await;
        // Nobody has looked for a coordinator: there is none.
        for version in versions::<OffsetFetchRequest>() {
            let fetched = fetch(peer, "g", Some(&[("orders", id, &[0])]), version).await;
            if version == 1 {
                assert_eq!(fetched.lines, ["orders-0 -1 e-1 \"\" 16"]);
            } else {
                assert_eq!((fetched.lines.len(), fetched.error_code), (0, 16), "v{version}");
            }
        }
    });
}

#[test]
fn topics_that_do_not_exist_have_no_offsets_and_unknown_ids_are_errors() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        commit(peer, "g", "orders", 3).await;
        let unknown = Uuid([9; 16]);
        for version in versions::<OffsetFetchRequest>() {
            let fetched = fetch(peer, "g", Some(&[("missing", unknown, &[0])]), version).await;
            let expected = if version < 10 {
                "missing-0 -1 e-1 \"\" 0".to_owned()
            } else {
                format!("{unknown}-0 -1 e-1 \"\" 100")
            };
            assert_eq!(fetched.lines, [expected], "v{version}");
        }
    });
}

#[test]
fn a_topic_that_is_created_again_does_not_inherit_offsets() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        commit(peer, "g", "orders", 3).await;
        let topics = vec![DeleteTopicState { name: Some(text("orders")), ..Default::default() }];
        peer.ask_newest(DeleteTopicsRequest { topics, ..Default::default() }).await;
        let id = peer.create("orders", 1).await;
        for version in versions::<OffsetFetchRequest>() {
            let fetched = fetch(peer, "g", Some(&[("orders", id, &[0])]), version).await;
            assert!(fetched.lines[0].ends_with("-0 -1 e-1 \"\" 0"), "{:?}", fetched.lines);
        }
    });
}

#[test]
fn offset_fetch_answers_many_groups_in_order_from_version_8_on() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        commit(peer, "a", "orders", 1).await;
        commit(peer, "b", "orders", 2).await;
        peer.find_group("nobody").await;
        for version in 8..=10 {
            let of = |group| OffsetFetchRequestGroup {
                group_id: text(group),
                topics: None,
                ..Default::default()
            };
            let groups = vec![of("b"), of("nobody"), of("a")];
            let request = OffsetFetchRequest { groups, ..Default::default() };
            let answer = peer.ask(request, version).await.groups;
            let offsets: Vec<(&str, Option<i64>)> = answer
                .iter()
                .map(|group| {
                    let topic = group.topics.first();
                    (&*group.group_id, topic.map(|topic| topic.partitions[0].committed_offset))
                })
                .collect();
            assert_eq!(offsets, [("b", Some(2)), ("nobody", None), ("a", Some(1))]);
        }
    });
}

async fn delete(peer: &mut Peer, group: &str, topics: &[(&str, i32)]) -> (i16, Vec<i16>) {
    let topics = topics.iter().map(|&(name, partition_index)| OffsetDeleteRequestTopic {
        name: text(name),
        partitions: vec![OffsetDeleteRequestPartition { partition_index, ..Default::default() }],
        ..Default::default()
    });
    let group_id = text(group);
    let request = OffsetDeleteRequest { group_id, topics: topics.collect(), ..Default::default() };
    let answer = peer.ask(request, 0).await;
    let codes = answer.topics.iter().map(|topic| topic.partitions[0].error_code).collect();
    (answer.error_code, codes)
}

#[test]
fn offset_delete_forgets_offsets_of_partitions_that_exist() {
    with_broker(async |peer| {
        let id = peer.create("orders", 1).await;
        commit(peer, "g", "orders", 3).await;
        let asked = [("missing", 0), ("orders", 0), ("orders", 7)];
        assert_eq!(delete(peer, "g", &asked).await, (0, vec![3, 0, 3]));
        let fetched = fetch(peer, "g", Some(&[("orders", id, &[0])]), 9).await;
        assert_eq!(fetched.lines, ["orders-0 -1 e-1 \"\" 0"]);
        peer.find_group("nobody").await;
        assert_eq!(delete(peer, "nobody", &asked).await, (69, Vec::new()));
    });
}

async fn reset(
    peer: &mut Peer,
    token: &str,
    mode: i8,
    targets: &[(&str, i32, i64)],
) -> ResetGroupOffsetsResponse {
    let topics = targets.iter().map(|&(name, index, offset)| ResetTopic {
        name: text(name),
        partitions: vec![ResetPartition { index, offset, ..Default::default() }],
        ..Default::default()
    });
    let request = ResetGroupOffsetsRequest {
        group_id: text("g"),
        token: text(token),
        mode,
        topics: topics.collect(),
        ..Default::default()
    };
    peer.ask(request, 0).await
}

#[test]
fn a_reset_moves_offsets_once_per_token_and_wholly_or_not_at_all() {
    with_broker(async |peer| {
        peer.create("orders", 2).await;
        commit(peer, "g", "orders", 3).await;
        let unknown = reset(peer, "t1", 0, &[("orders", 0, 1), ("orders", 9, 1)]).await;
        assert_eq!(unknown.error_code, 3);
        let codes: Vec<i16> =
            unknown.topics.iter().map(|topic| topic.partitions[0].error_code).collect();
        assert_eq!(codes, [0, 3]);
        assert_eq!(reset(peer, "t1", 7, &[("orders", 0, 1)]).await.error_code, 42);

        let done = reset(peer, "t1", 0, &[("orders", 0, 1), ("orders", 1, 2)]).await;
        assert_eq!((done.error_code, done.already_done), (0, false), "{done:?}");
        let [topic] = &done.topics[..] else { panic!("one topic: {done:?}") };
        let before: Vec<i64> = topic.partitions.iter().map(|one| one.previous_offset).collect();
        assert_eq!(before, [3, -1]);
        commit(peer, "g", "orders", 5).await;
        let again = reset(peer, "t1", 0, &[("orders", 0, 1)]).await;
        assert_eq!((again.error_code, again.already_done), (0, true));
        assert_eq!(again.generation, done.generation);
        let fetched = fetch(peer, "g", None, 9).await;
        assert_eq!(fetched.lines, ["orders-0 5 e4 \"note\" 0", "orders-1 2 e-1 \"\" 0"]);
    });
}

#[test]
fn a_reset_fails_or_fences_when_the_group_has_members() {
    with_broker(async |peer| {
        let id = peer.create("orders", 1).await;
        let member = become_stable(peer, "g").await;
        let failed = reset(peer, "t1", 0, &[("orders", 0, 1)]).await;
        assert_eq!(failed.error_code, 68);
        assert!(failed.error_message.is_some());
        assert_eq!(reset(peer, "t2", 1, &[("orders", 0, 1)]).await.error_code, 0);
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch: member.generation,
            member_id: member.id,
            ..commit_request("g", vec![topic("orders", id, &[(0, 9)], 10)])
        };
        assert_ne!(codes(peer, request, 10).await, [0]);
    });
}
