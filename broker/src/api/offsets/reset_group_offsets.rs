//! Answers ApiKey 10000, ResetGroupOffsets: Klamm's own. Moves committed offsets in one step, once per
//! token, also while members run; [`engine::group`] says how.

use std::sync::Arc;

use engine::TopicPartition;
use engine::group::{Reply, Request, ResetMode, ResetReply, ResetRequest, ResetTarget};
use wire::reset_group_offsets::response::{ResetPartitionResult, ResetTopicResult};
use wire::{ErrorCode, ResetGroupOffsetsRequest, ResetGroupOffsetsResponse, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use crate::coordinator::ask;
use crate::metadata::State;

/// What a request asks for, or which partitions do not exist.
enum Read {
    Reset(ResetRequest),
    /// Some are unknown. A reset that was carried out before they went is still answered: `probe` asks
    /// for it, and cannot do anything.
    Unknown {
        topics: Vec<ResetTopicResult>,
        probe: ResetRequest,
    },
    Invalid(String),
}

pub(crate) async fn handle(
    call: Call,
    request: ResetGroupOffsetsRequest,
) -> ResetGroupOffsetsResponse {
    let refused = |code: ErrorCode, message: &str| ResetGroupOffsetsResponse {
        error_code: number(code),
        error_message: Some(Str::from(message)),
        ..Default::default()
    };
    let reset = match read(&call.state(), &request) {
        Read::Reset(reset) => reset,
        Read::Invalid(why) => return refused(ErrorCode::InvalidRequest, &why),
        Read::Unknown { topics, probe } => {
            match ask(call.shard(), &request.group_id, Request::Reset(probe)).await {
                Ok(Reply::Reset(Ok(done))) => return answer(&done),
                // The journal has no such reset.
                Ok(_) => {}
                Err(unavailable) => return refused(unavailable.code(), &unavailable.to_string()),
            }
            let why = "some of the partitions do not exist: nothing was reset";
            return ResetGroupOffsetsResponse {
                topics,
                ..refused(ErrorCode::UnknownTopicOrPartition, why)
            };
        }
    };
    match ask(call.shard(), &request.group_id, Request::Reset(reset)).await {
        Ok(Reply::Reset(Ok(reply))) => answer(&reply),
        Ok(Reply::Reset(Err(error))) => {
            let code = KafkaCode::code(&error);
            refused(code, code.text())
        }
        Ok(_) => unreachable!("a reset is answered as a reset"),
        Err(unavailable) => refused(unavailable.code(), &unavailable.to_string()),
    }
}

fn read(state: &State, request: &ResetGroupOffsetsRequest) -> Read {
    let mode = match request.mode {
        0 => ResetMode::Fail,
        1 => ResetMode::Fence,
        other => return Read::Invalid(format!("there is no mode {other}")),
    };
    let mut targets = Vec::new();
    let mut is_complete = true;
    let mut results = Vec::with_capacity(request.topics.len());
    for asked in &request.topics {
        let topic = state.image.topic(&asked.name);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for partition in &asked.partitions {
            let known = topic.filter(|topic| topic.partition(partition.index).is_some());
            let code =
                if known.is_some() { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
            is_complete &= known.is_some();
            let (index, error_code) = (partition.index, number(code));
            partitions.push(ResetPartitionResult { index, error_code, ..Default::default() });
            targets.extend(known.map(|topic| ResetTarget {
                partition: TopicPartition::new(Arc::clone(&topic.name), index),
                topic_id: topic.id,
                offset: partition.offset,
                leader_epoch: partition.leader_epoch,
                metadata: Arc::from(partition.metadata.as_deref().unwrap_or_default()),
            }));
        }
        let name = asked.name.clone();
        results.push(ResetTopicResult { name, partitions, ..Default::default() });
    }
    let expected = request.expected_generation;
    let reset = ResetRequest {
        group: Arc::from(&*request.group_id),
        token: Arc::from(&*request.token),
        mode,
        must_exist: request.must_exist,
        expected_generation: (expected != -1).then_some(expected),
        targets,
    };
    if is_complete {
        return Read::Reset(reset);
    }
    // No group reaches this generation, so only the journal can answer; a request needs some target.
    let nowhere = ResetTarget {
        partition: TopicPartition::new("", 0),
        topic_id: wire::Uuid::ZERO,
        offset: 0,
        leader_epoch: -1,
        metadata: Arc::from(""),
    };
    let probe = ResetRequest {
        targets: vec![nowhere],
        must_exist: true,
        expected_generation: Some(i32::MAX),
        mode: ResetMode::Fail,
        ..reset
    };
    Read::Unknown { topics: results, probe }
}

fn answer(reply: &ResetReply) -> ResetGroupOffsetsResponse {
    let mut topics: Vec<ResetTopicResult> = Vec::new();
    for moved in &reply.moves {
        let partition = ResetPartitionResult {
            index: moved.partition.partition,
            previous_offset: moved.from,
            overwritten: reply.overwritten.contains(&moved.partition),
            ..Default::default()
        };
        match topics.last_mut() {
            Some(topic) if topic.name == *moved.partition.topic => {
                topic.partitions.push(partition);
            }
            _ => topics.push(ResetTopicResult {
                name: Str::from(&*moved.partition.topic),
                partitions: vec![partition],
                ..Default::default()
            }),
        }
    }
    ResetGroupOffsetsResponse {
        already_done: reply.already_done,
        generation: reply.generation,
        topics,
        ..Default::default()
    }
}
