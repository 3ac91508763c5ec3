//! Answers ApiKey 13, LeaveGroup: one member before version 3, many from there on (KIP-345).

use std::sync::Arc;

use engine::group::{GroupError, LeaveReply, LeaveRequest, LeavingMember, Reply, Request};
use wire::leave_group::response::MemberResponse;
use wire::{ErrorCode, LeaveGroupRequest, LeaveGroupResponse, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use crate::coordinator::ask;

/// Many members in one request, from here on.
const MANY_SINCE: i16 = 3;

pub(crate) async fn handle(call: Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let members = if call.version >= MANY_SINCE {
        let members = request.members.iter().map(|member| LeavingMember {
            member_id: Arc::from(&*member.member_id),
            instance_id: member.group_instance_id.as_deref().map(Arc::from),
        });
        members.collect()
    } else {
        vec![LeavingMember { member_id: Arc::from(&*request.member_id), instance_id: None }]
    };
    let leave = LeaveRequest { group: Arc::from(&*request.group_id), members };
    match ask(call.shard(), &request.group_id, Request::Leave(leave)).await {
        Ok(Reply::Leave(reply)) => answer(reply, call.version),
        Ok(_) => unreachable!("a leave is answered as a leave"),
        Err(unavailable) => {
            LeaveGroupResponse { error_code: number(unavailable.code()), ..Default::default() }
        }
    }
}

fn answer(reply: LeaveReply, version: i16) -> LeaveGroupResponse {
    let code =
        |error: Option<GroupError>| number(error.as_ref().map_or(ErrorCode::None, KafkaCode::code));
    if version < MANY_SINCE {
        let of_member = reply.members.first().and_then(|(_, error)| *error);
        let error_code = code(reply.error.or(of_member));
        return LeaveGroupResponse { error_code, ..Default::default() };
    }
    let members = reply.members.into_iter().map(|(member, error)| MemberResponse {
        member_id: Str::from(&*member.member_id),
        group_instance_id: member.instance_id.as_deref().map(Str::from),
        error_code: code(error),
        ..Default::default()
    });
    LeaveGroupResponse {
        error_code: code(reply.error),
        members: members.collect(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use engine::group::{GroupError, LeaveReply, LeavingMember};

    use super::answer;

    #[test]
    fn the_only_members_error_is_the_answers_error_before_version_3() {
        let member = LeavingMember { member_id: "m".into(), instance_id: None };
        let members = vec![(member, Some(GroupError::UnknownMemberId))];
        let reply = LeaveReply { error: None, members };
        for version in 0..3 {
            assert_eq!(answer(reply.clone(), version).error_code, 25);
        }
        let many = answer(reply, 3);
        assert_eq!((many.error_code, many.members[0].error_code), (0, 25));
    }
}
