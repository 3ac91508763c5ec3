//! Opening one segment: how much of its indexes can be believed, and what its tail holds.
//!
//! The last index entry that can be believed names a place from which the rest is walked: after a clean
//! stop a few kilobytes, after a crash what lies beyond the recovery point, and all of it when there is no
//! such entry.

use std::io;
use std::path::{Path, PathBuf};

use engine::{LeaderEpoch, Offset};
use wire::record::Header;
use world::{File, OpenMode};

use super::Opening;
use super::folder::Folder;
use crate::error::OpenError;
use crate::segment::index::{AbortedEntry, Entries, Entry, OffsetEntry, TimeEntry, read_one};
use crate::segment::scan::{Depth, Ending, Scan};
use crate::segment::{Segment, name};

/// What opening a segment found.
pub(super) struct Found {
    pub segment: Segment,
    /// Epochs of the batches walked, and where they begin.
    pub epochs: Vec<(LeaderEpoch, Offset)>,
    pub verified_bytes: u64,
    pub rebuilt: Vec<(PathBuf, String)>,
    /// Why the segment ends before its file does.
    pub problem: Option<String>,
}

/// The believable beginning of both indexes.
#[derive(Default)]
struct Believed {
    offsets: usize,
    times: usize,
    last_offset: Option<OffsetEntry>,
    last_time: Option<TimeEntry>,
    /// Entries or bytes come after those in either file, or one is missing: write them anew from there.
    has_more: bool,
}

impl Believed {
    fn nothing() -> Self {
        Self { has_more: true, ..Self::default() }
    }
}

/// Opens the segment `(base, len)`. What is below `safe` was flushed. Blocks.
pub(super) fn open(
    opening: &Opening<'_>,
    folder: &Folder,
    (base, len): (Offset, u64),
    next_base: Option<Offset>,
    safe: Offset,
) -> Result<Found, OpenError> {
    let path = name::file(&opening.dir, base, name::LOG);
    let failed = |source: io::Error| OpenError::Io { path: path.clone(), source };
    let file = opening.disk.open(&path, OpenMode::Read).map_err(failed)?;
    let mut reason = None;
    if !opening.was_clean && !opening.is_same_boot && next_base.is_none_or(|next| next > safe) {
        // After a failed sync memory may show what never was on the disk, and a sync of it succeeds.
        file.forget_cached(0, len);
    }
    // The indexes of a segment are synced by the first flush after it was sealed: one that went beyond its
    // end. One that reached just its end may have been the last before.
    let is_synced = opening.was_clean || next_base.is_some_and(|next_base| next_base < safe);
    let may_believe = len > 0 && base < safe && (is_synced || opening.is_same_boot);
    let believed = if !may_believe {
        // Nothing to believe, or everything is looked at anyway.
        Believed::nothing()
    } else {
        match believe(opening, folder, (base, len), safe, &*file).map_err(failed)? {
            Ok(believed) => believed,
            Err(problem) => {
                reason = Some(problem);
                Believed::nothing()
            }
        }
    };
    let mut found = walk(opening, &*file, (base, len), &believed, safe).map_err(failed)?;
    found.segment.indexes_synced = is_synced && reason.is_none();
    // A sealed segment's last time entry may be for batches that the walk has just seen: not again.
    if next_base.is_some() {
        found.segment.index_time();
    }
    if let Some(problem) = reason {
        found.rebuilt.push((name::file(&opening.dir, base, name::INDEX), problem));
    }
    if folder.indexes.contains(&(base, name::TXN_INDEX)) {
        found.segment.aborted = aborted(opening, &found.segment).map_err(failed)?;
    }
    Ok(found)
}

/// How much of the index files can be believed: `Err` says why nothing can.
fn believe(
    opening: &Opening<'_>,
    folder: &Folder,
    (base, len): (Offset, u64),
    safe: Offset,
    log: &dyn File,
) -> io::Result<Result<Believed, String>> {
    for kind in [name::INDEX, name::TIME_INDEX] {
        if !folder.indexes.contains(&(base, kind)) {
            return Ok(Err(format!("there is no .{kind}")));
        }
    }
    let path = |kind| name::file(&opening.dir, base, kind);
    let offset_file = opening.disk.open(&path(name::INDEX), OpenMode::Read)?;
    let time_file = opening.disk.open(&path(name::TIME_INDEX), OpenMode::Read)?;
    let (offset_len, time_len) = (offset_file.len()?, time_file.len()?);
    let whole = |len: u64, entry: usize| usize::try_from(len).unwrap_or(0) / entry;
    // Kafka sets space aside in the active segment's index: zeros after the last entry are none. Nor are
    // entries believed for what was not flushed.
    let offsets = first_not(whole(offset_len, OffsetEntry::LEN), |number| {
        let entry: OffsetEntry = read_one(&*offset_file, number)?;
        Ok(entry.position > 0 && base + i64::from(entry.offset) < safe)
    })?;
    let Some(number) = offsets.checked_sub(1) else {
        return Ok(Ok(Believed { has_more: offset_len + time_len > 0, ..Believed::default() }));
    };
    let last: OffsetEntry = read_one(&*offset_file, number)?;
    if let Err(problem) = check_entry(log, base, len, last)? {
        return Ok(Err(problem));
    }
    let times = first_not(whole(time_len, TimeEntry::LEN), |number| {
        let entry: TimeEntry = read_one(&*time_file, number)?;
        let is_zero = entry.timestamp == 0 && entry.offset == 0;
        Ok(!is_zero && entry.offset <= last.offset)
    })?;
    let last_time = times.checked_sub(1).map(|number| read_one(&*time_file, number)).transpose()?;
    let used = (offsets * OffsetEntry::LEN + times * TimeEntry::LEN) as u64;
    let has_more = offset_len + time_len > used;
    Ok(Ok(Believed { offsets, times, last_offset: Some(last), last_time, has_more }))
}

/// Whether the batch that `entry` names is there.
fn check_entry(
    log: &dyn File,
    base: Offset,
    len: u64,
    entry: OffsetEntry,
) -> io::Result<Result<(), String>> {
    let mut scan = Scan::new(log, u64::from(entry.position), len, base, Depth::Headers);
    let expected = base + i64::from(entry.offset);
    Ok(match scan.step()? {
        Ok(seen) if seen.header.last_offset() == expected => Ok(()),
        Ok(seen) => {
            let (position, last) = (entry.position, seen.header.last_offset());
            Err(format!("entry says offset {expected} is at {position}, where {last} is"))
        }
        Err(_) => Err(format!("entry says offset {expected} is at {}", entry.position)),
    })
}

/// The first number below `count` for which `holds` does not; it holds for all before it.
fn first_not(count: usize, holds: impl Fn(usize) -> io::Result<bool>) -> io::Result<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Walks from the last believed entry to the end, rebuilding the indexes on the way.
fn walk(
    opening: &Opening<'_>,
    file: &dyn File,
    (base, len): (Offset, u64),
    believed: &Believed,
    safe: Offset,
) -> io::Result<Found> {
    let mut segment = Segment::new(base, opening.now_ms);
    segment.offsets = Entries::on_disk(believed.offsets, believed.has_more);
    segment.times = Entries::on_disk(believed.times, believed.has_more);
    if let Some(last) = believed.last_offset {
        segment.size = u64::from(last.position);
        segment.first_timestamp = first_timestamp(file)?;
    }
    if let Some(last) = believed.last_time {
        segment.last_time = last.timestamp;
        segment.largest = (last.timestamp, base + i64::from(last.offset));
    }
    let mut found = Found {
        segment,
        epochs: Vec::new(),
        verified_bytes: 0,
        rebuilt: Vec::new(),
        problem: None,
    };
    let segment = &mut found.segment;
    let mut scan = Scan::new(file, segment.size, len, base, Depth::Headers);
    let interval = opening.config.index_interval_bytes;
    loop {
        let verifies = scan.next_offset() >= safe;
        if verifies {
            scan.deepen(Depth::Checksums);
        }
        match scan.step()? {
            Ok(seen) => {
                let relative = seen.header.last_offset() - base;
                if relative > i64::from(i32::MAX) || scan.position() > i32::MAX as u64 {
                    found.problem = Some(format!("offset {relative} of the segment is too large"));
                    break;
                }
                if verifies {
                    found.verified_bytes += seen.header.size as u64;
                } else {
                    segment.flushed_size = scan.position();
                }
                segment.take(&seen.header, interval);
                let epoch = LeaderEpoch(seen.header.leader_epoch);
                if epoch.0 >= 0 && found.epochs.last().is_none_or(|(last, _)| *last != epoch) {
                    found.epochs.push((epoch, seen.header.base_offset));
                }
            }
            Err(Ending::End) => break,
            Err(Ending::Bad(problem)) => {
                found.problem = Some(problem);
                break;
            }
        }
    }
    if segment.largest.0 < 0 {
        segment.touched_ms = file.modified_ms()?;
    }
    Ok(found)
}

fn first_timestamp(file: &dyn File) -> io::Result<Option<i64>> {
    let mut bytes = [0; wire::record::HEADER_LEN];
    file.read_exact_at(&mut bytes, 0)?;
    let parsed = Header::parse(&bytes).ok().map(|header| header.max_timestamp);
    Ok(parsed.filter(|timestamp| *timestamp >= 0))
}

/// The aborted transactions that end within the segment.
fn aborted(opening: &Opening<'_>, segment: &Segment) -> io::Result<Entries<AbortedEntry>> {
    let path: &Path = &name::file(&opening.dir, segment.base, name::TXN_INDEX);
    let file = opening.disk.open(path, OpenMode::Read)?;
    let len = usize::try_from(file.len()?).unwrap_or(0);
    let count = first_not(len / AbortedEntry::LEN, |number| {
        let entry: AbortedEntry = read_one(&*file, number)?;
        Ok(entry.last_offset < segment.end)
    })?;
    Ok(Entries::on_disk(count, count * AbortedEntry::LEN < len))
}
