//! Reads the batches that a fetch wants from a segment's file, verifying each.
//!
//! A batch's checksum does not cover its offset and its epoch. What else is known of them is compared: that
//! offsets follow on one another, what the index says, and where leaders' epochs begin.
//!
//! The file is read in pieces of at most one buffer, each beginning with a batch: a piece is still in the
//! processor's cache when its checksums are verified, and its memory is used again after it was sent.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use engine::log::Epochs;
use engine::{LeaderEpoch, Offset};
use wire::record::{Batch, HEADER_LEN, Header};

use crate::buffers::{BUFFER_BYTES, Buffer, Buffers};
use crate::error::ReadError;
use crate::partition_log::ReadRequest;
use crate::segment::index::OffsetEntry;

/// Read beyond what was asked for, since the index names a place somewhat before the wanted batch.
const SLACK: usize = 8 << 10;

/// Reads up to `buffer.len()` bytes at a position.
pub(crate) type ReadAt<'a> = dyn Fn(&mut [u8], u64) -> io::Result<usize> + 'a;

/// A segment's file, and how to read it.
pub(crate) struct Source<'a> {
    pub(crate) read_at: &'a ReadAt<'a>,
    pub(crate) path: &'a Path,
    /// How many bytes of the file are batches.
    pub(crate) end: u64,
    /// The offset with which the file begins.
    pub(crate) base: Offset,
    /// The offset behind its last batch.
    pub(crate) end_offset: Offset,
    /// Whether no batch was removed from between others.
    pub(crate) is_dense: bool,
    /// Which leader wrote what.
    pub(crate) epochs: &'a Epochs,
    pub(crate) buffers: &'a Arc<Buffers>,
}

/// Where a batch begins in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) position: u64,
    /// Its last offset, if that is known.
    pub(crate) last: Option<Offset>,
}

impl Place {
    /// The file's first batch.
    pub(crate) const START: Self = Self { position: 0, last: None };

    /// As an index of the segment that begins with `base` says.
    pub(crate) fn of(entry: Option<OffsetEntry>, base: Offset) -> Self {
        entry.map_or(Self::START, |entry| Self {
            position: u64::from(entry.position),
            last: Some(base + Offset::from(entry.offset)),
        })
    }
}

/// What is known of the next batch before it is read.
struct Expected {
    /// Its first offset is this or a later one.
    from: Offset,
    /// Whether it is this one, if nothing was removed.
    is_exact: bool,
    last: Option<Offset>,
}

impl Expected {
    fn behind(header: &Header) -> Self {
        Self { from: header.next_offset(), is_exact: true, last: None }
    }
}

/// A part of the file, in memory.
struct Piece {
    buffer: Buffer,
    /// Where in the file it begins.
    from: u64,
    len: usize,
}

impl Piece {
    /// The bytes from `position` on, if at least `len` of them are here.
    fn get(&self, position: u64, len: usize) -> Option<&[u8]> {
        let bytes = &self.buffer.as_ref()[self.index(position)..self.len];
        (bytes.len() >= len).then_some(bytes)
    }

    fn index(&self, position: u64) -> usize {
        usize::try_from(position - self.from).map_or(self.len, |index| index.min(self.len))
    }

    fn share(self, (from, to): (u64, u64)) -> Bytes {
        let (from, to) = (self.index(from), self.index(to));
        self.buffer.share().slice(from..to)
    }
}

impl Source<'_> {
    /// The whole batches that the request wants, from `place` on, in pieces that follow each other in
    /// the file; none when the file has none. The first wanted lies at `place`, or behind it.
    /// Where a batch is damaged, those before it are given; the next read begins at it, and fails.
    pub(crate) fn fetch(
        &self,
        place: Place,
        request: &ReadRequest,
    ) -> Result<Vec<Bytes>, ReadError> {
        let Place { position, last } = place;
        let mut pieces = Vec::new();
        let mut taken = 0;
        let mut at = position;
        let mut expected = Expected { from: self.base, last, is_exact: position == 0 };
        let wish = request.max_bytes.saturating_add(SLACK);
        let mut piece = self.load(at, wish.min(BUFFER_BYTES))?;
        // Where a batch was passed over that seemed to lie before what is wanted.
        let mut passed = position;
        // What is wanted of the piece.
        let mut wanted = at..at;
        while at < self.end {
            let left = request.max_bytes.saturating_sub(taken);
            if taken > 0 && left < HEADER_LEN {
                break;
            }
            if piece.get(at, HEADER_LEN).is_none() {
                let more = self.more(at, HEADER_LEN, left, taken > 0);
                let Some(next) = more.transpose()? else { break };
                keep(&mut pieces, std::mem::replace(&mut piece, next), &wanted);
                wanted = at..at;
            }
            let bytes = piece.get(at, HEADER_LEN).expect("it was loaded above");
            let header = match self.header(at, bytes, &expected) {
                Err(_) if taken > 0 => break,
                header => header?,
            };
            let next = at + header.size as u64;
            if let Some(behind) = piece.get(next, HEADER_LEN).filter(|_| next < self.end) {
                match self.check_order(at, &header, behind) {
                    Err(_) if taken > 0 => break,
                    checked => checked?,
                }
            }
            let is_before = taken == 0 && header.last_offset() < request.from;
            if is_before && self.is_dense {
                // If it only seems to lie before, the next one does not continue it.
                expected = Expected::behind(&header);
                passed = at;
                at = next;
                wanted = at..at;
                continue;
            }
            let is_first = taken == 0 && request.at_least_one;
            let too_much = header.size > left && !is_first;
            if !is_before && (header.base_offset >= request.limit || too_much) {
                break;
            }
            if piece.get(at, header.size).is_none() {
                let more = self.more(at, header.size, left, taken > 0);
                let Some(next) = more.transpose()? else { break };
                keep(&mut pieces, std::mem::replace(&mut piece, next), &wanted);
                wanted = at..at;
            }
            let bytes = piece.get(at, header.size).expect("it was loaded above");
            let verified = Batch::parse(bytes).and_then(|batch| batch.verify());
            match verified {
                Err(_) if taken > 0 => break,
                verified => verified.map_err(|error| self.corrupt(at, error))?,
            }
            expected = Expected::behind(&header);
            at = next;
            if is_before {
                wanted = at..at;
            } else {
                taken += header.size;
                wanted.end = at;
            }
        }
        if at >= self.end && taken == 0 && self.is_dense && request.from < self.end_offset {
            return Err(self.corrupt(passed, "the last batch ends before the segment does"));
        }
        keep(&mut pieces, piece, &wanted);
        Ok(pieces)
    }

    /// Loads on from `at`: `needed` bytes, or as many as are `left` if that is more. `None` when that
    /// would take the disk and there is something to give already.
    fn more(
        &self,
        at: u64,
        needed: usize,
        left: usize,
        has_some: bool,
    ) -> Option<Result<Piece, ReadError>> {
        match self.load(at, needed.max(left.min(BUFFER_BYTES))) {
            Err(ReadError::WouldBlock) if has_some => None,
            Ok(piece) if piece.len < needed => Some(Err(self.corrupt(at, "a batch is cut off"))),
            loaded => Some(loaded),
        }
    }

    /// Reads `len` bytes from `at` on, or what a buffer holds, or up to the end.
    fn load(&self, at: u64, len: usize) -> Result<Piece, ReadError> {
        let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        let len = len.min(left);
        let mut buffer = self.buffers.take(len);
        let mut have = 0;
        while have < len {
            let into = &mut buffer.as_mut()[have..len];
            match (self.read_at)(into, at + have as u64).map_err(|error| self.failed(error))? {
                0 => return Err(ReadError::Gone(self.path.to_owned())),
                read => have += read,
            }
        }
        Ok(Piece { buffer, from: at, len })
    }

    fn header(&self, at: u64, bytes: &[u8], expected: &Expected) -> Result<Header, ReadError> {
        let header = Header::parse(bytes).map_err(|error| self.corrupt(at, error))?;
        let (found, size) = (header.base_offset, header.size);
        let is_last = expected.last.is_none_or(|last| header.last_offset() == last);
        let is_next = !(self.is_dense && expected.is_exact) || found == expected.from;
        let is_within = found >= expected.from && header.next_offset() <= self.end_offset;
        if !(is_last && is_next && is_within) || at + size as u64 > self.end {
            let from = expected.from;
            let problem = format!("offset {found} (expected {from} or later), {size} bytes");
            return Err(self.corrupt(at, problem));
        }
        let epoch = self.epochs.epoch_of(found);
        if let Some(LeaderEpoch(epoch)) = epoch.filter(|epoch| epoch.0 != header.leader_epoch) {
            let problem = format!("leader epoch {} (expected {epoch})", header.leader_epoch);
            return Err(self.corrupt(at, problem));
        }
        Ok(header)
    }

    /// The batch behind this one has later offsets: else one of both is not what was written.
    fn check_order(&self, at: u64, header: &Header, behind: &[u8]) -> Result<(), ReadError> {
        let next = Header::parse(behind).map_or(Offset::MAX, |next| next.base_offset);
        if header.next_offset() <= next {
            return Ok(());
        }
        let problem = format!("offset {}, and {next} in the batch behind it", header.base_offset);
        Err(self.corrupt(at, problem))
    }

    fn failed(&self, source: io::Error) -> ReadError {
        match source.kind() {
            io::ErrorKind::WouldBlock => ReadError::WouldBlock,
            io::ErrorKind::NotFound => ReadError::Gone(self.path.to_owned()),
            _ => ReadError::Io { path: self.path.to_owned(), source },
        }
    }

    fn corrupt(&self, position: u64, problem: impl std::fmt::Display) -> ReadError {
        ReadError::Corrupt { path: self.path.to_owned(), position, problem: problem.to_string() }
    }
}

fn keep(pieces: &mut Vec<Bytes>, piece: Piece, wanted: &std::ops::Range<u64>) {
    if !wanted.is_empty() {
        pieces.push(piece.share((wanted.start, wanted.end)));
    }
}
