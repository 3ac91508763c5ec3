//! Answers ApiKey 47, OffsetDelete: offsets of topics that the group does not read any more.

use std::sync::Arc;

use engine::TopicPartition;
use engine::group::{DeleteOffsetsRequest, Reply, Request};
use wire::offset_delete::response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use wire::{ErrorCode, OffsetDeleteRequest, OffsetDeleteResponse};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use crate::coordinator::ask;

pub(crate) async fn handle(call: Call, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let state = call.state();
    let mut partitions = Vec::new();
    let mut is_known = Vec::new();
    for topic in &request.topics {
        let known = state.image.topic(&topic.name);
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let found = known.filter(|topic| topic.partition(index).is_some());
            is_known.push(found.is_some());
            partitions
                .extend(found.map(|topic| TopicPartition::new(Arc::clone(&topic.name), index)));
        }
    }
    let mut codes = match delete(&call, &request, partitions).await {
        Ok(codes) => codes.into_iter(),
        Err(code) => {
            return OffsetDeleteResponse { error_code: number(code), ..Default::default() };
        }
    };
    let mut is_known = is_known.into_iter();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let code = match is_known.next() {
                Some(true) => codes.next().unwrap_or(ErrorCode::UnknownServerError),
                Some(false) | None => ErrorCode::UnknownTopicOrPartition,
            };
            OffsetDeleteResponsePartition {
                partition_index: partition.partition_index,
                error_code: number(code),
                ..Default::default()
            }
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic { name: topic.name.clone(), partitions, ..Default::default() }
    });
    OffsetDeleteResponse { topics: topics.collect(), ..Default::default() }
}

/// A code for each partition, in their order; or what is wrong with the group. It is asked even if no
/// partition is left, as it may not exist.
async fn delete(
    call: &Call,
    request: &OffsetDeleteRequest,
    partitions: Vec<TopicPartition>,
) -> Result<Vec<ErrorCode>, ErrorCode> {
    let group = Arc::from(&*request.group_id);
    let delete = Request::DeleteOffsets(DeleteOffsetsRequest { group, partitions });
    match ask(call.shard(), &request.group_id, delete).await {
        Ok(Reply::DeleteOffsets(Ok(deleted))) => {
            let codes = deleted
                .partitions
                .iter()
                .map(|(_, error)| error.as_ref().map_or(ErrorCode::None, KafkaCode::code));
            Ok(codes.collect())
        }
        Ok(Reply::DeleteOffsets(Err(error))) => Err(KafkaCode::code(&error)),
        Ok(_) => unreachable!("a deletion is answered as a deletion"),
        Err(unavailable) => Err(unavailable.code()),
    }
}
