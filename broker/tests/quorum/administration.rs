//! What is asked of the active controller through any broker: the quorum, moves of replicas, brokers.

use std::time::Duration;

use wire::alter_partition_reassignments::request::{ReassignablePartition, ReassignableTopic};
use wire::create_topics::request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use wire::describe_quorum::request::{PartitionData, TopicData};
use wire::incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig};
use wire::{
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, CreateTopicsRequest,
    DescribeClusterRequest, DescribeQuorumRequest, ErrorCode, IncrementalAlterConfigsRequest,
    ListPartitionReassignmentsRequest, MetadataRequest, Request, Str, UnregisterBrokerRequest,
    alter_configs,
};

use super::cluster::{Cluster, NODES, TIMEOUT, run, run_with};

const TOPIC: i8 = 2;

async fn ask<R: Request>(cluster: &Cluster, id: i32, request: R) -> R::Response {
    let connection = cluster.connect(id).await.expect("it listens");
    connection.ask(&request, TIMEOUT).await.expect("it answers")
}

#[test]
fn every_broker_tells_who_leads_the_quorum_and_how_far_the_voters_are() {
    run(60, async |cluster| {
        let leader = cluster.settle().await;
        // Nothing is decided meanwhile; what was is everywhere.
        cluster.simulation.sleep(Duration::from_secs(1)).await;
        for id in NODES {
            let partitions = vec![PartitionData::default()];
            let topic_name = Str::from_static("__cluster_metadata");
            let topic = TopicData { topic_name, partitions, ..Default::default() };
            let request = DescribeQuorumRequest { topics: vec![topic], ..Default::default() };
            let answer = ask(cluster, id, request).await;
            let told = &answer.topics[0].partitions[0];
            assert_eq!((told.error_code, told.leader_id), (0, leader), "through {id}");
            assert!(told.leader_epoch > 0 && told.high_watermark > 0);
            let voters = told.current_voters.iter().map(|one| (one.replica_id, one.log_end_offset));
            let expected = NODES.map(|voter| (voter, told.high_watermark));
            assert_eq!(voters.collect::<Vec<_>>(), expected, "through {id}");
            let now = cluster.simulation.world(cluster.host(leader)).clock.wall_ms();
            for voter in &told.current_voters {
                let heard = voter.last_fetch_timestamp;
                assert!((now - 1000..=now).contains(&heard), "through {id}: {heard}, {now}");
                assert_eq!(voter.last_caught_up_timestamp, heard, "nothing is on its way");
            }
            let ports = answer.nodes.iter().map(|node| node.listeners.len());
            assert_eq!(ports.collect::<Vec<_>>(), [1, 1, 1]);
        }
    });
}

/// The partitions that are being moved, as `id` has the controller tell.
async fn moving(cluster: &Cluster, id: i32) -> Vec<(i32, Vec<i32>)> {
    let request = ListPartitionReassignmentsRequest { topics: None, ..Default::default() };
    let answer = ask(cluster, id, request).await;
    assert_eq!(answer.error_code, 0);
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|one| (one.partition_index, one.removing_replicas.clone())).collect()
}

/// Replicas in sync of the only partition of `orders`.
async fn in_sync(cluster: &Cluster, id: i32) -> Vec<i32> {
    let answer = ask(cluster, id, MetadataRequest { topics: None, ..Default::default() }).await;
    answer.topics[0].partitions[0].isr_nodes.clone()
}

/// A move that waits for a second replica in sync ends once `change` has made one enough.
fn a_move_ends_when(change: impl AsyncFnOnce(&Cluster, i32)) {
    run_with(61, &[("broker.session.timeout.ms", "2000")], async |cluster| {
        let leader = cluster.settle().await;
        let others: Vec<i32> = NODES.into_iter().filter(|id| *id != leader).collect();
        let (leaves, away) = (others[0], others[1]);
        let assignment = CreatableReplicaAssignment {
            broker_ids: vec![leader, leaves, away],
            ..Default::default()
        };
        let config = CreatableTopicConfig {
            name: Str::from_static("min.insync.replicas"),
            value: Some(Str::from_static("2")),
            ..Default::default()
        };
        let topic = CreatableTopic {
            name: Str::from_static("orders"),
            num_partitions: -1,
            replication_factor: -1,
            assignments: vec![assignment],
            configs: vec![config],
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        assert_eq!(ask(cluster, leader, request).await.topics[0].error_code, 0);

        cluster.kill(away);
        for _ in 0..200 {
            if in_sync(cluster, leader).await.len() == 2 {
                break;
            }
            cluster.simulation.sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(in_sync(cluster, leader).await.len(), 2, "{away} is fenced");
        let partition =
            ReassignablePartition { replicas: Some(vec![leader, away]), ..Default::default() };
        let name = Str::from_static("orders");
        let topic = ReassignableTopic { name, partitions: vec![partition], ..Default::default() };
        let request =
            AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() };
        let answer = ask(cluster, leaves, request).await;
        assert_eq!(answer.responses[0].partitions[0].error_code, 0);
        assert_eq!(moving(cluster, leaves).await, [(0, vec![leaves])]);
        change(cluster, leaves).await;
        // Who goes says by a heartbeat that it knows who leads.
        for _ in 0..20 {
            if moving(cluster, leaves).await.is_empty() {
                break;
            }
            cluster.simulation.sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(moving(cluster, leaves).await, []);
        assert_eq!(in_sync(cluster, leader).await, [leader]);
    });
}

#[test]
fn partitions_follow_when_fewer_replicas_must_be_in_sync() {
    a_move_ends_when(async |cluster, through| {
        let set = |validate_only| {
            let config = AlterableConfig {
                name: Str::from_static("min.insync.replicas"),
                value: Some(Str::from_static("1")),
                ..Default::default()
            };
            let resource = AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: Str::from_static("orders"),
                configs: vec![config],
                ..Default::default()
            };
            let resources = vec![resource];
            IncrementalAlterConfigsRequest { resources, validate_only, ..Default::default() }
        };
        assert_eq!(ask(cluster, through, set(true)).await.responses[0].error_code, 0);
        assert_eq!(moving(cluster, through).await.len(), 1);
        assert_eq!(ask(cluster, through, set(false)).await.responses[0].error_code, 0);
    });
}

#[test]
fn partitions_follow_when_all_settings_are_replaced_and_the_number_in_sync_is_not_among_them() {
    a_move_ends_when(async |cluster, through| {
        let resource = alter_configs::request::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: Str::from_static("orders"),
            ..Default::default()
        };
        let request = AlterConfigsRequest { resources: vec![resource], ..Default::default() };
        assert_eq!(ask(cluster, through, request).await.responses[0].error_code, 0);
    });
}

/// The brokers that are registered.
async fn registered(cluster: &Cluster, id: i32) -> Vec<i32> {
    let request = DescribeClusterRequest { include_fenced_brokers: true, ..Default::default() };
    ask(cluster, id, request).await.brokers.iter().map(|one| one.broker_id).collect()
}

#[test]
fn a_broker_that_is_gone_is_forgotten_and_one_that_runs_is_not() {
    run(62, async |cluster| {
        let leader = cluster.settle().await;
        let others: Vec<i32> = NODES.into_iter().filter(|id| *id != leader).collect();
        let (stays, goes) = (others[0], others[1]);
        cluster.kill(goes);
        let unregister = |broker_id| UnregisterBrokerRequest { broker_id, ..Default::default() };
        let refused = ask(cluster, leader, unregister(stays)).await;
        assert_eq!(refused.error_code, ErrorCode::InvalidRequest.number(), "it runs");
        // It counts as running until it has missed its heartbeats.
        cluster.simulation.sleep(Duration::from_secs(5)).await;
        assert_eq!(ask(cluster, leader, unregister(goes)).await.error_code, 0);
        let mut expected = vec![leader, stays];
        expected.sort_unstable();
        assert_eq!(registered(cluster, leader).await, expected);
        let request = UnregisterBrokerRequest { broker_id: goes, ..Default::default() };
        assert_eq!(ask(cluster, stays, request).await.error_code, 102);
    });
}
