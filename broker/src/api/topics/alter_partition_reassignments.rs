//! Answers ApiKey 45, AlterPartitionReassignments: begins to move replicas, or cancels that (KIP-455).

use engine::metadata::{ReassignError, Reassignment};
use wire::alter_partition_reassignments::response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use wire::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::{number, text};
use super::by_topic::by_topic;

pub(crate) async fn handle(
    call: Call,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let asked: Vec<Reassignment> = read(&request);
    let allow_replication_factor_change = request.allow_replication_factor_change;
    let decided = call
        .shared()
        .control
        .decide(move |c| c.alter_reassignments(asked, allow_replication_factor_change));
    let empty = AlterPartitionReassignmentsResponse {
        allow_replication_factor_change,
        error_message: None,
        ..Default::default()
    };
    match decided.await {
        Ok(results) => {
            let topics = by_topic(results).into_iter();
            let responses = topics.map(|(name, partitions)| ReassignableTopicResponse {
                name,
                partitions: partitions.into_iter().map(describe).collect(),
                ..Default::default()
            });
            AlterPartitionReassignmentsResponse { responses: responses.collect(), ..empty }
        }
        Err(error) => AlterPartitionReassignmentsResponse {
            error_code: number(error.code()),
            error_message: text(&error),
            ..empty
        },
    }
}

fn read(request: &AlterPartitionReassignmentsRequest) -> Vec<Reassignment> {
    let partitions = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| Reassignment {
            topic: topic.name.to_string(),
            index: partition.partition_index,
            replicas: partition.replicas.clone(),
        })
    });
    partitions.collect()
}

fn describe(
    (partition_index, result): (i32, Result<(), ReassignError>),
) -> ReassignablePartitionResponse {
    let error = result.err();
    ReassignablePartitionResponse {
        partition_index,
        error_code: error.as_ref().map_or(0, |error| number(error.code())),
        error_message: error.as_ref().and_then(text),
        ..Default::default()
    }
}
