//! The newest records, in memory: what most consumers want, without a file.

use std::collections::VecDeque;

use bytes::Bytes;
use engine::Offset;
use wire::record::Header;

use crate::partition_log::ReadRequest;

/// Pieces given for one read, at most: what one `writev` takes, with room for the frame.
const PIECES_MAX: usize = 512;

/// Batches written together.
struct Chunk {
    /// The log's end before it.
    base: Offset,
    /// The log's end after it.
    end: Offset,
    /// Whole batches.
    bytes: Bytes,
}

/// A run of chunks that ends at the log's end.
#[derive(Default)]
pub(crate) struct Tail {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    cap: usize,
}

impl Tail {
    pub(crate) fn new(cap: usize) -> Self {
        Self { chunks: VecDeque::new(), bytes: 0, cap }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn set_cap(&mut self, cap: usize) {
        self.cap = cap;
        self.trim(cap);
    }

    /// Adds what was written from `base` to `end`.
    pub(crate) fn push(&mut self, base: Offset, end: Offset, bytes: Bytes) {
        assert!(self.chunks.back().is_none_or(|last| last.end == base), "the tail has no gaps");
        if self.cap == 0 {
            return;
        }
        self.bytes += bytes.len();
        self.chunks.push_back(Chunk { base, end, bytes });
        self.trim(self.cap);
    }

    /// Lets go of the oldest until at most `keep` bytes are left; returns the bytes let go of.
    pub(crate) fn trim(&mut self, keep: usize) -> usize {
        let before = self.bytes;
        while self.bytes > keep
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.bytes -= oldest.bytes.len();
        }
        if self.chunks.is_empty() {
            self.chunks.shrink_to_fit();
        }
        before - self.bytes
    }

    /// Whole batches for `request`, if all it wants from its start on is here.
    pub(crate) fn read(&self, request: &ReadRequest) -> Option<Vec<Bytes>> {
        if self.chunks.front()?.base > request.from {
            return None;
        }
        let first = self.chunks.partition_point(|chunk| chunk.end <= request.from);
        let mut pieces = Vec::new();
        let mut taken = 0;
        for chunk in self.chunks.range(first..) {
            let piece = select(&chunk.bytes, request, taken);
            let is_whole = piece.end == chunk.bytes.len();
            if !piece.is_empty() {
                taken += piece.len();
                pieces.push(chunk.bytes.slice(piece));
            }
            if !is_whole || pieces.len() >= PIECES_MAX {
                break;
            }
        }
        Some(pieces)
    }
}

/// The range of whole batches in `bytes` that the request wants when it has `taken` bytes already.
fn select(bytes: &[u8], request: &ReadRequest, taken: usize) -> std::ops::Range<usize> {
    let mut start = 0;
    let mut end = 0;
    while end < bytes.len() {
        let header = Header::parse(&bytes[end..]).expect("what was written was checked");
        if header.last_offset() < request.from {
            end += header.size;
            start = end;
            continue;
        }
        let total = taken + (end - start) + header.size;
        let is_first = taken == 0 && end == start && request.at_least_one;
        if header.base_offset >= request.limit || (total > request.max_bytes && !is_first) {
            break;
        }
        end += header.size;
    }
    start..end
}
