//! Answers ApiKey 23, OffsetForLeaderEpoch: where a leader's records end, so that a client or a
//! follower notices that its own log has gone another way (KIP-101, KIP-320).

use std::rc::Rc;

use engine::LeaderEpoch;
use wire::offset_for_leader_epoch::response::{EpochEndOffset, OffsetForLeaderTopicResult};
use wire::{ErrorCode, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use super::owners::ask_owners;
use super::reader::refusal;
use crate::partition::PartitionId;
use crate::shard::Shard;

#[derive(Clone, Copy)]
struct Ask {
    current_leader_epoch: i32,
    leader_epoch: i32,
}

type Found = Result<Option<(LeaderEpoch, i64)>, ErrorCode>;

pub(crate) async fn handle(
    call: Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let state = call.state();
    let mut asks = Vec::new();
    let mut is_known = Vec::new();
    for topic in &request.topics {
        let known = state.image.topic(&topic.topic);
        for asked in &topic.partitions {
            let known = known.filter(|topic| topic.partition(asked.partition).is_some());
            is_known.push(known.is_some());
            if let Some(topic) = known {
                let id = PartitionId { topic: topic.id, index: asked.partition };
                let current_leader_epoch = asked.current_leader_epoch;
                asks.push((id, Ask { current_leader_epoch, leader_epoch: asked.leader_epoch }));
            }
        }
    }
    let mut found = ask_owners(&call, asks, ask_here).await.into_iter();
    let mut is_known = is_known.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let answer = if is_known.next() == Some(true) {
                found.next().flatten().unwrap_or(Err(ErrorCode::NotLeaderOrFollower))
            } else {
                Err(ErrorCode::UnknownTopicOrPartition)
            };
            describe(asked.partition, answer)
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult { topic: topic.topic, partitions, ..Default::default() }
    });
    OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
}

/// Runs on the owner.
fn ask_here(shard: &Rc<Shard>, id: PartitionId, ask: Ask) -> Found {
    let partition = shard.partition(id).map_err(|missing| missing.code())?;
    let partition = partition.borrow();
    match refusal(shard, &partition, ask.current_leader_epoch) {
        Some(code) => Err(code),
        None => Ok(partition.log.end_offset_for_epoch(LeaderEpoch(ask.leader_epoch))),
    }
}

fn describe(partition: i32, answer: Found) -> EpochEndOffset {
    // Undefined is -1 in both, never a default that could be taken for an epoch.
    let (epoch, end_offset) = answer.unwrap_or(None).unwrap_or((LeaderEpoch(-1), -1));
    EpochEndOffset {
        error_code: number(answer.err().unwrap_or(ErrorCode::None)),
        partition,
        leader_epoch: epoch.0,
        end_offset,
        ..Default::default()
    }
}
