//! Primitive values of Kafka's protocol: the only code that touches bytes for the generated messages.
//!
//! | on the wire | in Rust | file |
//! | --- | --- | --- |
//! | fixed and variable-length numbers | `i8` … `i64`, `u16`, `f64` | `reader.rs`, `writer.rs` |
//! | string | [`Str`], a checked slice of the frame | `text.rs` |
//! | bytes | [`bytes::Bytes`], a slice of the frame | |
//! | records | [`Records`], one or many slices | `records.rs` |
//! | tagged fields that we do not know | [`TaggedFields`] | `tagged.rs` |
//!
//! Input is never trusted: every length is checked against the bytes that are left before anything is
//! allocated. What a length may be at most stands in [`MAX_ELEMENTS`], [`MAX_TAGS`] and [`MAX_STRING`].

mod error;
pub(crate) mod prelude;
mod reader;
mod records;
mod tagged;
mod text;
mod writer;

pub use error::{DecodeError, EncodeError};
pub use reader::Reader;
pub use records::Records;
pub use tagged::{TaggedField, TaggedFields};
pub use text::Str;
pub use writer::{Segments, Writer};

/// The most elements an array may have (as Kafka 4.4 refuses more).
pub const MAX_ELEMENTS: usize = 1_000_000;

/// The most tagged fields one struct may have (as Kafka 4.4 refuses more).
pub const MAX_TAGS: usize = 10_000;

/// The longest string in bytes, in every encoding.
pub const MAX_STRING: usize = i16::MAX as usize;

/// Fails unless a field that the version lacks holds its default.
pub(crate) fn absent(
    is_default: bool,
    field: &'static str,
    version: i16,
) -> Result<(), EncodeError> {
    if is_default { Ok(()) } else { Err(EncodeError::FieldNotInVersion { field, version }) }
}

/// The value of a field that may not be null at this version.
pub(crate) fn required<'a, T>(
    value: Option<&'a T>,
    field: &'static str,
    version: i16,
) -> Result<&'a T, EncodeError> {
    value.ok_or(EncodeError::NullNotInVersion { field, version })
}
