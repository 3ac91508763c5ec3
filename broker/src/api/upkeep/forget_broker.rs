//! Answers ApiKey 10008, ForgetBroker: a broker is gone for good. Unlike Kafka's UnregisterBroker it names
//! the registration that is meant, and takes no replica from a partition.

use engine::BrokerId;
use engine::metadata::ForgetBrokerError;
use wire::{ErrorCode, ForgetBrokerRequest, ForgetBrokerResponse, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;

pub(crate) async fn handle(call: Call, request: ForgetBrokerRequest) -> ForgetBrokerResponse {
    let id = BrokerId(request.broker_id);
    let epoch = Some(request.expected_epoch).filter(|epoch| *epoch >= 0);
    let decided = call.shared().control.decide(move |c| c.forget_broker(id, epoch));
    let refused = |code: ErrorCode, why: String| ForgetBrokerResponse {
        error_code: number(code),
        error_message: Some(Str::from(why)),
        ..Default::default()
    };
    match decided.await {
        Ok(Ok(())) => ForgetBrokerResponse { error_message: None, ..Default::default() },
        Ok(Err(error)) => refused(error.code(), error.to_string()),
        Err(error) => refused(error.code(), error.to_string()),
    }
}

impl KafkaCode for ForgetBrokerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown(unknown) => unknown.code(),
            Self::Running { .. } | Self::HoldsReplicas { .. } => ErrorCode::InvalidRequest,
        }
    }
}
