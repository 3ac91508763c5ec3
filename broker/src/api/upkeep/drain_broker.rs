//! Answers ApiKey 10005, DrainBroker: a broker gives away what it leads, or all that it holds. The steps
//! that follow are taken in `controller/drains.rs`.

use engine::BrokerId;
use engine::metadata::{Drain, DrainBrokerError};
use wire::{DrainBrokerRequest, DrainBrokerResponse, ErrorCode, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;

pub(crate) async fn handle(call: Call, request: DrainBrokerRequest) -> DrainBrokerResponse {
    let id = BrokerId(request.broker_id);
    let refused = |code: ErrorCode, why: String| DrainBrokerResponse {
        error_code: number(code),
        error_message: Some(Str::from(why)),
        ..Default::default()
    };
    let drain = match request.mode {
        0 => None,
        1 => Some(Drain::Leadership),
        2 => Some(Drain::All),
        other => {
            return refused(ErrorCode::InvalidRequest, format!("there is no mode {other}"));
        }
    };
    let decided = call.shared().control.decide(move |c| c.drain_broker(id, drain));
    match decided.await {
        Ok(Ok(())) => DrainBrokerResponse { error_message: None, ..Default::default() },
        Ok(Err(DrainBrokerError::Unknown(unknown))) => {
            refused(unknown.code(), format!("broker {id} is not registered"))
        }
        Ok(Err(error)) => refused(error.code(), error.to_string()),
        Err(error) => refused(error.code(), error.to_string()),
    }
}
