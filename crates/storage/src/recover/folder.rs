//! What is in a partition's folder, and what interrupted work left there.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::Path;

use engine::Offset;
use world::disk::DirEntry;
use world::{Disk, OpenMode};

use crate::segment::scan::{Depth, Scan};
use crate::segment::{Segment, name};

/// Kafka's suffix of a cleaned segment that is about to replace others.
const SWAP: &str = "swap";

/// A folder's files, sorted out.
pub(super) struct Folder {
    /// Base offset and length of each segment, ascending.
    pub logs: Vec<(Offset, u64)>,
    /// Index files that are there.
    pub indexes: BTreeSet<(Offset, &'static str)>,
    /// Offsets of producer snapshots, ascending.
    pub snapshots: Vec<Offset>,
}

impl Folder {
    /// Lists the folder and removes leftovers, whose names go to `removed`. Blocks.
    pub(super) fn list(disk: &dyn Disk, dir: &Path, removed: &mut Vec<String>) -> io::Result<Self> {
        let mut folder = Self { logs: Vec::new(), indexes: BTreeSet::new(), snapshots: Vec::new() };
        let mut entries = match disk.read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(folder),
            Err(error) => return Err(error),
        };
        if finish_swaps(disk, dir, &entries)? {
            disk.sync_dir(dir)?;
            entries = disk.read_dir(dir)?;
        }
        for entry in entries.iter().filter(|entry| !entry.is_dir) {
            let leftover = [".deleted", ".cleaned", ".tmp"];
            if leftover.iter().any(|suffix| entry.name.ends_with(suffix)) {
                disk.remove_file(&dir.join(&entry.name))?;
                removed.push(entry.name.clone());
                continue;
            }
            match name::parse(&entry.name) {
                Some((base, name::LOG)) => folder.logs.push((base, entry.len)),
                Some((offset, name::SNAPSHOT)) => folder.snapshots.push(offset),
                Some((base, kind)) => {
                    let kinds = [name::INDEX, name::TIME_INDEX, name::TXN_INDEX];
                    if let Some(kind) = kinds.into_iter().find(|known| *known == kind) {
                        folder.indexes.insert((base, kind));
                    }
                }
                None => {}
            }
        }
        folder.logs.sort_unstable();
        folder.snapshots.sort_unstable();
        let bases: BTreeSet<Offset> = folder.logs.iter().map(|(base, _)| *base).collect();
        for (base, kind) in &folder.indexes {
            if !bases.contains(base) {
                let path = name::file(dir, *base, kind);
                disk.remove_file(&path)?;
                removed.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
            }
        }
        folder.indexes.retain(|(base, _)| bases.contains(base));
        Ok(folder)
    }

    /// Removes segments that lie wholly below the log's start: a removal that was interrupted, or whose
    /// names a power loss brought back, maybe with gaps between them. Blocks.
    pub(super) fn drop_below(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        log_start: Offset,
        removed: &mut Vec<String>,
    ) -> io::Result<()> {
        let below = self.logs.windows(2).take_while(|pair| pair[1].0 <= log_start).count();
        for (base, _) in self.logs.drain(..below) {
            remove_segment(disk, dir, base)?;
            removed.push(format!("{base:020}.{}", name::LOG));
        }
        Ok(())
    }
}

/// A segment `X.log.swap` is complete: it replaces the segments whose offsets it spans. Says whether
/// there was one.
fn finish_swaps(disk: &dyn Disk, dir: &Path, entries: &[DirEntry]) -> io::Result<bool> {
    let swaps = entries.iter().filter_map(|entry| {
        let (base, kind) = name::parse(&entry.name)?;
        Some((base, kind.strip_suffix(".swap")?, entry.len))
    });
    let mut any = false;
    for (base, kind, len) in swaps {
        any = true;
        let path = name::file(dir, base, &format!("{kind}.{SWAP}"));
        if kind == name::LOG {
            let file = disk.open(&path, OpenMode::Read)?;
            let mut scan = Scan::new(&*file, 0, len, base, Depth::Headers);
            while scan.step()?.is_ok() {}
            let end = scan.next_offset();
            for other in entries {
                if let Some((replaced, name::LOG)) = name::parse(&other.name)
                    && (base..end).contains(&replaced)
                {
                    remove_segment(disk, dir, replaced)?;
                }
            }
        }
        disk.rename(&path, &name::file(dir, base, kind))?;
    }
    Ok(any)
}

/// Removes a segment's files, the log first under another name, so that an interruption leaves leftovers
/// and never a log without its indexes. Blocks.
pub(crate) fn remove_segment(disk: &dyn Disk, dir: &Path, base: Offset) -> io::Result<()> {
    let log = name::file(dir, base, name::LOG);
    let aside = name::file(dir, base, &format!("{}.{}", name::LOG, name::DELETED));
    forgive_missing(disk.rename(&log, &aside))?;
    for kind in [name::INDEX, name::TIME_INDEX, name::TXN_INDEX] {
        forgive_missing(disk.remove_file(&name::file(dir, base, kind)))?;
    }
    forgive_missing(disk.remove_file(&aside))
}

/// The offsets of the producer snapshots in a folder, ascending. Blocks.
pub(crate) fn list_snapshots(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<Offset>> {
    let entries = match disk.read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut offsets: Vec<Offset> = entries
        .iter()
        .filter_map(|entry| match name::parse(&entry.name)? {
            (offset, name::SNAPSHOT) => Some(offset),
            _ => None,
        })
        .collect();
    offsets.sort_unstable();
    Ok(offsets)
}

/// Removes the producer snapshots that lie beyond the segments, or before them: what a producer wrote
/// between such a snapshot and the first segment is not known, and to go on without it would refuse the
/// producer's next batch or take it for an older one. Blocks.
pub(crate) fn keep_snapshots(
    disk: &dyn Disk,
    dir: &Path,
    snapshots: &mut Vec<Offset>,
    segments: &VecDeque<Segment>,
) -> io::Result<()> {
    let ends = segments.front().zip(segments.back());
    let offsets = ends.map(|(first, last)| first.base..=last.end);
    let is_stale = |offset: &Offset| !offsets.as_ref().is_some_and(|known| known.contains(offset));
    for offset in snapshots.extract_if(.., |offset| is_stale(offset)) {
        forgive_missing(disk.remove_file(&name::file(dir, offset, name::SNAPSHOT)))?;
    }
    Ok(())
}

/// Removes the producer snapshots whose offset `is_stale`. Blocks.
pub(crate) fn remove_snapshots(
    disk: &dyn Disk,
    dir: &Path,
    is_stale: impl Fn(Offset) -> bool,
) -> io::Result<()> {
    for offset in list_snapshots(disk, dir)? {
        if is_stale(offset) {
            forgive_missing(disk.remove_file(&name::file(dir, offset, name::SNAPSHOT)))?;
        }
    }
    Ok(())
}

fn forgive_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
