//! What a quorum survives: kills, power losses, cuts, stops.

use std::path::Path;
use std::time::Duration;

use client::admin::NewTopic;
use client::{Acks, Admin, Producer, ProducerOptions, ProducerRecord};
use wire::list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic};
use wire::{DescribeQuorumRequest, ErrorCode, ListOffsetsRequest, MetadataRequest, Str};
use world::simulated::{DiskControl, PoolLatency, Trace};

use super::cluster::{Cluster, NODES, run, run_with};
use super::topics::{create_on, in_sync, produce, reassign};
use super::upkeep::{ask, create, is_recovered, others, until};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("topic-{number:03}")).collect()
}

#[test]
fn a_killed_leader_is_replaced_within_two_seconds() {
    for seed in 10..15 {
        run(seed, async |cluster| {
            let leader = cluster.settle().await;
            cluster.create("topic-000").await;
            cluster.kill(leader);
            let other = |cluster: &Cluster| cluster.leader_but(&[leader]).is_some();
            let took = cluster.within(Duration::from_secs(2), "another leader", other).await;
            assert!(took < Duration::from_secs(1), "seed {seed}: {took:?}");
            cluster.create("topic-001").await;
            cluster.start(leader);
            cluster.settle().await;
            cluster.knows(leader, &names(2)).await;
        });
    }
}

#[test]
fn a_leader_that_stops_hands_over() {
    run(20, async |cluster| {
        let leader = cluster.settle().await;
        cluster.stop(leader);
        let goes = |cluster: &Cluster| {
            NODES.into_iter().any(|id| id != leader && cluster.seen_by(id) != Some(leader))
        };
        cluster.within(Duration::from_secs(5), "it gives up", goes).await;
        let other = |cluster: &Cluster| cluster.leader_but(&[leader]).is_some();
        let took = cluster.within(Duration::from_secs(2), "another leader", other).await;
        assert!(took < Duration::from_millis(100), "an election would take longer than {took:?}");
    });
}

#[test]
fn what_was_decided_outlives_a_power_loss_of_all() {
    for seed in 30..35 {
        run(seed, async |cluster| {
            cluster.settle().await;
            for name in names(5) {
                cluster.create(&name).await;
            }
            NODES.into_iter().for_each(|id| cluster.power_loss(id));
            NODES.into_iter().for_each(|id| cluster.start(id));
            cluster.settle().await;
            for id in NODES {
                cluster.knows(id, &names(5)).await;
            }
        });
    }
}

#[test]
fn a_leader_that_is_cut_off_decides_nothing() {
    run(40, async |cluster| {
        let leader = cluster.settle().await;
        let others = NODES.into_iter().filter(|id| *id != leader);
        for other in others {
            cluster.simulation.cut(cluster.host(leader), cluster.host(other));
            cluster.simulation.cut(cluster.host(other), cluster.host(leader));
        }
        let other = |cluster: &Cluster| cluster.leader_but(&[leader]).is_some();
        cluster.within(Duration::from_secs(3), "another leader", other).await;
        cluster.simulation.heal_all();
        cluster.settle().await;
        cluster.create("topic-000").await;
        for id in NODES {
            cluster.knows(id, &names(1)).await;
        }
    });
}

#[test]
fn a_leader_that_is_cut_off_does_not_go_on_saying_that_it_leads() {
    run(41, async |cluster| {
        let leader = cluster.settle().await;
        for other in NODES.into_iter().filter(|id| *id != leader) {
            cluster.simulation.cut(cluster.host(leader), cluster.host(other));
            cluster.simulation.cut(cluster.host(other), cluster.host(leader));
        }
        cluster.simulation.sleep(Duration::from_millis(600)).await;
        let code = ask(cluster, leader, DescribeQuorumRequest::default()).await.error_code;
        assert_eq!(ErrorCode::from_number(code), Some(ErrorCode::NotLeaderOrFollower));
        cluster.simulation.sleep(Duration::from_secs(1)).await;
        assert_eq!(cluster.seen_by(leader), None);
        cluster.simulation.heal_all();
        cluster.settle().await;
    });
}

#[test]
fn a_voter_whose_disk_has_failed_votes_no_more() {
    run(45, async |cluster| {
        let failed = cluster.settle().await;
        cluster.simulation.disk(cluster.host(failed)).fail_syncs(1);
        cluster.create_through(failed, "topic-000").await;
        let other = |cluster: &Cluster| cluster.leader_but(&[failed]).is_some();
        cluster.within(Duration::from_secs(2), "another leader", other).await;
        let leader = cluster.leader_but(&[failed]).expect("there is one");
        // With its vote the third could lead. What it says of itself is not known to be on disk.
        cluster.kill(leader);
        cluster.simulation.sleep(Duration::from_secs(5)).await;
        assert_eq!(cluster.leader_but(&[failed]), None);
        cluster.kill(failed);
        cluster.start(failed);
        cluster.settle().await;
    });
}

#[test]
fn a_broker_whose_metadata_cannot_be_written_ends_and_says_why() {
    run(46, async |cluster| {
        let leader = cluster.settle().await;
        let failed = NODES.into_iter().find(|id| *id != leader).expect("there are others");
        cluster.simulation.disk(cluster.host(failed)).fail_syncs(1);
        cluster.create("topic-000").await;
        let ended = |cluster: &Cluster| cluster.failure(failed).is_some();
        cluster.within(Duration::from_secs(2), "it ends", ended).await;
        let why = cluster.failure(failed).expect("it ended");
        assert!(why.contains("takes part in the metadata quorum no more"), "{why}");
        // Whoever starts it again has it back.
        cluster.start(failed);
        cluster.settle().await;
        cluster.knows(failed, &names(1)).await;
    });
}

#[test]
fn a_broker_that_cannot_read_a_log_ends_and_is_whole_again_after_a_start() {
    run(49, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 1, 3).await;
        produce(cluster, "orders", 1).await;
        let failed = others(leader, leader)[0];
        cluster.kill(failed);
        cluster.start(failed);
        // Then it has seen which logs there are, and has yet to open them.
        cluster.simulation.sleep(Duration::from_millis(50)).await;
        let disk = cluster.simulation.disk(cluster.host(failed));
        disk.fail_reads(u32::MAX);
        let why = |cluster: &Cluster| cluster.start_failure(failed).or(cluster.failure(failed));
        cluster.within(Duration::from_secs(5), "it ends", |it| why(it).is_some()).await;
        let why = why(cluster).expect("it ended");
        assert!(why.contains("cannot open"), "{why}");
        disk.fail_reads(0);
        cluster.start(failed);
        until(cluster, (leader, failed), "it is in sync", is_recovered).await;
    });
}

/// Votes for nobody.
const BROKER: i32 = 4;

/// A topic with a replica there.
async fn with_a_replica(cluster: &Cluster) -> i32 {
    let through = cluster.settle().await;
    cluster.start(BROKER);
    cluster.settle().await;
    create_on(cluster, through, "topic-000", &[1, BROKER]).await;
    produce(cluster, "topic-000", 8).await;
    in_sync(cluster, through, "topic-000", 2).await;
    through
}

#[test]
fn after_a_failed_sync_a_broker_proves_nothing() {
    proves_nothing_after(|disk| disk.fail_syncs(1));
}

#[test]
fn a_sync_that_found_no_room_has_failed() {
    proves_nothing_after(|disk| disk.fill_syncs(1));
}

fn proves_nothing_after(fault: impl Fn(&DiskControl)) {
    run(51, async |cluster| {
        let through = with_a_replica(cluster).await;
        let disk = cluster.simulation.disk(cluster.host(BROKER));
        let has_proof = || disk.files().iter().any(|(path, _)| path.ends_with("broker.epoch"));
        assert!(has_proof());
        fault(&disk);
        produce(cluster, "topic-000", 1).await;
        let ended = |cluster: &Cluster| !cluster.simulation.is_running(cluster.host(BROKER));
        cluster.within(Duration::from_secs(10), "it ends", ended).await;
        assert!(!has_proof(), "its log may lack what it says that it has");
        cluster.start(BROKER);
        cluster.within(Duration::from_secs(10), "it has registered", |_| has_proof()).await;
        in_sync(cluster, through, "topic-000", 2).await;
    });
}

#[test]
fn a_replica_goes_from_a_full_disk_and_comes_back() {
    run(52, async |cluster| {
        let through = with_a_replica(cluster).await;
        // Until checkpoints have been written.
        cluster.simulation.sleep(Duration::from_secs(20)).await;
        produce(cluster, "topic-000", 1).await;
        let disk = cluster.simulation.disk(cluster.host(BROKER));
        disk.set_capacity(0);
        reassign(cluster, through, "topic-000", &[1]).await;
        let is_gone = |_: &Cluster| {
            !disk.files().iter().any(|(path, _)| path.starts_with("/data/topic-000-0"))
        };
        cluster.within(Duration::from_secs(10), "its files are gone", is_gone).await;
        disk.set_capacity(1 << 30);
        reassign(cluster, through, "topic-000", &[1, BROKER]).await;
        in_sync(cluster, through, "topic-000", 2).await;
    });
}

#[test]
fn a_flush_waits_for_room_and_a_stop_does_not() {
    for stops in [false, true] {
        run(53, async |cluster| {
            let through = cluster.settle().await;
            cluster.start(BROKER);
            cluster.settle().await;
            create_on(cluster, through, "topic-000", &[1, BROKER]).await;
            produce(cluster, "topic-000", 1).await;
            let disk = cluster.simulation.disk(cluster.host(BROKER));
            let file = Path::new("/data/topic-000-0/leader-epoch-checkpoint");
            let is_flushed = || disk.files().iter().any(|(path, _)| path == file);
            assert!(!is_flushed(), "it has a second for that");
            disk.set_capacity(0);
            cluster.simulation.sleep(Duration::from_secs(5)).await;
            assert_eq!((cluster.failure(BROKER), is_flushed()), (None, false));
            if stops {
                cluster.stop(BROKER);
                let ended = |it: &Cluster| !it.simulation.is_running(it.host(BROKER));
                cluster.within(Duration::from_secs(30), "it stops", ended).await;
                assert!(!cluster.is_marked_clean(BROKER));
                disk.set_capacity(1 << 30);
                cluster.start(BROKER);
            }
            disk.set_capacity(1 << 30);
            cluster.within(Duration::from_secs(10), "it is flushed", |_| is_flushed()).await;
            in_sync(cluster, through, "topic-000", 2).await;
        });
    }
}

/// Which broker leads the only partition of `orders`, as another one tells.
async fn leader_of(cluster: &Cluster, through: i32) -> i32 {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let answer = ask(cluster, through, request).await;
    answer.topics[0].partitions[0].leader_id
}

/// What a broker says to somebody who asks where the log of `orders` ends.
async fn end_at(cluster: &Cluster, id: i32) -> Option<ErrorCode> {
    let partition = ListOffsetsPartition { timestamp: -1, ..Default::default() };
    let topic = ListOffsetsTopic {
        name: Str::from_static("orders"),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let answer = ask(cluster, id, request).await;
    ErrorCode::from_number(answer.topics[0].partitions[0].error_code)
}

#[test]
fn a_leader_whom_no_answer_reaches_stops_before_another_begins() {
    for seed in 54..60 {
        run(seed, async |cluster| {
            let controller = cluster.settle().await;
            let old = others(controller, controller)[0];
            let on = [vec![old], others(controller, old)].concat();
            create_on(cluster, controller, "orders", &on).await;
            let led = async |cluster: &Cluster| leader_of(cluster, controller).await == old;
            assert!(led(cluster).await, "seed {seed}: the first leads");
            cluster.simulation.sleep(Duration::from_secs(1)).await;
            assert_eq!(end_at(cluster, old).await, Some(ErrorCode::None));
            for other in others(controller, old) {
                cluster.simulation.cut(cluster.host(other), cluster.host(old));
            }
            let began = cluster.simulation.elapsed();
            while led(cluster).await {
                cluster.simulation.sleep(Duration::from_millis(5)).await;
                let took = cluster.simulation.elapsed().saturating_sub(began);
                assert!(took < Duration::from_secs(5), "seed {seed}: nobody takes over");
            }
            let said = end_at(cluster, old).await;
            assert_eq!(said, Some(ErrorCode::NotLeaderOrFollower), "seed {seed}: two lead");
        });
    }
}

#[test]
fn a_topic_that_is_deleted_while_it_is_flushed_ends_no_broker() {
    run(47, async |cluster| {
        cluster.settle().await;
        cluster.create("topic-000").await;
        let admin = Admin::new(cluster.clients());
        let topics = admin.topics(Some(&names(1))).await.expect("it is there");
        let leader = topics.topics["topic-000"].partitions[&0].leader.expect("it has one");
        let slow = Duration::from_secs(1)..Duration::from_secs(2);
        let slow = PoolLatency { flush: slow, ..PoolLatency::default() };
        cluster.simulation.set_pool_latency(cluster.host(leader), slow);
        let producer = Producer::new(cluster.clients(), ProducerOptions::default());
        let topic = "topic-000".to_owned();
        let record =
            ProducerRecord { topic, value: Some(names(1)[0].clone().into()), ..Default::default() };
        let _delivery = producer.send(record).await.expect("it is taken");
        cluster.simulation.sleep(Duration::from_millis(300)).await;
        admin.delete_topic("topic-000").await.expect("it is deleted");
        cluster.simulation.sleep(Duration::from_secs(5)).await;
        assert_eq!(cluster.failure(leader), None);
        assert!(cluster.serves(leader));
    });
}

/// Has a broker stop while it flushes; says whether it says that it stopped cleanly.
async fn stops_while_it_flushes(cluster: &Cluster, failed_syncs: u32) -> bool {
    // It does not vote: its slow disk holds up no decision.
    let stops = 4;
    cluster.start(stops);
    cluster.settle().await;
    let admin = Admin::new(cluster.clients());
    let topic = NewTopic {
        name: "topic-000".to_owned(),
        partitions: Some(1),
        replicas: Some(4),
        ..Default::default()
    };
    admin.create_topic(&topic, false).await.expect("it is created");
    let slow = Duration::from_secs(5)..Duration::from_secs(6);
    let slow = PoolLatency { flush: slow, ..PoolLatency::default() };
    cluster.simulation.set_pool_latency(cluster.host(stops), slow);
    let producer = Producer::new(cluster.clients(), ProducerOptions::default());
    let topic = "topic-000".to_owned();
    let record = ProducerRecord { topic, value: Some("value".into()), ..Default::default() };
    producer.send(record).await.expect("it is taken").wait().await.expect("it is written");
    // A flush of it begins within a second.
    cluster.simulation.sleep(Duration::from_millis(1100)).await;
    cluster.stop(stops);
    let disk = cluster.simulation.disk(cluster.host(stops));
    disk.fail_syncs(failed_syncs);
    let has_ended = |cluster: &Cluster| !cluster.simulation.is_running(cluster.host(stops));
    cluster.within(Duration::from_secs(60), "it has stopped", has_ended).await;
    let is_clean = disk.files().iter().any(|(path, _)| path.ends_with(".kafka_cleanshutdown"));
    assert_eq!(is_clean, cluster.failure(stops).is_none());
    is_clean
}

#[test]
fn a_broker_that_stops_while_it_flushes_closes_its_logs_after_it() {
    run(49, async |cluster| assert!(stops_while_it_flushes(cluster, 0).await));
}

#[test]
fn a_broker_whose_flush_fails_while_it_stops_did_not_stop_cleanly() {
    run(49, async |cluster| assert!(!stops_while_it_flushes(cluster, 100).await));
}

/// Bytes of the first segment of a partition.
pub(crate) fn log_bytes(cluster: &Cluster, id: i32, partition: &str) -> u64 {
    let folder = Path::new("/data").join(partition);
    let files = cluster.simulation.disk(cluster.host(id)).files();
    let log = files.iter().find(|(path, _)| *path == folder.join("00000000000000000000.log"));
    log.map_or(0, |(_, bytes)| *bytes)
}

#[test]
fn a_follower_that_is_killed_around_a_cut_keeps_its_log() {
    run(48, async |cluster| {
        cluster.settle().await;
        let admin = Admin::new(cluster.clients());
        let topic = NewTopic {
            name: "topic-000".to_owned(),
            partitions: Some(1),
            replicas: Some(3),
            ..Default::default()
        };
        admin.create_topic(&topic, false).await.expect("it is created");
        let topics = admin.topics(Some(&names(1))).await.expect("it is there");
        let leader = topics.topics["topic-000"].partitions[&0].leader.expect("it has one");
        let options =
            ProducerOptions { acks: Acks::Leader, idempotent: false, ..Default::default() };
        let producer = Producer::new(cluster.clients(), options);
        let produce = async || {
            let topic = "topic-000".to_owned();
            let value = Some("some value".into());
            let record = ProducerRecord { topic, value, ..Default::default() };
            producer.send(record).await.expect("it is taken").wait().await.expect("it is written");
        };
        produce().await;
        cluster.simulation.sleep(Duration::from_secs(1)).await;
        for other in NODES.into_iter().filter(|id| *id != leader) {
            cluster.simulation.cut(cluster.host(leader), cluster.host(other));
            cluster.simulation.cut(cluster.host(other), cluster.host(leader));
        }
        // Nobody else has it, and a checkpoint says that it is on disk.
        produce().await;
        cluster.simulation.sleep(Duration::from_secs(10)).await;
        let before = log_bytes(cluster, leader, "topic-000-0");
        let slow = Duration::from_millis(20)..Duration::from_millis(30);
        let slow = PoolLatency { flush: slow, ..PoolLatency::default() };
        cluster.simulation.set_pool_latency(cluster.host(leader), slow);
        cluster.simulation.heal_all();
        let is_cut = |cluster: &Cluster| log_bytes(cluster, leader, "topic-000-0") < before;
        cluster.within(Duration::from_secs(10), "it is cut", is_cut).await;
        cluster.kill(leader);
        cluster.start(leader);
        cluster.settle().await;
        let files = cluster.simulation.disk(cluster.host(leader)).files();
        let aside = files.iter().find(|(path, _)| path.to_string_lossy().contains("-stray"));
        assert_eq!(aside, None, "a sound log was taken for a damaged one");
    });
}

#[test]
fn a_leader_that_lost_an_entry_does_not_write_another_in_its_place() {
    for seed in 80..90 {
        run(seed, async |cluster| {
            let leader = cluster.settle().await;
            // The others store what it tells them before it has stored that itself.
            let slow = Duration::from_secs(1)..Duration::from_secs(2);
            let slow = PoolLatency { flush: slow, ..PoolLatency::default() };
            let host = cluster.host(leader);
            cluster.simulation.set_pool_latency(host, slow);
            let created = cluster.create_through(leader, "topic-000").await;
            assert_eq!(created, Some(ErrorCode::None), "a majority is enough");
            cluster.power_loss(leader);
            cluster.simulation.set_pool_latency(host, PoolLatency::default());
            cluster.start(leader);
            cluster.settle().await;
            cluster.create("topic-001").await;
            for id in NODES {
                cluster.knows(id, &names(2)).await;
            }
        });
    }
}

/// Who is not fenced, as `through` says.
async fn live(cluster: &Cluster, through: i32) -> Vec<i32> {
    let answer = ask(cluster, through, MetadataRequest::default()).await;
    answer.brokers.iter().map(|broker| broker.node_id).collect()
}

async fn until_live(cluster: &Cluster, through: i32, expected: &[i32]) {
    for _ in 0..200 {
        if live(cluster, through).await == expected {
            return;
        }
        cluster.simulation.sleep(Duration::from_millis(50)).await;
    }
    panic!("seed {}: {:?} are live", cluster.simulation.seed(), live(cluster, through).await);
}

#[test]
fn brokers_that_go_together_are_all_fenced_although_a_decision_takes_long() {
    for seed in 110..115 {
        run(seed, async |cluster| {
            cluster.start(4);
            cluster.start(5);
            let leader = cluster.settle().await;
            until_live(cluster, leader, &[1, 2, 3, 4, 5]).await;
            // Longer than the lease that a leader decides with.
            let slow = Duration::from_millis(430)..Duration::from_millis(470);
            let slow = PoolLatency { flush: slow, ..PoolLatency::default() };
            for id in NODES {
                cluster.simulation.set_pool_latency(cluster.host(id), slow.clone());
            }
            cluster.power_loss(4);
            cluster.power_loss(5);
            until_live(cluster, leader, &NODES).await;
        });
    }
}

#[test]
fn a_fence_that_could_not_be_decided_is_asked_for_again() {
    for seed in 115..120 {
        run(seed, async |cluster| {
            cluster.start(4);
            let leader = cluster.settle().await;
            until_live(cluster, leader, &[1, 2, 3, 4]).await;
            let others = NODES.into_iter().filter(|id| *id != leader);
            // No majority decides anything while the session of 4 ends.
            others.clone().chain([4]).for_each(|id| cluster.kill(id));
            cluster.simulation.sleep(Duration::from_secs(4)).await;
            others.for_each(|id| cluster.start(id));
            cluster.settle().await;
            until_live(cluster, leader, &NODES).await;
        });
    }
}

#[test]
fn a_broker_that_goes_while_its_heartbeat_waits_for_a_decision_is_fenced() {
    const ALONE: &[(&str, &str)] = &[("controller.quorum.voters", "1@10.0.0.1:9092")];
    for seed in 126..130 {
        run_with(seed, ALONE, async |cluster| {
            cluster.settle().await;
            until_live(cluster, 1, &NODES).await;
            let slow = Duration::from_millis(2500)..Duration::from_millis(3500);
            let slow = PoolLatency { flush: slow, ..PoolLatency::default() };
            cluster.simulation.set_pool_latency(cluster.host(1), slow);
            let goes = async {
                cluster.simulation.sleep(Duration::from_secs(1)).await;
                cluster.kill(3);
                // Its connection ends, and nobody is there any more who could refuse another.
                cluster.simulation.sleep(Duration::from_millis(5)).await;
                cluster.simulation.cut(cluster.host(1), cluster.host(3));
                cluster.simulation.cut(cluster.host(3), cluster.host(1));
            };
            futures_util::future::join(cluster.create_through(1, "topic-000"), goes).await;
            cluster.simulation.set_pool_latency(cluster.host(1), PoolLatency::default());
            until_live(cluster, 1, &[1, 2]).await;
        });
    }
}

#[test]
fn a_slow_disk_of_the_controller_fences_nobody() {
    const ALONE: &[(&str, &str)] = &[("controller.quorum.voters", "1@10.0.0.1:9092")];
    for seed in 120..125 {
        run_with(seed, ALONE, async |cluster| {
            cluster.settle().await;
            until_live(cluster, 1, &NODES).await;
            create(cluster, 1, 6, 3).await;
            let slow = Duration::from_millis(2500)..Duration::from_millis(3500);
            let slow = PoolLatency { flush: slow, ..PoolLatency::default() };
            cluster.simulation.set_pool_latency(cluster.host(1), slow);
            for name in names(3) {
                // Whoever asked has given up before it is decided.
                assert_eq!(cluster.create_through(1, &name).await, None);
                cluster.simulation.sleep(Duration::from_secs(5)).await;
            }
            let answer = ask(cluster, 1, MetadataRequest { topics: None, ..Default::default() });
            let topics = answer.await.topics;
            let orders = topics.iter().find(|topic| topic.name.as_deref() == Some("orders"));
            let mut partitions = orders.expect("it is there").partitions.iter();
            assert!(partitions.all(|it| it.leader_epoch == 0), "seed {seed}: {orders:?}");
        });
    }
}

/// Some of everything, from a seed; all three know the same in the end.
async fn storm(cluster: &Cluster) {
    let mut random = cluster.simulation.random("quorum");
    cluster.settle().await;
    let mut created = 0;
    for _ in 0..6 {
        for id in NODES {
            let most = Duration::from_millis([10, 10, 300][random.index(3)]);
            let slow = PoolLatency { flush: Duration::ZERO..most, ..PoolLatency::default() };
            cluster.simulation.set_pool_latency(cluster.host(id), slow);
        }
        for _ in 0..random.within(1..4) {
            cluster.create(&names(created + 1)[created]).await;
            created += 1;
        }
        let victim = NODES[random.index(NODES.len())];
        match random.index(4) {
            0 => cluster.kill(victim),
            1 => cluster.power_loss(victim),
            2 => NODES.into_iter().for_each(|id| cluster.power_loss(id)),
            _ => NODES.into_iter().filter(|id| *id != victim).for_each(|id| {
                cluster.simulation.cut(cluster.host(victim), cluster.host(id));
            }),
        }
        let pause = Duration::from_millis(random.within(0..3000));
        cluster.simulation.sleep(pause).await;
        cluster.simulation.heal_all();
        for id in NODES {
            if !cluster.simulation.is_running(cluster.host(id)) {
                cluster.start(id);
            }
        }
        cluster.settle().await;
    }
    for id in NODES {
        cluster.knows(id, &names(created)).await;
    }
}

#[test]
fn nothing_decided_is_lost_and_one_seed_gives_one_trace() {
    let mut hashes: Vec<u64> = Vec::new();
    for seed in 50..56 {
        let traces: [Trace; 2] = [run(seed, storm).1, run(seed, storm).1];
        assert_eq!(traces[0].first_difference(&traces[1]), None, "seed {seed}");
        println!("seed {seed}: {} events", traces[0].events());
        hashes.push(traces[0].hash());
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 6, "each seed is a story of its own");
}

#[test]
fn a_producer_finds_who_took_over_from_a_broker_that_is_gone() {
    run(63, async |cluster| {
        let through = cluster.settle().await;
        let gone = others(through, through)[0];
        let others = others(through, gone);
        create_on(cluster, through, "topic-000", &[vec![gone], others.clone()].concat()).await;
        create_on(cluster, through, "topic-001", &others).await;
        let producer = Producer::new(cluster.clients(), ProducerOptions::default());
        let send = async |topic: &str| {
            let value = Some("value".into());
            let record = ProducerRecord { topic: topic.to_owned(), value, ..Default::default() };
            producer.send(record).await.expect("it is taken").wait().await
        };
        send("topic-000").await.expect("it is written");
        cluster.kill(gone);
        cluster.simulation.sleep(Duration::from_secs(5)).await;
        // What it asks for this one tells who is there now.
        send("topic-001").await.expect("it is written");
        send("topic-000").await.expect("somebody else leads it");
    });
}
