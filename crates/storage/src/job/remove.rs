//! Removals: segments that the log has let go of, or a whole partition's folder.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use engine::Offset;
use world::Disk;

use crate::partition_log::PartitionLog;
use crate::recover;

/// Removes segments that the log has let go of, or a whole partition's folder.
pub struct RemoveJob {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    /// Base offset and size, oldest first.
    pub(crate) segments: Vec<(Offset, u64)>,
    /// Where the whole folder goes before it is removed.
    pub(crate) aside: Option<PathBuf>,
}

/// What a [`RemoveJob`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovedSegments {
    /// How many segments, if not the folder went.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl RemoveJob {
    /// The bytes of what it removes.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|(_, size)| size).sum()
    }

    /// Without segments that the log has now. One that began anew may have some at the same offsets.
    #[must_use]
    pub fn sparing(mut self, log: &PartitionLog) -> Self {
        self.segments.retain(|(base, _)| !log.has_segment_at(*base));
        self
    }

    /// Blocks. Run it on `Pool::Files`.
    ///
    /// # Errors
    /// The system's answer; what is left is removed at the next start.
    pub fn run(self) -> io::Result<RemovedSegments> {
        let disk = &*self.disk;
        let mut removed = RemovedSegments::default();
        if let Some(aside) = &self.aside {
            removed.bytes = self.bytes();
            if disk.exists(&self.dir) {
                disk.rename(&self.dir, aside)?;
                if let Some(parent) = self.dir.parent() {
                    disk.sync_dir(parent)?;
                }
                disk.remove_dir_all(aside)?;
            }
            return Ok(removed);
        }
        // The names of the segments that stay are safe before the first one goes.
        disk.sync_dir(&self.dir)?;
        for (base, size) in &self.segments {
            recover::remove_segment(disk, &self.dir, *base)?;
            removed.segments += 1;
            removed.bytes += size;
        }
        let last = self.segments.last().map_or(0, |(base, _)| *base);
        // A snapshot at a segment's base serves a replay from there: those of removed ones serve none.
        recover::remove_snapshots(disk, &self.dir, |offset| offset <= last)?;
        Ok(removed)
    }
}
