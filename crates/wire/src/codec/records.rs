//! Record batches inside a message, kept as the slices they already are.

use bytes::{Bytes, BytesMut};

/// Record batches as they stand on the wire, in one slice or many.
///
/// A Fetch answers with batches that lie apart in memory: they are sent one after the other without
/// being copied together.
#[derive(Clone, Debug, Default)]
pub struct Records {
    first: Bytes,
    others: Vec<Bytes>,
}

impl Records {
    /// No records.
    pub const EMPTY: Self = Self { first: Bytes::new(), others: Vec::new() };

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.chunks().map(Bytes::len).sum()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.chunks().all(Bytes::is_empty)
    }

    /// The slices, in order.
    pub fn chunks(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Adds a slice at the end.
    pub fn push(&mut self, chunk: Bytes) {
        if self.first.is_empty() && self.others.is_empty() {
            self.first = chunk;
        } else {
            self.others.push(chunk);
        }
    }

    /// All of it in one slice; copies only if there are many.
    pub fn into_bytes(self) -> Bytes {
        if self.others.is_empty() {
            return self.first;
        }
        let mut whole = BytesMut::with_capacity(self.len());
        for chunk in self.chunks() {
            whole.extend_from_slice(chunk);
        }
        whole.freeze()
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Self { first: bytes, others: Vec::new() }
    }
}

impl FromIterator<Bytes> for Records {
    fn from_iter<I: IntoIterator<Item = Bytes>>(chunks: I) -> Self {
        let mut records = Self::EMPTY;
        for chunk in chunks {
            records.push(chunk);
        }
        records
    }
}

/// Equal if the bytes are, however they are cut.
impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        let ours = self.chunks().flat_map(|chunk| chunk.iter());
        self.len() == other.len() && ours.eq(other.chunks().flat_map(|chunk| chunk.iter()))
    }
}

impl Eq for Records {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_equal_however_they_are_cut() {
        let whole = Records::from(Bytes::from_static(b"abcdef"));
        let cut: Records =
            [Bytes::from_static(b"ab"), Bytes::from_static(b"cdef")].into_iter().collect();
        assert_eq!(whole, cut);
        assert_eq!(cut.len(), 6);
        assert_eq!(cut.into_bytes(), whole.into_bytes());
        assert_ne!(Records::EMPTY, Records::from(Bytes::from_static(b"a")));
    }
}
