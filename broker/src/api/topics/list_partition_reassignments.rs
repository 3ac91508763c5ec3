//! Answers ApiKey 46, ListPartitionReassignments: the partitions whose replicas are being moved.

use engine::BrokerId;
use engine::metadata::{Decision, Image, Partition};
use wire::list_partition_reassignments::request::ListPartitionReassignmentsTopics;
use wire::list_partition_reassignments::response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use wire::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::{number, text};
use super::by_topic::by_topic;

pub(crate) async fn handle(
    call: Call,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let empty = ListPartitionReassignmentsResponse { error_message: None, ..Default::default() };
    // Asked of the controller, so that what was begun before is among it.
    let listed = call.shared().control.decide(move |controller| {
        let reply = list(controller.image, request.topics.as_deref());
        Decision { records: Vec::new(), reply }
    });
    match listed.await {
        Ok(topics) => ListPartitionReassignmentsResponse { topics, ..empty },
        Err(error) => ListPartitionReassignmentsResponse {
            error_code: number(error.code()),
            error_message: text(&error),
            ..empty
        },
    }
}

/// Those of them that were `asked` for, or all.
fn list(
    image: &Image,
    asked: Option<&[ListPartitionReassignmentsTopics]>,
) -> Vec<OngoingTopicReassignment> {
    let is_asked = |name: &str, index: i32| {
        asked.is_none_or(|topics| {
            topics
                .iter()
                .any(|topic| topic.name == name && topic.partition_indexes.contains(&index))
        })
    };
    let moving = image.reassignments().filter(|(topic, index, _)| is_asked(&topic.name, *index));
    let moving = moving.map(|(topic, index, partition)| {
        ((topic.name.to_string(), index), describe(index, partition))
    });
    let topics = by_topic(moving).into_iter().map(|(name, partitions)| OngoingTopicReassignment {
        name,
        partitions: partitions.into_iter().map(|(_, partition)| partition).collect(),
        ..Default::default()
    });
    topics.collect()
}

fn describe(partition_index: i32, partition: &Partition) -> OngoingPartitionReassignment {
    let numbers = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
    OngoingPartitionReassignment {
        partition_index,
        replicas: numbers(&partition.replicas),
        adding_replicas: numbers(&partition.adding),
        removing_replicas: numbers(&partition.removing),
        ..Default::default()
    }
}
