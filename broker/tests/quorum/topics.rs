//! Topics as tests need them: on given brokers, with records, moved, in sync.

use std::time::Duration;

use client::{Producer, ProducerOptions, ProducerRecord};
use wire::alter_partition_reassignments::request::{ReassignablePartition, ReassignableTopic};
use wire::create_topics::request::{CreatableReplicaAssignment, CreatableTopic};
use wire::{AlterPartitionReassignmentsRequest, CreateTopicsRequest, MetadataRequest, Str};

use super::cluster::Cluster;
use super::upkeep::ask;

/// Bytes of a record's value.
pub(crate) const RECORD: usize = 16 << 10;
/// Bytes of records, batched.
pub(crate) const BATCH: u64 = 64 << 10;

/// A topic with one partition, on these brokers.
pub(crate) async fn create_on(cluster: &Cluster, through: i32, name: &str, on: &[i32]) {
    let assignment = CreatableReplicaAssignment {
        partition_index: 0,
        broker_ids: on.to_vec(),
        ..Default::default()
    };
    let topic = CreatableTopic {
        name: Str::from(name),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![assignment],
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let created = ask(cluster, through, request).await.topics.remove(0);
    assert_eq!(created.error_code, 0, "{:?}", created.error_message);
}

/// Sends so many records, and waits until they are acknowledged.
pub(crate) async fn produce(cluster: &Cluster, name: &str, records: usize) {
    let batch_bytes = usize::try_from(BATCH).expect("it is small");
    let options = ProducerOptions { batch_bytes, ..Default::default() };
    let producer = Producer::new(cluster.clients(), options);
    let mut deliveries = Vec::new();
    for _ in 0..records {
        let value = Some(vec![b'x'; RECORD].into());
        let record = ProducerRecord { topic: name.to_owned(), value, ..Default::default() };
        deliveries.push(producer.send(record).await.expect("it is taken"));
    }
    for delivery in deliveries {
        delivery.wait().await.expect("it is written");
    }
}

pub(crate) async fn reassign(cluster: &Cluster, through: i32, name: &str, replicas: &[i32]) {
    let partition = ReassignablePartition {
        partition_index: 0,
        replicas: Some(replicas.to_vec()),
        ..Default::default()
    };
    let topic = ReassignableTopic {
        name: Str::from(name),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() };
    let answer = ask(cluster, through, request).await;
    assert_eq!(answer.responses[0].partitions[0].error_code, 0, "{answer:?}");
}

/// How long it takes until the partition has so many replicas in sync.
pub(crate) async fn in_sync(cluster: &Cluster, through: i32, name: &str, count: usize) -> Duration {
    let began = cluster.simulation.elapsed();
    for _ in 0..10_000 {
        let request = MetadataRequest { topics: None, ..Default::default() };
        let answer = ask(cluster, through, request).await;
        let topic = answer.topics.iter().find(|it| it.name.as_deref() == Some(name));
        let partition = &topic.expect("it was created").partitions[0];
        if partition.isr_nodes.len() == count {
            return cluster.simulation.elapsed().saturating_sub(began);
        }
        cluster.simulation.sleep(Duration::from_millis(20)).await;
    }
    panic!("{name} does not get {count} replicas in sync");
}
