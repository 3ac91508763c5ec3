//! Controllers that are no brokers: they decide, and hold nothing.

use std::time::Duration;

use client::admin::NewTopic;
use client::{Admin, Producer, ProducerOptions, ProducerRecord};
use wire::create_topics::request::{CreatableReplicaAssignment, CreatableTopic};
use wire::{CreateTopicsRequest, DescribeClusterRequest, ErrorCode, Str};

use super::cluster::{Cluster, NODES, run_with};
use super::upkeep::ask;

/// Those that vote are controllers only, the others brokers only.
const APART: [(&str, &str); 4] = [
    ("process.roles", "{role}"),
    ("listeners", "{name}://{address}:9092"),
    ("controller.listener.names", "CONTROLLER"),
    ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
];
const BROKERS: [i32; 2] = [4, 5];

async fn begin(cluster: &Cluster) -> i32 {
    let leader = cluster.settle().await;
    for id in BROKERS {
        cluster.start(id);
        let serves = |cluster: &Cluster| cluster.serves(id);
        cluster.within(Duration::from_secs(10), "it serves", serves).await;
    }
    leader
}

async fn produce(cluster: &Cluster, topic: &str) {
    let producer = Producer::new(cluster.clients(), ProducerOptions::default());
    let (topic, value) = (topic.to_owned(), Some("a value".into()));
    let record = ProducerRecord { topic, value, ..Default::default() };
    let delivery = producer.send(record).await.expect("it is taken");
    delivery.wait().await.expect("it is acknowledged");
}

fn topic(name: &str) -> NewTopic {
    let name = name.to_owned();
    NewTopic { name, partitions: Some(4), replicas: Some(2), ..Default::default() }
}

#[test]
fn clients_hear_of_brokers_only_and_brokers_alone_hold_replicas() {
    run_with(60, &APART, async |cluster| {
        begin(cluster).await;
        let admin = Admin::new(cluster.clients());
        admin.create_topic(&topic("orders"), false).await.expect("it is created");
        produce(cluster, "orders").await;
        let metadata = admin.topics(None).await.expect("they answer");
        let ids: Vec<i32> = metadata.brokers.keys().copied().collect();
        assert_eq!(ids, BROKERS);
        for partition in metadata.topics["orders"].partitions.values() {
            assert!(partition.replicas.iter().all(|id| BROKERS.contains(id)), "{partition:?}");
        }
        let through = BROKERS[0];
        let request = DescribeClusterRequest { endpoint_type: 1, ..Default::default() };
        let described = ask(cluster, through, request).await;
        assert!(BROKERS.contains(&described.controller_id), "one that clients can reach");
        assert_eq!(described.brokers.len(), BROKERS.len());
        let only = CreatableReplicaAssignment { broker_ids: vec![NODES[0]], ..Default::default() };
        let wrong = CreatableTopic {
            name: Str::from_static("wrong"),
            num_partitions: -1,
            replication_factor: -1,
            assignments: vec![only],
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![wrong], ..Default::default() };
        let refused = ask(cluster, through, request).await.topics.remove(0);
        assert_eq!(refused.error_code, ErrorCode::InvalidReplicaAssignment.number());
        let why = refused.error_message.expect("it says why");
        assert!(why.contains("controller only"), "{why}");
    });
}

#[test]
fn brokers_go_on_when_the_active_controller_is_killed() {
    run_with(61, &APART, async |cluster| {
        let leader = begin(cluster).await;
        let admin = Admin::new(cluster.clients());
        admin.create_topic(&topic("before"), false).await.expect("it is created");
        cluster.kill(leader);
        let other = |cluster: &Cluster| cluster.leader_but(&[leader]).is_some();
        cluster.within(Duration::from_secs(2), "another leader", other).await;
        admin.create_topic(&topic("after"), false).await.expect("it is created");
        produce(cluster, "before").await;
        produce(cluster, "after").await;
        cluster.start(leader);
        cluster.settle().await;
        // It stops as any node does: for a lease, once the others can miss it.
        cluster.stop_carefully(leader);
        let ended = |cluster: &Cluster| !cluster.simulation.is_running(cluster.host(leader));
        cluster.within(Duration::from_secs(20), "it stops", ended).await;
        produce(cluster, "after").await;
    });
}
