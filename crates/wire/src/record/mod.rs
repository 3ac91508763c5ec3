//! Record batches: the bytes that producers send, brokers store and consumers read, all the same.
//!
//! | bytes | file |
//! | --- | --- |
//! | the 61-byte batch header (v2), its checksum, stamping in place | [`batch`] |
//! | the records behind it: varint fields, headers | [`item`] |
//! | gzip, snappy, lz4, zstd, each bounded | [`compress`] |
//! | making a batch | [`build`] |
//! | transaction markers | [`control`] |
//!
//! Nothing here panics on bytes from outside, and nothing allocates more than its stated bound.

pub mod batch;
pub mod build;
pub mod compress;
pub mod control;
pub mod item;

#[cfg(test)]
mod tests;

pub use batch::{Batch, BatchError, Batches, HEADER_LEN, Header, TimestampType};
pub use build::{BatchBuilder, NewRecord};
pub use compress::{Codec, CompressError, Limits, Packing};
pub use control::{ControlType, EndMarker};
pub use item::{Outline, Outlines, Record, RecordError, RecordIter, Records};
