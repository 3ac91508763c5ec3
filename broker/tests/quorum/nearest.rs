//! Consumers that say where they are read from a follower there, and from nobody who lags.

use std::time::Duration;

use client::{
    Acks, Consumer, ConsumerOptions, Producer, ProducerOptions, ProducerRecord, TopicPartition,
};
use wire::fetch::request::{FetchPartition, FetchTopic};
use wire::fetch::response::PartitionData;
use wire::{ErrorCode, FetchRequest, MetadataRequest, Str};

use super::cluster::{Cluster, NODES, rack, run, run_with};
use super::upkeep::{ask, create};

const SELECTOR: (&str, &str) =
    ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector");
const TOPIC: &str = "orders";
/// Names topics, and says where the consumer is.
const FETCH: i16 = 12;

/// Who leads the one partition of a new topic, and who follows.
async fn roles(cluster: &Cluster) -> (i32, [i32; 2]) {
    let through = cluster.settle().await;
    create(cluster, through, 1, 3).await;
    let request = MetadataRequest { topics: None, ..Default::default() };
    let answer = ask(cluster, through, request).await;
    let topic = answer.topics.iter().find(|it| it.name.as_deref() == Some(TOPIC));
    let leader = topic.expect("it was created").partitions[0].leader_id;
    let followers: Vec<i32> = NODES.into_iter().filter(|id| *id != leader).collect();
    (leader, followers.try_into().expect("two others"))
}

async fn produce(cluster: &Cluster, acks: Acks, records: usize) {
    let options =
        ProducerOptions { acks, idempotent: acks == Acks::All, ..ProducerOptions::default() };
    let producer = Producer::new(cluster.clients(), options);
    for number in 0..records {
        let value = Some(number.to_string().into());
        let record = ProducerRecord { topic: TOPIC.to_owned(), value, ..Default::default() };
        let delivery = producer.send(record).await.expect("it is taken");
        delivery.wait().await.expect("it is written");
    }
}

/// What a broker answers a consumer in `rack` that waits up to `max_wait` for the record at `offset`.
async fn fetch(
    cluster: &Cluster,
    at: i32,
    rack: &str,
    offset: i64,
    max_wait: Duration,
) -> PartitionData {
    let partition = FetchPartition {
        partition: 0,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let topic = FetchTopic {
        topic: Str::from_static(TOPIC),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = FetchRequest {
        max_wait_ms: i32::try_from(max_wait.as_millis()).expect("it is short"),
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![topic],
        rack_id: Str::from(rack),
        ..Default::default()
    };
    let connection = cluster.connect(at).await.expect("it listens");
    let timeout = max_wait + Duration::from_secs(1);
    let mut answer = connection.ask_at(&request, FETCH, timeout).await.expect("it answers");
    assert_eq!(answer.error_code, 0);
    answer.responses.remove(0).partitions.remove(0)
}

const SOON: Duration = Duration::from_millis(50);

fn has_records(data: &PartitionData) -> bool {
    data.records.as_ref().is_some_and(|records| !records.is_empty())
}

fn code(data: &PartitionData) -> ErrorCode {
    ErrorCode::from_number(data.error_code).expect("Kafka's")
}

#[test]
fn a_leader_sends_consumers_to_the_follower_in_their_rack() {
    run_with(140, &[SELECTOR], async |cluster| {
        let (leader, [near, _]) = roles(cluster).await;
        produce(cluster, Acks::All, 10).await;
        let told = fetch(cluster, leader, &rack(near), 0, SOON).await;
        assert_eq!((code(&told), told.preferred_read_replica), (ErrorCode::None, near));
        assert!(!has_records(&told) && told.high_watermark == 10, "{told:?}");
        for elsewhere in [rack(leader), "nowhere".to_owned(), String::new()] {
            let told = fetch(cluster, leader, &elsewhere, 0, SOON).await;
            assert_eq!((told.preferred_read_replica, has_records(&told)), (-1, true));
        }
        let read = fetch(cluster, near, &rack(near), 0, SOON).await;
        assert_eq!((code(&read), read.preferred_read_replica), (ErrorCode::None, -1));
        assert!(has_records(&read) && read.high_watermark == 10, "{read:?}");
        let beyond = fetch(cluster, near, &rack(near), 11, SOON).await;
        assert_eq!(code(&beyond), ErrorCode::OffsetOutOfRange);
        let beyond = fetch(cluster, leader, &rack(near), 11, SOON).await;
        assert_eq!(code(&beyond), ErrorCode::OffsetOutOfRange, "nobody has it");
    });
    // Unless it is asked for, only leaders answer.
    run(141, async |cluster| {
        let (leader, [near, _]) = roles(cluster).await;
        produce(cluster, Acks::All, 1).await;
        let told = fetch(cluster, leader, &rack(near), 0, SOON).await;
        assert_eq!((told.preferred_read_replica, has_records(&told)), (-1, true));
        let refused = fetch(cluster, near, &rack(near), 0, SOON).await;
        assert_eq!(code(&refused), ErrorCode::NotLeaderOrFollower);
    });
}

#[test]
fn who_waits_at_a_follower_hears_of_a_record_as_soon_as_it_is_committed() {
    run_with(142, &[SELECTOR], async |cluster| {
        let (_, [near, _]) = roles(cluster).await;
        produce(cluster, Acks::All, 10).await;
        let began = cluster.simulation.elapsed();
        let rack = rack(near);
        let waiting = fetch(cluster, near, &rack, 10, Duration::from_secs(20));
        let writing = async {
            cluster.simulation.sleep(Duration::from_secs(5)).await;
            produce(cluster, Acks::All, 1).await;
        };
        let (read, ()) = futures_util::future::join(waiting, writing).await;
        assert!(has_records(&read) && read.high_watermark == 11, "{read:?}");
        let took = cluster.simulation.elapsed().saturating_sub(began);
        assert!(took < Duration::from_millis(5200), "{took:?}");
    });
}

#[test]
fn what_a_follower_does_not_know_to_be_committed_is_not_available() {
    run_with(143, &[SELECTOR], async |cluster| {
        let (leader, [near, other]) = roles(cluster).await;
        produce(cluster, Acks::All, 10).await;
        fetch(cluster, near, &rack(near), 0, SOON).await;
        // It is in sync, and does not fetch: nothing is committed until it is fenced.
        cluster.simulation.cut(cluster.host(other), cluster.host(leader));
        cluster.simulation.cut(cluster.host(leader), cluster.host(other));
        produce(cluster, Acks::Leader, 1).await;
        cluster.simulation.sleep(SOON).await;
        let at_watermark = fetch(cluster, near, &rack(near), 10, SOON).await;
        assert_eq!((code(&at_watermark), has_records(&at_watermark)), (ErrorCode::None, false));
        let behind = fetch(cluster, near, &rack(near), 11, SOON).await;
        assert_eq!(code(&behind), ErrorCode::OffsetNotAvailable);
        let beyond = fetch(cluster, near, &rack(near), 12, SOON).await;
        assert_eq!(code(&beyond), ErrorCode::OffsetOutOfRange);
        cluster.simulation.heal_all();
    });
}

#[test]
fn a_follower_that_is_cut_off_sends_consumers_back() {
    run_with(144, &[SELECTOR], async |cluster| {
        let (leader, [near, other]) = roles(cluster).await;
        produce(cluster, Acks::All, 10).await;
        for id in [leader, other] {
            cluster.simulation.cut(cluster.host(near), cluster.host(id));
            cluster.simulation.cut(cluster.host(id), cluster.host(near));
        }
        produce(cluster, Acks::All, 1).await;
        let refused = fetch(cluster, near, &rack(near), 10, SOON).await;
        assert_eq!(code(&refused), ErrorCode::NotLeaderOrFollower);
        let read = fetch(cluster, leader, &rack(near), 10, SOON).await;
        assert_eq!((read.preferred_read_replica, has_records(&read)), (-1, true));
        cluster.simulation.heal_all();
        let mut told = -1;
        for _ in 0..200 {
            told = fetch(cluster, leader, &rack(near), 10, SOON).await.preferred_read_replica;
            if told == near {
                break;
            }
            cluster.simulation.sleep(SOON).await;
        }
        assert_eq!(told, near, "it is in sync again");
    });
}

#[test]
fn a_consumer_reads_each_record_once_though_its_follower_goes() {
    run_with(145, &[SELECTOR], async |cluster| {
        let (_, [near, _]) = roles(cluster).await;
        produce(cluster, Acks::All, 20).await;
        let partition = TopicPartition::new(TOPIC, 0);
        let options = ConsumerOptions { rack: Some(rack(near)), ..Default::default() };
        let mut consumer = Consumer::new(cluster.clients(), options);
        consumer.seek(partition.clone(), 0);
        let mut offsets: Vec<i64> = Vec::new();
        let mut read = async |consumer: &mut Consumer, until: usize| {
            for _ in 0..200 {
                let records = consumer.poll().await.expect("it is read");
                offsets.extend(records.iter().map(|record| record.offset));
                if offsets.len() >= until {
                    break;
                }
            }
            let all: Vec<i64> = (0..).take(until).collect();
            assert_eq!(offsets, all);
        };
        read(&mut consumer, 20).await;
        assert_eq!(consumer.nearest(&partition), Some(near));
        cluster.kill(near);
        produce(cluster, Acks::All, 20).await;
        read(&mut consumer, 40).await;
        assert_eq!(consumer.nearest(&partition), None, "the leader answers");
    });
}
