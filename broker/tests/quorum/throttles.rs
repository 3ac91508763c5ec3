//! What is copied by replicas that are not in sync is paced; everything else is not.

use std::time::Duration;

use wire::incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig};
use wire::{IncrementalAlterConfigsRequest, Str};

use super::cluster::{Cluster, run};
use super::topics::{BATCH, RECORD, create_on, in_sync, produce, reassign};
use super::upkeep::{ask, others};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

const RECORDS: usize = 128;
const BYTES: u64 = (RECORD * RECORDS) as u64;

/// A topic on one broker, with [`BYTES`] in it.
async fn filled(cluster: &Cluster, through: i32, name: &str, on: i32) {
    create_on(cluster, through, name, &[on]).await;
    produce(cluster, name, RECORDS).await;
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
