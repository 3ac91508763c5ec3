//! The disk as a file system that processes use (FUSE).

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use world::simulated::Random;

use super::disk::{Bytes, Content, Disk, Names, ROOT};

/// The kernel asks again each time: after a loss of power nothing that it remembers is true.
const TTL: Duration = Duration::ZERO;
const GENERATION: Generation = Generation(0);
const HANDLE: FileHandle = FileHandle(0);
const BLOCK: u32 = 4096;
/// How many blocks there are, as far as anybody is told.
const BLOCKS: u64 = 1 << 20;

/// A mounted disk, unmounted when dropped.
pub(super) struct Mounted {
    disk: Arc<Mutex<Disk>>,
    _session: BackgroundSession,
}

impl Mounted {
    /// Mounts an empty disk at `folder`.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn at(folder: &Path) -> Result<Self> {
        let disk = Arc::new(Mutex::new(Disk::new()));
        let served = Served(Arc::clone(&disk));
        let session = fuser::spawn_mount(served, folder, &Config::default());
        Ok(Self { disk, _session: session.context("mounting a disk of ours")? })
    }

    /// Loses what was not synced. Nobody may have a file open.
    pub(super) fn lose_power(&self, random: &mut Random) {
        lock(&self.disk).lose_power(random);
    }
}

struct Served(Arc<Mutex<Disk>>);

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

fn attributes(disk: &Disk, id: u64) -> Option<FileAttr> {
    let node = disk.node(id)?;
    let (kind, perm, size) = match &node.content {
        Content::File(bytes) => (FileType::RegularFile, 0o644, bytes.len() as u64),
        Content::Folder(_) => (FileType::Directory, 0o755, 0),
    };
    let at = node.modified;
    Some(FileAttr {
        ino: INodeNo(id),
        size,
        blocks: size.div_ceil(512),
        atime: at,
        mtime: at,
        ctime: at,
        crtime: at,
        kind,
        perm,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    })
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl Served {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.0)
    }

    fn make(&self, parent: INodeNo, name: &OsStr, content: Content) -> Option<FileAttr> {
        let mut disk = self.disk();
        let id = disk.create(parent.0, name, content)?;
        attributes(&disk, id)
    }

    fn remove(&self, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.disk().names(parent.0).and_then(|names| names.now.remove(name));
        match removed {
            Some(_) => reply.ok(),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn sync(&self, id: INodeNo, reply: ReplyEmpty) {
        self.disk().sync(id.0);
        reply.ok();
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let disk = self.disk();
        let found = disk.find(parent.0, name).and_then(|id| attributes(&disk, id));
        match found {
            Some(found) => reply.entry(&TTL, &found, GENERATION),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, id: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match attributes(&self.disk(), id.0) {
            Some(found) => reply.attr(&TTL, &found),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        id: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut disk = self.disk();
        if let (Some(size), Some(bytes)) = (size, disk.bytes(id.0)) {
            bytes.resize(index(size));
        }
        match attributes(&disk, id.0) {
            Some(found) => reply.attr(&TTL, &found),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        match self.make(parent, name, Content::Folder(Names::default())) {
            Some(made) => reply.entry(&TTL, &made, GENERATION),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        match self.make(parent, name, Content::File(Bytes::default())) {
            Some(made) => reply.created(&TTL, &made, GENERATION, HANDLE, FopenFlags::empty()),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(parent, name, reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let mut disk = self.disk();
        let id = disk.find(parent.0, name);
        let is_empty = id.and_then(|id| disk.names(id)).is_none_or(|names| names.now.is_empty());
        drop(disk);
        if is_empty {
            self.remove(parent, name, reply);
        } else {
            reply.error(Errno::ENOTEMPTY);
        }
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut disk = self.disk();
        let Some(id) = disk.names(parent.0).and_then(|names| names.now.remove(name)) else {
            return reply.error(Errno::ENOENT);
        };
        match disk.names(to.0) {
            Some(names) => {
                names.now.insert(new.to_owned(), id);
                reply.ok();
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(HANDLE, FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        id: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.disk().node(id.0).map(|node| &node.content) {
            Some(Content::File(bytes)) => {
                reply.data(bytes.read(index(offset), index(u64::from(size))));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn write(
        &self,
        _: &Request,
        id: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.disk().bytes(id.0) {
            Some(bytes) => {
                bytes.write(index(offset), data);
                reply.written(u32::try_from(data.len()).expect("a write is small"));
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, id: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(id, reply);
    }

    fn fsyncdir(&self, _: &Request, id: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(id, reply);
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        // Memory is not reserved.
        reply.ok();
    }

    fn readdir(
        &self,
        _: &Request,
        id: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let disk = self.disk();
        let Some(Content::Folder(names)) = disk.node(id.0).map(|node| &node.content) else {
            return reply.error(Errno::ENOENT);
        };
        for (place, (name, id)) in (1..).zip(&names.now).skip(index(offset)) {
            let is_folder =
                matches!(disk.node(*id).map(|node| &node.content), Some(Content::Folder(_)));
            let kind = if is_folder { FileType::Directory } else { FileType::RegularFile };
            if reply.add(INodeNo(*id), place, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCK, 255, BLOCK);
    }
}

/// The root is what is mounted.
const _: () = assert!(ROOT == INodeNo::ROOT.0);
