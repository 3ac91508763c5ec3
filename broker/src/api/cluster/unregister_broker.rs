//! Answers ApiKey 64, UnregisterBroker: forgets a broker that is gone for good.

use engine::BrokerId;
use engine::metadata::UnregisterBrokerError;
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
        Ok(Err(UnregisterBrokerError::Unknown(unknown))) => {
            refused(unknown.code(), format!("broker {id} is not registered"))
        }
        Ok(Err(error @ UnregisterBrokerError::Running { .. })) => {
            refused(ErrorCode::InvalidRequest, error.to_string())
        }
        Err(error) => refused(error.code(), error.to_string()),
    }
}
