//! A position in a borrowed frame, with the same bounds as [`crate::Reader`].

use std::ops::Range;

use super::TopicRef;
use crate::codec::{MAX_ELEMENTS, MAX_STRING, MAX_TAGS};
use crate::{DecodeError, Uuid};

/// Where a visitor stands. Cheap to copy, so that a place can be kept and gone back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    frame: &'a [u8],
    at: usize,
    flexible: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(frame: &'a [u8], at: usize, flexible: bool) -> Self {
        Self { frame, at: at.min(frame.len()), flexible }
    }

    /// The range of the next `len` bytes, which are passed over.
    fn range(&mut self, len: usize) -> Result<Range<usize>, DecodeError> {
        let remaining = self.frame.len() - self.at;
        if len > remaining {
            return Err(DecodeError::UnexpectedEnd { needed: len, remaining });
        }
        let start = self.at;
        self.at += len;
        Ok(start..self.at)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let range = self.range(N)?;
        Ok(self.frame[range].try_into().expect("the range has N bytes"))
    }

    pub(super) fn i8(&mut self) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(super) fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid(self.array()?))
    }

    fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for at in 0..5 {
            let [byte] = self.array()?;
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

    fn len(&mut self) -> Result<Option<usize>, DecodeError> {
        if self.flexible {
            return Ok((self.uvarint()? as usize).checked_sub(1));
        }
        match self.i32()? {
            -1 => Ok(None),
            len => usize::try_from(len)
                .map(Some)
                .map_err(|_| DecodeError::InvalidLength(i64::from(len))),
        }
    }

    /// The number of elements of an array, each of which takes at least `element_min` bytes.
    pub(super) fn count(&mut self, element_min: usize) -> Result<usize, DecodeError> {
        let count = self.len()?.ok_or(DecodeError::UnexpectedNull)?;
        if count > MAX_ELEMENTS {
            return Err(DecodeError::TooMany { found: count, limit: MAX_ELEMENTS });
        }
        let (needed, remaining) = (count * element_min, self.frame.len() - self.at);
        if needed > remaining {
            return Err(DecodeError::UnexpectedEnd { needed, remaining });
        }
        Ok(count)
    }

    /// A string that may be null.
    pub(super) fn str_opt(&mut self) -> Result<Option<&'a str>, DecodeError> {
        let len = if self.flexible {
            (self.uvarint()? as usize).checked_sub(1)
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
        let range = self.range(len)?;
        let text = std::str::from_utf8(&self.frame[range]);
        text.map(Some).map_err(|_| DecodeError::InvalidUtf8)
    }

    /// A string.
    pub(super) fn str(&mut self) -> Result<&'a str, DecodeError> {
        self.str_opt()?.ok_or(DecodeError::UnexpectedNull)
    }

    /// Where bytes that may be null lie in the frame.
    pub(super) fn bytes_opt(&mut self) -> Result<Option<Range<usize>>, DecodeError> {
        match self.len()? {
            None => Ok(None),
            Some(len) => self.range(len).map(Some),
        }
    }

    /// A topic: by id from version 13 on.
    pub(super) fn topic(&mut self, version: i16) -> Result<TopicRef<'a>, DecodeError> {
        if version >= 13 { self.uuid().map(TopicRef::Id) } else { self.str().map(TopicRef::Name) }
    }

    /// The tagged fields of a struct, each given to `field` with a cursor over its content. Must be
    /// called at the end of every struct; does nothing before flexible versions.
    pub(super) fn tags(
        &mut self,
        mut field: impl FnMut(u32, &mut Self) -> Result<Known, DecodeError>,
    ) -> Result<(), DecodeError> {
        if !self.flexible {
            return Ok(());
        }
        let count = self.uvarint()? as usize;
        if count > MAX_TAGS {
            return Err(DecodeError::TooMany { found: count, limit: MAX_TAGS });
        }
        for _ in 0..count {
            let tag = self.uvarint()?;
            let len = self.uvarint()? as usize;
            let content = self.range(len)?;
            let mut inner = Self::new(&self.frame[..content.end], content.start, true);
            if field(tag, &mut inner)? == Known::Yes {
                inner.finish()?;
            }
        }
        Ok(())
    }

    /// Passes over tagged fields of which none is known.
    pub(super) fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(|_, _| Ok(Known::No))
    }

    /// Fails if bytes are left.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        match self.frame.len() - self.at {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes(left)),
        }
    }
}

/// Whether a tagged field was read or left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Yes,
    No,
}
