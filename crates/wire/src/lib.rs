//! Kafka's language: bytes to values and back.
//!
//! What is absent: sockets, and every opinion about what a message means.
//!
//! | bytes | here |
//! | --- | --- |
//! | length prefix and header of a request or response | [`frame`] |
//! | bodies: `FetchRequest`, `fetch::request::FetchTopic`, … | generated, one file per API |
//! | records of the internal topics | [`consumer_offsets`], [`transaction_state`] |
//! | what travels inside other messages | [`embedded`] |
//! | numbers, strings, arrays, tagged fields | [`codec`] |
//! | Produce and Fetch requests, walked in place | [`visit`] |
//! | record batches | [`record`] |
//! | which APIs and versions there are | [`ApiKey`] |
//! | error codes | [`ErrorCode`] |

pub mod api_key;
pub mod codec;
pub mod error_code;
pub mod frame;
mod generated;
mod message;
pub mod record;
pub mod uuid;
pub mod visit;

pub use api_key::ApiKey;
pub use codec::{DecodeError, EncodeError, Reader, Records, Segments, Str, TaggedFields, Writer};
pub use error_code::ErrorCode;
pub use generated::*;
pub use message::{Message, Request, Response};
pub use uuid::Uuid;
