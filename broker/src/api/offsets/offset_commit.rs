//! Answers ApiKey 8, OffsetCommit. Who may commit is decided in [`engine::group`]; here is only told
//! which of the partitions exist.

use std::sync::Arc;
use std::time::Duration;

use engine::TopicPartition;
use engine::group::{
    CommitReply, CommitRequest, GroupError, MemberRef, OffsetToCommit, Reply, Request,
};
use engine::metadata::Topic;
use wire::offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::offset_commit::response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use wire::{ErrorCode, OffsetCommitRequest, OffsetCommitResponse};

use super::super::context::{Call, topic_by};
use super::super::errors::KafkaCode;
use super::super::number;
use crate::coordinator::{ask, within};
use crate::metadata::State;

/// Topics are named by their ids, from here on.
const IDS_SINCE: i16 = 10;
/// A group that does not exist is called so, from here on; before, the generation was wrong.
const GROUP_NOT_FOUND_SINCE: i16 = 9;

pub(crate) async fn handle(call: Call, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let state = call.state();
    let mut offsets = Vec::new();
    let mut refused = Vec::new();
    for topic in &request.topics {
        let known = find(&state, topic, call.version);
        for partition in &topic.partitions {
            let checked = known.and_then(|known| {
                let index = partition.partition_index;
                known.partition(index).map(|_| known).ok_or(ErrorCode::UnknownTopicOrPartition)
            });
            refused.push(checked.map(|known| offsets.push(offset(known, partition))).err());
        }
    }
    let told =
        if offsets.is_empty() { Ok(Vec::new()) } else { commit(&call, &request, offsets).await };
    let mut codes = match told {
        Ok(codes) => codes.into_iter(),
        Err(code) => vec![code; refused.len()].into_iter(),
    };
    let mut refused = refused.into_iter();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let code = refused.next().flatten().or_else(|| codes.next());
            OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: number(code.unwrap_or(ErrorCode::UnknownServerError)),
                ..Default::default()
            }
        });
        OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: partitions.collect(),
            ..Default::default()
        }
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

fn find<'s>(
    state: &'s State,
    topic: &OffsetCommitRequestTopic,
    version: i16,
) -> Result<&'s Arc<Topic>, ErrorCode> {
    if version >= IDS_SINCE {
        state.image.topic_by_id(topic.topic_id).ok_or(ErrorCode::UnknownTopicId)
    } else {
        topic_by(state, &topic.name, topic.topic_id).ok_or(ErrorCode::UnknownTopicOrPartition)
    }
}

fn offset(topic: &Topic, asked: &OffsetCommitRequestPartition) -> OffsetToCommit {
    OffsetToCommit {
        partition: TopicPartition::new(Arc::clone(&topic.name), asked.partition_index),
        topic_id: topic.id,
        offset: asked.committed_offset,
        leader_epoch: asked.committed_leader_epoch,
        metadata: Arc::from(asked.committed_metadata.as_deref().unwrap_or_default()),
    }
}

/// A code for each offset, in their order; or one for all.
async fn commit(
    call: &Call,
    request: &OffsetCommitRequest,
    offsets: Vec<OffsetToCommit>,
) -> Result<Vec<ErrorCode>, ErrorCode> {
    let commit = CommitRequest {
        group: Arc::from(&*request.group_id),
        member: MemberRef {
            member_id: Arc::from(&*request.member_id),
            instance_id: request.group_instance_id.as_deref().map(Arc::from),
            generation: request.generation_id_or_member_epoch,
        },
        retention_ms: (request.retention_time_ms != -1).then_some(request.retention_time_ms),
        offsets,
    };
    let limit = call.state().settings.broker.offsets_commit_timeout_ms;
    let limit = Duration::from_millis(u64::from(limit.unsigned_abs()));
    let asked = ask(call.shard(), &request.group_id, Request::Commit(commit));
    match within(&*call.shared().world.clock, limit, asked).await {
        Ok(Reply::Commit(CommitReply { partitions })) => {
            Ok(partitions.into_iter().map(|(_, error)| code(error, call.version)).collect())
        }
        Ok(_) => unreachable!("a commit is answered as a commit"),
        Err(unavailable) => Err(unavailable.code()),
    }
}

fn code(error: Option<GroupError>, version: i16) -> ErrorCode {
    match error {
        None => ErrorCode::None,
        Some(GroupError::GroupIdNotFound) if version < GROUP_NOT_FOUND_SINCE => {
            ErrorCode::IllegalGeneration
        }
        Some(error) => KafkaCode::code(&error),
    }
}

#[cfg(test)]
mod tests {
    use engine::group::GroupError;
    use wire::ErrorCode;

    use super::code;

    #[test]
    fn a_group_that_does_not_exist_is_an_illegal_generation_before_version_9() {
        let error = Some(GroupError::GroupIdNotFound);
        assert_eq!(code(error, 8), ErrorCode::IllegalGeneration);
        assert_eq!(code(error, 9), ErrorCode::GroupIdNotFound);
        assert_eq!(code(None, 2), ErrorCode::None);
    }
}
