//! CreateTopics, DeleteTopics, CreatePartitions, DescribeLogDirs.

use wire::create_partitions::request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use wire::create_topics::request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use wire::create_topics::response::CreatableTopicResult;
use wire::delete_topics::request::DeleteTopicState;
use wire::describe_log_dirs::request::DescribableLogDirTopic;
use wire::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeLogDirsRequest, Uuid,
};

use crate::exchange::{Peer, text, versions, with_broker, with_settings};

fn topic(name: &str) -> CreatableTopic {
    CreatableTopic {
        name: text(name),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    }
}

async fn create(
    peer: &mut Peer,
    topics: Vec<CreatableTopic>,
    version: i16,
) -> Vec<CreatableTopicResult> {
    peer.ask(CreateTopicsRequest { topics, ..Default::default() }, version).await.topics
}

#[test]
fn every_version_of_create_topics_creates_with_defaults_and_tells_settings_from_version_5() {
    with_settings(&[("num.partitions", "4")], async |peer| {
        for version in versions::<CreateTopicsRequest>() {
            let name = format!("made-by-v{version}");
            let config = CreatableTopicConfig {
                name: text("retention.ms"),
                value: Some(text("5000")),
                ..Default::default()
            };
            let asked = CreatableTopic { configs: vec![config], ..topic(&name) };
            let created = create(peer, vec![asked], version).await.remove(0);
            assert_eq!((created.error_code, &*created.name), (0, &*name), "v{version}");
            assert_eq!(created.error_message, None);
            assert_eq!(created.topic_id.is_zero(), version < 7);
            let numbers = (created.num_partitions, created.replication_factor);
            assert_eq!(numbers, if version >= 5 { (4, 1) } else { (-1, -1) });
            let configs = created.configs.unwrap_or_default();
            if version >= 5 {
                let retention = configs.iter().find(|one| one.name == "retention.ms").unwrap();
                let value = retention.value.as_deref();
                assert_eq!((value, retention.config_source), (Some("5000"), 1));
                let segment = configs.iter().find(|one| one.name == "segment.bytes").unwrap();
                assert_eq!(segment.config_source, 5);
                assert!(configs.iter().all(|one| !one.read_only && !one.is_sensitive));
            }
            let seen = peer.describe(&name).await;
            assert_eq!((seen.error_code, seen.partitions.len()), (0, 4));
            assert!(seen.partitions.iter().all(|partition| partition.leader_id == 0));
        }
    });
}

#[test]
fn each_topic_that_cannot_be_created_has_an_error_of_its_own() {
    with_broker(async |peer| {
        peer.create("there", 1).await;
        for version in versions::<CreateTopicsRequest>() {
            let bad_config = CreatableTopicConfig {
                name: text("retension.ms"),
                value: Some(text("1")),
                ..Default::default()
            };
            let assignment = |broker| CreatableReplicaAssignment {
                partition_index: 0,
                broker_ids: vec![broker],
                ..Default::default()
            };
            let twice = topic("twice");
            let asked = vec![
                topic("there"),
                topic("not/a/name"),
                CreatableTopic { num_partitions: 0, ..topic("none") },
                CreatableTopic { replication_factor: 3, ..topic("many") },
                CreatableTopic { assignments: vec![assignment(5)], ..topic("away") },
                CreatableTopic { configs: vec![bad_config], ..topic("odd") },
                twice.clone(),
                twice,
            ];
            let results = create(peer, asked, version).await;
            let codes: Vec<(&str, i16)> =
                results.iter().map(|one| (&*one.name, one.error_code)).collect();
            let expected = [
                ("there", 36),
                ("not/a/name", 17),
                ("none", 37),
                ("many", 38),
                ("away", 39),
                ("odd", 40),
                ("twice", 42),
            ];
            assert_eq!(codes, expected, "v{version}");
            assert!(results.iter().all(|one| one.error_message.is_some()));
        }
    });
}

#[test]
fn validate_only_says_the_same_and_creates_nothing() {
    with_broker(async |peer| {
        for version in versions::<CreateTopicsRequest>() {
            let request = CreateTopicsRequest {
                topics: vec![topic("maybe")],
                validate_only: true,
                ..Default::default()
            };
            assert_eq!(peer.ask(request, version).await.topics[0].error_code, 0);
            assert_eq!(peer.describe("maybe").await.error_code, 3);
        }
    });
}

#[test]
fn every_version_of_delete_topics_deletes() {
    with_broker(async |peer| {
        for version in versions::<DeleteTopicsRequest>() {
            let id = peer.create("orders", 2).await;
            let by_name = |name| DeleteTopicState { name: Some(text(name)), ..Default::default() };
            let by_id = |topic_id| DeleteTopicState { name: None, topic_id, ..Default::default() };
            let request = if version < 6 {
                let topic_names = vec![text("orders"), text("missing")];
                DeleteTopicsRequest { topic_names, ..Default::default() }
            } else {
                let topics = vec![
                    by_id(id),
                    by_name("missing"),
                    by_id(Uuid([9; 16])),
                    DeleteTopicState { topic_id: id, ..by_name("orders") },
                    by_id(Uuid::ZERO),
                ];
                DeleteTopicsRequest { topics, ..Default::default() }
            };
            let mut answers = peer.ask(request, version).await.responses;
            answers.sort_by_key(|one| one.error_code);
            let codes: Vec<i16> = answers.iter().map(|one| one.error_code).collect();
            let expected: &[i16] = if version < 6 { &[0, 3] } else { &[0, 3, 42, 42, 100] };
            assert_eq!(codes, expected, "v{version}");
            assert_eq!(answers[0].name.as_deref(), Some("orders"));
            assert_eq!(answers[0].topic_id, if version < 6 { Uuid::ZERO } else { id });
            assert_eq!(answers[1].error_message.is_some(), version >= 5);
            assert_eq!(peer.describe("orders").await.error_code, 3);
        }
    });
}

#[test]
fn a_topic_that_is_created_again_is_another_one_and_empty() {
    with_broker(async |peer| {
        let first = peer.create("orders", 1).await;
        assert_eq!(peer.produce("orders", 0, &[1000, 2000]).await, 0);
        let topics = vec![DeleteTopicState { name: Some(text("orders")), ..Default::default() }];
        let request = DeleteTopicsRequest { topics, timeout_ms: 10_000, ..Default::default() };
        assert_eq!(peer.ask_newest(request).await.responses[0].error_code, 0);
        let second = peer.create("orders", 1).await;
        assert_ne!(first, second);
        assert_eq!(peer.offset(("orders", 0), -1, 11).await, (0, -1, 0, 0));
        assert_eq!(peer.produce("orders", 0, &[3000]).await, 0);
    });
}

#[test]
fn every_version_of_create_partitions_has_an_entry_for_each_topic() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        peer.create("still", 3).await;
        for version in versions::<CreatePartitionsRequest>() {
            let grow = |name: &str, count, brokers: Option<Vec<i32>>| CreatePartitionsTopic {
                name: text(name),
                count,
                assignments: brokers.map(|broker_ids| {
                    vec![CreatePartitionsAssignment { broker_ids, ..Default::default() }]
                }),
                ..Default::default()
            };
            let count = i32::from(version) + 2;
            let topics = vec![
                grow("orders", count, (version % 2 == 1).then(|| vec![0])),
                grow("still", 2, None),
                grow("missing", 4, None),
            ];
            for validate_only in [true, false] {
                let topics = topics.clone();
                let request =
                    CreatePartitionsRequest { topics, validate_only, ..Default::default() };
                let results = peer.ask(request, version).await.results;
                let codes: Vec<(&str, i16)> =
                    results.iter().map(|one| (&*one.name, one.error_code)).collect();
                assert_eq!(codes, [("orders", 0), ("still", 37), ("missing", 3)], "v{version}");
                assert_eq!(results[0].error_message, None);
                assert!(results[1].error_message.is_some());
                let partitions = peer.describe("orders").await.partitions.len();
                let grown = if validate_only { version + 1 } else { version + 2 };
                assert_eq!(partitions, usize::try_from(grown).unwrap());
            }
        }
    });
}

#[test]
fn every_version_of_describe_log_dirs_tells_sizes() {
    with_broker(async |peer| {
        peer.create("orders", 2).await;
        peer.create("other", 1).await;
        peer.produce("orders", 1, &[1000]).await;
        for version in versions::<DescribeLogDirsRequest>() {
            let orders = DescribableLogDirTopic {
                topic: text("orders"),
                partitions: vec![1, 7],
                ..Default::default()
            };
            let request =
                DescribeLogDirsRequest { topics: Some(vec![orders]), ..Default::default() };
            let answer = peer.ask(request, version).await;
            let [dir] = &answer.results[..] else { panic!("one log dir: {answer:?}") };
            assert_eq!((answer.error_code, dir.error_code), (0, 0));
            assert!(dir.log_dir.ends_with("data"));
            assert_eq!(dir.total_bytes > 0 && dir.usable_bytes > 0, version >= 4);
            let [topic] = &dir.topics[..] else { panic!("one topic: {dir:?}") };
            let [partition] = &topic.partitions[..] else { panic!("one partition: {dir:?}") };
            assert_eq!((&*topic.name, partition.partition_index), ("orders", 1));
            assert!(partition.partition_size > 60, "{partition:?}");
            assert_eq!((partition.offset_lag, partition.is_future_key), (0, false));
            let all = DescribeLogDirsRequest { topics: None, ..Default::default() };
            let all = peer.ask(all, version).await.results.remove(0).topics;
            let counts: Vec<(&str, usize)> =
                all.iter().map(|topic| (&*topic.name, topic.partitions.len())).collect();
            assert_eq!(counts, [("orders", 2), ("other", 1)]);
        }
    });
}
