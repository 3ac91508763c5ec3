//! Opening a partition's folder, as a clean stop, a crash or Kafka left it.
//!
//! Everything below the recovery point was flushed: it is believed, and if it turns out to be damaged, the
//! folder is quarantined, for cutting it off would lose what was acknowledged. Everything above may be
//! torn: it is verified batch by batch, and cut at the first that is not whole.
//!
//! ```text
//! segment 0        segment 4711                       segment 9000
//! [..............] [.........|.......................] [.......####]
//!  its last index   recovery  verified, index rebuilt            cut
//!  entry on         point
//! ```
//!
//! | what | file |
//! | --- | --- |
//! | one segment: its tail walked, its indexes checked or rebuilt | `segment` |
//! | what is in the folder; leftovers | `folder` |
//! | the producers: a snapshot and a replay | `producers` |

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::log::{Epochs, LogConfig, LogState, Producers};
use engine::{LeaderEpoch, Offset, TopicId, TopicPartition};
use world::{Disk, OpenMode};

use crate::error::OpenError;
use crate::log_dir::{Recovered, Truncated};
use crate::partition_log::Parts;
use crate::segment::scan::{Depth, Scan};
use crate::segment::{Segment, name};

mod folder;
mod producers;
mod segment;

pub(crate) use folder::{keep_snapshots, list_snapshots, remove_segment, remove_snapshots};
pub(crate) use producers::load_producers;

use folder::Folder;

/// What is known before the folder is looked at.
pub(crate) struct Opening<'a> {
    pub disk: &'a dyn Disk,
    pub dir: PathBuf,
    pub partition: TopicPartition,
    pub topic_id: TopicId,
    pub config: Arc<LogConfig>,
    pub recovery_point: Option<Offset>,
    pub log_start: Offset,
    pub high_watermark: Offset,
    pub was_clean: bool,
    /// No power was lost since: what was written is there, synced or not.
    pub is_same_boot: bool,
    pub now_ms: i64,
}

/// A log without files that starts at `start`.
pub(crate) fn empty(
    dir: PathBuf,
    partition: TopicPartition,
    topic_id: TopicId,
    config: Arc<LogConfig>,
    start: Offset,
) -> Parts {
    Parts {
        dir,
        partition,
        topic_id,
        config,
        state: LogState::new(start, start, start),
        epochs: Epochs::default(),
        producers: Producers::default(),
        segments: VecDeque::new(),
        recovery_point: start,
        snapshot_end: start,
        epochs_changed: false,
        names_unsynced: false,
        now_ms: 0,
    }
}

/// Opens a folder. Blocks.
pub(crate) fn open(opening: Opening<'_>) -> Result<(Parts, Recovered), OpenError> {
    let mut recovered = Recovered::default();
    let failed = |path: &Path, source: io::Error| OpenError::Io { path: path.to_owned(), source };
    let mut folder = Folder::list(opening.disk, &opening.dir, &mut recovered.removed)
        .map_err(|source| failed(&opening.dir, source))?;
    folder
        .drop_below(opening.disk, &opening.dir, opening.log_start, &mut recovered.removed)
        .map_err(|source| failed(&opening.dir, source))?;
    if folder.logs.is_empty() {
        keep_snapshots(opening.disk, &opening.dir, &mut folder.snapshots, &VecDeque::new())
            .map_err(|source| failed(&opening.dir, source))?;
        let Opening { dir, partition, topic_id, config, log_start, high_watermark, .. } = opening;
        recovered.missing = (high_watermark - log_start).max(0);
        return Ok((empty(dir, partition, topic_id, config, log_start), recovered));
    }
    recovered.segments = folder.logs.len();
    let mut walk = Walk::new(&opening, &folder);
    walk.run(&mut recovered)?;
    let Walk { mut segments, mut epochs, mut epochs_changed, .. } = walk;
    let mut end = segments.back().map_or(opening.log_start, |last| last.end);
    let first = segments.front().map_or(opening.log_start, |first| first.base);
    if end < opening.log_start {
        // What was below the start is lost, and nothing above it ever was on disk: begin again there.
        for gone in segments.drain(..) {
            remove_segment(opening.disk, &opening.dir, gone.base)
                .map_err(|source| failed(&opening.dir, source))?;
        }
        opening.disk.sync_dir(&opening.dir).map_err(|source| failed(&opening.dir, source))?;
        end = opening.log_start;
    }
    recovered.missing = (opening.high_watermark - end).max(0);
    let start = opening.log_start.max(first);
    epochs_changed |= epochs.truncate_end(end) | epochs.truncate_start(start);
    let snapshots = &mut folder.snapshots;
    let loaded = keep_snapshots(opening.disk, &opening.dir, snapshots, &segments)
        .and_then(|()| {
            load_producers(opening.disk, &opening.dir, snapshots, &segments, opening.now_ms)
        })
        .map_err(|source| failed(&opening.dir, source))?;
    let state = LogState::new(start, end, opening.high_watermark);
    let mut producers = loaded.producers;
    producers.commit(state.high_watermark());
    let safe = if opening.was_clean { end } else { opening.recovery_point.unwrap_or(0) };
    let parts = Parts {
        state,
        epochs,
        producers,
        // Not raised to the start: what lies below it may be torn, and is in the same file.
        recovery_point: safe.min(end),
        snapshot_end: loaded.from,
        epochs_changed,
        names_unsynced: !opening.was_clean && !segments.is_empty() && safe < end,
        now_ms: opening.now_ms,
        segments,
        dir: opening.dir,
        partition: opening.partition,
        topic_id: opening.topic_id,
        config: opening.config,
    };
    Ok((parts, recovered))
}

/// The walk over a folder's segments, oldest first.
struct Walk<'a> {
    opening: &'a Opening<'a>,
    folder: &'a Folder,
    /// Everything below was flushed; all of it after a clean stop.
    safe: Offset,
    segments: VecDeque<Segment>,
    epochs: Epochs,
    epochs_changed: bool,
}

impl<'a> Walk<'a> {
    fn new(opening: &'a Opening<'a>, folder: &'a Folder) -> Self {
        let safe = match opening.recovery_point {
            _ if opening.was_clean => Offset::MAX,
            Some(point) => point,
            None => 0,
        };
        let (epochs, epochs_changed) = (Epochs::default(), false);
        Self { opening, folder, safe, segments: VecDeque::new(), epochs, epochs_changed }
    }

    fn run(&mut self, recovered: &mut Recovered) -> Result<(), OpenError> {
        let must_read_epochs = !self.read_epochs();
        for (index, (base, len)) in self.folder.logs.iter().enumerate() {
            let next_base = self.folder.logs.get(index + 1).map(|(base, _)| *base);
            let mut found =
                segment::open(self.opening, self.folder, (*base, *len), next_base, self.safe)?;
            recovered.rebuilt.append(&mut found.rebuilt);
            recovered.verified_bytes += found.verified_bytes;
            let end = found.segment.end;
            for (index, (epoch, start)) in found.epochs.iter().enumerate() {
                let next = found.epochs.get(index + 1).map_or(end, |(_, start)| *start);
                // An epoch begins where the file says, not where the walk has met it first.
                self.epochs_changed |= self.epochs.confirm(*epoch, *start, next);
            }
            let mut problem = found.problem;
            if let Some(next_base) = next_base
                && problem.is_none()
                && end != next_base
                && (end > next_base || !self.opening.config.compact)
            {
                problem =
                    Some(format!("ends at offset {end}, the next segment begins at {next_base}"));
            } else if next_base.is_none() && problem.is_none() && !self.opening.was_clean {
                let lost = end < self.safe && *len == found.segment.size;
                problem = lost.then(|| format!("ends at offset {end}"));
            }
            let size = found.segment.size;
            self.segments.push_back(found.segment);
            let Some(problem) = problem else { continue };
            let path = name::file(&self.opening.dir, *base, name::LOG);
            if end < self.safe {
                let recovery_point = self.opening.recovery_point.unwrap_or(end);
                return Err(OpenError::Quarantined {
                    path,
                    position: size,
                    recovery_point,
                    problem,
                });
            }
            let later = &self.folder.logs[index + 1..];
            let bytes = len - size + later.iter().map(|(_, len)| len).sum::<u64>();
            recovered.truncated = Some(Truncated { end, path, position: size, bytes, problem });
            self.cut(later).map_err(|source| self.io_error(source))?;
            break;
        }
        if must_read_epochs {
            self.rebuild_epochs().map_err(|source| self.io_error(source))?;
        }
        Ok(())
    }

    /// The last segment pushed ends where it is whole; those after it go.
    fn cut(&mut self, later: &[(Offset, u64)]) -> io::Result<()> {
        let (disk, dir) = (self.opening.disk, &self.opening.dir);
        for (base, _) in later.iter().rev() {
            remove_segment(disk, dir, *base)?;
        }
        let last = self.segments.back().expect("the caller pushed it");
        let file = disk.open(&name::file(dir, last.base, name::LOG), OpenMode::Write)?;
        file.set_len(last.size)?;
        file.sync_data()?;
        disk.sync_dir(dir)
    }

    /// Says whether the epochs' file was there and good.
    fn read_epochs(&mut self) -> bool {
        let Ok(bytes) = self.opening.disk.read(&self.opening.dir.join(name::EPOCHS)) else {
            return false;
        };
        let decoded = std::str::from_utf8(&bytes).ok().and_then(|text| Epochs::decode(text).ok());
        self.epochs = decoded.unwrap_or_default();
        !self.epochs.starts().is_empty()
    }

    fn rebuild_epochs(&mut self) -> io::Result<()> {
        let mut epochs = Epochs::default();
        for segment in &self.segments {
            let path = name::file(&self.opening.dir, segment.base, name::LOG);
            let file = self.opening.disk.open(&path, OpenMode::Read)?;
            let mut scan = Scan::new(&*file, 0, segment.size, segment.base, Depth::Headers);
            while let Ok(seen) = scan.step()? {
                if seen.header.leader_epoch >= 0 {
                    epochs.assign(LeaderEpoch(seen.header.leader_epoch), seen.header.base_offset);
                }
            }
        }
        self.epochs = epochs;
        self.epochs_changed = true;
        Ok(())
    }

    fn io_error(&self, source: io::Error) -> OpenError {
        OpenError::Io { path: self.opening.dir.clone(), source }
    }
}
