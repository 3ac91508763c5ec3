//! ApiVersions, Metadata, DescribeCluster.

use wire::metadata::request::MetadataRequestTopic;
use wire::metadata::response::MetadataResponseTopic;
use wire::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest, MetadataRequest,
    MetadataResponse, Uuid, frame,
};

use crate::exchange::{Peer, text, versions, with_broker, with_settings};

fn hello() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: text("tester"),
        client_software_version: text("1.0"),
        ..Default::default()
    }
}

#[test]
fn api_versions_of_the_future_is_answered_in_version_0_with_what_is_spoken() {
    with_broker(async |peer| {
        let sent = frame::request(&hello(), 5, 99, None).unwrap();
        let mut sent = sent.into_bytes().to_vec();
        sent[7] = 127;
        let answer = peer.exchange(&sent).await;
        let (correlation, answer) =
            frame::decode_response::<ApiVersionsResponse>(answer, 0).unwrap();
        assert_eq!((correlation, answer.error_code), (99, 35));
        let [only] = &answer.api_keys[..] else { panic!("one entry: {answer:?}") };
        assert_eq!((only.api_key, only.min_version, only.max_version), (18, 0, 5));
        // The connection goes on.
        assert_eq!(peer.ask(hello(), 5).await.error_code, 0);
    });
}

#[test]
fn every_version_of_api_versions_tells_the_same_apis() {
    with_broker(async |peer| {
        for version in versions::<ApiVersionsRequest>() {
            let request = if version < 3 { ApiVersionsRequest::default() } else { hello() };
            let answer = peer.ask(request, version).await;
            assert_eq!(answer.error_code, 0, "v{version}");
            assert_eq!(answer.api_keys.len(), 35, "v{version}");
            assert!(answer.api_keys.iter().all(|one| one.api_key < 10_000), "v{version}");
            for one in &answer.api_keys {
                let key = ApiKey::from_number(one.api_key).unwrap();
                let from = if key == ApiKey::Produce { 0 } else { *key.versions().start() };
                assert_eq!(
                    (one.min_version, one.max_version),
                    (from, *key.versions().end()),
                    "{key}"
                );
            }
        }
    });
}

#[test]
fn a_client_that_looks_for_another_cluster_or_node_is_sent_back_to_its_bootstrap_servers() {
    with_broker(async |peer| {
        let of = |cluster_id: Option<&str>, node_id| ApiVersionsRequest {
            cluster_id: cluster_id.map(text),
            node_id,
            ..hello()
        };
        let ours = peer.cluster_id.clone();
        for (request, expected) in [
            (of(None, -1), 0),
            (of(Some(&ours), 0), 0),
            (of(Some("another"), 0), 129),
            (of(Some(&ours), 4), 129),
            (of(None, 4), 129),
        ] {
            assert_eq!(peer.ask(request.clone(), 5).await.error_code, expected, "{request:?}");
        }
    });
}

#[test]
fn a_client_without_a_proper_software_name_is_an_invalid_request() {
    with_broker(async |peer| {
        for version in 3..=5 {
            let request = ApiVersionsRequest { client_software_name: text("a b"), ..hello() };
            assert_eq!(peer.ask(request, version).await.error_code, 42, "v{version}");
            assert_eq!(peer.ask(ApiVersionsRequest::default(), version).await.error_code, 42);
        }
    });
}

async fn metadata(
    peer: &mut Peer,
    topics: Option<Vec<MetadataRequestTopic>>,
    version: i16,
) -> MetadataResponse {
    // Versions before 4 have no choice: they create.
    let allow_auto_topic_creation = version < 4;
    peer.ask(MetadataRequest { topics, allow_auto_topic_creation, ..Default::default() }, version)
        .await
}

fn by_name(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic { name: Some(text(name)), ..Default::default() }
}

fn by_id(topic_id: Uuid) -> MetadataRequestTopic {
    MetadataRequestTopic { name: None, topic_id, ..Default::default() }
}

fn names(topics: &[MetadataResponseTopic]) -> Vec<&str> {
    topics.iter().map(|topic| topic.name.as_deref().unwrap_or("(none)")).collect()
}

#[test]
fn every_version_of_metadata_tells_brokers_and_leaders() {
    with_broker(async |peer| {
        let id = peer.create("orders", 3).await;
        for version in versions::<MetadataRequest>() {
            let answer = metadata(peer, Some(vec![by_name("orders")]), version).await;
            let [broker] = &answer.brokers[..] else { panic!("one broker: {answer:?}") };
            assert_eq!((broker.node_id, &*broker.host), (0, "127.0.0.1"));
            assert_eq!(broker.port, i32::from(peer.port));
            assert_eq!(answer.controller_id, if version >= 1 { 0 } else { -1 });
            assert_eq!(answer.cluster_id.is_some_and(|id| id == peer.cluster_id), version >= 2);
            let [topic] = &answer.topics[..] else { panic!("one topic") };
            assert_eq!((topic.error_code, topic.name.as_deref()), (0, Some("orders")));
            assert_eq!(topic.topic_id, if version >= 10 { id } else { Uuid::ZERO });
            assert_eq!(topic.partitions.len(), 3);
            for (index, partition) in (0..).zip(&topic.partitions) {
                assert_eq!((partition.error_code, partition.partition_index), (0, index));
                assert_eq!(partition.leader_id, 0);
                assert_eq!(partition.leader_epoch, if version >= 7 { 0 } else { -1 });
                assert_eq!(
                    (&*partition.replica_nodes, &*partition.isr_nodes),
                    (&[0][..], &[0][..])
                );
                assert!(partition.offline_replicas.is_empty());
            }
        }
    });
}

#[test]
fn no_list_of_topics_means_all_and_an_empty_one_means_none_but_in_version_0() {
    with_broker(async |peer| {
        peer.create("a", 1).await;
        peer.create("b", 1).await;
        let all = metadata(peer, Some(Vec::new()), 0).await;
        assert_eq!(names(&all.topics), ["a", "b"]);
        for version in 1..=13 {
            let all = metadata(peer, None, version).await;
            assert_eq!(names(&all.topics), ["a", "b"], "v{version}");
            let none = metadata(peer, Some(Vec::new()), version).await;
            assert!(none.topics.is_empty(), "v{version}");
        }
    });
}

#[test]
fn topics_are_found_by_id_from_version_12_on_and_refused_before() {
    with_broker(async |peer| {
        let id = peer.create("orders", 1).await;
        let unknown = Uuid([9; 16]);
        for version in [12, 13] {
            let answer = metadata(peer, Some(vec![by_id(id), by_id(unknown)]), version).await;
            let mut topics = answer.topics;
            topics.sort_by_key(|topic| topic.error_code);
            assert_eq!((topics[0].error_code, topics[0].name.as_deref()), (0, Some("orders")));
            assert_eq!((topics[1].error_code, &topics[1].name), (100, &None));
            assert_eq!(topics[1].topic_id, unknown);
        }
        for version in [10, 11] {
            let asked = MetadataRequestTopic { name: Some(text("orders")), ..by_id(id) };
            let answer = metadata(peer, Some(vec![asked]), version).await;
            assert_eq!(answer.topics[0].error_code, 42, "v{version}");
        }
    });
}

#[test]
fn a_topic_is_created_when_client_and_broker_both_allow_it() {
    async fn ask(peer: &mut Peer, name: &str, allow: bool, version: i16) -> (i16, usize) {
        let topics = Some(vec![by_name(name)]);
        let request =
            MetadataRequest { topics, allow_auto_topic_creation: allow, ..Default::default() };
        let topic = peer.ask(request, version).await.topics.remove(0);
        (topic.error_code, topic.partitions.len())
    }
    with_settings(&[("num.partitions", "2")], async |peer| {
        for version in versions::<MetadataRequest>() {
            let name = format!("made-by-v{version}");
            if version >= 4 {
                assert_eq!(ask(peer, &name, false, version).await, (3, 0), "v{version}");
            }
            assert_eq!(ask(peer, &name, true, version).await, (0, 2), "v{version}");
            assert_eq!(ask(peer, "not/a/name", true, version).await, (17, 0), "v{version}");
        }
    });
    with_settings(&[("auto.create.topics.enable", "false")], async |peer| {
        assert_eq!(ask(peer, "orders", true, 13).await, (3, 0));
    });
}

#[test]
fn internal_topics_are_marked() {
    with_broker(async |peer| {
        let topics = Some(vec![by_name("__consumer_offsets")]);
        let request = MetadataRequest { topics, ..Default::default() };
        let topic = peer.ask(request, 13).await.topics.remove(0);
        assert_eq!((topic.error_code, topic.is_internal, topic.partitions.len()), (0, true, 3));
    });
}

#[test]
fn operations_are_told_to_those_who_ask() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        for version in 8..=13 {
            let ask = |include| MetadataRequest {
                topics: Some(vec![by_name("orders")]),
                include_topic_authorized_operations: include,
                include_cluster_authorized_operations: include && version <= 10,
                ..Default::default()
            };
            let answer = peer.ask(ask(false), version).await;
            assert_eq!(answer.topics[0].topic_authorized_operations, i32::MIN);
            assert_eq!(answer.cluster_authorized_operations, i32::MIN);
            let answer = peer.ask(ask(true), version).await;
            assert_eq!(answer.topics[0].topic_authorized_operations, 3576);
            let of_cluster = if version <= 10 { 8096 } else { i32::MIN };
            assert_eq!(answer.cluster_authorized_operations, of_cluster);
        }
    });
}

#[test]
fn every_version_of_describe_cluster_tells_the_brokers() {
    with_broker(async |peer| {
        for version in versions::<DescribeClusterRequest>() {
            let answer = peer.ask(DescribeClusterRequest::default(), version).await;
            assert_eq!((answer.error_code, answer.controller_id), (0, 0));
            assert_eq!(answer.cluster_id, peer.cluster_id);
            assert_eq!(answer.cluster_authorized_operations, i32::MIN);
            let [broker] = &answer.brokers[..] else { panic!("one broker: {answer:?}") };
            assert_eq!((broker.broker_id, broker.port), (0, i32::from(peer.port)));
            assert!(!broker.is_fenced);
            let include_cluster_authorized_operations = true;
            let request = DescribeClusterRequest {
                include_cluster_authorized_operations,
                ..Default::default()
            };
            assert_eq!(peer.ask(request, version).await.cluster_authorized_operations, 8096);
        }
        for (endpoint_type, expected) in [(2, 114), (9, 115)] {
            let request = DescribeClusterRequest { endpoint_type, ..Default::default() };
            let answer = peer.ask(request, 2).await;
            assert_eq!(answer.error_code, expected);
            assert!(answer.error_message.is_some());
        }
    });
}
