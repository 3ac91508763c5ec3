//! Flushes: indexes first, then the log, then what depends on both.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{Offset, TopicId};
use world::{Disk, File, OpenMode};

use crate::error::{FlushError, is_full};
use crate::log_dir::Checkpoint;
use crate::segment::index::Unwritten;
use crate::segment::name;

/// Writes indexes and syncs what was appended since the last one.
pub struct FlushJob {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    /// The folder is new: its metadata must be safe.
    pub(crate) topic_id: Option<TopicId>,
    pub(crate) logs: Vec<(PathBuf, Option<Arc<dyn File>>)>,
    pub(crate) indexes: Vec<IndexWrite>,
    pub(crate) snapshots: Vec<(Offset, Vec<u8>)>,
    pub(crate) epochs: Option<String>,
    pub(crate) sync_names: bool,
    pub(crate) sync_parent: bool,
    pub(crate) ticket: FlushTicket,
}

/// What is added to an index file, and whether it must survive a power loss.
pub(crate) struct IndexWrite {
    pub path: PathBuf,
    pub unwritten: Option<Unwritten>,
    pub sync: bool,
}

impl IndexWrite {
    fn write(&self, disk: &dyn Disk) -> io::Result<Arc<dyn File>> {
        let file = disk.open(&self.path, OpenMode::Create)?;
        if let Some(unwritten) = &self.unwritten {
            unwritten.write(&*file)?;
        }
        Ok(file)
    }
}

/// Proof of a flush.
#[derive(Debug, Default)]
pub struct FlushTicket {
    pub(crate) end: Offset,
    pub(crate) segments: Vec<SegmentTicket>,
}

/// What a flush covered of one segment.
#[derive(Debug)]
pub(crate) struct SegmentTicket {
    pub base: Offset,
    pub size: u64,
    pub offsets: usize,
    pub times: usize,
    pub aborted: usize,
    pub indexes_synced: bool,
}

impl FlushJob {
    /// Blocks. Give the ticket to [`crate::PartitionLog::flushed`].
    ///
    /// # Errors
    /// Final, unless there was no room ([`FlushError::is_full`]): tell [`crate::PartitionLog::fail`], and take the
    /// log dir out of service.
    pub fn run(&mut self) -> Result<FlushTicket, FlushError> {
        let disk = &*self.disk;
        if let Some(topic_id) = self.topic_id {
            let path = self.dir.join(name::PARTITION_METADATA);
            let written = if disk.exists(&path) {
                sync(disk, &path, None)
            } else {
                disk.write_atomic(&path, name::metadata_text(topic_id).as_bytes())
            };
            written.map_err(|error| failed(&path, error))?;
        }
        for index in &self.indexes {
            // The segment may have been removed meanwhile, folder and all.
            let written = index.write(disk);
            let written =
                written.and_then(|file| if index.sync { synced(file.sync_data()) } else { Ok(()) });
            forgive_gone(written).map_err(|error| failed(&index.path, error))?;
        }
        for (path, file) in &self.logs {
            sync(disk, path, file.as_ref()).map_err(|error| failed(path, error))?;
        }
        for (offset, bytes) in &self.snapshots {
            let path = name::file(&self.dir, *offset, name::SNAPSHOT);
            disk.write_atomic(&path, bytes).map_err(|error| failed(&path, error))?;
        }
        if let Some(epochs) = &self.epochs {
            let path = self.dir.join(name::EPOCHS);
            disk.write_atomic(&path, epochs.as_bytes()).map_err(|error| failed(&path, error))?;
        }
        if self.sync_names {
            synced(disk.sync_dir(&self.dir)).map_err(|error| failed(&self.dir, error))?;
        }
        if self.sync_parent
            && let Some(parent) = self.dir.parent()
        {
            synced(disk.sync_dir(parent)).map_err(|error| failed(parent, error))?;
        }
        Ok(std::mem::take(&mut self.ticket))
    }

    /// As [`Self::run`] for many logs of the volume that holds `root`, with two syncs of all of it: where
    /// thousands of logs were written to, a sync for each file takes minutes.
    ///
    /// # Errors
    /// As [`Self::run`], for all of them.
    pub fn run_all(jobs: &mut [Self], root: &Path) -> Result<Vec<FlushTicket>, FlushError> {
        let Some(disk) = jobs.first().map(|job| Arc::clone(&job.disk)) else {
            return Ok(Vec::new());
        };
        let mut replacements = Vec::new();
        for job in &*jobs {
            replacements.extend(job.write()?);
        }
        match disk.sync_volume(root) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                return jobs.iter_mut().map(Self::run).collect();
            }
            done => synced(done).map_err(|error| failed(root, error))?,
        }
        // What depends on the logs is seen only now that they are safe.
        for Replacement { new, path } in &replacements {
            forgive_gone(disk.rename(new, path)).map_err(|error| failed(path, error))?;
        }
        if !replacements.is_empty() {
            synced(disk.sync_volume(root)).map_err(|error| failed(root, error))?;
        }
        Ok(jobs.iter_mut().map(|job| std::mem::take(&mut job.ticket)).collect())
    }

    /// Writes everything and syncs nothing; gives the files that are to replace others once it is synced.
    fn write(&self) -> Result<Vec<Replacement>, FlushError> {
        let disk = &*self.disk;
        for index in &self.indexes {
            let written = index.write(disk).map(drop);
            forgive_gone(written).map_err(|error| failed(&index.path, error))?;
        }
        let metadata = self.dir.join(name::PARTITION_METADATA);
        let metadata = self
            .topic_id
            .filter(|_| !disk.exists(&metadata))
            .map(|id| (metadata, name::metadata_text(id).into_bytes()));
        let snapshots = self
            .snapshots
            .iter()
            .map(|(offset, bytes)| (name::file(&self.dir, *offset, name::SNAPSHOT), bytes.clone()));
        let epochs = self
            .epochs
            .as_ref()
            .map(|epochs| (self.dir.join(name::EPOCHS), epochs.clone().into_bytes()));
        let mut replacements = Vec::new();
        for (path, bytes) in metadata.into_iter().chain(snapshots).chain(epochs) {
            let mut new = path.clone().into_os_string();
            new.push(".tmp");
            let new = PathBuf::from(new);
            let written = disk.open(&new, OpenMode::Create).and_then(|file| {
                file.set_len(0)?;
                file.write_all_at(&[IoSlice::new(&bytes)], 0)
            });
            forgive_gone(written).map_err(|error| failed(&path, error))?;
            replacements.push(Replacement { new, path });
        }
        Ok(replacements)
    }
}

/// A file that takes the place of another.
struct Replacement {
    new: PathBuf,
    path: PathBuf,
}

fn sync(disk: &dyn Disk, path: &Path, file: Option<&Arc<dyn File>>) -> io::Result<()> {
    match file {
        Some(file) => synced(file.sync_data()),
        None => {
            let file = disk.open(path, OpenMode::Write);
            forgive_gone(file.and_then(|file| synced(file.sync_data())))
        }
    }
}

/// A write that finds no room can be tried again; a sync that found none cannot. The system tells of it once, takes
/// what it could not write for written, and the next sync succeeds.
fn synced(result: io::Result<()>) -> io::Result<()> {
    result.map_err(|error| if is_full(&error) { io::Error::other(error) } else { error })
}

fn forgive_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn failed(path: &Path, source: io::Error) -> FlushError {
    FlushError { path: path.to_owned(), source }
}

/// Flushes all, writes indexes and a producer snapshot: a log closed so opens without a scan.
pub struct CloseJob {
    /// An error for a log that had failed.
    pub(crate) flush: Result<FlushJob, FlushError>,
    pub(crate) checkpoint: Checkpoint,
}

impl CloseJob {
    /// Blocks. Give the checkpoint to [`crate::LogDir::close`].
    ///
    /// # Errors
    /// As [`FlushJob::run`], or because the log had failed before: then its log dir is not clean, and
    /// [`crate::LogDir::close`] must not be called.
    pub fn run(self) -> Result<Checkpoint, FlushError> {
        let mut flush = self.flush?;
        flush.run()?;
        Ok(self.checkpoint)
    }
}
