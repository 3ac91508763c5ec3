//! How the quorum's files lie on disk.
//!
//! ```text
//! quorum.vote        "KLMV" version u32 │ crc32c u32 │ vote
//! quorum.snapshot    "KLMS" version u32 │ crc32c u32 │ last entry, membership, state
//! quorum.history     "KLMH" version u32 │ crc32c u32 │ which history, if not the first
//! quorum.log         "KLML" version u32 │ crc32c u32 │ last purged entry │ entry │ entry │ …
//! entry              length u32 │ index u64 │ synced u64 │ crc32c u32 │ payload
//! ```
//!
//! All but the log are replaced whole, the vote so that it needs no room. Entries before the index `synced`
//! were known to be synced when the entry was written. A power loss can tear what was not synced, and nothing
//! else: a bad entry is cut off, with all behind it, unless a sound one follows that was written after it had
//! been synced. Then it is rot, and refused.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::codec::{Code, Malformed};
use super::proposal::{Entry, LogId};

/// Layout of all files; a higher one comes from a newer Klamm and is refused.
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 12;
const ENTRY_HEADER_BYTES: usize = 24;

/// Which of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Vote,
    Snapshot,
    History,
    Log,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Vote, Self::Snapshot, Self::History, Self::Log];

    fn magic(self) -> &'static [u8; 4] {
        match self {
            Self::Vote => b"KLMV",
            Self::Snapshot => b"KLMS",
            Self::History => b"KLMH",
            Self::Log => b"KLML",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vote => "quorum.vote",
            Self::Snapshot => "quorum.snapshot",
            Self::History => "quorum.history",
            Self::Log => "quorum.log",
        }
    }
}

/// Why the metadata of a data directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}: not a metadata file of klamm")]
    Foreign { path: PathBuf },
    #[error(
        "{path}: format {found}, this klamm reads up to {VERSION}; hint: run the newer version"
    )]
    Newer { path: PathBuf, found: u32 },
    #[error("{path}: the checksum is wrong; hint: restore it from a backup, nothing was changed")]
    Damaged { path: PathBuf },
    #[error(
        "{path}: entry {index} at byte {position} is damaged and later entries are not; \
         hint: restore the file from a backup, nothing was changed"
    )]
    DamagedEntry { path: PathBuf, index: u64, position: usize },
    #[error(
        "{path}: a recovery was begun and not finished; hint: `klamm cluster recover --data-dir {}` again",
        path.parent().unwrap_or(path).display()
    )]
    HalfRecovered { path: PathBuf },
    #[error("{path}: {source}; hint: run the newer version of klamm")]
    Unreadable { path: PathBuf, source: Malformed },
}

/// The content of a file that is replaced whole, or the head of the log.
pub(super) fn seal(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(kind.magic());
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&crc_fast::crc32_iscsi(body).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// What [`seal`] was given, if nothing has happened to it.
pub(super) fn unseal<T: Code>(kind: Kind, bytes: &Bytes, path: &Path) -> Result<T, StoreError> {
    let (crc, body) = header(kind, bytes, path)?;
    if crc_fast::crc32_iscsi(&body) != crc {
        return Err(StoreError::Damaged { path: path.to_owned() });
    }
    let unreadable = |source| StoreError::Unreadable { path: path.to_owned(), source };
    T::from_bytes(body).map_err(unreadable)
}

fn header(kind: Kind, bytes: &Bytes, path: &Path) -> Result<(u32, Bytes), StoreError> {
    let path = path.to_owned();
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(StoreError::Foreign { path });
    };
    if header[..4] != kind.magic()[..] {
        return Err(StoreError::Foreign { path });
    }
    match number(header, 4) {
        found if found > VERSION => Err(StoreError::Newer { path, found }),
        _ => Ok((number(header, 8), bytes.slice(HEADER_BYTES..))),
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The head of a log whose entries up to `purged` are gone. Its length is always the same.
pub(super) fn log_head(purged: Option<LogId>) -> Vec<u8> {
    let mut body = purged.to_bytes();
    body.resize(Some(super::proposal::log_id(0, 0)).to_bytes().len(), 0);
    seal(Kind::Log, &body)
}

/// Appends one entry that is written when all before the index `synced` are known to be synced.
pub(super) fn put_entry(entry: &Entry, synced: u64, out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + ENTRY_HEADER_BYTES, 0);
    entry.write(out);
    let length = u32::try_from(out.len() - at - ENTRY_HEADER_BYTES).expect("it is below 4 GiB");
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    out[at + 4..at + 12].copy_from_slice(&entry.log_id.index.to_be_bytes());
    out[at + 12..at + 20].copy_from_slice(&synced.to_be_bytes());
    let crc = entry_crc(&out[at..at + 20], &out[at + ENTRY_HEADER_BYTES..]);
    out[at + 20..at + ENTRY_HEADER_BYTES].copy_from_slice(&crc.to_be_bytes());
}

fn entry_crc(header: &[u8], payload: &[u8]) -> u32 {
    // Mixing two checksums is enough here: both parts are covered by a CRC of their own.
    crc_fast::crc32_iscsi(header).rotate_left(1) ^ crc_fast::crc32_iscsi(payload)
}

/// The index and the payload of the entry at `position`, if it is whole and sound.
fn entry_at(bytes: &Bytes, position: usize) -> Option<(u64, Bytes)> {
    let header = bytes.get(position..position + ENTRY_HEADER_BYTES)?;
    let start = position + ENTRY_HEADER_BYTES;
    let end = start.checked_add(number(header, 0) as usize)?;
    let payload = bytes.get(start..end)?;
    let is_sound = number(header, 20) == entry_crc(&header[..20], payload);
    is_sound.then(|| (long(header, 4), bytes.slice(start..end)))
}

/// What a log file holds.
pub(super) struct Scan {
    pub(super) purged: Option<LogId>,
    /// Each with the position at which it begins.
    pub(super) entries: Vec<(usize, Entry)>,
    /// Where the sound part ends.
    pub(super) end: usize,
}

/// Reads a log file.
pub(super) fn scan(bytes: &Bytes, path: &Path) -> Result<Scan, StoreError> {
    let (crc, rest) = header(Kind::Log, bytes, path)?;
    let unreadable = |source| StoreError::Unreadable { path: path.to_owned(), source };
    let head = log_head(None).len();
    let body = rest.get(..head - HEADER_BYTES);
    if body.is_none_or(|body| crc_fast::crc32_iscsi(body) != crc) {
        return Err(StoreError::Damaged { path: path.to_owned() });
    }
    let purged: Option<LogId> = Code::read(&mut rest.clone()).map_err(unreadable)?;
    let mut next = purged.map_or(0, |purged| purged.index + 1);
    let mut scan = Scan { purged, entries: Vec::new(), end: head };
    while let Some((index, payload)) = entry_at(bytes, scan.end)
        && index == next
    {
        let length = payload.len();
        scan.entries.push((scan.end, Entry::from_bytes(payload).map_err(unreadable)?));
        scan.end += ENTRY_HEADER_BYTES + length;
        next += 1;
    }
    // Written when the bad one was known to be synced.
    let is_later = |synced: u64| synced > next && synced - next < 1 << 32;
    let later = (scan.end + 1..bytes.len().saturating_sub(ENTRY_HEADER_BYTES))
        .filter(|at| is_later(long(bytes, at + 12)))
        .any(|at| entry_at(bytes, at).is_some());
    if later {
        let (index, position) = (next, scan.end);
        return Err(StoreError::DamagedEntry { path: path.to_owned(), index, position });
    }
    Ok(scan)
}
