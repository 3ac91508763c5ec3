//! Answers ApiKey 22, InitProducerId: an identity for an idempotent producer (KIP-98).
//!
//! A producer without a transactional id that comes back with an old id (KIP-360) gets a new one, as
//! in Kafka: nothing ties it to the old.

use wire::{ErrorCode, InitProducerIdRequest, InitProducerIdResponse};

use super::super::context::Call;
use super::super::number;

pub(crate) async fn handle(call: Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
    match check(&request) {
        Ok(()) => {}
        Err(code) => return refused(code),
    }
    match call.shared().next_producer_id(&call.shard().link).await {
        Ok(producer_id) => {
            InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() }
        }
        Err(error) => {
            tracing::debug!(%error, "no producer id can be given");
            // Retriable: what Kafka says while it has no block of ids.
            refused(ErrorCode::CoordinatorLoadInProgress)
        }
    }
}

fn check(request: &InitProducerIdRequest) -> Result<(), ErrorCode> {
    let (has_id, has_epoch) = (request.producer_id != -1, request.producer_epoch != -1);
    match request.transactional_id.as_deref() {
        _ if has_id != has_epoch => Err(ErrorCode::InvalidRequest),
        Some("") => Err(ErrorCode::InvalidRequest),
        // Transactions arrive later. Not retriable: the producer fails at once.
        Some(_) => Err(ErrorCode::TransactionalIdAuthorizationFailed),
        None => Ok(()),
    }
}

fn refused(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: number(code),
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use wire::{ErrorCode, InitProducerIdRequest, Str};

    use super::check;

    #[test]
    fn transactional_ids_are_refused_and_halves_of_an_identity_too() {
        let asked = |id: Option<&'static str>, producer_id, producer_epoch| InitProducerIdRequest {
            transactional_id: id.map(Str::from_static),
            producer_id,
            producer_epoch,
            ..Default::default()
        };
        let forbidden = Err(ErrorCode::TransactionalIdAuthorizationFailed);
        let invalid = Err(ErrorCode::InvalidRequest);
        for (request, expected) in [
            (asked(None, -1, -1), Ok(())),
            (asked(None, 7, 3), Ok(())),
            (asked(None, 7, -1), invalid),
            (asked(None, -1, 3), invalid),
            (asked(Some(""), -1, -1), invalid),
            (asked(Some("orders"), -1, -1), forbidden),
        ] {
            assert_eq!(check(&request), expected, "{request:?}");
        }
    }
}
