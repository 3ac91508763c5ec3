//! Answers ApiKey 63, BrokerHeartbeat: a broker is there. When the connection that it comes by ends, the
//! process may have ended. What it means is in `controller/requests.rs`.

use engine::BrokerId;
use wire::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};

use super::super::context::Call;
use crate::controller::Ask;

pub(crate) async fn handle(call: Call, request: BrokerHeartbeatRequest) -> BrokerHeartbeatResponse {
    call.context.heartbeats_of.set(Some(BrokerId(request.broker_id)));
    request.answer(call.shared()).await
}
