//! The bytes of metadata records.
//!
//! ```text
//! kind u8 │ version u8 │ fields, big-endian; texts and lists prefixed with their length as u32
//! ```
//!
//! A field that a later version adds is read only from that version on. Lengths are checked against the
//! bytes that are left before anything is allocated.

use super::record::Record;

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeRecordError {
    /// The bytes end inside a field.
    #[error("the record ends inside a field: {field}")]
    Short {
        /// The field.
        field: &'static str,
    },
    /// Bytes are left over.
    #[error("{0} bytes follow the record's last field")]
    Trailing(usize),
    /// Written by a newer build.
    #[error(
        "unknown metadata record: kind {kind} version {version}; hint: a newer klamm wrote it, run that one"
    )]
    Unknown {
        /// The kind found.
        kind: u8,
        /// The version found.
        version: u8,
    },
    /// A field holds what it cannot hold.
    #[error("the field {field} cannot hold what was found")]
    Invalid {
        /// The field.
        field: &'static str,
    },
}

impl Record {
    /// Appends the record's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let _ = out;
        todo!()
    }

    /// Reads one record, which takes all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeRecordError> {
        let _ = bytes;
        todo!()
    }
}
