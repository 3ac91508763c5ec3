//! Looks into a partition's folder without opening it as a log: for `klamm doctor log`.
//!
//! Nothing is changed, nothing is believed: every batch is walked and hashed, every index entry compared
//! with the batch that it names. What is found is told one [`Line`] at a time, so a folder of any size
//! needs little memory.

use std::io;
use std::path::{Path, PathBuf};

use engine::log::producers::BatchMark;
use engine::log::{EpochStart, Epochs, snapshot};
use engine::{Offset, TopicId};
use wire::record::{Batch, EndMarker, Header};
use world::{Disk, File, OpenMode};

use crate::segment::index::{AbortedEntry, Entry, OffsetEntry, TimeEntry, read_all};
use crate::segment::name;
use crate::segment::scan::{Depth, Ending, Scan, end_marker};

/// Something found in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The topic's id.
    TopicId(TopicId),
    /// The leader epochs.
    Epochs(Vec<EpochStart>),
    /// A segment begins; its batches follow.
    Segment {
        /// Its log file.
        path: PathBuf,
        /// Offset in its name.
        base: Offset,
        /// Bytes.
        size: u64,
    },
    /// A batch.
    Batch {
        /// Where it begins.
        position: u64,
        /// Its header.
        header: Header,
        /// Whether the checksum holds.
        is_valid: bool,
        /// What a control batch says.
        marker: Option<EndMarker>,
    },
    /// An aborted transaction, from the segment's `.txnindex`.
    Aborted {
        /// Its producer.
        producer_id: i64,
        /// Its first offset.
        first_offset: Offset,
        /// Offset of its marker.
        last_offset: Offset,
        /// The last stable offset when it ended.
        last_stable_offset: Offset,
    },
    /// A producer, from a snapshot file.
    Producer {
        /// The snapshot's offset.
        snapshot: Offset,
        /// Its id.
        id: i64,
        /// Its epoch.
        epoch: i16,
        /// Its last batch.
        last: Option<BatchMark>,
        /// Epoch of the coordinator of its last transaction; -1 if none.
        coordinator_epoch: i32,
        /// First offset of its open transaction.
        transaction_first_offset: Option<Offset>,
    },
    /// Something is wrong.
    Problem {
        /// With this file.
        path: PathBuf,
        /// What.
        problem: String,
    },
}

/// Walks the folder `dir` and tells `each` what is in it. Blocks.
///
/// # Errors
/// When a file cannot be read; what is wrong *within* files is a [`Line::Problem`].
pub fn dump(disk: &dyn Disk, dir: &Path, each: &mut dyn FnMut(Line)) -> io::Result<()> {
    let entries = disk.read_dir(dir)?;
    let has = |file: &str| entries.iter().any(|entry| entry.name == file);
    if has(name::PARTITION_METADATA) {
        let path = dir.join(name::PARTITION_METADATA);
        let text = String::from_utf8_lossy(&disk.read(&path)?).into_owned();
        each(match name::parse_metadata(&text) {
            Some(topic_id) => Line::TopicId(topic_id),
            None => problem(&path, "names no topic id"),
        });
    }
    if has(name::EPOCHS) {
        let path = dir.join(name::EPOCHS);
        let text = String::from_utf8_lossy(&disk.read(&path)?).into_owned();
        each(match Epochs::decode(&text) {
            Ok(epochs) => Line::Epochs(epochs.starts().to_vec()),
            Err(error) => problem(&path, error),
        });
    }
    for entry in &entries {
        match name::parse(&entry.name) {
            Some((base, name::LOG)) => dump_segment(disk, dir, base, each)?,
            Some((offset, name::SNAPSHOT)) => dump_snapshot(disk, dir, offset, each)?,
            _ => {}
        }
    }
    Ok(())
}

fn problem(path: &Path, problem: impl std::fmt::Display) -> Line {
    Line::Problem { path: path.to_owned(), problem: problem.to_string() }
}

fn dump_segment(
    disk: &dyn Disk,
    dir: &Path,
    base: Offset,
    each: &mut dyn FnMut(Line),
) -> io::Result<()> {
    let path = name::file(dir, base, name::LOG);
    let file = disk.open(&path, OpenMode::Read)?;
    let size = file.len()?;
    each(Line::Segment { path: path.clone(), base, size });
    let mut offsets = IndexCheck::<OffsetEntry>::open(disk, dir, base, name::INDEX, each)?;
    let mut times = IndexCheck::<TimeEntry>::open(disk, dir, base, name::TIME_INDEX, each)?;
    let mut scan = Scan::new(&*file, 0, size, base, Depth::Headers);
    loop {
        match scan.step()? {
            Ok(seen) => {
                let (is_valid, marker) = look(&*file, seen.position, &seen.header)?;
                each(Line::Batch {
                    position: seen.position,
                    header: seen.header,
                    is_valid,
                    marker,
                });
                offsets.compare_position(base, seen.position, &seen.header, each);
                times.compare_timestamp(base, &seen.header, each);
            }
            Err(Ending::End) => break,
            Err(Ending::Bad(found)) => {
                let (at, left) = (scan.position(), size - scan.position());
                each(problem(&path, format!("{found} at position {at}; {left} bytes are left")));
                break;
            }
        }
    }
    offsets.finish(base, each);
    times.finish(base, each);
    let path = name::file(dir, base, name::TXN_INDEX);
    if disk.exists(&path) {
        let (entries, extra) = read_all::<AbortedEntry>(disk, &path)?;
        for entry in entries {
            each(Line::Aborted {
                producer_id: entry.producer_id,
                first_offset: entry.first_offset,
                last_offset: entry.last_offset,
                last_stable_offset: entry.last_stable_offset,
            });
        }
        if extra > 0 {
            each(problem(&path, format!("{extra} bytes follow the last entry")));
        }
    }
    Ok(())
}

/// Reads a batch whole: is its checksum right, and what does it say if it is a control batch?
fn look(file: &dyn File, position: u64, header: &Header) -> io::Result<(bool, Option<EndMarker>)> {
    let mut bytes = vec![0; header.size];
    file.read_exact_at(&mut bytes, position)?;
    Ok(match Batch::parse(&bytes) {
        Ok(batch) => (batch.verify().is_ok(), end_marker(&batch)),
        Err(_) => (false, None),
    })
}

fn dump_snapshot(
    disk: &dyn Disk,
    dir: &Path,
    offset: Offset,
    each: &mut dyn FnMut(Line),
) -> io::Result<()> {
    let path = name::file(dir, offset, name::SNAPSHOT);
    let producers = match snapshot::decode(&disk.read(&path)?, 0) {
        Ok(producers) => producers,
        Err(error) => {
            each(problem(&path, error));
            return Ok(());
        }
    };
    for (id, producer) in producers.iter() {
        each(Line::Producer {
            snapshot: offset,
            id,
            epoch: producer.epoch,
            last: producer.batches().last().copied(),
            coordinator_epoch: producer.coordinator_epoch,
            transaction_first_offset: producer.transaction_first_offset,
        });
    }
    Ok(())
}

/// An index whose entries are compared with the batches as these go by.
struct IndexCheck<T> {
    path: PathBuf,
    entries: std::vec::IntoIter<T>,
}

impl<T: Entry> IndexCheck<T> {
    fn open(
        disk: &dyn Disk,
        dir: &Path,
        base: Offset,
        kind: &str,
        each: &mut dyn FnMut(Line),
    ) -> io::Result<Self> {
        let path = name::file(dir, base, kind);
        if !disk.exists(&path) {
            each(problem(&path, "is missing; it is built again when the log is opened"));
            return Ok(Self { path, entries: Vec::new().into_iter() });
        }
        let (mut entries, extra) = read_all::<T>(disk, &path)?;
        // Kafka sets space aside behind the entries of an active segment.
        let zeros = entries.iter().rev().take_while(|entry| entry.is_zero()).count();
        entries.truncate(entries.len() - zeros);
        if extra > 0 {
            each(problem(&path, format!("{extra} bytes follow the last whole entry")));
        }
        let climbs = entries.windows(2).position(|pair| pair[0].key() >= pair[1].key());
        if let Some(at) = climbs {
            each(problem(&path, format!("entry {} does not come after entry {at}", at + 1)));
            entries.truncate(at + 1);
        }
        Ok(Self { path, entries: entries.into_iter() })
    }
}

impl IndexCheck<OffsetEntry> {
    fn compare_position(
        &mut self,
        base: Offset,
        position: u64,
        header: &Header,
        each: &mut dyn FnMut(Line),
    ) {
        let last = header.last_offset();
        while let Some(entry) = self.entries.as_slice().first().copied()
            && base + i64::from(entry.offset) <= last
        {
            self.entries.next();
            let (offset, says) = (base + i64::from(entry.offset), entry.position);
            if offset != last {
                each(problem(&self.path, format!("offset {offset} ends no batch")));
            } else if u64::from(says) != position {
                let text = format!("offset {offset} is at position {position}, index says {says}");
                each(problem(&self.path, text));
            }
        }
    }

    fn finish(self, base: Offset, each: &mut dyn FnMut(Line)) {
        for entry in self.entries {
            let offset = base + i64::from(entry.offset);
            each(problem(&self.path, format!("offset {offset} is not in the log")));
        }
    }
}

impl IndexCheck<TimeEntry> {
    fn compare_timestamp(&mut self, base: Offset, header: &Header, each: &mut dyn FnMut(Line)) {
        let last = header.last_offset();
        while let Some(entry) = self.entries.as_slice().first().copied()
            && base + i64::from(entry.offset) <= last
        {
            self.entries.next();
            let (says, found) = (entry.timestamp, header.max_timestamp);
            if says != found {
                let offset = base + i64::from(entry.offset);
                let text = format!("offset {offset} has timestamp {found}, index says {says}");
                each(problem(&self.path, text));
            }
        }
    }

    fn finish(self, base: Offset, each: &mut dyn FnMut(Line)) {
        for entry in self.entries {
            let offset = base + i64::from(entry.offset);
            each(problem(&self.path, format!("offset {offset} is not in the log")));
        }
    }
}
