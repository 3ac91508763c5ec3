//! DescribeQuorum, UnregisterBroker.

use wire::describe_quorum::request::{PartitionData, TopicData};
use wire::{DescribeQuorumRequest, UnregisterBrokerRequest};

use crate::exchange::{text, versions, with_broker};

fn topic(name: &str, indexes: &[i32]) -> TopicData {
    let partitions = indexes
        .iter()
        .map(|partition_index| PartitionData {
            partition_index: *partition_index,
            ..Default::default()
        })
        .collect();
    TopicData { topic_name: text(name), partitions, ..Default::default() }
}

#[test]
fn every_version_of_describe_quorum_names_the_broker_that_is_alone_as_leader_and_voter() {
    with_broker(async |peer| {
        for version in versions::<DescribeQuorumRequest>() {
            let ask = || DescribeQuorumRequest {
                topics: vec![topic("__cluster_metadata", &[0])],
                ..Default::default()
            };
            let before = peer.ask(ask(), version).await.topics.remove(0).partitions.remove(0);
            peer.create(&format!("orders-{version}"), 1).await;
            let answer = peer.ask(ask(), version).await;
            assert_eq!(answer.error_code, 0, "v{version}");
            let [topic] = &answer.topics[..] else { panic!("one topic: {answer:?}") };
            let [partition] = &topic.partitions[..] else { panic!("one partition: {answer:?}") };
            assert_eq!((&*topic.topic_name, partition.partition_index), ("__cluster_metadata", 0));
            assert_eq!((partition.error_code, partition.leader_id), (0, 0));
            assert!(partition.leader_epoch > 0 && partition.observers.is_empty());
            assert!(partition.high_watermark > before.high_watermark, "a topic was created");
            let [voter] = &partition.current_voters[..] else { panic!("one voter: {answer:?}") };
            assert_eq!((voter.replica_id, voter.log_end_offset), (0, partition.high_watermark));
            assert_eq!(voter.replica_directory_id.is_zero(), version < 2);
            let nodes = answer.nodes.iter().map(|node| (node.node_id, node.listeners[0].port));
            let expected = if version < 2 { Vec::new() } else { vec![(0, peer.port)] };
            assert_eq!(nodes.collect::<Vec<_>>(), expected);
        }
    });
}

#[test]
fn only_the_one_partition_of_the_metadata_can_be_described() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        for version in versions::<DescribeQuorumRequest>() {
            let topics = vec![topic("orders", &[0]), topic("__cluster_metadata", &[1, 0])];
            let request = DescribeQuorumRequest { topics, ..Default::default() };
            let answer = peer.ask(request, version).await;
            assert_eq!(answer.error_code, 0, "v{version}");
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            let codes: Vec<i16> = partitions.map(|one| one.error_code).collect();
            assert_eq!(codes, [3, 3, 0], "v{version}");
        }
    });
}

#[test]
fn every_version_of_unregister_broker_refuses_one_that_is_not_registered() {
    with_broker(async |peer| {
        for version in versions::<UnregisterBrokerRequest>() {
            for broker_id in [5, -1] {
                let request = UnregisterBrokerRequest { broker_id, ..Default::default() };
                let answer = peer.ask(request, version).await;
                assert_eq!(answer.error_code, 102, "v{version}");
                let expected = format!("broker {broker_id} is not registered");
                assert_eq!(answer.error_message.as_deref(), Some(&*expected));
            }
        }
    });
}
