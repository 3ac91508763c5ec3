//! Idempotent producers (KIP-98): which batch is next, which one do we have already?

/// Why a batch of an idempotent producer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// → `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    #[error("producer {producer_id} sent sequence {found}, expected {expected}")]
    OutOfOrder {
        /// The producer.
        producer_id: i64,
        /// What would have been next.
        expected: i32,
        /// What came.
        found: i32,
    },
    /// → `INVALID_PRODUCER_EPOCH`.
    #[error("producer {producer_id} has epoch {found}, but {current} has been seen")]
    StaleEpoch {
        /// The producer.
        producer_id: i64,
        /// The newest epoch.
        current: i16,
        /// The one that came.
        found: i16,
    },
    /// → `INVALID_PRODUCER_EPOCH`: the marker's coordinator has been replaced.
    #[error(
        "coordinator epoch {found} of producer {producer_id} is stale: {current} has been seen"
    )]
    StaleCoordinator {
        /// The producer.
        producer_id: i64,
        /// The newest epoch.
        current: i32,
        /// The one that came.
        found: i32,
    },
}

/// What is known of a log's producers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {}
