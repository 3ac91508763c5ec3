//! One segment: a run of batches in a file, and its indexes.
//!
//! | what | file |
//! | --- | --- |
//! | names of files and folders | `name` |
//! | the sparse indexes | `index` |
//! | walking the batches of a file | `scan` |
//! | reading batches for a fetch | `fetch` |

use std::io;
use std::path::Path;
use std::sync::Arc;

use engine::Offset;
use engine::log::retain::SegmentFacts;
use engine::log::roll::ActiveSegment;
use wire::record::Header;
use world::{Disk, File, OpenMode};

pub(crate) mod fetch;
pub(crate) mod index;
pub(crate) mod name;
pub(crate) mod scan;

use index::{AbortedEntry, Entries, OffsetEntry, TimeEntry};

/// A segment, as its owner sees it.
pub(crate) struct Segment {
    /// Offset in its name.
    pub base: Offset,
    /// The offset after its last batch.
    pub end: Offset,
    /// Bytes of whole batches.
    pub size: u64,
    /// Bytes that survive a power loss.
    pub flushed_size: u64,
    /// Largest timestamp, and the last offset of the batch that brought it; -1 if there is none.
    pub largest: (i64, Offset),
    /// Max timestamp of the first batch, if not -1.
    pub first_timestamp: Option<i64>,
    pub created_ms: i64,
    /// Wall clock of the last write.
    pub touched_ms: i64,
    pub offsets: Entries<OffsetEntry>,
    pub times: Entries<TimeEntry>,
    pub aborted: Entries<AbortedEntry>,
    /// Timestamp of the last entry in `times`; -1 if there is none.
    pub last_time: i64,
    /// Bytes since the last entry in `offsets`.
    pub since_entry: u64,
    /// The index files survive a power loss. Those of the active segment need not: they are built again.
    pub indexes_synced: bool,
    pub file: Option<Arc<dyn File>>,
}

impl Segment {
    /// A segment without bytes.
    pub(crate) fn new(base: Offset, created_ms: i64) -> Self {
        Self {
            base,
            end: base,
            size: 0,
            flushed_size: 0,
            largest: (-1, base),
            first_timestamp: None,
            created_ms,
            touched_ms: created_ms,
            offsets: Entries::fresh(),
            times: Entries::fresh(),
            aborted: Entries::absent(),
            last_time: -1,
            since_entry: 0,
            indexes_synced: false,
            file: None,
        }
    }

    /// The batch with this header lies at the end of the file now.
    pub(crate) fn take(&mut self, header: &Header, interval: u32) {
        assert!(header.base_offset >= self.end, "offsets ascend within a segment");
        self.indexes_synced = false;
        if self.size == 0 && header.max_timestamp >= 0 {
            self.first_timestamp = Some(header.max_timestamp);
        }
        let last = header.last_offset();
        if header.max_timestamp > self.largest.0 {
            self.largest = (header.max_timestamp, last);
        }
        if self.since_entry > u64::from(interval) {
            let position = u32::try_from(self.size).expect("a segment rolls before 2 GiB");
            self.offsets.push(OffsetEntry { offset: self.relative(last), position });
            self.index_time();
            self.since_entry = 0;
        }
        self.since_entry += header.size as u64;
        self.size += header.size as u64;
        self.end = header.next_offset();
    }

    /// Adds the largest timestamp to the time index if it is news: with each offset entry, and when the
    /// segment is sealed or closed.
    pub(crate) fn index_time(&mut self) {
        let (timestamp, offset) = self.largest;
        if timestamp > self.last_time {
            self.times.push(TimeEntry { timestamp, offset: self.relative(offset) });
            self.last_time = timestamp;
        }
    }

    pub(crate) fn relative(&self, offset: Offset) -> u32 {
        u32::try_from(offset - self.base).expect("a segment rolls before its offsets overflow")
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.flushed_size < self.size
    }

    /// The file, opened if it was released.
    pub(crate) fn open(&mut self, disk: &dyn Disk, dir: &Path) -> io::Result<Arc<dyn File>> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let file = disk.open(&name::file(dir, self.base, name::LOG), OpenMode::Write)?;
        self.file = Some(file.clone());
        Ok(file)
    }

    /// For [`engine::log::roll`], as if `ahead` more bytes had been written.
    pub(crate) fn active(&self, ahead: u64, interval: u32) -> ActiveSegment {
        let entries_ahead =
            usize::try_from(ahead / u64::from(interval.max(1))).unwrap_or(usize::MAX);
        ActiveSegment {
            base: self.base,
            size: self.size + ahead,
            first_timestamp: self.first_timestamp,
            created_ms: self.created_ms,
            index_entries: self.offsets.len() + entries_ahead,
            time_entries: self.times.len() + entries_ahead,
        }
    }

    /// For [`engine::log::retain`].
    pub(crate) fn facts(&self) -> SegmentFacts {
        SegmentFacts {
            base: self.base,
            end: self.end,
            size: self.size,
            newest_ms: if self.largest.0 >= 0 { self.largest.0 } else { self.touched_ms },
        }
    }
}
