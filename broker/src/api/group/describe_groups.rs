//! Answers ApiKey 15, DescribeGroups: what groups are doing, and who is in them.

use std::sync::Arc;

use engine::group::{Description, MemberDescription};
use wire::describe_groups::response::{DescribedGroup, DescribedGroupMember};
use wire::{DescribeGroupsRequest, DescribeGroupsResponse, ErrorCode, Str};

use super::super::cluster::operations;
use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use crate::coordinator::look;

/// A group that does not exist is an error, from here on (KIP-1043); before, it is `Dead`.
const NOT_FOUND_SINCE: i16 = 6;

pub(crate) async fn handle(call: Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let operations = operations::if_asked(request.include_authorized_operations, operations::GROUP);
    let mut groups = Vec::with_capacity(request.groups.len());
    for group_id in request.groups {
        let asked: Arc<str> = Arc::from(&*group_id);
        let seen = look(call.shard(), &group_id, move |groups| groups.describe(&asked)).await;
        let mut described = match seen {
            Ok(Some(description)) => describe(description),
            Ok(None) => missing(call.version),
            Err(unavailable) => {
                DescribedGroup { error_code: number(unavailable.code()), ..empty() }
            }
        };
        if described.error_code == 0 {
            described.authorized_operations = operations;
        }
        groups.push(DescribedGroup { group_id, ..described });
    }
    DescribeGroupsResponse { groups, ..Default::default() }
}

fn empty() -> DescribedGroup {
    DescribedGroup { error_message: None, ..Default::default() }
}

fn missing(version: i16) -> DescribedGroup {
    let dead = DescribedGroup { group_state: Str::from_static("Dead"), ..empty() };
    if version < NOT_FOUND_SINCE {
        return dead;
    }
    DescribedGroup {
        error_code: number(ErrorCode::GroupIdNotFound),
        error_message: Some(Str::from_static("there is no such group")),
        ..dead
    }
}

fn describe(description: Description) -> DescribedGroup {
    DescribedGroup {
        group_state: Str::from(description.state.to_string()),
        protocol_type: Str::from(&*description.protocol_type),
        protocol_data: Str::from(&*description.protocol_name),
        members: description.members.into_iter().map(describe_member).collect(),
        ..empty()
    }
}

fn describe_member(member: MemberDescription) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: Str::from(&*member.member_id),
        group_instance_id: member.instance_id.as_deref().map(Str::from),
        client_id: Str::from(&*member.client_id),
        client_host: Str::from(&*member.client_host),
        member_metadata: member.metadata,
        member_assignment: member.assignment,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn a_group_that_does_not_exist_is_dead_and_from_version_6_on_an_error() {
        for (version, error_code, has_message) in [(0, 0, false), (5, 0, false), (6, 69, true)] {
            let group = missing(version);
            assert_eq!((group.error_code, &*group.group_state), (error_code, "Dead"));
            assert_eq!(group.error_message.is_some(), has_message);
        }
    }
}
