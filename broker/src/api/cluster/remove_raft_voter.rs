//! Answers ApiKey 81, RemoveRaftVoter: takes a node's vote about the metadata away (KIP-853). It follows
//! from then on like any broker without a vote.

use engine::BrokerId;
use wire::{ErrorCode, RemoveRaftVoterRequest, RemoveRaftVoterResponse};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::{number, text};
use crate::quorum::VoterChange;

pub(crate) async fn handle(call: Call, request: RemoveRaftVoterRequest) -> RemoveRaftVoterResponse {
    let refused = |code: ErrorCode, why: &dyn std::fmt::Display| RemoveRaftVoterResponse {
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
    let change = VoterChange::Remove {
        node: BrokerId(request.voter_id),
        directory: request.voter_directory_id,
    };
    match shared.quorum.change(change).await {
        Ok(()) => RemoveRaftVoterResponse { error_message: None, ..Default::default() },
        Err(error) => refused(error.code(), &error),
    }
}
