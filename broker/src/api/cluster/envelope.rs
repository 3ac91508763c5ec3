//! Answers ApiKey 58, Envelope: a client's request that another broker passes on to the controller
//! (KIP-590).

use bytes::BytesMut;
use wire::{EnvelopeRequest, EnvelopeResponse, ErrorCode};

use super::super::context::Call;
use super::super::{forward, start_here};
use crate::net::Reply;

pub(crate) async fn handle(call: Call, request: EnvelopeRequest) -> EnvelopeResponse {
    if !call.shared().leadership().is_me {
        return forward::refused(ErrorCode::NotController);
    }
    match start_here(&call.context, BytesMut::from(&*request.request_data)).await {
        Reply::Send(pieces) => EnvelopeResponse {
            response_data: Some(forward::unframed(pieces)),
            ..Default::default()
        },
        Reply::Silent | Reply::Close(_) | Reply::Reset(_) => {
            forward::refused(ErrorCode::InvalidRequest)
        }
    }
}
