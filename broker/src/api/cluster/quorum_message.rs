//! Answers ApiKey 10001, QuorumMessage: what another voter says to the one on this node.

use wire::{QuorumMessageRequest, QuorumMessageResponse};

use super::super::context::Call;

pub(crate) async fn handle(call: Call, request: QuorumMessageRequest) -> QuorumMessageResponse {
    call.shared().quorum.deliver(request).await
}
