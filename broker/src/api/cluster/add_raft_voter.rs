//! Answers ApiKey 80, AddRaftVoter: gives a node a vote about the metadata, once it has caught up (KIP-853).
//! A node that is known with another disk loses that vote first, if its broker is registered with this one.

use engine::BrokerId;
use wire::{AddRaftVoterRequest, AddRaftVoterResponse, ErrorCode};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::{number, text};
use crate::quorum::VoterChange;

pub(crate) async fn handle(call: Call, request: AddRaftVoterRequest) -> AddRaftVoterResponse {
    let refused = |code: ErrorCode, why: &dyn std::fmt::Display| AddRaftVoterResponse {
        error_code: number(code),
        error_message: text(&why),
        ..Default::default()
    };
    let shared = call.shared();
    if request.cluster_id.as_ref().is_some_and(|id| **id != *shared.cluster_id) {
        return refused(ErrorCode::InconsistentClusterId, &"another cluster is meant");
    }
    if request.voter_id < 0 {
        return refused(ErrorCode::InvalidRequest, &"node ids are not negative");
    }
    let Some(listener) = request.listeners.first() else {
        return refused(ErrorCode::InvalidRequest, &"the voter has no listener");
    };
    let change = VoterChange::Add {
        node: BrokerId(request.voter_id),
        directory: request.voter_directory_id,
        address: format!("{}:{}", listener.host, listener.port),
    };
    match shared.quorum.change(change).await {
        Ok(()) => AddRaftVoterResponse { error_message: None, ..Default::default() },
        Err(error) => refused(error.code(), &error),
    }
}
