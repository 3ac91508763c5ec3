//! Answers ApiKey 10008, ForgetBroker: a broker is gone for good. Unlike Kafka's UnregisterBroker it names
//! the registration that is meant, takes no replica from a partition, and takes the vote away first.

use std::sync::Arc;

use engine::BrokerId;
use engine::metadata::{Decision, ForgetBrokerError, UnregisterBrokerError};
use wire::{ErrorCode, ForgetBrokerRequest, ForgetBrokerResponse, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use crate::quorum::{VoterChange, VoterError, VoterProgress};
use crate::shared::Shared;

pub(crate) async fn handle(call: Call, request: ForgetBrokerRequest) -> ForgetBrokerResponse {
    let id = BrokerId(request.broker_id);
    let epoch = Some(request.expected_epoch).filter(|epoch| *epoch >= 0);
    let refused = |code: ErrorCode, why: String| ForgetBrokerResponse {
        error_code: number(code),
        error_message: Some(Str::from(why)),
        ..Default::default()
    };
    let control = &call.shared().control;
    let may = control.decide(move |controller| Decision {
        records: Vec::new(),
        reply: controller.forget_broker(id, epoch).reply,
    });
    match may.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return refused(error.code(), error.to_string()),
        Err(error) => return refused(error.code(), error.to_string()),
    }
    if let Err(error) = take_vote(call.shared(), id).await {
        return refused(error.code(), error.to_string());
    }
    match control.decide(move |controller| controller.forget_broker(id, epoch)).await {
        Ok(Ok(())) => ForgetBrokerResponse { error_message: None, ..Default::default() },
        Ok(Err(error)) => refused(error.code(), error.to_string()),
        Err(error) => refused(error.code(), error.to_string()),
    }
}

/// A broker that never comes back would count among those of whom there must be a majority.
async fn take_vote(shared: &Arc<Shared>, node: BrokerId) -> Result<(), VoterError> {
    let voters = shared.quorum.progress().await.map(|progress| progress.voters).unwrap_or_default();
    match voters.into_iter().find(|voter| voter.id == node) {
        Some(VoterProgress { directory, .. }) => {
            shared.quorum.change(VoterChange::Remove { node, directory }).await
        }
        None => Ok(()),
    }
}

impl KafkaCode for ForgetBrokerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unregister(UnregisterBrokerError::Unknown(unknown)) => unknown.code(),
            Self::Unregister(UnregisterBrokerError::Running { .. })
            | Self::HoldsReplicas { .. } => ErrorCode::InvalidRequest,
        }
    }
}
