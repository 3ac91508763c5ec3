//! Answers ApiKey 10004, DisruptionLease: who may take a broker out of service. What it means is in
//! `controller/leases.rs`; brokers ask for it as well, when they are told to stop.

use wire::{DisruptionLeaseRequest, DisruptionLeaseResponse};

use super::super::context::Call;
use crate::controller::Ask;

pub(crate) async fn handle(call: Call, request: DisruptionLeaseRequest) -> DisruptionLeaseResponse {
    request.answer(call.shared()).await
}
