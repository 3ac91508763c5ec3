//! Answers ApiKey 10012, ListTimestamps: when the record at an offset was written. How far a group is behind in time is
//! the age of the first record that it has not read.

use storage::TimestampQuery;
use wire::list_timestamps::response::{
    ListTimestampsPartitionResponse, ListTimestampsTopicResponse,
};
use wire::{ErrorCode, ListTimestampsRequest, ListTimestampsResponse};

use super::super::context::Call;
use super::super::number;
use super::list_offsets::{Ask, Question, Visible, ask_here, settle};
use super::owners::ask_owners;
use crate::partition::PartitionId;

pub(crate) async fn handle(call: Call, request: ListTimestampsRequest) -> ListTimestampsResponse {
    let state = call.state();
    let mut asks = Vec::new();
    for topic in &request.topics {
        // Nobody leads a partition of no topic: it is refused there.
        let id = state.image.topic(&topic.name).map_or(wire::Uuid::ZERO, |topic| topic.id);
        for partition in &topic.partitions {
            let ask = Ask {
                question: Question::Time(TimestampQuery::From(partition.offset)),
                current_leader_epoch: -1,
                visible: Visible::Watermark,
            };
            asks.push((PartitionId { topic: id, index: partition.index }, ask));
        }
    }
    let mut found = ask_owners(&call, asks, ask_here).await.into_iter();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let answer = match found.next().flatten() {
                Some(Ok(found)) => settle(&call, found).await,
                Some(Err(code)) => Err(code),
                None => Err(ErrorCode::NotLeaderOrFollower),
            };
            partitions.push(ListTimestampsPartitionResponse {
                index: partition.index,
                error_code: number(answer.err().unwrap_or(ErrorCode::None)),
                timestamp: answer.map_or(-1, |found| found.timestamp),
                ..Default::default()
            });
        }
        let name = topic.name;
        topics.push(ListTimestampsTopicResponse { name, partitions, ..Default::default() });
    }
    ListTimestampsResponse { topics, ..Default::default() }
}
