//! What is on a broker's disk, and what it says of that when it stops.

use std::path::Path;
use std::time::Duration;

use client::{Producer, ProducerOptions, ProducerRecord};
use world::simulated::PoolLatency;

use super::cluster::{Cluster, run, run_with};
use super::faults::log_bytes;
use super::topics::{create_on, in_sync, produce, reassign};

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
    create_on(cluster, leader, TOPIC, &[BROKER]).await;
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

/// How many of the topic's records are known to be on disk.
fn flushed(cluster: &Cluster) -> i64 {
    let disk = cluster.simulation.disk(cluster.host(BROKER));
    let checkpoint = disk.read(Path::new("/data/recovery-point-offset-checkpoint"));
    let checkpoint = String::from_utf8(checkpoint.expect("it was written")).expect("text");
    let line = checkpoint.lines().find_map(|line| line.strip_prefix("topic-000 0 "));
    line.expect("it has the partition").parse().expect("an offset is a number")
}

#[test]
fn a_record_that_came_during_a_flush_is_on_disk_though_none_comes_after_it() {
    for seed in 0..12 {
        run_with(seed, &SETTINGS, async |cluster| {
            begin(cluster).await;
            // Longer than the pause between two flushes.
            let slow = Duration::from_millis(1300)..Duration::from_millis(1400);
            let slow = PoolLatency { flush: slow, ..PoolLatency::default() };
            cluster.simulation.set_pool_latency(cluster.host(BROKER), slow);
            send(cluster, 8, Duration::from_millis(50 + 10 * seed)).await;
            // Checkpoints are written now and then.
            cluster.simulation.sleep(Duration::from_secs(15)).await;
            assert_eq!(flushed(cluster), 8, "seed {seed}");
        });
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
            let ended = |cluster: &Cluster| !cluster.simulation.is_running(cluster.host(BROKER));
            cluster.within(Duration::from_secs(20), "it stops", ended).await;
            assert_eq!(cluster.failure(BROKER).is_some(), fails);
            assert_eq!(cluster.is_marked_clean(BROKER), !fails);
        });
    }
}

#[test]
fn a_replica_joins_with_what_is_on_its_disk() {
    for seed in 22..27 {
        run(seed, async |cluster| {
            let through = cluster.settle().await;
            cluster.start(BROKER);
            cluster.settle().await;
            create_on(cluster, through, "topic-000", &[1]).await;
            produce(cluster, "topic-000", 64).await;
            let slow = Duration::from_secs(2)..Duration::from_secs(3);
            let slow = PoolLatency { flush: slow, ..PoolLatency::default() };
            cluster.simulation.set_pool_latency(cluster.host(BROKER), slow);
            reassign(cluster, through, "topic-000", &[1, BROKER]).await;
            in_sync(cluster, through, "topic-000", 2).await;
            // The records are old: this is no loss of the last second.
            cluster.power_loss(BROKER);
            let [old, new] = [1, BROKER].map(|id| log_bytes(cluster, id, "topic-000-0"));
            assert!(new >= old, "seed {seed}: {new} bytes of {old} are on its disk");
        });
    }
}
