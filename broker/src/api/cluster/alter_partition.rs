//! Answers ApiKey 56, AlterPartition: a leader says who is in sync.
//! What it means is in `controller/requests.rs`.

use wire::{AlterPartitionRequest, AlterPartitionResponse};

use super::super::context::Call;
use crate::controller::Ask;

pub(crate) async fn handle(call: Call, request: AlterPartitionRequest) -> AlterPartitionResponse {
    request.answer(call.shared()).await
}
