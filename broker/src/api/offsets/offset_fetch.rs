//! Answers ApiKey 9, OffsetFetch: where groups go on.
//!
//! One group before version 8, many from there on (KIP-709); topics by name, and by id from version 10
//! on. All versions are answered by [`fetch`], group by group, and differ in how it is written down.
//! `require_stable` changes nothing yet: only a transaction can make an offset unstable.

use std::sync::Arc;

use engine::TopicPartition;
use engine::group::{FetchedOffset, OffsetsWanted};
use wire::offset_fetch::request::OffsetFetchRequestTopics;
use wire::offset_fetch::response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use wire::{ErrorCode, OffsetFetchRequest, OffsetFetchResponse, Str, Uuid};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use crate::coordinator::look;
use crate::metadata::State;

/// An error of the whole group has a place of its own, from here on.
const GROUP_ERROR_SINCE: i16 = 2;
/// Many groups in one request, from here on.
const BATCHED_SINCE: i16 = 8;
/// Topics are named by their ids, from here on.
const IDS_SINCE: i16 = 10;

type Topics = Vec<OffsetFetchResponseTopics>;

pub(crate) async fn handle(call: Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if call.version < BATCHED_SINCE {
        return one_group(&call, request).await;
    }
    let mut groups = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        // Only the consumer protocol (KIP-848) looks at member id and epoch.
        let (topics, error_code) = match fetch(&call, &group.group_id, group.topics).await {
            Ok(topics) => (topics, 0),
            Err(code) => (Vec::new(), number(code)),
        };
        let group_id = group.group_id;
        groups.push(OffsetFetchResponseGroup {
            group_id,
            topics,
            error_code,
            ..Default::default()
        });
    }
    OffsetFetchResponse { groups, ..Default::default() }
}

async fn one_group(call: &Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let asked: Option<Vec<OffsetFetchRequestTopics>> = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..Default::default()
        });
        topics.collect()
    });
    let (topics, error_code) = match fetch(call, &request.group_id, asked.clone()).await {
        Ok(topics) => (topics, 0),
        Err(code) if call.version >= GROUP_ERROR_SINCE => (Vec::new(), number(code)),
        Err(code) => (refuse_each(asked.unwrap_or_default(), code), 0),
    };
    OffsetFetchResponse {
        topics: topics.into_iter().map(before_batches).collect(),
        error_code,
        ..Default::default()
    }
}

/// The topics of the answer, or what is wrong with the group.
async fn fetch(
    call: &Call,
    group: &str,
    asked: Option<Vec<OffsetFetchRequestTopics>>,
) -> Result<Topics, ErrorCode> {
    let state = call.state();
    let (wanted, unknown) = match asked {
        None => (OffsetsWanted::All, Vec::new()),
        Some(topics) => {
            let (known, unknown) = by_name(&state, topics, call.version);
            (OffsetsWanted::These(known), unknown)
        }
    };
    let id: Arc<str> = Arc::from(group);
    let fetched = look(call.shard(), group, move |groups| groups.fetch_offsets(&id, &wanted)).await;
    let fetched = fetched.map_err(|unavailable| unavailable.code())?;
    let mut topics = describe(&state, fetched, call.version);
    topics.extend(refuse_each(unknown, ErrorCode::UnknownTopicId));
    Ok(topics)
}

/// Partitions with their topics' ids, so that nobody gets an offset of a topic that was deleted and
/// created again; and the topics whose ids nobody knows.
fn by_name(
    state: &State,
    topics: Vec<OffsetFetchRequestTopics>,
    version: i16,
) -> (Vec<(TopicPartition, Uuid)>, Vec<OffsetFetchRequestTopics>) {
    let mut known = Vec::new();
    let mut unknown = Vec::new();
    for topic in topics {
        let (name, id): (Arc<str>, Uuid) = if version >= IDS_SINCE {
            match state.image.topic_by_id(topic.topic_id) {
                Some(found) => (Arc::clone(&found.name), found.id),
                None => {
                    unknown.push(topic);
                    continue;
                }
            }
        } else {
            let id = state.image.topic(&topic.name).map_or(Uuid::ZERO, |found| found.id);
            (Arc::from(&*topic.name), id)
        };
        let partitions = topic.partition_indexes.iter();
        known.extend(partitions.map(|index| (TopicPartition::new(Arc::clone(&name), *index), id)));
    }
    (known, unknown)
}

/// Gathers what was found by topic, which follow each other.
fn describe(state: &State, fetched: Vec<FetchedOffset>, version: i16) -> Topics {
    let mut topics: Topics = Vec::new();
    for offset in fetched {
        let name = &*offset.partition.topic;
        let topic_id = state.image.topic(name).map_or(Uuid::ZERO, |topic| topic.id);
        if version >= IDS_SINCE && topic_id.is_zero() {
            // It was deleted meanwhile: there is no way to name it.
            continue;
        }
        if !topic_id.is_zero() && !offset.topic_id.is_zero() && topic_id != offset.topic_id {
            // Of a topic that was deleted and created again.
            continue;
        }
        let partition = OffsetFetchResponsePartitions {
            partition_index: offset.partition.partition,
            committed_offset: offset.offset,
            committed_leader_epoch: offset.leader_epoch,
            metadata: Some(Str::from(&*offset.metadata)),
            ..Default::default()
        };
        match topics.last_mut() {
            Some(topic) if topic.name == *name => topic.partitions.push(partition),
            _ => topics.push(OffsetFetchResponseTopics {
                name: Str::from(name),
                topic_id,
                partitions: vec![partition],
                ..Default::default()
            }),
        }
    }
    topics
}

fn refuse_each(topics: Vec<OffsetFetchRequestTopics>, code: ErrorCode) -> Topics {
    let refuse = |partition_index: i32| OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(Str::EMPTY),
        error_code: number(code),
        ..Default::default()
    };
    let topics = topics.into_iter().map(|topic| OffsetFetchResponseTopics {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.into_iter().map(refuse).collect(),
        ..Default::default()
    });
    topics.collect()
}

/// The same topic as versions before [`BATCHED_SINCE`] have it.
fn before_batches(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|partition| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
        ..Default::default()
    });
    OffsetFetchResponseTopic {
        name: topic.name,
        partitions: partitions.collect(),
        ..Default::default()
    }
}
