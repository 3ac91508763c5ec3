//! Reads the batches that a fetch wants from a segment's file, verifying each.

use std::io;
use std::path::Path;

use bytes::Bytes;
use engine::Offset;
use wire::record::{Batch, HEADER_LEN, Header};

use crate::error::ReadError;
use crate::partition_log::ReadRequest;

/// Read beyond what was asked for, since the index names a place somewhat before the wanted batch.
const SLACK: usize = 8 << 10;

/// Reads up to `buffer.len()` bytes at a position.
pub(crate) type ReadAt<'a> = dyn Fn(&mut [u8], u64) -> io::Result<usize> + 'a;

/// The part of a file that is in memory, growing at its end.
struct Window<'a> {
    read_at: &'a ReadAt<'a>,
    path: &'a Path,
    from: u64,
    end: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// Makes `position..position + len` readable as far as the file goes; gives what is there.
    fn get(&mut self, position: u64, len: usize) -> Result<&[u8], ReadError> {
        let len = len.min(usize::try_from(self.end.saturating_sub(position)).unwrap_or(len));
        let at = usize::try_from(position - self.from).expect("a window spans less than a file");
        while self.bytes.len() < at + len {
            let have = self.bytes.len();
            self.bytes.resize(at + len, 0);
            let read = (self.read_at)(&mut self.bytes[have..], self.from + have as u64)
                .map_err(|source| self.error(source))?;
            self.bytes.truncate(have + read);
            if read == 0 {
                return Err(ReadError::Gone(self.path.to_owned()));
            }
        }
        Ok(&self.bytes[at..at + len])
    }

    fn error(&self, source: io::Error) -> ReadError {
        match source.kind() {
            io::ErrorKind::WouldBlock => ReadError::WouldBlock,
            io::ErrorKind::NotFound => ReadError::Gone(self.path.to_owned()),
            _ => ReadError::Io { path: self.path.to_owned(), source },
        }
    }

    fn corrupt(&self, position: u64, problem: impl std::fmt::Display) -> ReadError {
        ReadError::Corrupt { path: self.path.to_owned(), position, problem: problem.to_string() }
    }

    fn header(&mut self, position: u64, expected: Offset) -> Result<Header, ReadError> {
        let parsed = Header::parse(self.get(position, HEADER_LEN)?);
        let header = parsed.map_err(|error| self.corrupt(position, error))?;
        if header.base_offset < expected || position + header.size as u64 > self.end {
            let (found, size) = (header.base_offset, header.size);
            let problem = format!("offset {found} (expected {expected} or later), {size} bytes");
            return Err(self.corrupt(position, problem));
        }
        Ok(header)
    }
}

/// Whole batches from `position..end` of a file that begins with offset `base`; empty when the file has
/// none that the request wants.
pub(crate) fn fetch(
    read_at: &ReadAt<'_>,
    path: &Path,
    (position, end): (u64, u64),
    base: Offset,
    request: &ReadRequest,
) -> Result<Bytes, ReadError> {
    let mut window = Window { read_at, path, from: position, end, bytes: Vec::new() };
    let left = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
    window.get(position, request.max_bytes.saturating_add(SLACK).min(left))?;
    let mut first = position;
    let mut expected = base;
    let header = loop {
        if first >= end {
            return Ok(Bytes::new());
        }
        let header = window.header(first, expected)?;
        if header.last_offset() >= request.from {
            break header;
        }
        expected = header.next_offset();
        first += header.size as u64;
    };
    let too_large = header.size > request.max_bytes && !request.at_least_one;
    if header.base_offset >= request.limit || too_large {
        return Ok(Bytes::new());
    }
    let max_bytes = request.max_bytes.max(header.size);
    window.get(first, max_bytes)?;
    let mut last = first;
    while last < end {
        let header = window.header(last, expected)?;
        let taken = usize::try_from(last - first).expect("bounded by max_bytes") + header.size;
        if header.base_offset >= request.limit || taken > max_bytes {
            break;
        }
        let verified =
            Batch::parse(window.get(last, header.size)?).and_then(|batch| batch.verify());
        verified.map_err(|error| window.corrupt(last, error))?;
        expected = header.next_offset();
        last += header.size as u64;
    }
    let cut = |at: u64| usize::try_from(at - position).expect("a window spans less than a file");
    let bytes = Bytes::from(window.bytes);
    Ok(bytes.slice(cut(first)..cut(last)))
}
