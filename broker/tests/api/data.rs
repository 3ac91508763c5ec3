//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords.

use wire::delete_records::request::{DeleteRecordsPartition, DeleteRecordsTopic};
use wire::list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic};
use wire::offset_for_leader_epoch::request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use wire::{
    CreateTopicsRequest, DeleteRecordsRequest, ListOffsetsRequest, ListTimestampsRequest,
    MetadataRequest, OffsetForLeaderEpochRequest,
};

use crate::exchange::{Peer, text, versions, with_broker, with_settings};

const ORDERS: (&str, i32) = ("orders", 0);

#[test]
fn every_version_of_list_offsets_finds_begin_end_and_times() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        for version in versions::<ListOffsetsRequest>() {
            let epoch = if version >= 4 { 0 } else { -1 };
            assert_eq!(peer.offset(ORDERS, -1, version).await, (0, -1, 0, epoch), "v{version}");
            assert_eq!(peer.offset(ORDERS, -2, version).await, (0, -1, 0, epoch), "v{version}");
            assert_eq!(peer.offset(ORDERS, 0, version).await, (0, -1, -1, -1), "v{version}");
        }
        peer.produce("orders", 0, &[1000, 3000]).await;
        peer.produce("orders", 0, &[2000, 5000, 4000]).await;
        for version in versions::<ListOffsetsRequest>() {
            let epoch = if version >= 4 { 0 } else { -1 };
            let mut at = async |timestamp| peer.offset(ORDERS, timestamp, version).await;
            assert_eq!(at(-1).await, (0, -1, 5, epoch), "v{version}");
            assert_eq!(at(-2).await, (0, -1, 0, epoch), "v{version}");
            for (timestamp, found) in
                [(0, (1000, 0)), (1000, (1000, 0)), (1001, (3000, 1)), (3001, (5000, 3))]
            {
                assert_eq!(at(timestamp).await, (0, found.0, found.1, epoch), "v{version}");
            }
            // Nothing is that late.
            assert_eq!(at(5001).await, (0, -1, -1, -1), "v{version}");
        }
    });
}

#[test]
fn questions_that_a_version_does_not_know_are_told_so() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        peer.produce("orders", 0, &[1000, 3000, 2000]).await;
        for version in versions::<ListOffsetsRequest>() {
            let unsupported = (35, -1, -1, -1);
            let epoch = if version >= 4 { 0 } else { -1 };
            for (question, since, answer) in [
                (-3, 7, (0, 3000, 1, epoch)),
                (-4, 8, (0, -1, 0, epoch)),
                // Nothing is tiered, and nothing waits to be.
                (-5, 9, (0, -1, -1, -1)),
                (-6, 11, (0, -1, -1, -1)),
                (-7, 99, unsupported),
            ] {
                let expected = if version >= since { answer } else { unsupported };
                assert_eq!(peer.offset(ORDERS, question, version).await, expected, "v{version}");
            }
        }
    });
}

#[test]
fn a_timestamp_search_finds_records_within_any_batch() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        for batch in 0..50 {
            let first = 10_000 + batch * 30;
            peer.produce("orders", 0, &[first, first + 10, first + 20]).await;
        }
        for offset in 0..150 {
            let time = 10_000 + offset * 10;
            assert_eq!(peer.offset(ORDERS, time, 11).await, (0, time, offset, 0));
            assert_eq!(peer.offset(ORDERS, time - 9, 11).await, (0, time, offset, 0));
        }
    });
}

async fn ask_each(peer: &mut Peer, partitions: &[(i32, i32)]) -> Vec<i16> {
    let partitions =
        partitions.iter().map(|&(partition_index, current_leader_epoch)| ListOffsetsPartition {
            partition_index,
            current_leader_epoch,
            timestamp: -1,
            ..Default::default()
        });
    let partitions = partitions.collect();
    let topic = ListOffsetsTopic { name: text("orders"), partitions, ..Default::default() };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let answer = peer.ask_newest(request).await.topics.remove(0);
    answer.partitions.iter().map(|partition| partition.error_code).collect()
}

#[test]
fn list_offsets_answers_each_partition_in_the_order_of_the_request() {
    with_broker(async |peer| {
        peer.create("orders", 4).await;
        let asked = [(3, -1), (9, -1), (0, 0), (1, 7), (2, -1)];
        // Unknown partition, and an epoch that this leader has not reached.
        assert_eq!(ask_each(peer, &asked).await, [0, 3, 0, 75, 0]);
        // Nobody can mean both.
        assert_eq!(ask_each(peer, &[(1, -1), (2, -1), (1, -1)]).await, [42, 0, 42]);
    });
}

#[test]
fn every_version_of_offset_for_leader_epoch_tells_where_an_epoch_ends() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        peer.produce("orders", 0, &[1000, 2000, 3000]).await;
        for version in versions::<OffsetForLeaderEpochRequest>() {
            let ask = |partition, current_leader_epoch, leader_epoch| OffsetForLeaderPartition {
                partition,
                current_leader_epoch,
                leader_epoch,
                ..Default::default()
            };
            let partitions =
                vec![ask(0, -1, 0), ask(0, 0, 5), ask(0, 3, 0), ask(0, -1, -1), ask(8, -1, 0)];
            let topics = vec![OffsetForLeaderTopic {
                topic: text("orders"),
                partitions,
                ..Default::default()
            }];
            let request = OffsetForLeaderEpochRequest { topics, ..Default::default() };
            let answer = peer.ask(request, version).await.topics.remove(0).partitions;
            let answer: Vec<(i16, i32, i64)> = answer
                .iter()
                .map(|one| (one.error_code, one.leader_epoch, one.end_offset))
                .collect();
            // Undefined is (-1, -1), never a default that looks like an epoch.
            let expected = [(0, 0, 3), (0, -1, -1), (75, -1, -1), (0, -1, -1), (3, -1, -1)];
            assert_eq!(answer, expected, "v{version}");
        }
    });
}

async fn delete(peer: &mut Peer, topic: &str, offset: i64, version: i16) -> (i16, i64) {
    let partition = DeleteRecordsPartition { partition_index: 0, offset, ..Default::default() };
    let name = text(topic);
    let topic = DeleteRecordsTopic { name, partitions: vec![partition], ..Default::default() };
    let request =
        DeleteRecordsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() };
    let answer = peer.ask(request, version).await.topics.remove(0).partitions.remove(0);
    (answer.error_code, answer.low_watermark)
}

#[test]
fn every_version_of_delete_records_moves_the_start_at_once() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        let mut start = 0;
        for version in versions::<DeleteRecordsRequest>() {
            let first = peer.produce("orders", 0, &[1, 2, 3]).await;
            assert_eq!(delete(peer, "orders", first + 1, version).await, (0, first + 1));
            assert_eq!(peer.offset(ORDERS, -2, 11).await, (0, -1, first + 1, 0));
            // Below the start is done already, beyond the watermark is not there.
            assert_eq!(delete(peer, "orders", start, version).await, (0, first + 1));
            assert_eq!(delete(peer, "orders", first + 4, version).await, (1, -1));
            assert_eq!(delete(peer, "orders", -2, version).await, (1, -1));
            // -1 is the watermark.
            assert_eq!(delete(peer, "orders", -1, version).await, (0, first + 3));
            assert_eq!(delete(peer, "missing", 0, version).await, (3, -1));
            start = first + 3;
        }
    });
}

#[test]
fn records_of_internal_and_of_compacted_topics_are_not_deleted() {
    with_broker(async |peer| {
        let topics = vec![wire::metadata::request::MetadataRequestTopic {
            name: Some(text("__consumer_offsets")),
            ..Default::default()
        }];
        peer.ask_newest(MetadataRequest { topics: Some(topics), ..Default::default() }).await;
        assert_eq!(delete(peer, "__consumer_offsets", 0, 2).await, (17, -1));
        for (name, policy, expected) in
            [("compacted", "compact", (44, -1)), ("both", "compact,delete", (0, 0))]
        {
            let config = wire::create_topics::request::CreatableTopicConfig {
                name: text("cleanup.policy"),
                value: Some(text(policy)),
                ..Default::default()
            };
            let topic = wire::create_topics::request::CreatableTopic {
                name: text(name),
                num_partitions: 1,
                replication_factor: 1,
                configs: vec![config],
                ..Default::default()
            };
            let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
            assert_eq!(peer.ask_newest(request).await.topics[0].error_code, 0);
            assert_eq!(delete(peer, name, 0, 2).await, expected);
        }
    });
}

#[test]
fn the_time_of_a_record_is_found_by_its_offset() {
    use wire::list_timestamps::request::{ListTimestampsPartition, ListTimestampsTopic};

    with_broker(async |peer| {
        peer.create("orders", 1).await;
        peer.produce("orders", 0, &[100, 90, 120]).await;
        peer.produce("orders", 0, &[130]).await;
        assert_eq!(delete(peer, "orders", 1, 2).await, (0, 1));
        let mut ask = async |topic: &str, index, offset| {
            let partition = ListTimestampsPartition { index, offset, ..Default::default() };
            let name = text(topic);
            let topic =
                ListTimestampsTopic { name, partitions: vec![partition], ..Default::default() };
            let request = ListTimestampsRequest { topics: vec![topic], ..Default::default() };
            let answer = peer.ask_newest(request).await.topics.remove(0).partitions.remove(0);
            (answer.error_code, answer.timestamp)
        };
        // The first is deleted: the one after it is meant.
        for (offset, timestamp) in [(0, 90), (1, 90), (2, 120), (3, 130), (4, -1), (9, -1)] {
            assert_eq!(ask("orders", 0, offset).await, (0, timestamp), "at {offset}");
        }
        assert_eq!(ask("orders", 7, 0).await, (3, -1));
        assert_eq!(ask("missing", 0, 0).await, (3, -1));
    });
}

#[test]
fn where_the_memory_is_spent_a_consumer_gets_one_batch_after_the_other() {
    with_settings(&[("klamm.memory.bytes", "1024")], async |peer| {
        peer.create("orders", 1).await;
        for at in 0..20 {
            peer.produce("orders", 0, &[at, at, at]).await;
        }
        let (mut next, mut answers) = (0, 0);
        while next < 60 {
            let (code, bytes) = peer.fetch("orders", next).await;
            assert_eq!(code, 0);
            let batches: Vec<_> = wire::record::Batches::new(&bytes).collect();
            let last = batches.last().expect("one in any case").as_ref().expect("it is whole");
            next = last.header().next_offset();
            answers += 1;
        }
        assert!(answers > 1, "all fits into 256 bytes");
    });
}
