//! What is copied by replicas that are not in sync is paced; everything else is not.

use std::time::Duration;

use client::{Producer, ProducerOptions, ProducerRecord};
use wire::alter_partition_reassignments::request::{ReassignablePartition, ReassignableTopic};
use wire::create_topics::request::{CreatableReplicaAssignment, CreatableTopic};
use wire::incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig};
use wire::{
    AlterPartitionReassignmentsRequest, CreateTopicsRequest, IncrementalAlterConfigsRequest,
    MetadataRequest, Str,
};

use super::cluster::{Cluster, run};
use super::upkeep::{ask, others};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

const RECORD: usize = 16 << 10;
const RECORDS: usize = 128;
const BYTES: u64 = (RECORD * RECORDS) as u64;
/// Of records, batched.
const BATCH: u64 = 64 << 10;

/// A topic with one partition on one broker, and [`BYTES`] in it.
async fn filled(cluster: &Cluster, through: i32, name: &str, on: i32) {
    let assignment = CreatableReplicaAssignment {
        partition_index: 0,
        broker_ids: vec![on],
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
    produce(cluster, name, RECORDS).await;
}

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

async fn set(cluster: &Cluster, through: i32, (kind, name): (i8, &str), key: &str, value: &str) {
    let config = AlterableConfig {
        name: Str::from(key),
        config_operation: 0,
        value: Some(Str::from(value)),
        ..Default::default()
    };
    let resource = AlterConfigsResource {
        resource_type: kind,
        resource_name: Str::from(name),
        configs: vec![config],
        ..Default::default()
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = ask(cluster, through, request).await;
    assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
}

async fn reassign(cluster: &Cluster, through: i32, name: &str, replicas: &[i32]) {
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
async fn in_sync(cluster: &Cluster, through: i32, name: &str, count: usize) -> Duration {
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

fn time_at(rate: u64, bytes: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / rate as f64)
}

/// Copies one topic slowly, with these settings, and another at full speed meanwhile.
fn check(seed: u64, rate: u64, throttled: impl Fn(i32, i32) -> [(i8, String, String, String); 2]) {
    run(seed, async |cluster| {
        let through = cluster.settle().await;
        let [from, to] = others(through, through)[..] else { unreachable!("two others") };
        filled(cluster, through, "slow", from).await;
        filled(cluster, through, "fast", from).await;
        for (kind, name, key, value) in throttled(from, to) {
            set(cluster, through, (kind, &name), &key, &value).await;
        }
        reassign(cluster, through, "slow", &[from, to]).await;
        reassign(cluster, through, "fast", &[from, to]).await;
        let fast = in_sync(cluster, through, "fast", 2).await;
        assert!(fast < Duration::from_secs(2), "others are not slowed down: {fast:?}");
        let slow = fast + in_sync(cluster, through, "slow", 2).await;
        // The last batch is paid for when all is there.
        let least = time_at(rate, BYTES - BATCH);
        assert!(slow >= least, "{slow:?}, at least {least:?}");
        assert!(slow < least * 3 / 2, "it is not slower than it should be: {slow:?}, {least:?}");
        // In sync, it costs producers nothing.
        let began = cluster.simulation.elapsed();
        produce(cluster, "slow", RECORDS).await;
        let took = cluster.simulation.elapsed().saturating_sub(began);
        assert!(took < Duration::from_secs(2), "{took:?}");
    });
}

fn setting(kind: i8, name: &str, key: &str, value: &str) -> (i8, String, String, String) {
    (kind, name.to_owned(), key.to_owned(), value.to_owned())
}

#[test]
fn a_follower_copies_no_faster_than_its_rate_until_it_is_in_sync() {
    const RATE: u64 = 200_000;
    check(130, RATE, |_, to| {
        let (name, replicas) = (to.to_string(), format!("0:{to}"));
        [
            setting(BROKER, &name, "follower.replication.throttled.rate", &RATE.to_string()),
            setting(TOPIC, "slow", "follower.replication.throttled.replicas", &replicas),
        ]
    });
}

#[test]
fn a_leader_sends_no_faster_than_its_rate_to_whom_is_not_in_sync() {
    const RATE: u64 = 300_000;
    check(131, RATE, |from, _| {
        let (name, replicas) = (from.to_string(), format!("0:{from}"));
        [
            setting(BROKER, &name, "leader.replication.throttled.rate", &RATE.to_string()),
            setting(TOPIC, "slow", "leader.replication.throttled.replicas", &replicas),
        ]
    });
}

#[test]
fn a_rate_that_is_raised_acts_at_once() {
    run(132, async |cluster| {
        let through = cluster.settle().await;
        let [from, to] = others(through, through)[..] else { unreachable!("two others") };
        filled(cluster, through, "slow", from).await;
        let (rate, name) = ("follower.replication.throttled.rate", to.to_string());
        set(cluster, through, (BROKER, &name), rate, "1000").await;
        let replicas = "follower.replication.throttled.replicas";
        set(cluster, through, (TOPIC, "slow"), replicas, "*").await;
        reassign(cluster, through, "slow", &[from, to]).await;
        cluster.simulation.sleep(Duration::from_secs(10)).await;
        set(cluster, through, (BROKER, &name), rate, "100000000").await;
        let took = in_sync(cluster, through, "slow", 2).await;
        assert!(took < Duration::from_secs(2), "{took:?}");
    });
}
