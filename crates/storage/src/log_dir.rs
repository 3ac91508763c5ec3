//! A disk's worth of partitions: what is there, what was flushed, how it was left.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use engine::log::LogConfig;
use engine::{Offset, TopicId, TopicPartition};
use world::{Disk, OpenMode};

use crate::buffers::Buffers;
use crate::checkpoint::{self, Offsets};
use crate::error::OpenError;
use crate::partition_log::PartitionLog;
use crate::recover::{self, Opening};
use crate::segment::name;

/// Says that the last owner stopped cleanly. Kafka's name and content, so that either opens the other's.
const CLEAN_MARKER: &str = ".kafka_cleanshutdown";

/// Names the boot during which the dir was last open.
const BOOT: &str = ".klamm_boot";

/// One log dir. Cheap to clone, may be used from any thread.
#[derive(Clone)]
pub struct LogDir {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    buffers: Arc<Buffers>,
    root: PathBuf,
    was_clean: bool,
    is_same_boot: bool,
    found: Vec<FoundPartition>,
    recovery_points: Offsets,
    log_starts: Offsets,
    high_watermarks: Offsets,
    /// Held while checkpoints are written; whether the dir was closed.
    is_closed: Mutex<bool>,
}

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
    /// How many offsets that were known to be committed the log does not reach any more.
    pub missing: i64,
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
    /// left. The marker of a clean stop is consumed: it is gone, durably, when this returns. Blocks.
    ///
    /// # Errors
    /// When the folder or a checkpoint file cannot be read.
    pub fn open(disk: Arc<dyn Disk>, root: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: root.to_owned(), source };
        make_root(&*disk, root).map_err(failed)?;
        let mut found = Vec::new();
        for entry in disk.read_dir(root).map_err(failed)?.iter().filter(|entry| entry.is_dir) {
            let path = root.join(&entry.name);
            if entry.name.ends_with(name::DELETED_DIR) {
                disk.remove_dir_all(&path).map_err(failed)?;
            } else if let Some(partition) = name::parse_dir(&entry.name) {
                let topic_id = read_topic_id(&*disk, &path)?;
                found.push(FoundPartition { partition, topic_id });
            }
        }
        found.sort_by(|a, b| a.partition.cmp(&b.partition));
        let marker = root.join(CLEAN_MARKER);
        let was_clean = disk.exists(&marker);
        let read = |file: &str| checkpoint::read(&*disk, &root.join(file));
        let recovery_points = read(checkpoint::RECOVERY_POINT)?;
        let log_starts = read(checkpoint::LOG_START)?;
        let high_watermarks = read(checkpoint::HIGH_WATERMARK)?;
        if was_clean {
            disk.remove_file(&marker).and_then(|()| disk.sync_dir(root)).map_err(failed)?;
        }
        let is_same_boot = note_boot(&*disk, root).map_err(failed)?;
        let inner = Inner {
            root: root.to_owned(),
            disk,
            buffers: Arc::default(),
            was_clean,
            is_same_boot,
            found,
            recovery_points,
            log_starts,
            high_watermarks,
            is_closed: Mutex::new(false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.inner.root
    }

    /// Whether the last owner closed it cleanly.
    pub fn was_clean(&self) -> bool {
        self.inner.was_clean
    }

    /// Whether the machine has been up since the last owner opened it: then all that it wrote is there,
    /// though not all of it may be on disk.
    pub fn is_same_boot(&self) -> bool {
        self.inner.is_same_boot
    }

    /// The partitions that had a folder when the dir was opened, sorted.
    pub fn found(&self) -> &[FoundPartition] {
        &self.inner.found
    }

    /// What the checkpoint files said of a partition when the dir was opened; `None` if nothing. To be
    /// written again for a log that could not be opened: forgetting its recovery point would turn damage
    /// below it into a tail that may be cut.
    pub fn remembered(&self, partition: &TopicPartition) -> Option<Checkpoint> {
        let inner = &*self.inner;
        Some(Checkpoint {
            partition: partition.clone(),
            recovery_point: *inner.recovery_points.get(partition)?,
            log_start: inner.log_starts.get(partition).copied().unwrap_or(0),
            high_watermark: inner.high_watermarks.get(partition).copied().unwrap_or(0),
        })
    }

    /// Moves the folder of a topic that is not known any more out of the way, so that a new topic of the
    /// same name does not find it. Nothing is removed: a missing record is no order to delete.
    ///
    /// # Errors
    /// The system's answer.
    pub fn set_aside(&self, found: &FoundPartition) -> io::Result<PathBuf> {
        let inner = &*self.inner;
        let name = found.partition.to_string();
        let id = found.topic_id.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
        let numbered = |number: u32| match number {
            0 => inner.root.join(format!("{name}.{id}-stray")),
            _ => inner.root.join(format!("{name}.{id}.{number}-stray")),
        };
        let mut asides = (0..).map(numbered);
        let aside = asides.find(|path| !inner.disk.exists(path)).expect("there are enough numbers");
        inner.disk.rename(&inner.root.join(name), &aside)?;
        inner.disk.sync_dir(&inner.root)?;
        Ok(aside)
    }

    /// Opens a partition's log, recovering it after a crash. Blocks: run it on `Pool::Files`. Also right
    /// for a partition that never had a folder; then it touches nothing.
    ///
    /// # Errors
    /// When the folder cannot be read, belongs to another topic, or is damaged below its recovery point.
    pub fn load(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        now_ms: i64,
    ) -> Result<(PartitionLog, Recovered), OpenError> {
        let inner = &*self.inner;
        let dir = inner.root.join(partition.to_string());
        let known = read_topic_id(&*inner.disk, &dir)?;
        if let Some(found) = known
            && found != topic_id
        {
            return Err(OpenError::OtherTopic { path: dir, found, expected: topic_id });
        }
        let log_start = inner.log_starts.get(partition).copied();
        let opening = Opening {
            disk: &*inner.disk,
            dir,
            partition: partition.clone(),
            topic_id,
            config,
            // Without a checkpoint nothing is known to be safe below the first segment.
            recovery_point: inner.recovery_points.get(partition).copied(),
            log_start: log_start.unwrap_or(0),
            high_watermark: inner.high_watermarks.get(partition).copied().unwrap_or(0),
            was_clean: inner.was_clean,
            is_same_boot: inner.is_same_boot,
            now_ms,
        };
        let (parts, recovered) = recover::open(opening)?;
        if known.is_none() && !parts.segments.is_empty() {
            let path = parts.dir.join(name::PARTITION_METADATA);
            let written = inner.disk.write_atomic(&path, name::metadata_text(topic_id).as_bytes());
            written.map_err(|source| OpenError::Io { path, source })?;
        }
        Ok((PartitionLog::assemble(inner.disk.clone(), inner.buffers.clone(), parts), recovered))
    }

    /// A new, empty partition. No I/O: folder and files appear with the first append.
    pub fn create(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
    ) -> PartitionLog {
        let dir = self.inner.root.join(partition.to_string());
        let parts = recover::empty(dir, partition.clone(), topic_id, config, 0);
        PartitionLog::assemble(self.inner.disk.clone(), self.inner.buffers.clone(), parts)
    }

    /// Gives back memory that reads have not needed since the last call. Cheap: call it every few seconds.
    pub fn breathe(&self) {
        self.inner.buffers.breathe();
    }

    /// Writes the three checkpoint files, all partitions at once. Blocks, also while somebody else writes them: run
    /// it on `Pool::Flush`. Partitions that are not named are forgotten.
    ///
    /// # Errors
    /// The system's answer; [`io::ErrorKind::BrokenPipe`] once the dir was closed, which had the last word.
    pub fn write_checkpoints(&self, all: &[Checkpoint]) -> io::Result<()> {
        let is_closed = self.inner.is_closed.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_closed {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the log dir was closed"));
        }
        self.write_all(all)
    }

    fn write_all(&self, all: &[Checkpoint]) -> io::Result<()> {
        type Pick = fn(&Checkpoint) -> Offset;
        let files: [(&str, Pick); 3] = [
            (checkpoint::LOG_START, |one| one.log_start),
            (checkpoint::RECOVERY_POINT, |one| one.recovery_point),
            (checkpoint::HIGH_WATERMARK, |one| one.high_watermark),
        ];
        for (file, pick) in files {
            let entries = all.iter().map(|one| (&one.partition, pick(one)));
            checkpoint::write(&*self.inner.disk, &self.inner.root.join(file), entries)?;
        }
        Ok(())
    }

    /// The disk has failed: what was written may be gone although the machine stays up. The next start believes
    /// only what it has looked at, if the disk can still be told so.
    pub fn distrust(&self) {
        if let Err(error) = self.inner.disk.remove_file(&self.inner.root.join(BOOT)) {
            tracing::warn!(%error, "cannot note that the disk has failed");
        }
    }

    /// Writes the checkpoints and the marker of a clean stop, and nothing after it. All logs were closed before, and
    /// none had failed. Blocks.
    ///
    /// # Errors
    /// The system's answer.
    pub fn close(&self, all: &[Checkpoint]) -> io::Result<()> {
        // Whoever is slow knows less than the stop: what it writes must not come after it.
        let mut is_closed = self.inner.is_closed.lock().unwrap_or_else(PoisonError::into_inner);
        *is_closed = true;
        self.write_all(all)?;
        let marker = self.inner.root.join(CLEAN_MARKER);
        let file = self.inner.disk.open(&marker, OpenMode::Create)?;
        file.write_all_at(&[IoSlice::new(br#"{"version":0,"brokerEpoch":-1}"#)], 0)?;
        file.sync_data()?;
        self.inner.disk.sync_dir(&self.inner.root)
    }
}

/// Makes the root, so that no power loss takes it away again with all that is in it.
fn make_root(disk: &dyn Disk, root: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = root
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !disk.exists(path))
        .collect();
    disk.create_dir_all(root)?;
    for path in missing {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        disk.sync_dir(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Notes the current boot; says whether it is the one noted before.
fn note_boot(disk: &dyn Disk, root: &Path) -> io::Result<bool> {
    let path = root.join(BOOT);
    let Some(boot) = disk.boot_id(root) else {
        return if disk.exists(&path) {
            disk.remove_file(&path).map(|()| false)
        } else {
            Ok(false)
        };
    };
    let is_same = disk.exists(&path) && disk.read(&path)? == boot.as_bytes();
    if !is_same {
        disk.write_atomic(&path, boot.as_bytes())?;
    }
    Ok(is_same)
}

fn read_topic_id(disk: &dyn Disk, dir: &Path) -> Result<Option<TopicId>, OpenError> {
    let path = dir.join(name::PARTITION_METADATA);
    match disk.read(&path) {
        Ok(bytes) => Ok(std::str::from_utf8(&bytes).ok().and_then(name::parse_metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::Io { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use world::real::RealDisk;

    use super::*;

    fn opened() -> (tempfile::TempDir, LogDir) {
        let temporary = tempfile::tempdir().expect("there is room for a folder");
        let disk = Arc::new(RealDisk::new(PathBuf::from("/proc/sys/kernel/random/boot_id")));
        let dir = LogDir::open(disk, &temporary.path().join("data")).expect("it opens");
        (temporary, dir)
    }

    fn checkpoint(log_start: Offset) -> [Checkpoint; 1] {
        let partition = TopicPartition::new("orders", 0);
        [Checkpoint { partition, recovery_point: 9, log_start, high_watermark: 9 }]
    }

    fn log_start(dir: &LogDir) -> String {
        let path = dir.path().join(checkpoint::LOG_START);
        std::fs::read_to_string(path).expect("it was written").lines().skip(2).collect()
    }

    #[test]
    fn checkpoints_that_are_written_at_once_are_written_one_after_the_other() {
        let (_temporary, dir) = opened();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let dir = dir.clone();
                scope.spawn(move || {
                    for number in 0..50 {
                        let written = dir.write_checkpoints(&checkpoint(number * 4 + writer));
                        written.expect("it is written");
                    }
                });
            }
        });
    }

    #[test]
    fn a_clean_stop_has_the_last_word() {
        let (_temporary, dir) = opened();
        dir.close(&checkpoint(5)).expect("it closes");
        // Somebody who was slow, and knows less.
        assert!(dir.write_checkpoints(&checkpoint(1)).is_err());
        assert_eq!(log_start(&dir), "orders 0 5");
    }
}
