//! Requests of clients that only the active controller can answer, on a broker that is not it: they go
//! there whole, in an Envelope (KIP-590), and the answer comes back as it is.

use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use wire::{EnvelopeRequest, EnvelopeResponse, ErrorCode};

use super::context::Call;
use super::{Body, number};
use crate::net::Reply;

/// How long a request may look for a controller.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before it looks again.
const PAUSE: Duration = Duration::from_millis(50);

/// Has the active controller answer a request.
pub(super) async fn to_controller(call: Call, body: Body) -> Reply {
    let shard = Rc::clone(call.shard());
    let clock = &shard.shared.world.clock;
    let deadline = clock.tick() + PATIENCE;
    let host = match call.context.peer.ip() {
        std::net::IpAddr::V4(ip) => Bytes::copy_from_slice(&ip.octets()),
        std::net::IpAddr::V6(ip) => Bytes::copy_from_slice(&ip.octets()),
    };
    let request = EnvelopeRequest {
        request_data: body.frame.freeze(),
        request_principal: None,
        client_host_address: host,
        ..Default::default()
    };
    loop {
        if call.shared().leadership().is_me {
            let frame = BytesMut::from(&*request.request_data);
            return super::start_here(&call.context, frame).await;
        }
        let answer = call.shard().link.pass_on(&request, PATIENCE).await;
        let problem = match answer {
            Ok(EnvelopeResponse { error_code: 0, response_data: Some(data), .. }) => {
                return framed(&data);
            }
            Ok(answer) => {
                let code = ErrorCode::from_number(answer.error_code);
                code.map_or("an unknown error", ErrorCode::name).to_owned()
            }
            Err(error) => error.to_string(),
        };
        if clock.tick() >= deadline {
            // The client asks again, here or elsewhere: whether it was done, nobody knows.
            return Reply::Close(format!("the active controller does not answer: {problem}"));
        }
        // An election is under way; it takes less than a second.
        clock.sleep(PAUSE).await;
    }
}

/// An answer with its length in front.
fn framed(data: &Bytes) -> Reply {
    let mut length = BytesMut::with_capacity(4);
    length.put_u32(u32::try_from(data.len()).expect("an answer is far below 4 GiB"));
    Reply::Send(vec![length.freeze(), data.clone()])
}

/// What an answer is without its length: how an Envelope carries it.
pub(super) fn unframed(pieces: Vec<Bytes>) -> Bytes {
    let mut whole = BytesMut::new();
    for piece in pieces {
        whole.extend_from_slice(&piece);
    }
    let _length = whole.split_to(4.min(whole.len()));
    whole.freeze()
}

/// An Envelope that was not opened.
pub(super) fn refused(code: ErrorCode) -> EnvelopeResponse {
    EnvelopeResponse { response_data: None, error_code: number(code), ..Default::default() }
}
