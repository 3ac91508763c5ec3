//! Answers ApiKey 12, Heartbeat: a member is alive, and hears whether it has to join again.

use std::sync::Arc;

use engine::group::{HeartbeatRequest as Alive, MemberRef, Reply, Request};
use wire::{ErrorCode, HeartbeatRequest, HeartbeatResponse};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use crate::coordinator::{Unavailable, ask};

pub(crate) async fn handle(call: Call, request: HeartbeatRequest) -> HeartbeatResponse {
    let alive = Request::Heartbeat(Alive {
        group: Arc::from(&*request.group_id),
        member: MemberRef {
            member_id: Arc::from(&*request.member_id),
            instance_id: request.group_instance_id.as_deref().map(Arc::from),
            generation: request.generation_id,
        },
    });
    let code = match ask(call.shard(), &request.group_id, alive).await {
        Ok(Reply::Heartbeat(Ok(()))) => ErrorCode::None,
        Ok(Reply::Heartbeat(Err(error))) => KafkaCode::code(&error),
        Ok(_) => unreachable!("a heartbeat is answered as a heartbeat"),
        // As in Kafka: it cannot know better yet, and members that were told so would join again.
        Err(Unavailable::Loading) if !request.group_id.is_empty() => ErrorCode::None,
        Err(unavailable) => unavailable.code(),
    };
    HeartbeatResponse { error_code: number(code), ..Default::default() }
}
