//! Answers ApiKey 0, Produce. Whether a batch may enter is decided by [`storage::PartitionLog::admit`].
//!
//! The frame's buffer is split per batch, without a copy: the slice that the socket filled is the one
//! that the log writes and that consumers are sent.

use std::time::Duration;

use bytes::BytesMut;
use engine::log::AdmitError;
use engine::log::admit::Origin;
use engine::metadata::is_internal;
use storage::AppendError;
use tokio::sync::oneshot;
use wire::produce::response::{
    BatchIndexAndErrorMessage, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use wire::visit::TopicRef;
use wire::visit::produce::Produce;
use wire::{ApiKey, ErrorCode, ProduceResponse, Str, Uuid};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::{Body, encode, number, text};
use super::leader_hint::Leaders;
use crate::net::Reply;
use crate::partition::{Acks, AppendOutcome, Missing, PartitionId, Refused};

/// Answers name leaders from here on (KIP-951).
const HINTS_SINCE: i16 = 10;

/// One batch on its way: who asked, and who will tell.
struct Part {
    /// As the client named it, for the answer.
    name: Str,
    id: Uuid,
    index: i32,
    sent: Result<oneshot::Receiver<AppendOutcome>, (ErrorCode, Option<Str>)>,
}

/// Hands the batches over before it returns: those of a later request come behind them. What is left to
/// do later is to wait and to answer.
pub(crate) fn handle(call: Call, body: Body) -> impl Future<Output = Reply> {
    let begun = begin(&call, body);
    async move {
        match begun {
            Ok(Begun { acks, timeout_ms, parts }) => {
                let deadline = (acks == -1).then(|| {
                    let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
                    call.shared().world.clock.sleep(timeout)
                });
                answer(call, parts, acks, deadline).await
            }
            Err(reason) => Reply::Close(reason),
        }
    }
}

struct Begun {
    acks: i16,
    timeout_ms: i32,
    parts: Vec<Part>,
}

fn begin(call: &Call, body: Body) -> Result<Begun, String> {
    let Body { mut frame, at } = body;
    let (acks, timeout_ms, wanted) = read(call, &frame, at)?;
    call.shared().metrics.decoded(ApiKey::Produce);
    let mut parts = Vec::with_capacity(wanted.len());
    let mut cut = 0;
    for Wanted { name, id, index, records, target } in wanted {
        let sent = match (target, records) {
            (Err(code), _) => Err((code, None)),
            (Ok(_), None) => Err((ErrorCode::InvalidRecord, text(&"there is no record batch"))),
            (Ok(target), Some(range)) => {
                let _before = frame.split_to(range.start - cut);
                let batch = frame.split_to(range.len());
                cut = range.end;
                Ok(append(call, target, batch, acks))
            }
        };
        parts.push(Part { name, id, index, sent });
    }
    Ok(Begun { acks, timeout_ms, parts })
}

/// A batch as the request names it.
struct Wanted {
    name: Str,
    id: Uuid,
    index: i32,
    records: Option<std::ops::Range<usize>>,
    target: Result<PartitionId, ErrorCode>,
}

fn read(call: &Call, frame: &[u8], at: usize) -> Result<(i16, i32, Vec<Wanted>), String> {
    let request = Produce::parse(frame, at, call.version)
        .map_err(|error| format!("cannot read ProduceRequest v{}: {error}", call.version))?;
    let valid_acks = matches!(request.acks, -1..=1);
    let state = call.state();
    let wanted = request
        .partitions()
        .map(|partition| {
            let (name, id, topic) = match partition.topic {
                TopicRef::Name(name) => (name, Uuid::ZERO, state.image.topic(name)),
                TopicRef::Id(id) => ("", id, state.image.topic_by_id(id)),
            };
            let target = match topic {
                _ if !valid_acks => Err(ErrorCode::InvalidRequiredAcks),
                // Transactions arrive later; until then no client can have begun one.
                _ if request.transactional_id.is_some() => {
                    Err(ErrorCode::TransactionalIdAuthorizationFailed)
                }
                None if id.is_zero() => Err(ErrorCode::UnknownTopicOrPartition),
                None => Err(ErrorCode::UnknownTopicId),
                Some(topic) if is_internal(&topic.name) => Err(ErrorCode::InvalidTopic),
                Some(topic) if topic.partition(partition.index).is_none() => {
                    Err(ErrorCode::UnknownTopicOrPartition)
                }
                Some(topic) => Ok(PartitionId { topic: topic.id, index: partition.index }),
            };
            let (name, index) = (Str::from(name), partition.index);
            Wanted { name, id, index, records: partition.records, target }
        })
        .collect();
    Ok((request.acks, request.timeout_ms, wanted))
}

fn append(
    call: &Call,
    target: PartitionId,
    batch: BytesMut,
    acks: i16,
) -> oneshot::Receiver<AppendOutcome> {
    let acks = if acks == -1 { Acks::All } else { Acks::Leader };
    call.shared().append(call.shard(), target, batch, Origin::Client, acks)
}

async fn answer(
    call: Call,
    parts: Vec<Part>,
    acks: i16,
    mut deadline: Option<world::clock::LocalFuture<()>>,
) -> Reply {
    let mut responses: Vec<TopicProduceResponse> = Vec::new();
    let mut leaders = Leaders::default();
    let mut failure = None;
    for Part { name, id, index, sent } in parts {
        let mut partition = PartitionProduceResponse {
            index,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            ..Default::default()
        };
        match sent {
            Ok(told) => fill(&mut partition, wait(told, deadline.as_mut()).await),
            Err((code, message)) => {
                partition.error_code = number(code);
                partition.error_message = message;
            }
        }
        if partition.error_code != 0 {
            failure = ErrorCode::from_number(partition.error_code);
        }
        if call.version >= HINTS_SINCE
            && let Some(hint) = leaders.hint(&call, (&name, id, index), partition.error_code)
        {
            partition.current_leader.leader_id = hint.leader;
            partition.current_leader.leader_epoch = hint.epoch;
        }
        match responses.last_mut() {
            Some(topic) if topic.name == name && topic.topic_id == id => {
                topic.partition_responses.push(partition);
            }
            _ => responses.push(TopicProduceResponse {
                name,
                topic_id: id,
                partition_responses: vec![partition],
                ..Default::default()
            }),
        }
    }
    if acks == 0 {
        // Nobody reads an answer; a failure can only be told by ending the connection.
        return match failure {
            None => Reply::Silent,
            Some(code) => Reply::Close(format!("a Produce with acks=0 failed: {}", code.name())),
        };
    }
    let node_endpoints = leaders.endpoints().map(|(node_id, host, port)| NodeEndpoint {
        node_id,
        host,
        port,
        ..Default::default()
    });
    let node_endpoints = node_endpoints.collect();
    let response = ProduceResponse { responses, node_endpoints, ..Default::default() };
    encode(&response, call.version, call.correlation_id)
}

/// How an append ended; `None` when the client's patience did first. The append itself goes on.
async fn wait(
    told: oneshot::Receiver<AppendOutcome>,
    deadline: Option<&mut world::clock::LocalFuture<()>>,
) -> Option<AppendOutcome> {
    let stopping = Err(Refused::Missing(Missing::Stopping));
    let Some(deadline) = deadline else { return Some(told.await.unwrap_or(stopping)) };
    tokio::select! {
        biased;
        outcome = told => Some(outcome.unwrap_or(stopping)),
        () = deadline => None,
    }
}

fn fill(partition: &mut PartitionProduceResponse, outcome: Option<AppendOutcome>) {
    match outcome {
        Some(Ok(appended)) => {
            partition.base_offset = appended.base_offset;
            partition.log_append_time_ms = appended.append_time_ms;
            partition.log_start_offset = appended.log_start;
        }
        Some(Err(refused)) => {
            partition.error_code = number(refused.code());
            partition.error_message = text(&refused);
            if let Refused::Append(AppendError::Refused(error)) = &refused {
                partition.record_errors = record_errors(error);
            }
        }
        // Not a refusal: the batch may still be committed (KAFKA-13574 is the class of this mistake).
        None => partition.error_code = number(ErrorCode::RequestTimedOut),
    }
}

fn record_errors(error: &AdmitError) -> Vec<BatchIndexAndErrorMessage> {
    error
        .faults()
        .iter()
        .map(|fault| BatchIndexAndErrorMessage {
            batch_index: fault.index,
            batch_index_error_message: text(&fault.message),
            ..Default::default()
        })
        .collect()
}
