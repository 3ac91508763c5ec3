//! The hot path: Produce and Fetch requests walked in place, nothing allocated.
//!
//! What is absent: every other message, which the generated decoders handle, and responses, whose
//! records the [`crate::Writer`] takes by reference.
//!
//! A visitor checks the whole body once, so that a broken request is refused before any part of it is
//! acted upon; walking its partitions afterwards cannot fail. It borrows the frame, and names records
//! by their range in it, so that the broker can split the frame's buffer per batch without copying.

mod cursor;
pub mod fetch;
pub mod produce;

pub use fetch::Fetch;
pub use produce::Produce;

use crate::Uuid;

/// A topic as a request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicRef<'a> {
    /// By name (Produce and Fetch until version 12).
    Name(&'a str),
    /// By id (since version 13).
    Id(Uuid),
}
