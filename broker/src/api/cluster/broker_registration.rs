//! Answers ApiKey 62, BrokerRegistration: a broker becomes part of the cluster.
//! What it means is in `controller/requests.rs`.

use wire::{BrokerRegistrationRequest, BrokerRegistrationResponse};

use super::super::context::Call;
use crate::controller::Ask;

pub(crate) async fn handle(
    call: Call,
    request: BrokerRegistrationRequest,
) -> BrokerRegistrationResponse {
    request.answer(call.shared()).await
}
