//! Records within a batch: varint fields, nullable key and value, headers.
//!
//! ```text
//! length varint | attributes i8 | timestamp delta varlong | offset delta varint
//! key length varint, key | value length varint, value | header count varint, headers
//! ```

use std::borrow::Cow;

use super::batch::{Header, TimestampType};

/// The smallest record: a length byte and six one-byte fields.
pub const RECORD_LEN_MIN: usize = 7;

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A field reaches past the record, or the record past the batch.
    #[error("record {index} is cut")]
    Cut {
        /// Which record, from 0.
        index: u32,
    },
    /// A varint has too many bytes, or a length is impossible.
    #[error("record {index} has an impossible length")]
    Length {
        /// Which record, from 0.
        index: u32,
    },
    /// Bytes are left after the last field of a record, or after the last record.
    #[error("record {index} has {extra} bytes too many")]
    Extra {
        /// Which record, from 0.
        index: u32,
        /// How many.
        extra: usize,
    },
}

/// One record, borrowed from its batch's unpacked bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Offset: the batch's base offset plus the record's delta.
    pub offset: i64,
    /// The record's delta to the base offset.
    pub offset_delta: i32,
    /// Milliseconds; the batch's max timestamp with `LogAppendTime`.
    pub timestamp: i64,
    /// Key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is null (a tombstone in a compacted topic).
    pub value: Option<&'a [u8]>,
    header_count: u32,
    headers: &'a [u8],
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// Name; UTF-8 by convention.
    pub key: &'a [u8],
    /// Value; `None` is null.
    pub value: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// How many headers the record has.
    pub fn header_count(&self) -> u32 {
        self.header_count
    }

    /// The record's headers.
    pub fn headers(&self) -> impl Iterator<Item = RecordHeader<'a>> + use<'a> {
        let mut rest = self.headers;
        (0..self.header_count).map_while(move |_| read_header(&mut rest))
    }
}

/// The unpacked records of one batch. [`Records::iter`] walks them, as often as needed.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    header: Header,
    bytes: Cow<'a, [u8]>,
}

impl<'a> Records<'a> {
    pub(super) fn new(header: Header, bytes: Cow<'a, [u8]>) -> Self {
        Self { header, bytes }
    }

    /// The unpacked bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Walks the records; ends after the first error, and after the count that the header names.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { header: self.header, rest: &self.bytes, index: 0 }
    }
}

impl<'a> IntoIterator for &'a Records<'_> {
    type Item = Result<Record<'a>, RecordError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Walks the records of a batch.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    header: Header,
    rest: &'a [u8],
    index: u32,
}

impl<'a> RecordIter<'a> {
    /// Walks the unpacked `bytes` of the batch with this header.
    pub fn new(header: &Header, bytes: &'a [u8]) -> Self {
        Self { header: *header, rest: bytes, index: 0 }
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.index;
        let count = u32::try_from(self.header.record_count).unwrap_or(0);
        if index >= count {
            let extra = std::mem::take(&mut self.rest).len();
            return (extra > 0).then_some(Err(RecordError::Extra { index, extra }));
        }
        let record = read_record(&self.header, &mut self.rest, index);
        self.index = if record.is_ok() { index + 1 } else { count };
        if record.is_err() {
            self.rest = &[];
        }
        Some(record)
    }
}

/// What a check of a record needs, read without walking value and headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Bytes of the record, without those that say so.
    pub size: usize,
    /// The record's delta to the base offset.
    pub offset_delta: i32,
    /// Milliseconds; the producer's, whatever the timestamp type.
    pub timestamp: i64,
    /// Whether the key is not null.
    pub has_key: bool,
}

/// Walks the outlines of a batch's unpacked records; ends after the first error.
#[derive(Clone, Debug)]
pub struct Outlines<'a> {
    base_timestamp: i64,
    count: u32,
    index: u32,
    rest: &'a [u8],
}

impl<'a> Outlines<'a> {
    /// Walks the unpacked `bytes` of the batch with this header.
    pub fn new(header: &Header, bytes: &'a [u8]) -> Self {
        let count = u32::try_from(header.record_count).unwrap_or(0);
        Self { base_timestamp: header.base_timestamp, count, index: 0, rest: bytes }
    }

    fn read(&mut self) -> Option<Outline> {
        let length = usize::try_from(read_varint(&mut self.rest)?).ok()?;
        let mut body = take(&mut self.rest, length)?;
        if length < RECORD_LEN_MIN - 1 {
            return None;
        }
        take(&mut body, 1)?;
        let timestamp = self.base_timestamp.saturating_add(read_varlong(&mut body)?);
        let offset_delta = read_varint(&mut body)?;
        let key = read_varint(&mut body)?;
        if i64::from(key) > body.len() as i64 {
            return None;
        }
        Some(Outline { size: length, offset_delta, timestamp, has_key: key >= 0 })
    }
}

impl Iterator for Outlines<'_> {
    type Item = Result<Outline, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.index;
        if index >= self.count {
            let extra = std::mem::take(&mut self.rest).len();
            return (extra > 0).then_some(Err(RecordError::Extra { index, extra }));
        }
        let outline = self.read().ok_or(RecordError::Cut { index });
        self.index = if outline.is_ok() { index + 1 } else { self.count };
        if outline.is_err() {
            self.rest = &[];
        }
        Some(outline)
    }
}

fn read_record<'a>(
    header: &Header,
    rest: &mut &'a [u8],
    index: u32,
) -> Result<Record<'a>, RecordError> {
    let cut = RecordError::Cut { index };
    let length = read_varint(rest).ok_or(RecordError::Length { index })?;
    let length = usize::try_from(length).map_err(|_| RecordError::Length { index })?;
    let mut body = take(rest, length).ok_or(cut)?;
    take(&mut body, 1).ok_or(cut)?;
    let timestamp_delta = read_varlong(&mut body).ok_or(cut)?;
    let offset_delta = read_varint(&mut body).ok_or(cut)?;
    let key = read_nullable(&mut body).ok_or(cut)?;
    let value = read_nullable(&mut body).ok_or(cut)?;
    let header_count = read_varint(&mut body).ok_or(cut)?;
    let header_count = u32::try_from(header_count).map_err(|_| RecordError::Length { index })?;
    let headers = body;
    for _ in 0..header_count {
        // Each turn takes at least two bytes or fails, so the count is bounded by the bytes.
        read_header(&mut body).ok_or(cut)?;
    }
    if !body.is_empty() {
        return Err(RecordError::Extra { index, extra: body.len() });
    }
    let timestamp = match header.timestamp_type() {
        TimestampType::CreateTime => header.base_timestamp.saturating_add(timestamp_delta),
        TimestampType::LogAppendTime => header.max_timestamp,
    };
    Ok(Record {
        offset: header.base_offset.saturating_add(i64::from(offset_delta)),
        offset_delta,
        timestamp,
        key,
        value,
        header_count,
        headers,
    })
}

fn read_header<'a>(rest: &mut &'a [u8]) -> Option<RecordHeader<'a>> {
    let key = usize::try_from(read_varint(rest)?).ok()?;
    Some(RecordHeader { key: take(rest, key)?, value: read_nullable(rest)? })
}

fn read_nullable<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match read_varint(rest)? {
        -1 => Some(None),
        length => Some(Some(take(rest, usize::try_from(length).ok()?)?)),
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn read_varint(rest: &mut &[u8]) -> Option<i32> {
    let raw = u32::try_from(read_unsigned(rest, 5)?).ok()?;
    Some(((raw >> 1) as i32) ^ -((raw & 1) as i32))
}

fn read_varlong(rest: &mut &[u8]) -> Option<i64> {
    let raw = read_unsigned(rest, 10)?;
    Some(((raw >> 1) as i64) ^ -((raw & 1) as i64))
}

fn read_unsigned(rest: &mut &[u8], bytes_max: usize) -> Option<u64> {
    let mut value = 0u64;
    for index in 0..bytes_max {
        let (&byte, left) = rest.split_first()?;
        *rest = left;
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index;
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

pub(super) fn write_varint(out: &mut Vec<u8>, value: i32) {
    write_unsigned(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

pub(super) fn write_varlong(out: &mut Vec<u8>, value: i64) {
    write_unsigned(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
