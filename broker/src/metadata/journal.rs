//! The metadata log on disk: every change of the cluster's state, in order, fsynced before it counts.
//!
//! ```text
//! metadata.journal    "KLMJ" version u32 │ entry │ entry │ …
//! entry               length u32 │ index u64 │ crc32c u32 │ payload (one atomic batch of records)
//! metadata.snapshot   "KLMS" version u32 │ last index u64 │ crc32c u32 │ payload
//! ```
//!
//! An entry is synced before the next is written, so only the last one can be torn by a power loss: a
//! bad entry with nothing valid behind it is cut off, a bad entry with a valid one behind it is rot and
//! refused. A snapshot replaces the journal up to its index; either may be found alone after a crash.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use world::{Disk, File, OpenMode};

/// Layout of both files; a higher one comes from a newer Klamm and is refused.
const VERSION: u32 = 1;
const JOURNAL_MAGIC: &[u8; 4] = b"KLMJ";
const SNAPSHOT_MAGIC: &[u8; 4] = b"KLMS";
const FILE_HEADER_BYTES: usize = 8;
const ENTRY_HEADER_BYTES: usize = 16;
/// Journal size at which a snapshot is due.
const SNAPSHOT_DUE_BYTES: u64 = 4 * 1024 * 1024;

/// Why the metadata of a data directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}: not a metadata file of klamm")]
    Foreign { path: PathBuf },
    #[error(
        "{path}: format {found}, this klamm reads up to {VERSION}; hint: run the newer version"
    )]
    Newer { path: PathBuf, found: u32 },
    #[error(
        "{path}: entry {index} at byte {position} is damaged and later entries are not; \
         hint: restore the file from a backup, nothing was changed"
    )]
    Damaged { path: PathBuf, index: u64, position: usize },
    #[error("{path}: the snapshot's checksum is wrong; hint: restore it from a backup")]
    DamagedSnapshot { path: PathBuf },
}

/// The open journal.
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    snapshot_path: PathBuf,
    file: Arc<dyn File>,
    end: u64,
    next_index: u64,
    /// A failed sync is final: the state on disk is unknown.
    failed: bool,
}

/// What was found on disk.
pub(crate) struct Found {
    /// The snapshot's payload, if there is one.
    pub(crate) snapshot: Option<Vec<u8>>,
    /// The payloads after it, in order.
    pub(crate) entries: Vec<Vec<u8>>,
    /// Bytes of a torn last entry that were cut off.
    pub(crate) torn_bytes: usize,
}

impl Journal {
    /// Opens or creates the journal in `dir`.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<(Self, Found), JournalError> {
        let path = dir.join("metadata.journal");
        let snapshot_path = dir.join("metadata.snapshot");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { path, source }
        };
        disk.create_dir_all(dir).map_err(failed(dir))?;
        let snapshot = if disk.exists(&snapshot_path) {
            let bytes = disk.read(&snapshot_path).map_err(failed(&snapshot_path))?;
            Some(read_snapshot(&bytes, &snapshot_path)?)
        } else {
            None
        };
        let (last_index, snapshot) = match snapshot {
            Some((index, payload)) => (index, Some(payload)),
            None => (0, None),
        };
        if !disk.exists(&path) {
            disk.write_atomic(&path, &file_header(JOURNAL_MAGIC)).map_err(failed(&path))?;
        }
        let bytes = disk.read(&path).map_err(failed(&path))?;
        check_header(&bytes, JOURNAL_MAGIC, &path)?;
        let scan = scan(&bytes, last_index + 1, &path)?;
        let file = disk.open(&path, OpenMode::Write).map_err(failed(&path))?;
        let torn_bytes = bytes.len() - scan.end;
        if torn_bytes > 0 {
            file.set_len(scan.end as u64).map_err(failed(&path))?;
            file.sync_data().map_err(failed(&path))?;
        }
        let journal = Self {
            disk,
            path,
            snapshot_path,
            file,
            end: scan.end as u64,
            next_index: scan.next_index,
            failed: false,
        };
        Ok((journal, Found { snapshot, entries: scan.entries, torn_bytes }))
    }

    /// Appends one payload and syncs it. After an error nothing more can be appended.
    pub(crate) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("the metadata log has failed before"));
        }
        let header = entry_header(self.next_index, payload);
        let written = self
            .file
            .write_all_at(&[IoSlice::new(&header), IoSlice::new(payload)], self.end)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.failed = true;
            return Err(error);
        }
        self.end += (ENTRY_HEADER_BYTES + payload.len()) as u64;
        self.next_index += 1;
        Ok(())
    }

    /// Whether the journal has grown so long that a snapshot should replace it.
    pub(crate) fn snapshot_due(&self) -> bool {
        !self.failed && self.end >= SNAPSHOT_DUE_BYTES
    }

    /// Replaces all entries so far by a snapshot of the state after them.
    pub(crate) fn snapshot(&mut self, payload: &[u8]) -> io::Result<()> {
        let last = self.next_index - 1;
        let mut bytes = file_header(SNAPSHOT_MAGIC).to_vec();
        bytes.extend_from_slice(&last.to_be_bytes());
        bytes.extend_from_slice(&crc_fast::crc32_iscsi(payload).to_be_bytes());
        bytes.extend_from_slice(payload);
        self.disk.write_atomic(&self.snapshot_path, &bytes)?;
        self.disk.write_atomic(&self.path, &file_header(JOURNAL_MAGIC))?;
        self.file = self.disk.open(&self.path, OpenMode::Write)?;
        self.end = FILE_HEADER_BYTES as u64;
        Ok(())
    }
}

fn file_header(magic: &[u8; 4]) -> [u8; FILE_HEADER_BYTES] {
    let mut header = [0; FILE_HEADER_BYTES];
    header[..4].copy_from_slice(magic);
    header[4..].copy_from_slice(&VERSION.to_be_bytes());
    header
}

fn check_header(bytes: &[u8], magic: &[u8; 4], path: &Path) -> Result<(), JournalError> {
    let (Some(found), Some(version)) = (bytes.get(..4), bytes.get(4..8)) else {
        return Err(JournalError::Foreign { path: path.to_owned() });
    };
    let version = u32::from_be_bytes(version.try_into().expect("four bytes"));
    if found != magic {
        return Err(JournalError::Foreign { path: path.to_owned() });
    }
    if version > VERSION {
        return Err(JournalError::Newer { path: path.to_owned(), found: version });
    }
    Ok(())
}

fn read_snapshot(bytes: &[u8], path: &Path) -> Result<(u64, Vec<u8>), JournalError> {
    check_header(bytes, SNAPSHOT_MAGIC, path)?;
    let damaged = || JournalError::DamagedSnapshot { path: path.to_owned() };
    let index = bytes.get(8..16).ok_or_else(damaged)?;
    let crc = bytes.get(16..20).ok_or_else(damaged)?;
    let payload = bytes.get(20..).ok_or_else(damaged)?;
    if crc_fast::crc32_iscsi(payload).to_be_bytes() != crc {
        return Err(damaged());
    }
    Ok((u64::from_be_bytes(index.try_into().expect("eight bytes")), payload.to_vec()))
}

fn entry_header(index: u64, payload: &[u8]) -> [u8; ENTRY_HEADER_BYTES] {
    let mut header = [0; ENTRY_HEADER_BYTES];
    let length = u32::try_from(payload.len()).expect("a batch of records is far below 4 GiB");
    header[..4].copy_from_slice(&length.to_be_bytes());
    header[4..12].copy_from_slice(&index.to_be_bytes());
    let crc = entry_crc(&header[..12], payload);
    header[12..].copy_from_slice(&crc.to_be_bytes());
    header
}

fn entry_crc(length_and_index: &[u8], payload: &[u8]) -> u32 {
    // Mixing two checksums is enough here: both parts are covered by a CRC of their own.
    crc_fast::crc32_iscsi(length_and_index).rotate_left(1) ^ crc_fast::crc32_iscsi(payload)
}

/// The entry at `position`, if it is whole and sound: its index and payload.
fn entry_at(bytes: &[u8], position: usize) -> Option<(u64, &[u8])> {
    let header = bytes.get(position..position + ENTRY_HEADER_BYTES)?;
    let length = u32::from_be_bytes(header[..4].try_into().ok()?) as usize;
    let index = u64::from_be_bytes(header[4..12].try_into().ok()?);
    let start = position + ENTRY_HEADER_BYTES;
    let payload = bytes.get(start..start.checked_add(length)?)?;
    let crc = u32::from_be_bytes(header[12..].try_into().ok()?);
    (crc == entry_crc(&header[..12], payload)).then_some((index, payload))
}

struct Scan {
    entries: Vec<Vec<u8>>,
    end: usize,
    next_index: u64,
}

/// Reads entries from `first_index` on; earlier ones are in the snapshot already.
fn scan(bytes: &[u8], first_index: u64, path: &Path) -> Result<Scan, JournalError> {
    let mut scan = Scan { entries: Vec::new(), end: FILE_HEADER_BYTES, next_index: first_index };
    while let Some((index, payload)) = entry_at(bytes, scan.end) {
        if index >= first_index {
            if index != scan.next_index {
                let (index, position) = (scan.next_index, scan.end);
                return Err(JournalError::Damaged { path: path.to_owned(), index, position });
            }
            scan.entries.push(payload.to_vec());
            scan.next_index += 1;
        }
        scan.end += ENTRY_HEADER_BYTES + payload.len();
    }
    // Rot, not a torn tail, if a sound later entry follows anywhere.
    let later = (scan.end + 1..bytes.len().saturating_sub(ENTRY_HEADER_BYTES))
        .filter(|&at| {
            let index = u64::from_be_bytes(bytes[at + 4..at + 12].try_into().expect("eight"));
            index > scan.next_index && index - scan.next_index < 1 << 32
        })
        .any(|at| entry_at(bytes, at).is_some());
    if later {
        let (index, position) = (scan.next_index, scan.end);
        return Err(JournalError::Damaged { path: path.to_owned(), index, position });
    }
    Ok(scan)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use world::{Disk, OpenMode};

    use super::{Journal, JournalError};

    fn disk() -> Arc<dyn Disk> {
        Arc::new(world::real::RealDisk::new("/proc/sys/kernel/random/boot_id".into()))
    }

    fn written(dir: &Path, count: u8) -> Arc<dyn Disk> {
        let disk = disk();
        let (mut journal, found) = Journal::open(disk.clone(), dir).expect("opens");
        assert!(found.snapshot.is_none() && found.entries.is_empty());
        for n in 0..count {
            journal.append(&[n; 40]).expect("appends");
        }
        disk
    }

    #[test]
    fn entries_come_back_in_order() {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = written(dir.path(), 5);
        let (_, found) = Journal::open(disk, dir.path()).expect("opens");
        assert_eq!(found.entries, (0..5).map(|n| vec![n; 40]).collect::<Vec<_>>());
    }

    #[test]
    fn a_snapshot_replaces_the_entries_before_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = written(dir.path(), 3);
        let (mut journal, _) = Journal::open(disk.clone(), dir.path()).expect("opens");
        journal.snapshot(b"state after three").expect("snapshots");
        journal.append(b"four").expect("appends");
        let (_, found) = Journal::open(disk, dir.path()).expect("opens");
        assert_eq!(found.snapshot.as_deref(), Some(&b"state after three"[..]));
        assert_eq!(found.entries, vec![b"four".to_vec()]);
    }

    #[test]
    fn a_torn_last_entry_is_cut_off_at_every_length() {
        for cut in 1..56 {
            let dir = tempfile::tempdir().expect("a folder");
            let disk = written(dir.path(), 3);
            let path = dir.path().join("metadata.journal");
            let file = disk.open(&path, OpenMode::Write).expect("opens");
            file.set_len(file.len().expect("has a length") - cut).expect("truncates");
            let (mut journal, found) = Journal::open(disk.clone(), dir.path()).expect("opens");
            assert_eq!(found.entries.len(), 2, "cut by {cut}");
            journal.append(b"again").expect("appends");
            let (_, found) = Journal::open(disk, dir.path()).expect("opens");
            assert_eq!(found.entries.len(), 3);
        }
    }

    #[test]
    fn rot_in_the_middle_is_refused_and_changes_nothing() {
        for position in 8..8 + 56 {
            let dir = tempfile::tempdir().expect("a folder");
            let disk = written(dir.path(), 3);
            let path = dir.path().join("metadata.journal");
            let mut bytes = disk.read(&path).expect("reads");
            bytes[position] ^= 0x10;
            disk.write_atomic(&path, &bytes).expect("writes");
            let error = Journal::open(disk.clone(), dir.path()).err();
            assert!(matches!(error, Some(JournalError::Damaged { .. })), "byte {position}");
            assert_eq!(disk.read(&path).expect("reads"), bytes);
        }
    }
}
