//! Answers ApiKey 10006, CordonBroker: new replicas are placed elsewhere, or here again.

use engine::BrokerId;
use wire::{CordonBrokerRequest, CordonBrokerResponse, ErrorCode, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;

pub(crate) async fn handle(call: Call, request: CordonBrokerRequest) -> CordonBrokerResponse {
    let (id, is_cordoned) = (BrokerId(request.broker_id), request.is_cordoned);
    let decided = call.shared().control.decide(move |controller| {
        // It holds for whichever process of the broker there is.
        let epoch = controller.image.broker(id).map_or(-1, |broker| broker.epoch);
        controller.cordon_broker(id, epoch, is_cordoned)
    });
    let refused = |code: ErrorCode, why: String| CordonBrokerResponse {
        error_code: number(code),
        error_message: Some(Str::from(why)),
        ..Default::default()
    };
    match decided.await {
        Ok(Ok(())) => CordonBrokerResponse { error_message: None, ..Default::default() },
        Ok(Err(error)) => refused(error.code(), format!("broker {id} is not registered")),
        Err(error) => refused(error.code(), error.to_string()),
    }
}
