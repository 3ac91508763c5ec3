//! A host's disk as its process reaches it, and as the storm breaks it.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::disk::{DirEntry, Disk, File, LockGuard, OpenMode, Space};

use super::clock::right_ms;
use super::host::{Core, Process, locked};
use super::random::{Random, digest};
use super::volume::{Inode, Volume};

/// One in so many reads is not in memory, for [`File::read_at_nowait`].
const COLD_READS: u64 = 8;

/// What stays on a host when its process ends.
pub(super) struct Drive {
    state: Mutex<DriveState>,
}

struct DriveState {
    volume: Volume,
    random: Random,
    faults: Faults,
    /// Which run of the process holds which lock.
    locks: BTreeMap<Inode, u64>,
    /// When files were written to, by a clock that is right.
    modified_ms: BTreeMap<Inode, i64>,
    boot: u64,
}

/// How many of the next operations of a kind fail.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    writes: u32,
    reads: u32,
    syncs: u32,
    /// Syncs that find no room.
    full_syncs: u32,
}

impl Drive {
    pub(super) fn new(seed: u64, host: &str, capacity: u64) -> Self {
        Self {
            state: Mutex::new(DriveState {
                volume: Volume::new(capacity),
                random: Random::new(seed, &[host, "drive"]),
                faults: Faults::default(),
                locks: BTreeMap::new(),
                modified_ms: BTreeMap::new(),
                boot: 1,
            }),
        }
    }

    /// The process is gone: its locks are free, and files without a name are too.
    pub(super) fn process_ended(&self) {
        let mut state = locked(&self.state);
        state.locks.clear();
        state.volume.forget_unnamed();
    }

    pub(super) fn lose_power(&self) {
        let mut state = locked(&self.state);
        let DriveState { volume, random, locks, boot, faults, .. } = &mut *state;
        volume.lose_power(random);
        locks.clear();
        *faults = Faults::default();
        *boot += 1;
    }
}

fn disk_error(what: &str) -> io::Error {
    io::Error::other(format!("{what} failed: simulated disk error"))
}

fn take(left: &mut u32) -> bool {
    let fails = *left > 0;
    *left = left.saturating_sub(1);
    fails
}

pub(super) struct SimulatedDisk {
    pub(super) process: Arc<Process>,
    pub(super) drive: Arc<Drive>,
}

impl SimulatedDisk {
    /// Does `operation` on the disk, unless the process is dead, and records how it went.
    fn act<T>(
        &self,
        what: std::fmt::Arguments<'_>,
        operation: impl FnOnce(&mut DriveState) -> io::Result<T>,
    ) -> io::Result<T> {
        act(&self.process, &self.drive, what, operation)
    }
}

fn act<T>(
    process: &Process,
    drive: &Drive,
    what: std::fmt::Arguments<'_>,
    operation: impl FnOnce(&mut DriveState) -> io::Result<T>,
) -> io::Result<T> {
    if !process.is_alive() {
        return Err(io::Error::other("the process is dead"));
    }
    let result = operation(&mut locked(&drive.state));
    match &result {
        Ok(_) => process.record(format_args!("disk {what}")),
        Err(error) => process.record(format_args!("disk {what}: {error}")),
    }
    result
}

impl Disk for SimulatedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let inode = self.act(format_args!("open {} {mode:?}", path.display()), |state| {
            let create = matches!(mode, OpenMode::Create | OpenMode::CreateNew);
            state.volume.open(path, create, mode == OpenMode::CreateNew)
        })?;
        Ok(Arc::new(SimulatedFile {
            process: Arc::clone(&self.process),
            drive: Arc::clone(&self.drive),
            inode,
            path: path.to_owned(),
            writable: mode != OpenMode::Read,
        }))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.act(format_args!("remove {}", path.display()), |state| state.volume.remove_file(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.act(format_args!("remove all {}", path.display()), |state| {
            state.volume.remove_dir_all(path)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.act(format_args!("rename {} {}", from.display(), to.display()), |state| {
            state.volume.rename(from, to)
        })
    }

    fn exchange(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.act(format_args!("exchange {} {}", from.display(), to.display()), |state| {
            state.volume.exchange(from, to)
        })
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.act(format_args!("make {}", path.display()), |state| state.volume.create_dir_all(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.act(format_args!("list {}", path.display()), |DriveState { volume, .. }| {
            let folder = volume.find(path).ok_or(io::ErrorKind::NotFound)?;
            if !volume.is_folder(folder) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            let entry = |(name, inode)| {
                let is_dir = volume.is_folder(inode);
                let len = if is_dir { 0 } else { volume.len(inode)? };
                Ok(DirEntry { name, is_dir, len })
            };
            volume.children(folder).into_iter().map(entry).collect()
        })
    }

    fn exists(&self, path: &Path) -> bool {
        self.process.is_alive() && locked(&self.drive.state).volume.find(path).is_some()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.act(format_args!("sync names {}", path.display()), |state| {
            if take(&mut state.faults.syncs) {
                return Err(disk_error("sync"));
            }
            state.volume.sync_dir(path)
        })
    }

    fn sync_volume(&self, path: &Path) -> io::Result<()> {
        self.act(format_args!("sync volume {}", path.display()), |state| {
            if take(&mut state.faults.syncs) {
                state.volume.fail_sync_of_all();
                return Err(disk_error("sync"));
            }
            state.volume.sync();
            Ok(())
        })
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.act(format_args!("space {}", path.display()), |DriveState { volume, .. }| {
            Ok(Space { total: volume.capacity(), available: volume.available() })
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let run = self.process.run;
        let inode = self.act(format_args!("lock {}", path.display()), |state| {
            let inode = state.volume.open(path, true, false)?;
            if let Some(owner) = state.locks.get(&inode) {
                let text = format!("{}: locked by process {owner}", path.display());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
            }
            state.locks.insert(inode, run);
            Ok(inode)
        })?;
        Ok(Box::new(SimulatedLock { drive: Arc::clone(&self.drive), inode, run }))
    }

    fn boot_id(&self, _path: &Path) -> Option<String> {
        Some(format!("{}-boot-{}", self.process.name, locked(&self.drive.state).boot))
    }
}

struct SimulatedLock {
    drive: Arc<Drive>,
    inode: Inode,
    run: u64,
}

impl LockGuard for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut state = locked(&self.drive.state);
        // A dead process's guard must not release its successor's lock.
        if state.locks.get(&self.inode) == Some(&self.run) {
            state.locks.remove(&self.inode);
        }
    }
}

struct SimulatedFile {
    process: Arc<Process>,
    drive: Arc<Drive>,
    inode: Inode,
    path: PathBuf,
    writable: bool,
}

impl SimulatedFile {
    fn act<T>(
        &self,
        what: std::fmt::Arguments<'_>,
        operation: impl FnOnce(&mut DriveState) -> io::Result<T>,
    ) -> io::Result<T> {
        let what = format_args!("{what} {}", self.path.display());
        act(&self.process, &self.drive, what, operation)
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl File for SimulatedFile {
    fn write_all_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        let bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect();
        let what = format_args!("write @{offset} +{} {:016x}", bytes.len(), digest(&bytes));
        let now_ms = right_ms(&self.process.core);
        self.act(what, |state| {
            state.modified_ms.insert(self.inode, now_ms);
            if take(&mut state.faults.writes) {
                let written = state.random.index(bytes.len() + 1);
                state.volume.write(self.inode, &bytes[..written], offset)?;
                return Err(disk_error("write"));
            }
            state.volume.write(self.inode, &bytes, offset)
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.act(format_args!("read @{offset} +{}", buffer.len()), |state| {
            if take(&mut state.faults.reads) {
                return Err(disk_error("read"));
            }
            state.volume.read(self.inode, buffer, offset)
        })
    }

    fn read_at_nowait(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.act(format_args!("peek @{offset} +{}", buffer.len()), |state| {
            if state.random.chance(1, COLD_READS) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if take(&mut state.faults.reads) {
                return Err(disk_error("read"));
            }
            state.volume.read(self.inode, buffer, offset)
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.act(format_args!("len"), |state| state.volume.len(self.inode))
    }

    fn modified_ms(&self) -> io::Result<i64> {
        let now_ms = right_ms(&self.process.core);
        self.act(format_args!("modified"), |state| {
            Ok(*state.modified_ms.entry(self.inode).or_insert(now_ms))
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        self.act(format_args!("set len {len}"), |state| state.volume.set_len(self.inode, len))
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        self.act(format_args!("reserve {len}"), |state| state.volume.reserve(self.inode, len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.act(format_args!("sync"), |state| {
            if take(&mut state.faults.syncs) {
                state.volume.fail_sync(self.inode)?;
                return Err(disk_error("sync"));
            }
            if take(&mut state.faults.full_syncs) {
                state.volume.fail_sync(self.inode)?;
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.volume.sync_data(self.inode)
        })
    }

    fn forget_cached(&self, offset: u64, len: u64) {
        // A hint: nobody is told.
        let _ = self.act(format_args!("forget {offset} +{len}"), |state| {
            state.volume.forget_cached(self.inode, offset, len)
        });
    }
}

/// Breaks a host's disk.
#[derive(Clone)]
pub struct DiskControl {
    pub(super) core: Arc<Core>,
    pub(super) name: Arc<str>,
    pub(super) drive: Arc<Drive>,
}

impl DiskControl {
    fn fault(&self, what: std::fmt::Arguments<'_>, change: impl FnOnce(&mut DriveState)) {
        self.core.record(&self.name, format_args!("fault: {what}"));
        change(&mut locked(&self.drive.state));
    }

    /// Makes the volume `bytes` large; smaller than what is on it means that it is full.
    pub fn set_capacity(&self, bytes: u64) {
        self.fault(format_args!("capacity {bytes}"), |state| state.volume.set_capacity(bytes));
    }

    /// Fails the next `count` writes, each after an arbitrary part was written.
    pub fn fail_writes(&self, count: u32) {
        self.fault(format_args!("fail {count} writes"), |state| state.faults.writes = count);
    }

    /// Fails the next `count` reads.
    pub fn fail_reads(&self, count: u32) {
        self.fault(format_args!("fail {count} reads"), |state| state.faults.reads = count);
    }

    /// Fails the next `count` syncs, of files or folders.
    pub fn fail_syncs(&self, count: u32) {
        self.fault(format_args!("fail {count} syncs"), |state| state.faults.syncs = count);
    }

    /// Has the next `count` syncs of files find no room, as where the volume allocates late: on another machine, with a
    /// quota, thinly provisioned.
    pub fn fill_syncs(&self, count: u32) {
        self.fault(format_args!("fill {count} syncs"), |state| state.faults.full_syncs = count);
    }

    /// Puts an empty disk of the same size in its place. No process may run.
    pub fn replace(&self) {
        self.fault(format_args!("another disk"), |state| {
            assert!(state.locks.is_empty(), "the disk of a process is not replaced");
            state.volume = Volume::new(state.volume.capacity());
            state.modified_ms.clear();
        });
    }

    /// Flips bit `bit` of the byte at `offset` of a file, for good.
    ///
    /// # Errors
    /// When there is no such byte.
    pub fn rot(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        self.core.record(&self.name, format_args!("fault: rot {} @{offset}.{bit}", path.display()));
        let mut state = locked(&self.drive.state);
        let inode = state.volume.find(path).ok_or(io::ErrorKind::NotFound)?;
        state.volume.rot(inode, offset, bit)
    }

    /// What a file holds.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = locked(&self.drive.state);
        let inode = state.volume.find(path).ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; usize::try_from(state.volume.len(inode)?).unwrap_or(usize::MAX)];
        state.volume.read(inode, &mut bytes, 0)?;
        Ok(bytes)
    }

    /// All files with their lengths, sorted by path.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = locked(&self.drive.state);
        let mut files = Vec::new();
        let mut folders = vec![PathBuf::from("/")];
        while let Some(path) = folders.pop() {
            let folder = state.volume.find(&path).expect("it was listed under this lock");
            for (name, inode) in state.volume.children(folder) {
                let path = path.join(name);
                match state.volume.len(inode) {
                    Ok(len) => files.push((path, len)),
                    Err(_) => folders.push(path),
                }
            }
        }
        files.sort();
        files
    }
}
