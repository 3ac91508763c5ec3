//! The calls that only Linux has. `portable.rs` holds the same functions for other systems.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::path::Path;

use rustix::fs::{Advice, CWD, FallocateFlags, RenameFlags};
use rustix::io::{Errno, ReadWriteFlags};

/// Reads what the page cache holds at `offset`; `WouldBlock` if it holds nothing there.
pub(super) fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut buffers = [IoSliceMut::new(buffer)];
    loop {
        match rustix::io::preadv2(file, &mut buffers, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) => return Ok(read),
            Err(Errno::INTR) => {}
            // A file system without RWF_NOWAIT, or a kernel without preadv2: the caller asks the pool.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reserves blocks for the first `len` bytes and leaves the length alone.
pub(super) fn reserve(file: &File, len: u64) -> io::Result<()> {
    match rustix::io::retry_on_intr(|| {
        rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, len)
    }) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Swaps two names; `Unsupported` on file systems that cannot.
pub(super) fn exchange(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            Err(io::ErrorKind::Unsupported.into())
        }
        exchanged => Ok(exchanged?),
    }
}

/// Makes all that was written to the file system of `file` survive a power loss.
pub(super) fn sync_volume(file: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(file)?)
}

/// Kinds of file systems, as `statfs` numbers them, that keep their data on another machine.
const REMOTE: [u32; 9] = [
    0x6969,      // NFS
    0x517B,      // SMB
    0xFE53_4D42, // SMB 2 and 3
    0xFF53_4D42, // CIFS
    0x00C3_6400, // Ceph
    0x5346_414F, // AFS
    0x0BD0_0BD0, // Lustre
    0x0102_1997, // 9P
    0x4750_4653, // GPFS
];

/// Whether the volume that holds `path` lies on another machine, as far as the kernel can tell (FUSE does not).
pub(super) fn is_remote(path: &Path) -> bool {
    let kind = rustix::fs::statfs(path).ok().and_then(|volume| u32::try_from(volume.f_type).ok());
    kind.is_some_and(|kind| REMOTE.contains(&kind))
}

/// Tells the page cache that a range will not be wanted again.
pub(super) fn forget(file: &File, offset: u64, len: u64) {
    if let Some(len) = NonZeroU64::new(len) {
        // A hint: whether it was taken changes nothing that we could act on.
        let _ = rustix::fs::fadvise(file, offset, Some(len), Advice::DontNeed);
    }
}

/// Fills `bytes` from the kernel's generator.
pub(super) fn fill_random(mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let filled = rustix::io::retry_on_intr(|| {
            rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty())
        })?;
        bytes = &mut bytes[filled..];
    }
    Ok(())
}
