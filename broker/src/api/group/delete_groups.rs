//! Answers ApiKey 42, DeleteGroups: groups without members go, with their offsets.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::group::{Reply, Request};
use wire::delete_groups::response::DeletableGroupResult;
use wire::{DeleteGroupsRequest, DeleteGroupsResponse, ErrorCode, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use crate::coordinator::ask;

pub(crate) async fn handle(call: Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    // A group that is named twice is deleted and answered once.
    let mut seen = BTreeSet::new();
    for group_id in request.groups_names {
        if !seen.insert(group_id.clone()) {
            continue;
        }
        let delete = Request::DeleteGroup(Arc::from(&*group_id));
        let code = match ask(call.shard(), &group_id, delete).await {
            Ok(Reply::DeleteGroup(Ok(()))) => ErrorCode::None,
            Ok(Reply::DeleteGroup(Err(error))) => KafkaCode::code(&error),
            Ok(_) => unreachable!("a deletion is answered as a deletion"),
            Err(unavailable) => unavailable.code(),
        };
        let error_message = (code != ErrorCode::None).then(|| Str::from_static(code.text()));
        let error_code = number(code);
        results.push(DeletableGroupResult {
            group_id,
            error_code,
            error_message,
            ..Default::default()
        });
    }
    DeleteGroupsResponse { results, ..Default::default() }
}
