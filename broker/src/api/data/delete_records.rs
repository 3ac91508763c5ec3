//! Answers ApiKey 21, DeleteRecords: moves a partition's start forward.
//!
//! The new start is in the checkpoint file before it is told, so that a crash cannot bring records back.

use std::rc::Rc;

use engine::metadata::{Resource, Topic, is_internal};
use wire::delete_records::response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use wire::{DeleteRecordsRequest, DeleteRecordsResponse, ErrorCode};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use super::owners::ask_owners;
use crate::metadata::State;
use crate::partition::PartitionId;
use crate::shard::Shard;

pub(crate) async fn handle(call: Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let state = call.state();
    let mut asks = Vec::new();
    let mut refused = Vec::new();
    for topic in &request.topics {
        let known = state.image.topic(&topic.name);
        for partition in &topic.partitions {
            let index = partition.partition_index;
            refused.push(match known.filter(|topic| topic.partition(index).is_some()) {
                None => Some(ErrorCode::UnknownTopicOrPartition),
                Some(topic) => forbidden(&state, topic).or_else(|| {
                    asks.push((PartitionId { topic: topic.id, index }, partition.offset));
                    None
                }),
            });
        }
    }
    let mut advanced = ask_owners(&call, asks, advance_here).await.into_iter();
    let written = call.shared().write_checkpoints().await;
    if let Err(error) = &written {
        tracing::error!(%error, "cannot write checkpoints: deleted records may come back");
    }
    let mut refused = refused.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = match (refused.next().flatten(), &written) {
                (Some(code), _) => Err(code),
                (None, Ok(())) => {
                    advanced.next().flatten().unwrap_or(Err(ErrorCode::NotLeaderOrFollower))
                }
                (None, Err(_)) => Err(ErrorCode::KafkaStorageError),
            };
            DeleteRecordsPartitionResult {
                partition_index: partition.partition_index,
                low_watermark: answer.unwrap_or(-1),
                error_code: number(answer.err().unwrap_or(ErrorCode::None)),
                ..Default::default()
            }
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult { name: topic.name, partitions, ..Default::default() }
    });
    DeleteRecordsResponse { topics: topics.collect(), ..Default::default() }
}

/// Why records of this topic may not be deleted, if they may not.
fn forbidden(state: &State, topic: &Topic) -> Option<ErrorCode> {
    if is_internal(&topic.name) {
        return Some(ErrorCode::InvalidTopic);
    }
    let overrides = state.image.config(&Resource::Topic(topic.name.clone()));
    let policy = state.settings.topic(&overrides).ok()?.cleanup_policy;
    (policy.compact && !policy.delete).then_some(ErrorCode::PolicyViolation)
}

/// Runs on the owner; gives the start. An offset at or below it is fine already.
fn advance_here(shard: &Rc<Shard>, id: PartitionId, asked: i64) -> Result<i64, ErrorCode> {
    let partition = shard.partition(id).map_err(|missing| missing.code())?;
    let mut partition = partition.borrow_mut();
    if !partition.is_leader() {
        return Err(ErrorCode::NotLeaderOrFollower);
    }
    if partition.log.failure().is_some() {
        return Err(ErrorCode::KafkaStorageError);
    }
    let watermark = partition.log.state().high_watermark();
    let to = if asked == -1 { watermark } else { asked };
    if !(0..=watermark).contains(&to) {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    let removal = partition.log.advance_start(to);
    partition.wake_all();
    if let Some(job) = removal {
        // In the background, and not before the new start is on disk.
        shard.remove(partition.name().clone(), job, partition.settings.delete_delay);
    }
    Ok(partition.log.state().start())
}
