//! How a quorum begins, and when it does not.

use std::time::Duration;

use client::admin::NewTopic;
use client::{Acks, Admin, Producer, ProducerOptions, ProducerRecord};

use super::cluster::{NODES, run, run_with};

#[test]
fn brokers_with_a_listener_of_their_own_talk_by_it() {
    let settings = [
        ("listeners", "CLIENTS://{address}:9092,BROKERS://{address}:9093"),
        ("listener.security.protocol.map", "CLIENTS:PLAINTEXT,BROKERS:PLAINTEXT"),
        ("inter.broker.listener.name", "BROKERS"),
        ("controller.quorum.voters", "1@{address-1}:9093,2@{address-2}:9093,3@{address-3}:9093"),
    ];
    run_with(90, &settings, async |cluster| {
        cluster.settle().await;
        let topic = NewTopic { name: "topic".to_owned(), replicas: Some(3), ..Default::default() };
        Admin::new(cluster.clients()).create_topic(&topic, false).await.expect("it is created");
        let options = ProducerOptions { acks: Acks::All, ..Default::default() };
        let producer = Producer::new(cluster.clients(), options);
        let topic = "topic".to_owned();
        let record = ProducerRecord { topic, value: Some("value".into()), ..Default::default() };
        producer.send(record).await.expect("it is taken").wait().await.expect("all have it");
    });
}

#[test]
fn three_empty_brokers_form_a_quorum_and_share_what_is_decided() {
    run(1, async |cluster| {
        cluster.settle().await;
        cluster.create("orders").await;
        for id in NODES {
            cluster.knows(id, &["orders".to_owned()]).await;
        }
    });
}

#[test]
fn nothing_is_formed_before_all_voters_are_there() {
    run(2, async |cluster| {
        cluster.kill(3);
        cluster.simulation.sleep(Duration::from_secs(10)).await;
        assert!(NODES.iter().all(|id| !cluster.serves(*id)), "two of three are not all");
        cluster.start(3);
        cluster.settle().await;
    });
}

#[test]
fn three_empty_disks_are_no_new_cluster_where_there_was_one() {
    run_with(114, &[("klamm.formation", "join")], async |cluster| {
        cluster.simulation.sleep(Duration::from_secs(30)).await;
        assert!(NODES.iter().all(|id| !cluster.serves(*id)), "they may only join");
    });
}

#[test]
fn two_empty_disks_of_three_are_no_new_cluster() {
    run(4, async |cluster| {
        let leader = cluster.settle().await;
        cluster.create("orders").await;
        NODES.into_iter().for_each(|id| cluster.power_loss(id));
        NODES.into_iter().filter(|id| *id != leader).for_each(|id| cluster.wipe(id));
        // Also when those with nothing are alone at first.
        NODES.into_iter().filter(|id| *id != leader).for_each(|id| cluster.start(id));
        cluster.simulation.sleep(Duration::from_secs(5)).await;
        cluster.start(leader);
        cluster.simulation.sleep(Duration::from_secs(20)).await;
        assert!(NODES.iter().all(|id| !cluster.serves(*id)), "what was decided may be lost");
    });
}
