//! Writes primitive values into segments: small ones are gathered, large byte strings go by reference.

use bytes::{BufMut, Bytes, BytesMut};

use super::{EncodeError, MAX_STRING, Records, TaggedField, TaggedFields};
use crate::Uuid;

/// From this length on, bytes become a segment of their own instead of being copied.
const BY_REFERENCE_MIN: usize = 1024;

/// Gathers a message as segments.
///
/// `flexible` chooses between the encodings of a length: fixed (before KIP-482) and compact.
#[derive(Debug, Default)]
pub struct Writer {
    /// What is complete, in order. A part that is ours can still be patched.
    parts: Vec<Part>,
    /// Where small values go.
    tail: BytesMut,
    /// Bytes in `parts`.
    parts_len: usize,
}

#[derive(Debug)]
enum Part {
    Own(BytesMut),
    Shared(Bytes),
}

/// A finished message: what to hand to `writev`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    parts: Vec<Bytes>,
    len: usize,
}

impl Segments {
    /// Length in bytes of all segments.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The segments, in order; none is empty.
    pub fn as_slice(&self) -> &[Bytes] {
        &self.parts
    }

    /// All of it in one slice; copies only if there are many.
    pub fn into_bytes(self) -> Bytes {
        self.parts.into_iter().collect::<Records>().into_bytes()
    }
}

impl IntoIterator for Segments {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.parts.into_iter()
    }
}

impl Writer {
    /// An empty message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.parts_len + self.tail.len()
    }

    /// Whether nothing was written so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written.
    pub fn finish(mut self) -> Segments {
        self.cut();
        let parts = self.parts.into_iter().map(|part| match part {
            Part::Own(bytes) => bytes.freeze(),
            Part::Shared(bytes) => bytes,
        });
        Segments { parts: parts.collect(), len: self.parts_len }
    }

    /// What was written after a placeholder of four bytes, which becomes the length of the rest.
    ///
    /// # Panics
    /// When the first value written was not the placeholder (`i32`).
    pub fn finish_frame(mut self) -> Result<Segments, EncodeError> {
        let len = self.len();
        let rest = len.checked_sub(4).expect("a frame begins with a placeholder of four bytes");
        let rest = i32::try_from(rest).map_err(|_| EncodeError::TooLong(len))?;
        let first = match self.parts.first_mut() {
            Some(Part::Own(bytes)) => bytes,
            Some(Part::Shared(_)) => unreachable!("a placeholder is never shared"),
            None => &mut self.tail,
        };
        first[..4].copy_from_slice(&rest.to_be_bytes());
        Ok(self.finish())
    }

    /// What was written, in one slice.
    pub fn into_bytes(self) -> Bytes {
        self.finish().into_bytes()
    }

    /// Completes the part that is being gathered.
    fn cut(&mut self) {
        if !self.tail.is_empty() {
            self.parts_len += self.tail.len();
            self.parts.push(Part::Own(self.tail.split()));
        }
    }

    /// Writes bytes without their length: a large slice by reference.
    pub fn raw(&mut self, bytes: &Bytes) {
        if bytes.len() < BY_REFERENCE_MIN {
            self.tail.extend_from_slice(bytes);
        } else {
            self.cut();
            self.parts_len += bytes.len();
            self.parts.push(Part::Shared(bytes.clone()));
        }
    }

    /// Writes bytes without their length, copying them.
    pub fn slice(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// Writes a byte: 1 for true.
    pub fn bool(&mut self, value: bool) {
        self.tail.put_u8(u8::from(value));
    }

    /// Writes one byte.
    pub fn i8(&mut self, value: i8) {
        self.tail.put_i8(value);
    }

    /// Writes two bytes.
    pub fn i16(&mut self, value: i16) {
        self.tail.put_i16(value);
    }

    /// Writes two bytes, unsigned.
    pub fn u16(&mut self, value: u16) {
        self.tail.put_u16(value);
    }

    /// Writes four bytes.
    pub fn i32(&mut self, value: i32) {
        self.tail.put_i32(value);
    }

    /// Writes four bytes, unsigned.
    pub fn u32(&mut self, value: u32) {
        self.tail.put_u32(value);
    }

    /// Writes eight bytes.
    pub fn i64(&mut self, value: i64) {
        self.tail.put_i64(value);
    }

    /// Writes eight bytes as a floating-point number.
    pub fn f64(&mut self, value: f64) {
        self.tail.put_f64(value);
    }

    /// Writes sixteen bytes.
    pub fn uuid(&mut self, value: Uuid) {
        self.tail.put_slice(&value.0);
    }

    /// Writes an unsigned variable-length number, 1 to 5 bytes.
    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.tail.put_u8(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.tail.put_u8(value.to_le_bytes()[0]);
    }

    /// Writes a zigzag variable-length number, 1 to 5 bytes.
    pub fn varint(&mut self, value: i32) {
        self.uvarint(((value << 1) ^ (value >> 31)).cast_unsigned());
    }

    /// Writes a zigzag variable-length number, 1 to 10 bytes.
    pub fn varlong(&mut self, value: i64) {
        let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while raw >= 0x80 {
            self.tail.put_u8(raw.to_le_bytes()[0] | 0x80);
            raw >>= 7;
        }
        self.tail.put_u8(raw.to_le_bytes()[0]);
    }

    fn compact_len(&mut self, len: usize) -> Result<(), EncodeError> {
        let stored = len.checked_add(1).and_then(|stored| i32::try_from(stored).ok());
        self.uvarint(stored.ok_or(EncodeError::TooLong(len))?.cast_unsigned());
        Ok(())
    }

    /// Writes the length of bytes or an array.
    pub fn count(&mut self, flexible: bool, len: usize) -> Result<(), EncodeError> {
        if flexible {
            return self.compact_len(len);
        }
        self.i32(i32::try_from(len).map_err(|_| EncodeError::TooLong(len))?);
        Ok(())
    }

    /// Writes the null of bytes or an array.
    pub fn null(&mut self, flexible: bool) {
        if flexible { self.uvarint(0) } else { self.i32(-1) }
    }

    /// Writes a string.
    pub fn str(&mut self, flexible: bool, value: &str) -> Result<(), EncodeError> {
        let len = i16::try_from(value.len()).map_err(|_| EncodeError::TooLong(value.len()))?;
        const { assert!(MAX_STRING == i16::MAX as usize) };
        if flexible {
            self.compact_len(value.len())?;
        } else {
            self.i16(len);
        }
        self.slice(value.as_bytes());
        Ok(())
    }

    /// Writes a string that may be null.
    pub fn str_opt(
        &mut self,
        flexible: bool,
        value: Option<&(impl AsRef<str> + ?Sized)>,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.str(flexible, value.as_ref())?,
            None if flexible => self.uvarint(0),
            None => self.i16(-1),
        }
        Ok(())
    }

    /// Writes bytes.
    pub fn bytes(&mut self, flexible: bool, value: &Bytes) -> Result<(), EncodeError> {
        self.count(flexible, value.len())?;
        self.raw(value);
        Ok(())
    }

    /// Writes bytes that may be null.
    pub fn bytes_opt(&mut self, flexible: bool, value: Option<&Bytes>) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.bytes(flexible, value)?,
            None => self.null(flexible),
        }
        Ok(())
    }

    /// Writes records.
    pub fn records(&mut self, flexible: bool, value: &Records) -> Result<(), EncodeError> {
        self.count(flexible, value.len())?;
        for chunk in value.chunks() {
            self.raw(chunk);
        }
        Ok(())
    }

    /// Writes records that may be null.
    pub fn records_opt(
        &mut self,
        flexible: bool,
        value: Option<&Records>,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.records(flexible, value)?,
            None => self.null(flexible),
        }
        Ok(())
    }

    /// Writes an array.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        elements: &[T],
        mut element: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.count(flexible, elements.len())?;
        for each in elements {
            element(self, each)?;
        }
        Ok(())
    }

    /// Writes an array that may be null.
    pub fn array_opt<T>(
        &mut self,
        flexible: bool,
        elements: Option<&Vec<T>>,
        element: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match elements {
            Some(elements) => self.array(flexible, elements, element)?,
            None => self.null(flexible),
        }
        Ok(())
    }

    /// Writes an array of numbers.
    pub fn plain<T: Copy>(
        &mut self,
        flexible: bool,
        elements: &[T],
        element: impl Fn(&mut Self, T),
    ) -> Result<(), EncodeError> {
        self.count(flexible, elements.len())?;
        for each in elements {
            element(self, *each);
        }
        Ok(())
    }

    /// Writes an array of numbers that may be null.
    pub fn plain_opt<T: Copy>(
        &mut self,
        flexible: bool,
        elements: Option<&Vec<T>>,
        element: impl Fn(&mut Self, T),
    ) -> Result<(), EncodeError> {
        match elements {
            Some(elements) => self.plain(flexible, elements, element)?,
            None => self.null(flexible),
        }
        Ok(())
    }

    /// Writes whether a struct that may be null follows.
    pub fn present(&mut self, present: bool) {
        self.i8(if present { 1 } else { -1 });
    }

    /// Writes whether a struct that may be null follows, in a tagged field.
    pub fn tag_present(&mut self, present: bool) {
        self.uvarint(u32::from(present));
    }

    /// Writes the tagged fields of a struct that knows none; fails if there are some at a version that
    /// cannot carry them.
    pub fn tags(
        &mut self,
        flexible: bool,
        unknown: &TaggedFields,
        message: &'static str,
        version: i16,
    ) -> Result<(), EncodeError> {
        if flexible {
            self.tag_count(0, unknown)?;
            return self.tags_rest(unknown.as_slice());
        }
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(EncodeError::TagsNotInVersion { message, version })
        }
    }

    /// Writes how many tagged fields follow: `known` ones, and those of `unknown`.
    pub fn tag_count(&mut self, known: usize, unknown: &TaggedFields) -> Result<(), EncodeError> {
        let count = known + unknown.len();
        self.uvarint(u32::try_from(count).map_err(|_| EncodeError::TooLong(count))?);
        Ok(())
    }

    /// Writes a tagged field, after those of `unknown` whose tag is smaller. They are taken off it.
    pub fn tag(
        &mut self,
        unknown: &mut &[TaggedField],
        tag: u32,
        content: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        while let Some((first, rest)) = unknown.split_first()
            && first.tag < tag
        {
            self.tagged(first.tag, &first.bytes)?;
            *unknown = rest;
        }
        let mut inner = Self::new();
        content(&mut inner)?;
        self.tagged(tag, &inner.into_bytes())
    }

    /// Writes the tagged fields that are left of `unknown`.
    pub fn tags_rest(&mut self, unknown: &[TaggedField]) -> Result<(), EncodeError> {
        for field in unknown {
            self.tagged(field.tag, &field.bytes)?;
        }
        Ok(())
    }

    fn tagged(&mut self, tag: u32, bytes: &Bytes) -> Result<(), EncodeError> {
        let len = i32::try_from(bytes.len()).map_err(|_| EncodeError::TooLong(bytes.len()))?;
        self.uvarint(tag);
        self.uvarint(len.cast_unsigned());
        self.raw(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Reader;

    #[test]
    fn large_bytes_become_a_segment_without_a_copy() {
        let records = Bytes::from(vec![7u8; 4096]);
        let mut w = Writer::new();
        w.i32(0);
        w.i16(1);
        w.bytes(true, &records).unwrap();
        w.i8(9);
        let frame = w.finish_frame().unwrap();
        assert_eq!(frame.as_slice().len(), 3);
        assert_eq!(frame.as_slice()[1].as_ptr(), records.as_ptr());
        assert_eq!(frame.len(), 4 + 2 + 2 + 4096 + 1);
        let bytes = frame.into_bytes();
        assert_eq!(bytes[..4], (bytes.len() as i32 - 4).to_be_bytes());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut w = Writer::new();
        let numbers = [0, 1, -1, 63, -64, 64, i32::MAX, i32::MIN];
        for n in numbers {
            w.varint(n);
            w.varlong(i64::from(n) << 20);
            w.uvarint(n.cast_unsigned());
        }
        w.varlong(i64::MIN);
        w.str_opt(true, None::<&str>).unwrap();
        w.str(false, "größe").unwrap();
        let mut r = Reader::new(w.into_bytes());
        for n in numbers {
            assert_eq!(r.varint(), Ok(n));
            assert_eq!(r.varlong(), Ok(i64::from(n) << 20));
            assert_eq!(r.uvarint(), Ok(n.cast_unsigned()));
        }
        assert_eq!(r.varlong(), Ok(i64::MIN));
        assert_eq!(r.str_opt(true), Ok(None));
        assert_eq!(r.str(false).unwrap(), "größe");
        assert_eq!(r.finish(), Ok(()));
    }

    #[test]
    fn a_string_beyond_the_limit_is_refused() {
        let long = "x".repeat(MAX_STRING + 1);
        assert_eq!(Writer::new().str(true, &long), Err(EncodeError::TooLong(MAX_STRING + 1)));
        assert!(Writer::new().str(true, &long[1..]).is_ok());
    }
}
