//! The hand-written visitors see what the generated decoders see, in sound frames and in broken ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use wire::fetch::request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use wire::produce::request::{PartitionProduceData, TopicProduceData};
use wire::visit::{Fetch, Produce, TopicRef};
use wire::{ApiKey, FetchRequest, Message, ProduceRequest, Str, TaggedFields, Uuid};

fn text() -> impl Strategy<Value = Str> {
    "[a-zß]{0,12}".prop_map(Str::from)
}

fn tags(flexible: bool) -> impl Strategy<Value = TaggedFields> {
    // Tags that no version of these messages knows.
    vec((50u32..9000, vec(any::<u8>(), 0..9)), 0..if flexible { 3 } else { 1 }).prop_map(|all| {
        let mut fields = TaggedFields::EMPTY;
        for (tag, bytes) in all {
            fields.push(tag, bytes.into());
        }
        fields
    })
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid)
}

fn produce(version: i16) -> impl Strategy<Value = ProduceRequest> {
    let flexible = ApiKey::Produce.is_flexible(version);
    let records = prop::option::of(vec(any::<u8>(), 0..2000).prop_map(|b| Bytes::from(b).into()));
    let partition = (any::<i32>(), records, tags(flexible))
        .prop_map(|(index, records, unknown)| PartitionProduceData { index, records, unknown });
    let topic = (text(), uuid(), vec(partition, 0..4), tags(flexible)).prop_map(
        move |(name, topic_id, partition_data, unknown)| TopicProduceData {
            name: if version <= 12 { name } else { Str::EMPTY },
            topic_id: if version >= 13 { topic_id } else { Uuid::ZERO },
            partition_data,
            unknown,
        },
    );
    let head = (prop::option::of(text()), any::<i16>(), any::<i32>());
    (head, vec(topic, 0..4), tags(flexible)).prop_map(
        |((transactional_id, acks, timeout_ms), topic_data, unknown)| ProduceRequest {
            transactional_id,
            acks,
            timeout_ms,
            topic_data,
            unknown,
        },
    )
}

fn fetch_partition(version: i16) -> impl Strategy<Value = FetchPartition> {
    let flexible = ApiKey::Fetch.is_flexible(version);
    let numbers = (any::<[i32; 4]>(), any::<[i64; 3]>());
    (numbers, uuid(), tags(flexible)).prop_map(
        move |(([partition, epoch, last, max], [offset, start, high]), dir, unknown)| {
            FetchPartition {
                partition,
                current_leader_epoch: if version >= 9 { epoch } else { -1 },
                fetch_offset: offset,
                last_fetched_epoch: if version >= 12 { last } else { -1 },
                log_start_offset: if version >= 5 { start } else { -1 },
                partition_max_bytes: max,
                replica_directory_id: if version >= 17 { dir } else { Uuid::ZERO },
                high_watermark: if version >= 18 { high } else { i64::MAX },
                unknown,
            }
        },
    )
}

fn fetch(version: i16) -> impl Strategy<Value = FetchRequest> {
    let flexible = ApiKey::Fetch.is_flexible(version);
    let name = move |name| if version <= 12 { name } else { Str::EMPTY };
    let id = move |id| if version >= 13 { id } else { Uuid::ZERO };
    let topic = (text(), uuid(), vec(fetch_partition(version), 0..4), tags(flexible)).prop_map(
        move |(topic, topic_id, partitions, unknown)| FetchTopic {
            topic: name(topic),
            topic_id: id(topic_id),
            partitions,
            unknown,
        },
    );
    let forgotten = (text(), uuid(), vec(any::<i32>(), 0..4), tags(flexible)).prop_map(
        move |(topic, topic_id, partitions, unknown)| ForgottenTopic {
            topic: name(topic),
            topic_id: id(topic_id),
            partitions,
            unknown,
        },
    );
    let forgotten = vec(forgotten, 0..if version >= 7 { 3 } else { 1 });
    let head = (prop::option::of(text()), any::<[i32; 6]>(), any::<i64>(), any::<i8>(), text());
    (head, vec(topic, 0..4), forgotten, tags(flexible)).prop_map(
        move |((cluster, n, replica_epoch, isolation_level, rack), topics, forgotten, unknown)| {
            let state = ReplicaState { replica_id: n[0], replica_epoch, ..Default::default() };
            FetchRequest {
                cluster_id: cluster.filter(|_| version >= 12),
                replica_id: if version <= 14 { n[0] } else { -1 },
                replica_state: if version >= 15 { state } else { ReplicaState::default() },
                max_wait_ms: n[1],
                min_bytes: n[2],
                max_bytes: n[3],
                isolation_level,
                session_id: if version >= 7 { n[4] } else { 0 },
                session_epoch: if version >= 7 { n[5] } else { -1 },
                topics,
                forgotten_topics_data: forgotten,
                rack_id: if version >= 11 { rack } else { Str::EMPTY },
                unknown,
            }
        },
    )
}

fn topic_ref(version: i16, name: &str, id: Uuid) -> TopicRef<'_> {
    if version >= 13 { TopicRef::Id(id) } else { TopicRef::Name(name) }
}

fn same_produce(seen: &Produce<'_>, frame: &[u8], decoded: &ProduceRequest, version: i16) {
    assert_eq!(seen.transactional_id, decoded.transactional_id.as_deref());
    assert_eq!((seen.acks, seen.timeout_ms), (decoded.acks, decoded.timeout_ms));
    let mut partitions = seen.partitions();
    for topic in &decoded.topic_data {
        for partition in &topic.partition_data {
            let ours = partitions.next().expect("a partition for each");
            assert_eq!(ours.topic, topic_ref(version, &topic.name, topic.topic_id));
            assert_eq!(ours.index, partition.index);
            let ours = ours.records.map(|range| Bytes::copy_from_slice(&frame[range]).into());
            assert_eq!(ours, partition.records);
        }
    }
    assert_eq!(partitions.next(), None);
}

fn same_fetch(seen: &Fetch<'_>, decoded: &FetchRequest, version: i16) {
    let state = &decoded.replica_state;
    let replica_id = if version >= 15 { state.replica_id } else { decoded.replica_id };
    assert_eq!(seen.cluster_id, decoded.cluster_id.as_deref());
    assert_eq!((seen.replica_id, seen.replica_epoch), (replica_id, state.replica_epoch));
    assert_eq!((seen.max_wait_ms, seen.min_bytes), (decoded.max_wait_ms, decoded.min_bytes));
    assert_eq!(
        (seen.max_bytes, seen.isolation_level),
        (decoded.max_bytes, decoded.isolation_level)
    );
    assert_eq!((seen.session_id, seen.session_epoch), (decoded.session_id, decoded.session_epoch));
    assert_eq!(seen.rack_id, &*decoded.rack_id);
    let mut partitions = seen.partitions();
    for topic in &decoded.topics {
        for p in &topic.partitions {
            let ours = partitions.next().expect("a partition for each");
            assert_eq!(ours.topic, topic_ref(version, &topic.topic, topic.topic_id));
            assert_eq!((ours.index, ours.fetch_offset), (p.partition, p.fetch_offset));
            assert_eq!(ours.current_leader_epoch, p.current_leader_epoch);
            assert_eq!(ours.last_fetched_epoch, p.last_fetched_epoch);
            assert_eq!(ours.log_start_offset, p.log_start_offset);
            assert_eq!(ours.max_bytes, p.partition_max_bytes);
            assert_eq!(ours.replica_directory_id, p.replica_directory_id);
            assert_eq!(ours.high_watermark, p.high_watermark);
        }
    }
    assert_eq!(partitions.next(), None);
    let forgotten: Vec<_> = seen.forgotten().map(|f| (f.topic, f.index)).collect();
    let expected = decoded.forgotten_topics_data.iter().flat_map(|topic| {
        let name = topic_ref(version, &topic.topic, topic.topic_id);
        topic.partitions.iter().map(move |index| (name, *index))
    });
    assert_eq!(forgotten, expected.collect::<Vec<_>>());
}

/// Both must accept the same frames, and see the same in them.
fn check(version: i16, is_fetch: bool, frame: &[u8], at: usize) -> bool {
    let body = Bytes::copy_from_slice(&frame[at..]);
    if is_fetch {
        match (Fetch::parse(frame, at, version), FetchRequest::decode_exact(body, version)) {
            (Ok(seen), Ok(decoded)) => same_fetch(&seen, &decoded, version),
            (Err(_), Err(_)) => return false,
            (seen, decoded) => panic!("visitor: {seen:?}\ndecoder: {decoded:?}"),
        }
    } else {
        match (Produce::parse(frame, at, version), ProduceRequest::decode_exact(body, version)) {
            (Ok(seen), Ok(decoded)) => same_produce(&seen, frame, &decoded, version),
            (Err(_), Err(_)) => return false,
            (seen, decoded) => panic!("visitor: {seen:?}\ndecoder: {decoded:?}"),
        }
    }
    true
}

/// A version and a body of either request.
fn body() -> impl Strategy<Value = (i16, bool, Bytes)> {
    prop_oneof![
        (3i16..=13).prop_flat_map(|v| produce(v).prop_map(move |m| (
            v,
            false,
            m.to_bytes(v).unwrap()
        ))),
        (4i16..=18).prop_flat_map(|v| fetch(v).prop_map(move |m| (
            v,
            true,
            m.to_bytes(v).unwrap()
        ))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn visitors_see_what_decoders_see((version, is_fetch, body) in body(), at in 0usize..9) {
        let frame = [&vec![0; at], &body[..]].concat();
        prop_assert!(check(version, is_fetch, &frame, at));
    }

    #[test]
    fn visitors_refuse_what_decoders_refuse(
        (version, is_fetch, body) in body(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut frame = body.to_vec();
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        check(version, is_fetch, &frame, 0);
        frame.truncate(cut.index(frame.len()));
        check(version, is_fetch, &frame, 0);
    }
}
