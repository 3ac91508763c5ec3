//! What is on a broker's disk, and what it says of that when it stops.

use std::time::Duration;

use client::{Producer, ProducerOptions, ProducerRecord};
use wire::create_topics::request::{CreatableReplicaAssignment, CreatableTopic};
use wire::{CreateTopicsRequest, Str};

use super::cluster::{Cluster, run_with};
use super::upkeep::ask;

const TOPIC: &str = "topic-000";
/// A topic acknowledges what is not on a disk yet, though it has one replica.
const SETTINGS: [(&str, &str); 1] = [("klamm.durability", "replicated")];
/// It has no vote, and no other files to sync than those of its logs.
const BROKER: i32 = 4;

/// Starts the broker, and makes a topic that it alone holds.
async fn begin(cluster: &Cluster) {
    let leader = cluster.settle().await;
    cluster.start(BROKER);
    let serves = |cluster: &Cluster| cluster.serves(BROKER);
    cluster.within(Duration::from_secs(10), "it serves", serves).await;
    let only = CreatableReplicaAssignment { broker_ids: vec![BROKER], ..Default::default() };
    let topic = CreatableTopic {
        name: Str::from_static(TOPIC),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![only],
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let created = ask(cluster, leader, request).await.topics.remove(0);
    assert_eq!(created.error_code, 0, "{:?}", created.error_message);
}

/// Sends records, one each so often, and waits until each is acknowledged.
async fn send(cluster: &Cluster, records: usize, every: Duration) {
    let producer = Producer::new(cluster.clients(), ProducerOptions::default());
    for number in 0..records {
        let (topic, value) = (TOPIC.to_owned(), Some(number.to_string().into()));
        let record = ProducerRecord { topic, value, ..Default::default() };
        let delivery = producer.send(record).await.expect("it is taken");
        delivery.wait().await.expect("it is acknowledged");
        cluster.simulation.sleep(every).await;
    }
}

#[test]
fn a_broker_whose_logs_cannot_be_closed_does_not_say_that_it_stopped_cleanly() {
    for (seed, fails) in [(20, false), (21, true)] {
        run_with(seed, &SETTINGS, async |cluster| {
            begin(cluster).await;
            send(cluster, 1, Duration::ZERO).await;
            if fails {
                cluster.simulation.disk(cluster.host(BROKER)).fail_syncs(1);
            }
            cluster.stop(BROKER);
            let ended =
                |cluster: &Cluster| !cluster.simulation.is_running(cluster.host(BROKER));
            cluster.within(Duration::from_secs(20), "it stops", ended).await;
            assert_eq!(cluster.failure(BROKER).is_some(), fails);
            assert_eq!(cluster.is_marked_clean(BROKER), !fails);
        });
    }
}
