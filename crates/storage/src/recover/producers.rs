//! The producers of a log: the newest usable snapshot, and a replay of what came after it.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use engine::Offset;
use engine::log::{Producers, snapshot};
use wire::record::Header;
use world::{Disk, OpenMode};

use crate::segment::index::OffsetEntry;
use crate::segment::scan::{Depth, Scan};
use crate::segment::{Segment, name};

/// A snapshot holds the last batch of each producer; to know again the four before it, so much of the
/// log before the snapshot is looked at. Five batches of the largest usual size fit.
const HISTORY_BYTES: u64 = 8 << 20;
/// And so many segments, where they are tiny.
const HISTORY_SEGMENTS_MAX: usize = 8;

/// What [`load_producers`] found.
pub(crate) struct Loaded {
    pub producers: Producers,
    /// The snapshot's offset, or where the replay began without one.
    pub from: Offset,
}

/// Loads the newest snapshot of `snapshots` that can be read, and replays what the segments hold beyond
/// it. A snapshot that is damaged is passed over. Blocks.
pub(crate) fn load_producers(
    disk: &dyn Disk,
    dir: &Path,
    snapshots: &[Offset],
    segments: &VecDeque<Segment>,
    now_ms: i64,
) -> io::Result<Loaded> {
    let mut loaded = Loaded {
        producers: Producers::default(),
        from: segments.front().map_or(0, |first| first.base),
    };
    for offset in snapshots.iter().rev() {
        let path = name::file(dir, *offset, name::SNAPSHOT);
        let decoded = disk.read(&path).map(|bytes| snapshot::decode(&bytes, now_ms))?;
        match decoded {
            Ok(producers) => {
                loaded = Loaded { producers, from: *offset };
                break;
            }
            Err(problem) => {
                tracing::warn!(path = %path.display(), %problem, "producer snapshot is passed over");
            }
        }
    }
    if !loaded.producers.is_empty() {
        remember(disk, dir, segments, &mut loaded)?;
    }
    replay(disk, dir, segments, &mut loaded, now_ms)?;
    Ok(loaded)
}

fn replay(
    disk: &dyn Disk,
    dir: &Path,
    segments: &VecDeque<Segment>,
    loaded: &mut Loaded,
    now_ms: i64,
) -> io::Result<()> {
    for segment in segments.iter().filter(|segment| segment.end > loaded.from) {
        let relative = loaded.from - segment.base;
        let position = position_of(disk, dir, segment, relative)?;
        walk(disk, dir, segment, position, |header, marker| {
            if header.base_offset >= loaded.from {
                loaded.producers.apply(header, marker, now_ms);
            }
        })?;
    }
    Ok(())
}

/// Looks at the batches just below the snapshot, in as many segments as [`HISTORY_BYTES`] span.
fn remember(
    disk: &dyn Disk,
    dir: &Path,
    segments: &VecDeque<Segment>,
    loaded: &mut Loaded,
) -> io::Result<()> {
    let below = segments.partition_point(|segment| segment.base < loaded.from);
    let mut left = HISTORY_BYTES;
    let mut runs = Vec::new();
    for segment in segments.range(..below).rev() {
        let upto = if segment.end <= loaded.from {
            segment.size
        } else {
            position_of(disk, dir, segment, loaded.from - segment.base)?
        };
        runs.push((segment, entry_below(disk, dir, segment, upto.saturating_sub(left))?));
        left = left.saturating_sub(upto);
        if left == 0 || runs.len() == HISTORY_SEGMENTS_MAX {
            break;
        }
    }
    let mut headers: Vec<Header> = Vec::new();
    for (segment, position) in runs.into_iter().rev() {
        walk(disk, dir, segment, position, |header, _| {
            if header.next_offset() <= loaded.from && header.has_producer() {
                headers.push(*header);
            }
        })?;
    }
    loaded.producers.remember(&headers);
    Ok(())
}

fn walk(
    disk: &dyn Disk,
    dir: &Path,
    segment: &Segment,
    position: u64,
    mut each: impl FnMut(&Header, Option<wire::record::EndMarker>),
) -> io::Result<()> {
    let file = disk.open(&name::file(dir, segment.base, name::LOG), OpenMode::Read)?;
    let mut scan = Scan::new(&*file, position, segment.size, segment.base, Depth::Headers);
    while let Ok(seen) = scan.step()? {
        each(&seen.header, seen.marker);
    }
    Ok(())
}

/// Where to begin in order to find `relative`.
fn position_of(disk: &dyn Disk, dir: &Path, segment: &Segment, relative: i64) -> io::Result<u64> {
    if relative <= 0 {
        return Ok(0);
    }
    let path = name::file(dir, segment.base, name::INDEX);
    let entry = segment.offsets.view(true).floor(disk, &path, relative)?;
    Ok(entry.map_or(0, |entry| u64::from(entry.position)))
}

/// The last indexed position that is at most `position`.
fn entry_below(disk: &dyn Disk, dir: &Path, segment: &Segment, position: u64) -> io::Result<u64> {
    if position == 0 || segment.offsets.len() == 0 {
        return Ok(0);
    }
    let path = name::file(dir, segment.base, name::INDEX);
    let all: Vec<OffsetEntry> = segment.offsets.view(true).all(disk, &path)?;
    let after = all.partition_point(|entry| u64::from(entry.position) <= position);
    Ok(after.checked_sub(1).map_or(0, |index| u64::from(all[index].position)))
}
