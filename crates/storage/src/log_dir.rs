//! A disk's worth of partitions: what is there, what was flushed, how it was left.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::log::LogConfig;
use engine::{Offset, TopicId, TopicPartition};
use world::Disk;

use crate::error::OpenError;
use crate::partition_log::PartitionLog;

/// One log dir. Cheap to clone, may be used from any thread.
#[derive(Clone)]
pub struct LogDir {}

/// A partition's folder that was found at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPartition {
    /// From the folder's name.
    pub partition: TopicPartition,
    /// From `partition.metadata`, if it is there.
    pub topic_id: Option<TopicId>,
}

/// What the checkpoint files say of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose.
    pub partition: TopicPartition,
    /// Everything below is on disk.
    pub recovery_point: Offset,
    /// The log starts here.
    pub log_start: Offset,
    /// Everything below was committed.
    pub high_watermark: Offset,
}

/// What opening a log did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Segments found.
    pub segments: usize,
    /// Bytes whose checksums were verified; 0 after a clean stop.
    pub verified_bytes: u64,
    /// What was cut off the end.
    pub truncated: Option<Truncated>,
    /// Indexes that were missing or wrong and have been built again: path and reason.
    pub rebuilt: Vec<(PathBuf, String)>,
    /// Leftovers of interrupted work that were removed.
    pub removed: Vec<String>,
}

/// A torn tail that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// The log now ends here.
    pub end: Offset,
    /// The segment.
    pub path: PathBuf,
    /// Where it was cut.
    pub position: u64,
    /// Bytes cut off, in this and later segments.
    pub bytes: u64,
    /// What was wrong with the first of them.
    pub problem: String,
}

impl LogDir {
    /// Reads the checkpoints and lists the folders; opens no log. Removes what interrupted deletions
    /// left. `clean` is consumed: the marker is gone when this returns.
    ///
    /// # Errors
    /// When the folder or a checkpoint file cannot be read.
    pub fn open(disk: Arc<dyn Disk>, root: &Path) -> Result<Self, OpenError> {
        let _ = (disk, root);
        todo!()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        todo!()
    }

    /// Whether the last owner closed it cleanly.
    pub fn was_clean(&self) -> bool {
        todo!()
    }

    /// The partitions that had a folder when the dir was opened, sorted.
    pub fn found(&self) -> &[FoundPartition] {
        todo!()
    }

    /// Opens a partition's log, recovering it after a crash. Blocks: run it on `Pool::Files`. Also right
    /// for a partition that never had a folder; then it touches nothing.
    ///
    /// # Errors
    /// When the folder cannot be read, or is damaged below its recovery point.
    pub fn load(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        now_ms: i64,
    ) -> Result<(PartitionLog, Recovered), OpenError> {
        let _ = (partition, topic_id, config, now_ms);
        todo!()
    }

    /// A new, empty partition. No I/O: folder and files appear with the first append.
    pub fn create(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
    ) -> PartitionLog {
        let _ = (partition, topic_id, config);
        todo!()
    }

    /// Writes the three checkpoint files, all partitions at once. Blocks: run it on `Pool::Flush`, one at
    /// a time.
    ///
    /// # Errors
    /// The system's answer.
    pub fn write_checkpoints(&self, all: &[Checkpoint]) -> std::io::Result<()> {
        let _ = all;
        todo!()
    }

    /// Writes the checkpoints and the marker of a clean stop. All logs were closed before.
    ///
    /// # Errors
    /// The system's answer.
    pub fn close(&self, all: &[Checkpoint]) -> std::io::Result<()> {
        let _ = all;
        todo!()
    }
}
