//! Tagged fields that this build does not know (KIP-482), kept so that they survive being passed on.

use bytes::Bytes;

/// One tagged field, not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedField {
    /// Which field it is.
    pub tag: u32,
    /// Its content.
    pub bytes: Bytes,
}

/// Tagged fields that are not part of the message as this build knows it. Takes one word, and no
/// allocation, when there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
// The outer box makes a struct that almost never has such fields two words smaller.
#[expect(clippy::box_collection, reason = "one word in each of many structs instead of three")]
pub struct TaggedFields(Option<Box<Vec<TaggedField>>>);

impl TaggedFields {
    /// No fields.
    pub const EMPTY: Self = Self(None);

    /// The fields, in the order in which they came.
    pub fn as_slice(&self) -> &[TaggedField] {
        self.0.as_ref().map_or(&[], |fields| fields.as_slice())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds a field at the end.
    pub fn push(&mut self, tag: u32, bytes: Bytes) {
        self.0.get_or_insert_default().push(TaggedField { tag, bytes });
    }
}
