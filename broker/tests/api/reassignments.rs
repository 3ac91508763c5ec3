//! AlterPartitionReassignments, ListPartitionReassignments.

use wire::alter_partition_reassignments::request::{ReassignablePartition, ReassignableTopic};
use wire::list_partition_reassignments::request::ListPartitionReassignmentsTopics;
use wire::{AlterPartitionReassignmentsRequest, ListPartitionReassignmentsRequest};

use crate::exchange::{text, versions, with_broker};

fn topic(name: &str, partitions: &[(i32, Option<&[i32]>)]) -> ReassignableTopic {
    let partitions = partitions.iter().map(|(partition_index, replicas)| ReassignablePartition {
        partition_index: *partition_index,
        replicas: replicas.map(<[i32]>::to_vec),
        ..Default::default()
    });
    ReassignableTopic { name: text(name), partitions: partitions.collect(), ..Default::default() }
}

#[test]
fn every_version_moves_what_can_be_moved_and_tells_of_each_partition_why_not() {
    with_broker(async |peer| {
        peer.create("orders", 4).await;
        for version in versions::<AlterPartitionReassignmentsRequest>() {
            let request = AlterPartitionReassignmentsRequest {
                topics: vec![
                    topic("missing", &[(0, Some(&[0]))]),
                    topic(
                        "orders",
                        &[
                            (0, Some(&[0])),
                            (1, Some(&[5])),
                            (2, None),
                            (2, Some(&[0])),
                            (3, Some(&[])),
                            (4, Some(&[0])),
                        ],
                    ),
                ],
                ..Default::default()
            };
            let answer = peer.ask(request, version).await;
            assert_eq!((answer.error_code, answer.error_message), (0, None), "v{version}");
            assert!(answer.allow_replication_factor_change);
            let codes = answer.responses.iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|one| {
                    assert_eq!(one.error_message.is_some(), one.error_code != 0);
                    (one.partition_index, one.error_code)
                });
                (&*topic.name, partitions.collect::<Vec<_>>())
            });
            let expected = [
                ("missing", vec![(0, 3)]),
                ("orders", vec![(0, 0), (1, 39), (2, 85), (2, 42), (3, 39), (4, 3)]),
            ];
            assert_eq!(codes.collect::<Vec<_>>(), expected, "v{version}");
        }
    });
}

#[test]
fn leave_to_change_the_replication_factor_is_told_back() {
    with_broker(async |peer| {
        let request = AlterPartitionReassignmentsRequest {
            allow_replication_factor_change: false,
            ..Default::default()
        };
        let answer = peer.ask(request, 1).await;
        assert!(!answer.allow_replication_factor_change && answer.responses.is_empty());
    });
}

#[test]
fn the_list_is_empty_while_nothing_moves() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        let named = |name| ListPartitionReassignmentsTopics {
            name: text(name),
            partition_indexes: vec![0, 1],
            ..Default::default()
        };
        for version in versions::<ListPartitionReassignmentsRequest>() {
            for topics in [None, Some(vec![named("orders"), named("missing")])] {
                let request = ListPartitionReassignmentsRequest { topics, ..Default::default() };
                let answer = peer.ask(request, version).await;
                assert_eq!((answer.error_code, answer.error_message), (0, None));
                assert!(answer.topics.is_empty());
            }
        }
    });
}
