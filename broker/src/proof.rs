//! The proof that a broker's logs are what its last registration left (KIP-966): the epoch of that
//! registration, and the boot of the machine that it was made in.
//!
//! What a process has written is there for the next one as long as the machine stays up, flushed or not.
//! So the epoch proves something if the last process stopped cleanly, or in the same boot. After a crash of
//! the machine the unflushed tail may be gone, and the broker may not lead before it has caught up. So it may be
//! after a disk has failed: a system that could not write a page forgets that it should.

use std::io;
use std::path::Path;

use world::Disk;

const FILE: &str = "broker.epoch";

/// The epoch that the logs in `dir` can prove; -1 if none.
pub(crate) fn read(disk: &dyn Disk, dir: &Path, was_clean: bool) -> i64 {
    let Ok(bytes) = disk.read(&dir.join(FILE)) else { return -1 };
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let epoch = lines.next().and_then(|line| line.parse().ok());
    let boot = lines.next().filter(|boot| !boot.is_empty());
    let is_same_boot = boot.is_some() && boot == disk.boot_id(dir).as_deref();
    match epoch {
        Some(epoch) if was_clean || is_same_boot => epoch,
        Some(_) => {
            tracing::warn!(
                "the machine has crashed since this broker ran: what was written last may not be on this disk. \
                 It is copied from other replicas, and is lost where all of them crashed"
            );
            -1
        }
        None => -1,
    }
}

/// The disk has failed: nothing is proved any more, if it can still be told so.
pub(crate) fn forget(disk: &dyn Disk, dir: &Path) {
    if let Err(error) = disk.remove_file(&dir.join(FILE)).and_then(|()| disk.sync_dir(dir)) {
        tracing::warn!(%error, "cannot note that the disk has failed");
    }
}

/// Keeps the epoch of a new registration.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, epoch: i64) -> io::Result<()> {
    let boot = disk.boot_id(dir).unwrap_or_default();
    disk.replace(&dir.join(FILE), format!("{epoch}\n{boot}\n").as_bytes())
}
