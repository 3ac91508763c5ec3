//! Answers ApiKey 67, AllocateProducerIds: a broker fetches producer ids to give away.
//! What it means is in `controller/requests.rs`.

use wire::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};

use super::super::context::Call;
use crate::controller::Ask;

pub(crate) async fn handle(
    call: Call,
    request: AllocateProducerIdsRequest,
) -> AllocateProducerIdsResponse {
    request.answer(call.shared()).await
}
