//! Answers ApiKey 14, SyncGroup: the leader hands in the assignment, everybody gets their part of it.

use std::sync::Arc;

use bytes::Bytes;
use engine::group::{MemberRef, Reply, Request, SyncRequest};
use wire::{ErrorCode, Str, SyncGroupRequest, SyncGroupResponse};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use crate::coordinator::ask;

pub(crate) async fn handle(call: Call, request: SyncGroupRequest) -> SyncGroupResponse {
    let refused = |code| SyncGroupResponse { error_code: number(code), ..empty() };
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if call.version >= 5 && !names_protocol {
        return refused(ErrorCode::InconsistentGroupProtocol);
    }
    let group = request.group_id.clone();
    match ask(call.shard(), &group, Request::Sync(read(&request))).await {
        Ok(Reply::Sync(Ok(reply))) => SyncGroupResponse {
            protocol_type: reply.protocol_type.as_deref().map(Str::from),
            protocol_name: reply.protocol_name.as_deref().map(Str::from),
            assignment: reply.assignment,
            ..empty()
        },
        Ok(Reply::Sync(Err(error))) => refused(KafkaCode::code(&error)),
        Ok(_) => unreachable!("a sync is answered as a sync"),
        Err(unavailable) => refused(unavailable.code()),
    }
}

fn empty() -> SyncGroupResponse {
    SyncGroupResponse { protocol_type: None, protocol_name: None, ..Default::default() }
}

fn read(request: &SyncGroupRequest) -> SyncRequest {
    let assignments = request.assignments.iter().map(|one| {
        // A copy: what a group keeps must not keep the request's frame.
        (Arc::from(&*one.member_id), Bytes::copy_from_slice(&one.assignment))
    });
    SyncRequest {
        group: Arc::from(&*request.group_id),
        member: MemberRef {
            member_id: Arc::from(&*request.member_id),
            instance_id: request.group_instance_id.as_deref().map(Arc::from),
            generation: request.generation_id,
        },
        protocol_type: request.protocol_type.as_deref().map(Arc::from),
        protocol_name: request.protocol_name.as_deref().map(Arc::from),
        assignments: assignments.collect(),
    }
}
