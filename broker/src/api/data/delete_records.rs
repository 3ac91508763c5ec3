//! Answers ApiKey 21, DeleteRecords: moves a partition's start forward.
//!
//! The new start is in the checkpoint file before it is told, and all replicas in sync have taken it over: neither a crash
//! nor another leader brings records back.

use std::iter::zip;
use std::rc::Rc;
use std::time::Duration;

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

/// Between two looks at whether the followers have moved their start.
const FOLLOW_PAUSE: Duration = Duration::from_millis(5);

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
    let ids: Vec<PartitionId> = asks.iter().map(|(id, _)| *id).collect();
    let mut advanced: Vec<Result<i64, ErrorCode>> = ask_owners(&call, asks, advance_here)
        .await
        .into_iter()
        .map(|answer| answer.unwrap_or(Err(ErrorCode::NotLeaderOrFollower)))
        .collect();
    let written = call.shared().write_checkpoints().await;
    if let Err(error) = &written {
        tracing::error!(%error, "cannot write checkpoints: deleted records may come back");
    }
    let limit = Duration::from_millis(u64::from(request.timeout_ms.unsigned_abs()));
    until_all_follow(&call, &ids, &mut advanced, limit).await;
    let (mut refused, mut advanced) = (refused.into_iter(), advanced.into_iter());
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = match (refused.next().flatten(), &written) {
                (Some(code), _) => Err(code),
                (None, Ok(())) => advanced.next().expect("one answer for each that was asked"),
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

/// Waits until all replicas in sync begin where the leaders do; those that do not in time are refused.
async fn until_all_follow(
    call: &Call,
    ids: &[PartitionId],
    advanced: &mut [Result<i64, ErrorCode>],
    limit: Duration,
) {
    let clock = &call.shared().world.clock;
    let deadline = clock.tick().saturating_add(limit);
    let done = zip(ids, &*advanced).enumerate();
    let mut waiting: Vec<(usize, PartitionId, i64)> =
        done.filter_map(|(at, (id, start))| Some((at, *id, (*start).ok()?))).collect();
    loop {
        let asks = waiting.iter().map(|(_, id, start)| (*id, *start)).collect();
        let mut follow = ask_owners(call, asks, all_follow).await.into_iter();
        waiting.retain(|(at, ..)| match follow.next().flatten() {
            Some(Ok(is_so)) => !is_so,
            refused => {
                advanced[*at] = refused.unwrap_or(Err(ErrorCode::NotLeaderOrFollower)).map(|_| -1);
                false
            }
        });
        if waiting.is_empty() {
            return;
        }
        if clock.tick() >= deadline {
            for (at, ..) in waiting {
                advanced[at] = Err(ErrorCode::RequestTimedOut);
            }
            return;
        }
        clock.sleep(FOLLOW_PAUSE).await;
    }
}

fn all_follow(shard: &Rc<Shard>, id: PartitionId, start: i64) -> Result<bool, ErrorCode> {
    let partition = shard.partition(id).map_err(|missing| missing.code())?;
    let partition = partition.borrow();
    match partition.is_leader() {
        true => Ok(partition.all_begin_at(start)),
        false => Err(ErrorCode::NotLeaderOrFollower),
    }
}

/// Runs on the owner; gives the start. An offset at or below it is fine already.
fn advance_here(shard: &Rc<Shard>, id: PartitionId, asked: i64) -> Result<i64, ErrorCode> {
    let partition = shard.partition(id).map_err(|missing| missing.code())?;
    let (start, removal) = {
        let mut partition = partition.borrow_mut();
        if !partition.is_leader() || !shard.shared.membership.may_lead(shard.now()) {
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
        (partition.log.state().start(), removal)
    };
    if let Some(job) = removal {
        // In the background, and not before the new start is on disk.
        shard.remove(&partition, job);
    }
    Ok(start)
}
