//! Answers ApiKey 64, UnregisterBroker: forgets a broker that is gone for good. One that is not registers
//! again.

use engine::BrokerId;
use wire::{ErrorCode, Str, UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;

pub(crate) async fn handle(
    call: Call,
    request: UnregisterBrokerRequest,
) -> UnregisterBrokerResponse {
    let id = BrokerId(request.broker_id);
    let decided = call.shared().control.decide(move |controller| {
        // The request names no epoch: whichever process has registered last is meant.
        let epoch = controller.image.broker(id).map_or(-1, |broker| broker.epoch);
        controller.unregister_broker(id, epoch)
    });
    let refused = |code: ErrorCode, why: String| UnregisterBrokerResponse {
        error_code: number(code),
        error_message: Some(Str::from(why)),
        ..Default::default()
    };
    match decided.await {
        Ok(Ok(())) => UnregisterBrokerResponse { error_message: None, ..Default::default() },
        Ok(Err(error)) => refused(error.code(), format!("broker {id} is not registered")),
        Err(error) => refused(error.code(), error.to_string()),
    }
}
