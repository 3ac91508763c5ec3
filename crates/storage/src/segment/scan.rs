//! Walks the batches of a segment's file, reading ahead, trusting nothing.

use std::io;

use wire::record::{Batch, BatchError, EndMarker, HEADER_LEN, Header, Limits};
use world::File;

/// Read at once when whole batches are wanted.
const WHOLE_READ: usize = 256 << 10;
/// Read at once when headers are wanted: a few small batches.
const HEADER_READ: usize = 4 << 10;

/// How closely batches are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Headers only (and markers of control batches).
    Headers,
    /// Checksums as well.
    Checksums,
}

/// A batch that was walked over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub position: u64,
    pub header: Header,
    /// What a control batch holds.
    pub marker: Option<EndMarker>,
}

/// Why a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// At the end of the file.
    End,
    /// At bytes that are no batch: what is wrong with them.
    Bad(String),
}

/// A walk over a file, from `position` to `end`.
pub(crate) struct Scan<'a> {
    file: &'a dyn File,
    position: u64,
    end: u64,
    depth: Depth,
    window: Vec<u8>,
    window_at: u64,
    next_offset: i64,
}

impl<'a> Scan<'a> {
    /// Offsets below `from_offset` do not belong here and count as damage.
    pub(crate) fn new(
        file: &'a dyn File,
        position: u64,
        end: u64,
        from_offset: i64,
        depth: Depth,
    ) -> Self {
        let window = Vec::new();
        Self { file, position, end, depth, window, window_at: 0, next_offset: from_offset }
    }

    /// Where the next batch begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The offset after the last batch seen.
    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// From here on, look closer.
    pub(crate) fn deepen(&mut self, depth: Depth) {
        self.depth = depth;
    }

    /// The next batch, or why there is none.
    pub(crate) fn step(&mut self) -> io::Result<Result<Seen, Ending>> {
        if self.position >= self.end {
            return Ok(Err(Ending::End));
        }
        let left = self.end - self.position;
        let head = HEADER_LEN.min(usize::try_from(left).unwrap_or(usize::MAX));
        let bytes = self.bytes(head)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Err(Ending::Bad("zeros".to_owned())));
        }
        let header = match Header::parse(bytes) {
            Ok(header) => header,
            Err(error) => return Ok(Err(Ending::Bad(error.to_string()))),
        };
        if header.size as u64 > left {
            let has = usize::try_from(left).unwrap_or(usize::MAX);
            let cut = BatchError::Cut { needed: header.size, has };
            return Ok(Err(Ending::Bad(cut.to_string())));
        }
        if header.base_offset < self.next_offset || header.last_offset_delta < 0 {
            let (found, expected) = (header.base_offset, self.next_offset);
            let problem = format!("batch has offset {found}, expected {expected} or later");
            return Ok(Err(Ending::Bad(problem)));
        }
        let mut marker = None;
        if self.depth == Depth::Checksums || header.is_control() {
            let verify = self.depth == Depth::Checksums;
            let batch = match Batch::parse(self.bytes(header.size)?) {
                Ok(batch) => batch,
                Err(error) => return Ok(Err(Ending::Bad(error.to_string()))),
            };
            if verify && let Err(error) = batch.verify() {
                return Ok(Err(Ending::Bad(error.to_string())));
            }
            marker = end_marker(&batch);
        }
        let seen = Seen { position: self.position, header, marker };
        self.position += header.size as u64;
        self.next_offset = header.next_offset();
        Ok(Ok(seen))
    }

    /// The next `len` bytes, which lie before the end.
    fn bytes(&mut self, len: usize) -> io::Result<&[u8]> {
        let from =
            self.position.checked_sub(self.window_at).and_then(|at| usize::try_from(at).ok());
        if let Some(from) = from
            && from + len <= self.window.len()
        {
            return Ok(&self.window[from..from + len]);
        }
        let ahead = match self.depth {
            Depth::Headers => HEADER_READ,
            Depth::Checksums => WHOLE_READ,
        };
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        self.window.resize(len.max(ahead).min(left.max(len)), 0);
        self.window_at = self.position;
        self.file.read_exact_at(&mut self.window, self.position)?;
        Ok(&self.window[..len])
    }
}

/// The marker in a control batch.
pub(crate) fn end_marker(batch: &Batch<'_>) -> Option<EndMarker> {
    if !batch.header().is_control() {
        return None;
    }
    let records = batch.records(Limits::default()).ok()?;
    let record = records.iter().next()?.ok()?;
    EndMarker::from_record(&record)
}
