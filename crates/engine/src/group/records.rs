//! The records of `__consumer_offsets`: Kafka's schemas, and one of our own for reset journals.

use bytes::Bytes;

/// One record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRecord {
    /// The key, beginning with its version.
    pub key: Bytes,
    /// The value; `None` for a tombstone.
    pub value: Option<Bytes>,
}

/// A record of `__consumer_offsets` that does not decode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of __consumer_offsets does not decode: {0}")]
pub struct RecordError(pub String);
