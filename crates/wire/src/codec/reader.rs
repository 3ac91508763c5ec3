//! Reads primitive values off a frame, each bounded by the bytes that are left.

use bytes::{Buf, Bytes};

use super::{DecodeError, MAX_ELEMENTS, MAX_STRING, MAX_TAGS, Records, Str, TaggedFields};
use crate::Uuid;

/// What an array's first allocation may take in bytes; it grows as elements really arrive.
const PREALLOCATE_MAX: usize = 64 * 1024;

/// A position in a frame. Strings, bytes and records are handed out as slices of the frame.
///
/// `flexible` chooses between the encodings of a length: fixed (before KIP-482) and compact.
#[derive(Debug)]
pub struct Reader {
    rest: Bytes,
}

impl Reader {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes all that is left.
    pub fn take_rest(&mut self) -> Bytes {
        std::mem::take(&mut self.rest)
    }

    /// Fails if bytes are left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes(left)),
        }
    }

    fn need(&self, needed: usize) -> Result<(), DecodeError> {
        let remaining = self.rest.len();
        if needed <= remaining {
            Ok(())
        } else {
            Err(DecodeError::UnexpectedEnd { needed, remaining })
        }
    }

    /// Takes the next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        self.need(len)?;
        Ok(self.rest.split_to(len))
    }

    /// Reads a byte; anything but 0 is true.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? != 0)
    }

    /// Reads one byte.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.need(1)?;
        Ok(self.rest.get_i8())
    }

    /// Reads two bytes.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.need(2)?;
        Ok(self.rest.get_i16())
    }

    /// Reads two bytes, unsigned.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.need(2)?;
        Ok(self.rest.get_u16())
    }

    /// Reads four bytes.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.need(4)?;
        Ok(self.rest.get_i32())
    }

    /// Reads four bytes, unsigned.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.need(4)?;
        Ok(self.rest.get_u32())
    }

    /// Reads eight bytes.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.need(8)?;
        Ok(self.rest.get_i64())
    }

    /// Reads eight bytes as a floating-point number.
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        self.need(8)?;
        Ok(self.rest.get_f64())
    }

    /// Reads sixteen bytes.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.need(16)?;
        let mut id = [0; 16];
        self.rest.copy_to_slice(&mut id);
        Ok(Uuid(id))
    }

    /// Reads an unsigned variable-length number: at most 5 bytes and 32 bits.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for at in 0..5 {
            let byte = self.i8()?.cast_unsigned();
            let bits = u32::from(byte & 0x7f);
            if at == 4 && bits > 0x0f {
                return Err(DecodeError::VarintOverflow);
            }
            value |= bits << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::VarintOverflow)
    }

    /// Reads a zigzag variable-length number: at most 5 bytes.
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        let raw = self.uvarint()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// Reads a zigzag variable-length number: at most 10 bytes.
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        let mut raw = 0u64;
        for at in 0..10 {
            let byte = self.i8()?.cast_unsigned();
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                return Err(DecodeError::VarintOverflow);
            }
            raw |= bits << (7 * at);
            if byte & 0x80 == 0 {
                return Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed());
            }
        }
        Err(DecodeError::VarintOverflow)
    }

    /// Reads a compact length: 0 is null, else one more than the length.
    fn compact_len(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok((self.uvarint()? as usize).checked_sub(1))
    }

    /// Reads a length of four bytes; -1 is null.
    fn fixed_len(&mut self) -> Result<Option<usize>, DecodeError> {
        match self.i32()? {
            -1 => Ok(None),
            len => Ok(Some(
                usize::try_from(len).map_err(|_| DecodeError::InvalidLength(i64::from(len)))?,
            )),
        }
    }

    fn len(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        if flexible { self.compact_len() } else { self.fixed_len() }
    }

    /// Reads a string that may be null.
    pub fn str_opt(&mut self, flexible: bool) -> Result<Option<Str>, DecodeError> {
        let len = if flexible {
            self.compact_len()?
        } else {
            match self.i16()? {
                -1 => None,
                len => Some(
                    usize::try_from(len).map_err(|_| DecodeError::InvalidLength(i64::from(len)))?,
                ),
            }
        };
        let Some(len) = len else { return Ok(None) };
        if len > MAX_STRING {
            return Err(DecodeError::TooMany { found: len, limit: MAX_STRING });
        }
        Str::from_utf8(self.take(len)?).map(Some)
    }

    /// Reads a string.
    pub fn str(&mut self, flexible: bool) -> Result<Str, DecodeError> {
        self.str_opt(flexible)?.ok_or(DecodeError::UnexpectedNull)
    }

    /// Reads bytes that may be null.
    pub fn bytes_opt(&mut self, flexible: bool) -> Result<Option<Bytes>, DecodeError> {
        match self.len(flexible)? {
            None => Ok(None),
            Some(len) => self.take(len).map(Some),
        }
    }

    /// Reads bytes.
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, DecodeError> {
        self.bytes_opt(flexible)?.ok_or(DecodeError::UnexpectedNull)
    }

    /// Reads records that may be null. Their content is not looked at.
    pub fn records_opt(&mut self, flexible: bool) -> Result<Option<Records>, DecodeError> {
        Ok(self.bytes_opt(flexible)?.map(Records::from))
    }

    /// Reads records.
    pub fn records(&mut self, flexible: bool) -> Result<Records, DecodeError> {
        self.bytes(flexible).map(Records::from)
    }

    /// Reads whether a struct that may be null is there.
    pub fn present(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? >= 0)
    }

    /// Reads whether a struct that may be null is there, in a tagged field.
    pub fn tag_present(&mut self) -> Result<bool, DecodeError> {
        Ok(self.uvarint()? != 0)
    }

    /// Reads the number of elements of an array that may be null, each of which takes at least
    /// `element_min` bytes.
    pub fn count_opt(
        &mut self,
        flexible: bool,
        element_min: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let Some(count) = self.len(flexible)? else { return Ok(None) };
        if count > MAX_ELEMENTS {
            return Err(DecodeError::TooMany { found: count, limit: MAX_ELEMENTS });
        }
        self.need(count.saturating_mul(element_min))?;
        Ok(Some(count))
    }

    /// Reads an array that may be null.
    pub fn array_opt<T>(
        &mut self,
        flexible: bool,
        element_min: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.count_opt(flexible, element_min)? else { return Ok(None) };
        let mut elements = Vec::with_capacity(count.min(PREALLOCATE_MAX / size_of::<T>().max(1)));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// Reads an array.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        element_min: usize,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.array_opt(flexible, element_min, element)?.ok_or(DecodeError::UnexpectedNull)
    }

    /// Reads how many tagged fields follow.
    pub fn tag_count(&mut self) -> Result<usize, DecodeError> {
        let count = self.uvarint()? as usize;
        if count > MAX_TAGS {
            return Err(DecodeError::TooMany { found: count, limit: MAX_TAGS });
        }
        self.need(count.saturating_mul(2))?;
        Ok(count)
    }

    /// Reads the tagged fields of a struct that knows none. There are none before flexible versions.
    pub fn tags(&mut self, flexible: bool) -> Result<TaggedFields, DecodeError> {
        let mut unknown = TaggedFields::EMPTY;
        if flexible {
            for _ in 0..self.tag_count()? {
                let (tag, mut content) = self.tag()?;
                unknown.push(tag, content.take_rest());
            }
        }
        Ok(unknown)
    }

    /// Reads a tagged field: its tag, and a reader over its content.
    pub fn tag(&mut self) -> Result<(u32, Self), DecodeError> {
        let tag = self.uvarint()?;
        let len = self.uvarint()? as usize;
        Ok((tag, Self::new(self.take(len)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> Reader {
        Reader::new(Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn an_array_count_beyond_the_bytes_left_is_refused_before_allocating() {
        for (flexible, bytes) in
            [(false, &[0x7f, 0xff, 0xff, 0xff][..]), (true, &[0xff, 0xff, 0xff, 0xff, 0x07][..])]
        {
            let read = reader(bytes).array(flexible, 1, Reader::i8);
            assert!(matches!(read, Err(DecodeError::TooMany { .. })), "{read:?}");
        }
        let read = reader(&[0, 0, 0, 9, 1, 2]).array(false, 1, Reader::i8);
        assert_eq!(read, Err(DecodeError::UnexpectedEnd { needed: 9, remaining: 2 }));
    }

    #[test]
    fn a_negative_length_other_than_null_is_refused() {
        assert_eq!(
            reader(&[0xff, 0xff, 0xff, 0xfe]).bytes_opt(false),
            Err(DecodeError::InvalidLength(-2))
        );
        assert_eq!(reader(&[0x80, 0]).str_opt(false), Err(DecodeError::InvalidLength(-32768)));
        assert_eq!(reader(&[0xff, 0xff]).str_opt(false), Ok(None));
        assert_eq!(reader(&[0xff, 0xff]).str(false), Err(DecodeError::UnexpectedNull));
        assert_eq!(reader(&[0]).str(true), Err(DecodeError::UnexpectedNull));
    }

    #[test]
    fn a_varint_that_does_not_fit_is_refused() {
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).uvarint(), Ok(u32::MAX));
        assert_eq!(
            reader(&[0xff, 0xff, 0xff, 0xff, 0x1f]).uvarint(),
            Err(DecodeError::VarintOverflow)
        );
        assert_eq!(reader(&[0x80; 6]).uvarint(), Err(DecodeError::VarintOverflow));
        assert_eq!(reader(&[0x80; 11]).varlong(), Err(DecodeError::VarintOverflow));
        let mut longest = [0xff; 10];
        longest[9] = 0x01;
        assert_eq!(reader(&longest).varlong(), Ok(i64::MIN));
        assert_eq!(reader(&[0x01]).varint(), Ok(-1));
        assert_eq!(reader(&[0x02]).varint(), Ok(1));
    }

    #[test]
    fn a_string_that_is_not_utf8_is_refused() {
        assert_eq!(reader(&[2, 0xff]).str(true), Err(DecodeError::InvalidUtf8));
    }

    #[test]
    fn a_tag_that_reaches_beyond_the_frame_is_refused() {
        assert!(matches!(reader(&[0, 5, 1]).tag(), Err(DecodeError::UnexpectedEnd { .. })));
        assert!(reader(&[0x90, 0x4f, 0]).tag_count().is_err());
    }
}
