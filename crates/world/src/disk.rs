//! Where bytes stay: files by path, positional reads and writes, explicit syncs.
//!
//! Calls are synchronous and take a whole batch of buffers: a shard makes one call for all that a
//! partition received in a poll round, and no future is boxed for it. A call that may block for long
//! (sync, cold read, open, unlink) is made inside [`crate::Tasks::blocking`].
//!
//! What a crash leaves is decided here: bytes are safe after [`File::sync_data`], and a created,
//! renamed or removed *name* is safe after [`Disk::sync_dir`] of its folder. The simulated twin takes
//! full advantage of what was not synced.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Must exist; read only.
    Read,
    /// Must exist; read and write.
    Write,
    /// Created if absent; read and write.
    Create,
    /// Created; an error if it exists.
    CreateNew,
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name within the folder.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// The file's length in bytes; 0 for a folder.
    pub len: u64,
}

/// Bytes of space on the volume that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size of the volume.
    pub total: u64,
    /// Bytes that can still be written.
    pub available: u64,
}

/// A file system.
pub trait Disk: Send + Sync {
    /// Opens the file at `path`.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder and all within. Succeeds if there is none.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Moves a file or folder, replacing a file at `to` atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Swaps the names of two files atomically, or moves `from` over `to` where that cannot be had.
    fn exchange(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes a folder and its parents. Succeeds if it exists.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The entries of a folder, sorted by name.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    /// Whether there is a file or folder.
    fn exists(&self, path: &Path) -> bool;
    /// Makes the names within a folder survive a power loss.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes all that was written to the volume that holds `path` survive a power loss, contents and names.
    /// `ErrorKind::Unsupported` where that cannot be had at once.
    fn sync_volume(&self, path: &Path) -> io::Result<()>;
    /// Space on the volume that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// Takes the exclusive lock file at `path`, held until the guard is dropped or the process dies.
    /// `ErrorKind::WouldBlock` if somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>>;
    /// Names the boot under which what was written to `path`'s volume is there although it was not synced: equal
    /// before and after a process crash, different after a power loss. `None` when it cannot be told, also of a
    /// volume in the network, which may lose what this machine has given it.
    fn boot_id(&self, path: &Path) -> Option<String>;

    /// Reads a whole small file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Makes a folder and its parents so that they survive a power loss: a name is safe only after its
    /// own folder was synced.
    fn create_dir_all_synced(&self, path: &Path) -> io::Result<()> {
        let here = Path::new(".");
        let above = |path: &Path| match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Some(here.to_owned()),
            parent => parent.map(Path::to_owned),
        };
        let missing = path.ancestors().take_while(|path| !self.exists(path));
        let missing: Vec<&Path> = missing.filter(|path| !path.as_os_str().is_empty()).collect();
        self.create_dir_all(path)?;
        if missing.is_empty()
            && let Some(above) = above(path)
        {
            // A process that was killed may have made it and not synced it. Above a folder that
            // somebody made for us there may be one that we may not open.
            return match self.sync_dir(&above) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                other => other,
            };
        }
        missing.into_iter().filter_map(above).try_for_each(|above| self.sync_dir(&above))
    }

    /// Replaces a whole small file so that a crash leaves the old or the new content: writes a
    /// neighbour, syncs it, renames it, syncs the folder.
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let neighbour = neighbour(path);
        let file = self.open(&neighbour, OpenMode::Create)?;
        file.set_len(0)?;
        file.write_all_at(&[IoSlice::new(bytes)], 0)?;
        file.sync_data()?;
        self.rename(&neighbour, path)?;
        self.sync_dir(path.parent().unwrap_or(Path::new("/")))
    }

    /// As [`Disk::write_atomic`], for a file that has to be replaced on a full disk as well: the file before stays
    /// beside it, and gives its blocks to the one after.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let neighbour = neighbour(path);
        let (file, len) = (self.open(&neighbour, OpenMode::Create)?, bytes.len() as u64);
        file.write_all_at(&[IoSlice::new(bytes)], 0)?;
        if file.len()? > len {
            file.set_len(len)?;
        }
        // The next one may be longer. A full disk refuses that, and may do without.
        let room = (len + SPARE_BYTES).next_multiple_of(SPARE_BYTES);
        let _ = file.preallocate(room);
        file.sync_data()?;
        if self.exists(path) {
            self.exchange(&neighbour, path)?;
        } else {
            self.rename(&neighbour, path)?;
            let spare = self.open(&neighbour, OpenMode::Create);
            let _ = spare.and_then(|spare| spare.preallocate(room));
        }
        self.sync_dir(path.parent().unwrap_or(Path::new("/")))
    }
}

/// What a file that is replaced again and again may grow by when there is no room.
const SPARE_BYTES: u64 = 16 << 10;

fn neighbour(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

/// Holds a lock of [`Disk::lock`] until it is dropped.
pub trait LockGuard: Send + Sync {}

/// An open file. Shared freely; the owner sees to it that writes do not race.
pub trait File: Send + Sync {
    /// Writes all of `buffers` one after the other from `offset` on, in as few system calls as
    /// possible. On error some prefix may have been written.
    fn write_all_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// As [`File::read_at`], but only what is in memory already: `ErrorKind::WouldBlock` if the disk
    /// would have to be asked (`RWF_NOWAIT`).
    fn read_at_nowait(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// When its bytes were last changed: wall clock, milliseconds.
    fn modified_ms(&self) -> io::Result<i64>;
    /// Truncates, or extends with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Asks for blocks up to `len` ahead of the writes; a hint.
    fn preallocate(&self, len: u64) -> io::Result<()>;
    /// Makes all written bytes and the length survive a power loss. An error is final: the caller
    /// must treat the whole log dir as failed and never retry.
    fn sync_data(&self) -> io::Result<()>;
    /// Tells that a range will not be read again soon (`POSIX_FADV_DONTNEED`); a hint.
    fn forget_cached(&self, offset: u64, len: u64);
    /// The raw descriptor for `sendfile`, where there is one.
    fn descriptor(&self) -> Option<i32> {
        None
    }

    /// Reads exactly `buffer.len()` bytes, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, offset)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    buffer = &mut buffer[read..];
                    offset += read as u64;
                }
            }
        }
        Ok(())
    }
}
