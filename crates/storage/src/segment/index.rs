//! The sparse indexes of a segment, in Kafka's formats, and what of them is in memory.
//!
//! ```text
//! .index      relative offset u32, position u32     a batch's last offset and where the batch begins
//! .timeindex  timestamp i64, relative offset u32    largest so far, and the last offset of its batch
//! .txnindex   version i16 = 0, producer id, first, last, last stable offset: i64 each
//! ```
//!
//! The files are a cache of the log: they are written behind it, by the flush, and built again when they
//! are missing or wrong. In memory are the entries that are not written yet and, of the active segment,
//! as many more as [`HOT_ENTRIES_MAX`] allows; a look-up below them is a matter for the read pool.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use engine::Offset;
use engine::log::transactions::Ended;
use world::{Disk, File, OpenMode};

/// Entries of one index that stay in memory once they are on disk: 64 MiB of log at Kafka's interval.
pub(crate) const HOT_ENTRIES_MAX: usize = 16_384;

/// An entry of fixed size.
pub(crate) trait Entry: Copy {
    /// Bytes on disk.
    const LEN: usize;
    /// Ascends strictly.
    fn key(&self) -> i64;
    fn put(&self, out: &mut Vec<u8>);
    /// `bytes` has [`Entry::LEN`].
    fn get(bytes: &[u8]) -> Self;
    /// Whether it is as space that was set aside.
    fn is_zero(&self) -> bool {
        let mut bytes = Vec::with_capacity(Self::LEN);
        self.put(&mut bytes);
        bytes.iter().all(|byte| *byte == 0)
    }
}

/// A batch's last offset (relative to the segment) and where the batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub offset: u32,
    pub position: u32,
}

/// The largest timestamp so far, and the last offset (relative) of the batch that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub timestamp: i64,
    pub offset: u32,
}

/// An aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortedEntry {
    pub producer_id: i64,
    pub first_offset: Offset,
    pub last_offset: Offset,
    pub last_stable_offset: Offset,
}

impl Entry for OffsetEntry {
    const LEN: usize = 8;

    fn key(&self) -> i64 {
        i64::from(self.offset)
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        Self {
            offset: u32::from_be_bytes(at(bytes, 0)),
            position: u32::from_be_bytes(at(bytes, 4)),
        }
    }
}

impl Entry for TimeEntry {
    const LEN: usize = 12;

    fn key(&self) -> i64 {
        self.timestamp
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        Self {
            timestamp: i64::from_be_bytes(at(bytes, 0)),
            offset: u32::from_be_bytes(at(bytes, 8)),
        }
    }
}

impl Entry for AbortedEntry {
    const LEN: usize = 34;

    fn key(&self) -> i64 {
        self.last_offset
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&0i16.to_be_bytes());
        out.extend_from_slice(&self.producer_id.to_be_bytes());
        out.extend_from_slice(&self.first_offset.to_be_bytes());
        out.extend_from_slice(&self.last_offset.to_be_bytes());
        out.extend_from_slice(&self.last_stable_offset.to_be_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        Self {
            producer_id: i64::from_be_bytes(at(bytes, 2)),
            first_offset: i64::from_be_bytes(at(bytes, 10)),
            last_offset: i64::from_be_bytes(at(bytes, 18)),
            last_stable_offset: i64::from_be_bytes(at(bytes, 26)),
        }
    }
}

impl From<Ended> for AbortedEntry {
    fn from(ended: Ended) -> Self {
        Self {
            producer_id: ended.producer_id,
            first_offset: ended.first_offset,
            last_offset: ended.last_offset,
            last_stable_offset: ended.last_stable_offset,
        }
    }
}

fn at<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    *bytes[from..].first_chunk::<N>().expect("an entry has all its bytes")
}

/// The entries of one index: a prefix on disk, a suffix in memory, with an overlap.
#[derive(Clone, Debug)]
pub(crate) struct Entries<T> {
    /// Number of the first entry in memory.
    first: usize,
    memory: VecDeque<T>,
    /// Entries in the file.
    written: usize,
    /// The file may hold more than `written` entries: cut it before the next write.
    needs_cut: bool,
}

impl<T: Entry> Entries<T> {
    /// An index whose file is to be made, even if it stays empty; one left behind is cut.
    pub(crate) fn fresh() -> Self {
        Self::on_disk(0, true)
    }

    /// An index that has no file until it has an entry.
    pub(crate) fn absent() -> Self {
        Self::on_disk(0, false)
    }

    /// An index whose file holds `written` good entries, and maybe more bytes after them.
    pub(crate) fn on_disk(written: usize, needs_cut: bool) -> Self {
        Self { first: written, memory: VecDeque::new(), written, needs_cut }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.first + self.memory.len()
    }

    pub(crate) fn push(&mut self, entry: T) {
        self.memory.push_back(entry);
    }

    /// The entries that the file lacks, where they go, and whether it must be cut there first.
    pub(crate) fn unwritten(&self) -> Option<Unwritten> {
        if self.written >= self.len() && !self.needs_cut {
            return None;
        }
        assert!(self.written >= self.first, "an entry that is not written is in memory");
        let mut bytes = Vec::with_capacity((self.len() - self.written) * T::LEN);
        for entry in self.memory.iter().skip(self.written - self.first) {
            entry.put(&mut bytes);
        }
        Some(Unwritten {
            position: (self.written * T::LEN) as u64,
            bytes,
            cut_first: self.needs_cut,
        })
    }

    /// The file holds `written` entries now; lets go of what need not be in memory.
    pub(crate) fn mark_written(&mut self, written: usize, keep: usize) {
        assert!(written <= self.len(), "only entries that there are can be written");
        self.written = self.written.max(written);
        self.needs_cut = false;
        let surplus =
            self.memory.len().saturating_sub(keep).min(self.written - self.first.min(self.written));
        self.memory.drain(..surplus);
        self.first += surplus;
        if self.memory.is_empty() {
            self.memory.shrink_to_fit();
        }
    }

    /// Keeps the first `len` entries.
    pub(crate) fn truncate(&mut self, len: usize) {
        if len >= self.len() {
            return;
        }
        self.needs_cut |= len < self.written;
        self.memory.truncate(len.saturating_sub(self.first));
        self.first = self.first.min(len);
        self.written = self.written.min(len);
    }

    /// The last entry with a key of at most `key`, if memory can tell: `None` means "ask the file", and
    /// `Some(None)` "there is none".
    pub(crate) fn floor_in_memory(&self, key: i64) -> Option<Option<T>> {
        let after = self.memory.partition_point(|entry| entry.key() <= key);
        match after.checked_sub(1) {
            Some(index) => Some(Some(self.memory[index])),
            None if self.first == 0 => Some(None),
            None => None,
        }
    }

    /// A copy for a job.
    pub(crate) fn view(&self, with_memory: bool) -> EntriesView<T> {
        let memory = if with_memory { self.memory.iter().copied().collect() } else { Vec::new() };
        EntriesView { in_file: self.first.min(self.written), memory }
    }
}

/// What a flush writes of one index.
#[derive(Debug)]
pub(crate) struct Unwritten {
    pub position: u64,
    pub bytes: Vec<u8>,
    pub cut_first: bool,
}

impl Unwritten {
    /// Blocks.
    pub(crate) fn write(&self, file: &dyn File) -> io::Result<()> {
        if self.cut_first {
            file.set_len(self.position)?;
        }
        file.write_all_at(&[io::IoSlice::new(&self.bytes)], self.position)
    }
}

/// An index as a job sees it: so many entries of the file, then those in memory.
#[derive(Clone, Debug)]
pub(crate) struct EntriesView<T> {
    in_file: usize,
    memory: Vec<T>,
}

impl<T: Entry> EntriesView<T> {
    /// The last entry with a key of at most `key`. Blocks.
    pub(crate) fn floor(&self, disk: &dyn Disk, path: &Path, key: i64) -> io::Result<Option<T>> {
        let after = self.memory.partition_point(|entry| entry.key() <= key);
        if let Some(index) = after.checked_sub(1) {
            return Ok(Some(self.memory[index]));
        }
        if self.in_file == 0 {
            return Ok(None);
        }
        let file = disk.open(path, OpenMode::Read)?;
        let (mut low, mut high) = (0, self.in_file);
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let entry: T = read_one(&*file, middle)?;
            if entry.key() <= key {
                found = Some(entry);
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(found)
    }

    /// All entries. Blocks.
    pub(crate) fn all(&self, disk: &dyn Disk, path: &Path) -> io::Result<Vec<T>> {
        let mut all = Vec::with_capacity(self.in_file + self.memory.len());
        if self.in_file > 0 {
            let file = disk.open(path, OpenMode::Read)?;
            let mut bytes = vec![0; self.in_file * T::LEN];
            file.read_exact_at(&mut bytes, 0)?;
            all.extend(bytes.chunks_exact(T::LEN).map(T::get));
        }
        all.extend_from_slice(&self.memory);
        Ok(all)
    }
}

/// Reads entry number `index`.
pub(crate) fn read_one<T: Entry>(file: &dyn File, index: usize) -> io::Result<T> {
    let mut bytes = [0; 34];
    file.read_exact_at(&mut bytes[..T::LEN], (index * T::LEN) as u64)?;
    Ok(T::get(&bytes[..T::LEN]))
}

/// Reads a whole index file for inspection: its entries, and how many bytes are left over.
pub(crate) fn read_all<T: Entry>(disk: &dyn Disk, path: &Path) -> io::Result<(Vec<T>, usize)> {
    let bytes = disk.read(path)?;
    let entries = bytes.chunks_exact(T::LEN);
    let extra = entries.remainder().len();
    Ok((entries.map(T::get).collect(), extra))
}
