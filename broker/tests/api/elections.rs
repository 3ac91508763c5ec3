//! ElectLeaders.

use wire::ElectLeadersRequest;
use wire::elect_leaders::request::TopicPartitions;
use wire::elect_leaders::response::ElectLeadersResponse;

use crate::exchange::{Peer, text, versions, with_broker};

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

fn partitions(topic: &str, partitions: &[i32]) -> TopicPartitions {
    TopicPartitions { topic: text(topic), partitions: partitions.to_vec(), ..Default::default() }
}

async fn elect(
    peer: &mut Peer,
    election_type: i8,
    topic_partitions: Option<Vec<TopicPartitions>>,
    version: i16,
) -> ElectLeadersResponse {
    let request = ElectLeadersRequest { election_type, topic_partitions, ..Default::default() };
    peer.ask(request, version).await
}

/// Topic, partition and error of each result.
fn codes(answer: &ElectLeadersResponse) -> Vec<(&str, i32, i16)> {
    let results = answer.replica_election_results.iter().flat_map(|topic| {
        let partitions = topic.partition_result.iter();
        partitions.map(|one| {
            assert_eq!(one.error_message.is_some(), one.error_code != 0);
            (&*topic.topic, one.partition_id, one.error_code)
        })
    });
    results.collect()
}

#[test]
fn every_version_says_that_a_healthy_partition_needs_no_election() {
    with_broker(async |peer| {
        peer.create("orders", 2).await;
        for version in versions::<ElectLeadersRequest>() {
            let asked =
                || Some(vec![partitions("orders", &[0, 1, 2]), partitions("missing", &[0])]);
            let expected =
                [("missing", 0, 3), ("orders", 0, 84), ("orders", 1, 84), ("orders", 2, 3)];
            let answer = elect(peer, PREFERRED, asked(), version).await;
            assert_eq!((answer.error_code, codes(&answer)), (0, expected.into()), "v{version}");
            if version >= 1 {
                let answer = elect(peer, UNCLEAN, asked(), version).await;
                assert_eq!((answer.error_code, codes(&answer)), (0, expected.into()));
            }
        }
    });
}

#[test]
fn no_list_means_all_and_names_only_those_that_needed_an_election() {
    with_broker(async |peer| {
        peer.create("orders", 2).await;
        for version in versions::<ElectLeadersRequest>() {
            let answer = elect(peer, PREFERRED, None, version).await;
            assert_eq!((answer.error_code, codes(&answer)), (0, Vec::new()), "v{version}");
        }
    });
}

#[test]
fn an_election_of_an_unknown_type_is_an_invalid_request() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        for version in [1, 2] {
            let answer = elect(peer, 2, Some(vec![partitions("orders", &[0])]), version).await;
            assert_eq!((answer.error_code, codes(&answer)), (42, vec![("orders", 0, 42)]));
        }
    });
}
