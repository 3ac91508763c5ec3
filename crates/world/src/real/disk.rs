//! The file system, through positional calls. Errors pass through as the kernel gave them, with the
//! path added where it was ours to name.

use std::fs::{self, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::disk::{DirEntry, Disk, File, LockGuard, OpenMode, Space};

use super::platform;

/// The most buffers that one `pwritev` takes.
const IOV_MAX: usize = 1024;

/// The machine's file system.
#[derive(Debug)]
pub struct RealDisk {
    boot_id_path: PathBuf,
}

impl RealDisk {
    /// The file system of a machine whose kernel names its boot in `boot_id_path`.
    pub fn new(boot_id_path: PathBuf) -> Self {
        Self { boot_id_path }
    }
}

/// Adds the path to an error, keeping its kind.
fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create(true).truncate(false);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        Ok(Arc::new(RealFile(options.open(path).map_err(at(path))?)))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the disk that everybody else asks")]
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path).map_err(at(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(at(path)),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the disk that everybody else asks")]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to).map_err(at(from))
    }

    fn exchange(&self, from: &Path, to: &Path) -> io::Result<()> {
        match platform::exchange(from, to) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.rename(from, to),
            exchanged => exchanged.map_err(at(from)),
        }
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path).map_err(at(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(at(path))? {
            let entry = entry.map_err(at(path))?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed while we were listing.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(at(&entry.path())(error)),
            };
            let is_dir = metadata.is_dir();
            entries.push(DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_dir,
                len: if is_dir { 0 } else { metadata.len() },
            });
        }
        entries.sort();
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the disk that everybody else asks")]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path).and_then(|folder| folder.sync_all()).map_err(at(path))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the disk that everybody else asks")]
    fn sync_volume(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path).and_then(|folder| platform::sync_volume(&folder)).map_err(at(path))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let volume = rustix::fs::statvfs(path).map_err(|errno| at(path)(errno.into()))?;
        Ok(Space {
            total: volume.f_blocks.saturating_mul(volume.f_frsize),
            available: volume.f_bavail.saturating_mul(volume.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(at(path))?;
        let taken = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        if let Err(errno) = taken {
            let error = io::Error::from(errno);
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(at(path)(error));
            }
            let mut owner = String::new();
            let owner = match (&mut file).take(20).read_to_string(&mut owner) {
                Ok(_) if !owner.trim().is_empty() => format!("process {}", owner.trim()),
                Ok(_) | Err(_) => "another process".to_owned(),
            };
            let text = format!("{}: locked by {owner}", path.display());
            return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
        }
        // The number helps the next one who finds the lock taken; the lock holds without it, also on
        // a full disk.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Box::new(RealLock { _file: file }))
    }

    fn boot_id(&self, path: &Path) -> Option<String> {
        if platform::is_remote(path) {
            return None;
        }
        let text = fs::read_to_string(&self.boot_id_path).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// Closing the file releases the lock, also when the process dies.
struct RealLock {
    _file: fs::File,
}

impl LockGuard for RealLock {}

struct RealFile(fs::File);

impl File for RealFile {
    fn write_all_at(&self, buffers: &[IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        // The first buffer not written whole, and how much of it was.
        let mut next = 0;
        let mut done = 0;
        while next < buffers.len() {
            if buffers[next].len() == done {
                next += 1;
                done = 0;
                continue;
            }
            let written = if done > 0 {
                // The rest of a buffer that was cut: rare, so one call of its own is fine.
                rustix::io::retry_on_intr(|| {
                    rustix::io::pwrite(&self.0, &buffers[next][done..], offset)
                })
            } else {
                let round = &buffers[next..buffers.len().min(next + IOV_MAX)];
                rustix::io::retry_on_intr(|| rustix::io::pwritev(&self.0, round, offset))
            }?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            offset += written as u64;
            done += written;
            while next < buffers.len() && done >= buffers[next].len() {
                done -= buffers[next].len();
                next += 1;
            }
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn read_at_nowait(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        platform::read_cached(&self.0, buffer, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn modified_ms(&self) -> io::Result<i64> {
        let modified = self.0.metadata()?.modified()?;
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        platform::reserve(&self.0, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn forget_cached(&self, offset: u64, len: u64) {
        platform::forget(&self.0, offset, len);
    }

    fn descriptor(&self) -> Option<i32> {
        Some(self.0.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(folder: &Path) -> RealDisk {
        RealDisk::new(folder.join("boot_id"))
    }

    #[test]
    fn buffers_are_written_one_after_the_other_however_many_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = disk(folder.path()).open(&folder.path().join("f"), OpenMode::CreateNew).unwrap();
        let parts: Vec<Vec<u8>> =
            (0..3000_u32).map(|n| n.to_le_bytes()[..(n % 5) as usize].to_vec()).collect();
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        file.write_all_at(&slices, 7).unwrap();
        file.sync_data().unwrap();
        let expected: Vec<u8> = [vec![0; 7], parts.concat()].concat();
        assert_eq!(file.len().unwrap(), expected.len() as u64);
        let mut found = vec![1; expected.len()];
        file.read_exact_at(&mut found, 0).unwrap();
        assert_eq!(found, expected);
        assert_eq!(file.read_at_nowait(&mut found[..10], expected.len() as u64).unwrap(), 0);
    }

    #[test]
    fn reserving_leaves_the_length_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = disk(folder.path()).open(&folder.path().join("f"), OpenMode::Create).unwrap();
        file.preallocate(1 << 20).unwrap();
        file.forget_cached(0, 1 << 20);
        assert!(file.is_empty().unwrap());
    }

    #[test]
    fn a_file_is_replaced_by_one_that_takes_the_blocks_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, path) = (disk(folder.path()), folder.path().join("f"));
        for text in ["one", "two and more", "3"] {
            disk.replace(&path, text.as_bytes()).unwrap();
            assert_eq!(disk.read(&path).unwrap(), text.as_bytes());
        }
        assert_eq!(disk.read(&folder.path().join("f.tmp")).unwrap(), b"two and more");
        assert!(disk.exchange(&path, &folder.path().join("none")).is_err());
    }

    #[test]
    fn a_taken_lock_names_its_owner_and_is_free_again_after_the_guard() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        let path = folder.path().join(".lock");
        let guard = disk.lock(&path).unwrap();
        let error = disk.lock(&path).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        drop(guard);
        disk.lock(&path).unwrap();
    }

    #[test]
    fn a_small_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        let path = folder.path().join("checkpoint");
        disk.write_atomic(&path, b"a longer text").unwrap();
        disk.write_atomic(&path, b"short").unwrap();
        assert_eq!(disk.read(&path).unwrap(), b"short");
        let names = disk.read_dir(folder.path()).unwrap();
        assert_eq!(names, [DirEntry { name: "checkpoint".to_owned(), is_dir: false, len: 5 }]);
    }

    #[test]
    fn an_error_names_the_path_and_keeps_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        let path = folder.path().join("missing");
        let error = disk.open(&path, OpenMode::Read).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("missing"), "{error}");
        disk.remove_dir_all(&path).unwrap();
        assert!(disk.space(folder.path()).unwrap().total > 0);
        assert_eq!(disk.boot_id(folder.path()), None);
        disk.write_atomic(&folder.path().join("boot_id"), b"7d\n").unwrap();
        assert_eq!(disk.boot_id(folder.path()).as_deref(), Some("7d"));
    }
}
