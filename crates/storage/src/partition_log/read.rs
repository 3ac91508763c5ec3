//! Batches out: from memory if they are there, else as a job that knows where to look.

use engine::Offset;

use super::{PartitionLog, Read, ReadRequest, TimestampQuery};
use crate::error::ReadError;
use crate::job::{AbortedSearch, FileRead, ReadFrom, SearchSegment, SegmentPart, TimestampSearch};
use crate::segment::fetch::Place;
use crate::segment::{Segment, name};

/// Segments that one read may have to look into: more than one only where compaction left a gap.
const SEGMENTS_MAX: usize = 4;

impl PartitionLog {
    /// Finds what a fetch wants. Never blocks (opens the active segment's file if it was released).
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] when `from` is below the start or beyond the end.
    pub fn read(&mut self, request: ReadRequest) -> Result<Read, ReadError> {
        let (start, end) = (self.state.start(), self.state.end());
        if request.from < start || request.from > end {
            return Err(ReadError::OutOfRange { offset: request.from, start, end });
        }
        let request = ReadRequest { limit: request.limit.min(end), ..request };
        if request.from >= request.limit {
            return Ok(Read::Memory(Vec::new()));
        }
        if let Some(pieces) = self.tail.read(&request) {
            return Ok(Read::Memory(pieces));
        }
        let index = self.segment_of(request.from);
        let mut parts = Vec::with_capacity(1);
        for segment in self.segments.range(index..).take(SEGMENTS_MAX) {
            if segment.base >= request.limit {
                break;
            }
            parts.push(self.part(segment, request.from));
        }
        let (disk, buffers) = (self.disk.clone(), self.buffers.clone());
        let (epochs, is_compacted) = (self.epochs.clone(), self.config.compact);
        Ok(Read::File(FileRead { disk, buffers, parts, request, epochs, is_compacted }))
    }

    /// Finds a record by time, or the time of one.
    pub fn search_timestamp(&self, query: TimestampQuery) -> TimestampSearch {
        let from = match query {
            TimestampQuery::From(offset) => offset.max(self.state.start()),
            TimestampQuery::AtOrAfter(_) | TimestampQuery::Max => self.state.start(),
        };
        let mut segments: Vec<SearchSegment> = self
            .segments
            .iter()
            .filter(|segment| segment.size > 0 && segment.end > from)
            .map(|segment| self.search_segment(segment))
            .collect();
        let timestamp = match query {
            TimestampQuery::AtOrAfter(timestamp) => timestamp,
            TimestampQuery::From(_) => i64::MIN,
            TimestampQuery::Max => segments.iter().map(|one| one.largest).max().unwrap_or(-1),
        };
        segments.retain(|segment| segment.largest >= timestamp);
        TimestampSearch {
            disk: self.disk.clone(),
            buffers: self.buffers.clone(),
            segments,
            timestamp,
            from,
            matches_none: query == TimestampQuery::Max && timestamp < 0,
            epochs: self.epochs.clone(),
            is_compacted: self.config.compact,
        }
    }

    /// Aborted transactions that a read of `from..to` must name; `None` if the log knows of none.
    pub fn search_aborted(&self, from: Offset, to: Offset) -> Option<AbortedSearch> {
        if self.segments.iter().all(|segment| segment.aborted.len() == 0) {
            return None;
        }
        let indexes = self
            .segments
            .range(self.segment_of(from)..)
            .filter(|segment| segment.aborted.len() > 0)
            .map(|segment| {
                let path = name::file(&self.dir, segment.base, name::TXN_INDEX);
                (path, segment.aborted.view(true))
            })
            .collect();
        Some(AbortedSearch { disk: self.disk.clone(), indexes, from, to })
    }

    /// Number of the segment that holds `offset`, or the gap before which it lies.
    pub(super) fn segment_of(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }

    fn part(&self, segment: &Segment, from: Offset) -> SegmentPart {
        let relative = from - segment.base;
        let read_from = match segment.offsets.floor_in_memory(relative) {
            _ if relative <= 0 => ReadFrom::Place(Place::START),
            Some(entry) => ReadFrom::Place(Place::of(entry, segment.base)),
            None => ReadFrom::Index(
                name::file(&self.dir, segment.base, name::INDEX),
                segment.offsets.view(false),
                relative,
            ),
        };
        SegmentPart {
            path: name::file(&self.dir, segment.base, name::LOG),
            file: segment.file.clone(),
            base: segment.base,
            end: segment.end,
            size: segment.size,
            read_from,
        }
    }

    fn search_segment(&self, segment: &Segment) -> SearchSegment {
        SearchSegment {
            log: name::file(&self.dir, segment.base, name::LOG),
            index: name::file(&self.dir, segment.base, name::INDEX),
            time_index: name::file(&self.dir, segment.base, name::TIME_INDEX),
            base: segment.base,
            end: segment.end,
            size: segment.size,
            largest: segment.largest.0,
            offsets: segment.offsets.view(true),
            times: segment.times.view(true),
        }
    }
}
