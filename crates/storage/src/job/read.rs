//! Reads: batches for a fetch, a record by its time, aborted transactions.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use engine::Offset;
use engine::log::Epochs;
use wire::record::{Batch, Batches, Limits};
use world::{Disk, File, OpenMode};

use crate::buffers::Buffers;
use crate::error::ReadError;
use crate::partition_log::ReadRequest;
use crate::segment::fetch::{Place, ReadAt, Source};
use crate::segment::index::{AbortedEntry, EntriesView, OffsetEntry, TimeEntry};

/// A read from a segment. Holds no lock; a segment that goes away meanwhile gives [`ReadError::Gone`].
pub struct FileRead {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) buffers: Arc<Buffers>,
    /// The segment that should hold the first batch; more if it may not.
    pub(crate) parts: Vec<SegmentPart>,
    pub(crate) request: ReadRequest,
    pub(crate) epochs: Epochs,
    /// Whether batches may have been removed from between others.
    pub(crate) is_compacted: bool,
}

/// A segment to read from.
pub(crate) struct SegmentPart {
    pub path: PathBuf,
    /// If it is open already.
    pub file: Option<Arc<dyn File>>,
    pub base: Offset,
    pub end: Offset,
    pub size: u64,
    pub read_from: ReadFrom,
}

/// Where in a segment to begin.
pub(crate) enum ReadFrom {
    /// At or before the wanted batch.
    Place(Place),
    /// As the index file says for this relative offset.
    Index(PathBuf, EntriesView<OffsetEntry>, i64),
}

impl FileRead {
    fn source<'a>(&'a self, part: &'a SegmentPart, read_at: &'a ReadAt<'a>) -> Source<'a> {
        Source {
            read_at,
            path: &part.path,
            end: part.size,
            base: part.base,
            end_offset: part.end,
            is_dense: !self.is_compacted,
            epochs: &self.epochs,
            buffers: &self.buffers,
        }
    }

    /// Reads if neither index nor data need the disk. Call it on the shard.
    ///
    /// # Errors
    /// [`ReadError::WouldBlock`] when they do: then [`FileRead::run`] it on `Pool::Read`.
    pub fn try_now(&self) -> Result<Vec<Bytes>, ReadError> {
        for part in &self.parts {
            let (Some(file), ReadFrom::Place(place)) = (&part.file, &part.read_from) else {
                return Err(ReadError::WouldBlock);
            };
            let read_at = |buffer: &mut [u8], offset| file.read_at_nowait(buffer, offset);
            let pieces = self.source(part, &read_at).fetch(*place, &self.request)?;
            if !pieces.is_empty() {
                return Ok(pieces);
            }
        }
        Ok(Vec::new())
    }

    /// Reads whole batches, verifying each. Blocks.
    ///
    /// # Errors
    /// As [`ReadError`] says.
    pub fn run(self) -> Result<Vec<Bytes>, ReadError> {
        for part in &self.parts {
            let place = match &part.read_from {
                ReadFrom::Place(place) => *place,
                ReadFrom::Index(path, offsets, relative) => {
                    let entry = offsets.floor(&*self.disk, path, *relative);
                    Place::of(entry.map_err(|error| failed(path, error))?, part.base)
                }
            };
            let file = match &part.file {
                Some(file) => Arc::clone(file),
                None => open(&*self.disk, &part.path)?,
            };
            let read_at = |buffer: &mut [u8], offset| file.read_at(buffer, offset);
            let pieces = self.source(part, &read_at).fetch(place, &self.request)?;
            if !pieces.is_empty() {
                return Ok(pieces);
            }
        }
        Ok(Vec::new())
    }
}

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampFound {
    /// The record's offset.
    pub offset: Offset,
    /// The record's timestamp.
    pub timestamp: i64,
    /// The epoch of the leader that wrote it; -1 if unknown.
    pub leader_epoch: i32,
}

/// Looks for the record that a [`crate::TimestampQuery`] asks for.
pub struct TimestampSearch {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) buffers: Arc<Buffers>,
    /// Those that hold a record that is late enough.
    pub(crate) segments: Vec<SearchSegment>,
    pub(crate) timestamp: i64,
    pub(crate) from: Offset,
    pub(crate) matches_none: bool,
    pub(crate) epochs: Epochs,
    pub(crate) is_compacted: bool,
}

/// A segment to search by time.
pub(crate) struct SearchSegment {
    pub log: PathBuf,
    pub index: PathBuf,
    pub time_index: PathBuf,
    pub base: Offset,
    pub end: Offset,
    pub size: u64,
    pub largest: i64,
    pub offsets: EntriesView<OffsetEntry>,
    pub times: EntriesView<TimeEntry>,
}

/// Batches read at once while searching.
const SEARCH_BYTES: usize = 64 << 10;

impl TimestampSearch {
    /// Blocks. `None` when there is no such record. The caller compares the offset with what the asker
    /// may see (watermark, last stable offset).
    ///
    /// # Errors
    /// As [`ReadError`] says.
    pub fn run(self) -> Result<Option<TimestampFound>, ReadError> {
        if self.matches_none {
            return Ok(None);
        }
        for segment in &self.segments {
            if let Some(found) = self.search(segment)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn search(&self, segment: &SearchSegment) -> Result<Option<TimestampFound>, ReadError> {
        let disk = &*self.disk;
        // All batches up to the last one with a smaller largest-so-far are too early.
        let before = segment
            .times
            .floor(disk, &segment.time_index, self.timestamp.saturating_sub(1))
            .map_err(|error| failed(&segment.time_index, error))?;
        let early = before.map_or(0, |entry| i64::from(entry.offset));
        let relative = early.max(self.from - segment.base);
        let file = open(disk, &segment.log)?;
        let read_at = |buffer: &mut [u8], offset| file.read_at(buffer, offset);
        let source = Source {
            read_at: &read_at,
            path: &segment.log,
            end: segment.size,
            base: segment.base,
            end_offset: segment.end,
            is_dense: !self.is_compacted,
            epochs: &self.epochs,
            buffers: &self.buffers,
        };
        let mut request = ReadRequest {
            from: segment.base.saturating_add(relative),
            limit: Offset::MAX,
            max_bytes: SEARCH_BYTES,
            at_least_one: true,
        };
        loop {
            let pieces = source.fetch(self.place(segment, &request)?, &request)?;
            if pieces.is_empty() {
                return Ok(None);
            }
            for batch in pieces.iter().flat_map(|piece| Batches::new(piece)) {
                let batch = batch.expect("a fetch gives whole batches");
                if let Some(found) = self.search_batch(&batch, &segment.log)? {
                    return Ok(Some(found));
                }
                request.from = batch.header().next_offset();
            }
        }
    }

    /// Where a batch begins, at or at most one interval before the one that holds `request.from`.
    fn place(&self, segment: &SearchSegment, request: &ReadRequest) -> Result<Place, ReadError> {
        let entry = segment
            .offsets
            .floor(&*self.disk, &segment.index, request.from - segment.base)
            .map_err(|error| failed(&segment.index, error))?;
        Ok(Place::of(entry, segment.base))
    }

    fn search_batch(
        &self,
        batch: &Batch<'_>,
        path: &Path,
    ) -> Result<Option<TimestampFound>, ReadError> {
        let header = batch.header();
        if header.max_timestamp < self.timestamp || header.is_control() {
            return Ok(None);
        }
        let damaged = |problem: String| ReadError::Corrupt {
            path: path.to_owned(),
            position: 0,
            problem: format!("batch at offset {}: {problem}", header.base_offset),
        };
        let records =
            batch.records(Limits::default()).map_err(|error| damaged(error.to_string()))?;
        for record in &records {
            let record = record.map_err(|error| damaged(error.to_string()))?;
            if record.timestamp >= self.timestamp && record.offset >= self.from {
                return Ok(Some(TimestampFound {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    leader_epoch: header.leader_epoch,
                }));
            }
        }
        Ok(None)
    }
}

/// An aborted transaction that overlaps a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Its producer.
    pub producer_id: i64,
    /// Its first offset.
    pub first_offset: Offset,
}

/// Looks for aborted transactions in a range of offsets.
pub struct AbortedSearch {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) indexes: Vec<(PathBuf, EntriesView<AbortedEntry>)>,
    pub(crate) from: Offset,
    pub(crate) to: Offset,
}

impl AbortedSearch {
    /// Blocks. Ascending by the offset of the marker.
    ///
    /// # Errors
    /// As [`ReadError`] says.
    pub fn run(self) -> Result<Vec<AbortedTransaction>, ReadError> {
        let mut found = Vec::new();
        for (path, view) in &self.indexes {
            let entries = view.all(&*self.disk, path).map_err(|error| failed(path, error))?;
            for entry in entries {
                if entry.last_offset >= self.from && entry.first_offset < self.to {
                    found.push(AbortedTransaction {
                        producer_id: entry.producer_id,
                        first_offset: entry.first_offset,
                    });
                }
                // Everything below this was stable by then: later markers end later transactions.
                if entry.last_stable_offset >= self.to {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }
}

fn open(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn File>, ReadError> {
    disk.open(path, OpenMode::Read).map_err(|error| failed(path, error))
}

fn failed(path: &Path, source: io::Error) -> ReadError {
    match source.kind() {
        io::ErrorKind::NotFound => ReadError::Gone(path.to_owned()),
        _ => ReadError::Io { path: path.to_owned(), source },
    }
}
