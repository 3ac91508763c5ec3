//! Answers ApiKey 11, JoinGroup. The answer may be long in coming: it is given when the group has
//! gathered. Who may join, and what becomes of it, is decided in [`engine::group`].

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use engine::group::{JoinReply, JoinRequest, Reply, Request};
use wire::join_group::response::JoinGroupResponseMember;
use wire::{ErrorCode, JoinGroupRequest, JoinGroupResponse, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use crate::coordinator::ask;

pub(crate) async fn handle(call: Call, request: JoinGroupRequest) -> JoinGroupResponse {
    let group = request.group_id.clone();
    let member_id = request.member_id.clone();
    let asked = Request::Join(read(&call, &request));
    match ask(call.shard(), &group, asked).await {
        Ok(Reply::Join(reply)) => answer(reply, call.version),
        Ok(_) => unreachable!("a join is answered as a join"),
        Err(unavailable) => refused(unavailable.code(), member_id, call.version),
    }
}

fn read(call: &Call, request: &JoinGroupRequest) -> JoinRequest {
    let dice = &call.shared().world.dice;
    let fresh_id =
        u128::from(dice.next_u64("member-id")) << 64 | u128::from(dice.next_u64("member-id"));
    // Version 0 has one timeout for both.
    let rebalance_timeout_ms =
        if call.version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms };
    let protocols = request.protocols.iter().map(|protocol| {
        // A copy: what a group keeps must not keep the request's frame.
        (Arc::from(&*protocol.name), Bytes::copy_from_slice(&protocol.metadata))
    });
    JoinRequest {
        group: Arc::from(&*request.group_id),
        member_id: Arc::from(&*request.member_id),
        instance_id: request.group_instance_id.as_deref().map(Arc::from),
        client_id: Arc::from(call.client_id.as_deref().unwrap_or_default()),
        client_host: Arc::from(java_address(call.context.peer.ip())),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms,
        protocol_type: Arc::from(&*request.protocol_type),
        protocols: protocols.collect(),
        require_member_id: call.version >= 4,
        supports_skip_assignment: call.version >= 9,
        fresh_id,
    }
}

fn answer(reply: JoinReply, version: i16) -> JoinGroupResponse {
    let text = |text: &Arc<str>| Str::from(&**text);
    if let Some(error) = reply.error {
        return refused(KafkaCode::code(&error), text(&reply.member_id), version);
    }
    let members = reply.members.into_iter().map(|member| JoinGroupResponseMember {
        member_id: text(&member.member_id),
        group_instance_id: member.instance_id.as_ref().map(text),
        metadata: member.metadata,
        ..Default::default()
    });
    JoinGroupResponse {
        generation_id: reply.generation,
        protocol_type: reply.protocol_type.as_ref().map(text),
        protocol_name: protocol_name(reply.protocol_name.as_ref().map(text), version),
        leader: text(&reply.leader),
        skip_assignment: version >= 9 && reply.skip_assignment,
        member_id: text(&reply.member_id),
        members: members.collect(),
        ..Default::default()
    }
}

fn refused(code: ErrorCode, member_id: Str, version: i16) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: number(code),
        generation_id: -1,
        protocol_type: None,
        protocol_name: protocol_name(None, version),
        member_id,
        ..Default::default()
    }
}

/// Null only where the version has it.
fn protocol_name(name: Option<Str>, version: i16) -> Option<Str> {
    if version >= 7 { name } else { Some(name.unwrap_or_default()) }
}

/// As Java prints an address, which is what tools show and parse.
fn java_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let groups: Vec<String> =
                address.segments().iter().map(|group| format!("{group:x}")).collect();
            format!("/{}", groups.join(":"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{java_address, protocol_name};

    #[test]
    fn addresses_are_printed_as_java_prints_them() {
        for (address, printed) in [
            ("127.0.0.1", "/127.0.0.1"),
            ("::1", "/0:0:0:0:0:0:0:1"),
            ("::ffff:10.1.2.3", "/10.1.2.3"),
            ("fe80::a0", "/fe80:0:0:0:0:0:0:a0"),
        ] {
            assert_eq!(java_address(address.parse().unwrap()), printed);
        }
    }

    #[test]
    fn the_protocol_is_null_only_from_version_7_on() {
        assert_eq!(protocol_name(None, 6).as_deref(), Some(""));
        assert_eq!(protocol_name(None, 7), None);
    }
}
