//! The end goes back: a follower drops what its leader does not have.
//!
//! Blocks, once per leader change. Not while a flush is in flight: it would write down what is cut. The
//! checkpoints let go of what is cut first ([`PartitionLog::checkpoint_before_cut`]): a recovery point beyond
//! the end would make damage of a log that was killed after its cut, or of a torn tail. The index files are
//! cut again before anything is added to them.

use std::io;

use engine::Offset;
use engine::log::LogState;

use super::PartitionLog;
use crate::error::AppendError;
use crate::log_dir::Checkpoint;
use crate::recover;
use crate::segment::scan::{Depth, Scan};
use crate::segment::{Segment, name};

impl PartitionLog {
    /// What the checkpoint files are to say before [`Self::truncate_to`]: true of the log before it, after it,
    /// wherever a kill ends it, and when more is appended.
    pub fn checkpoint_before_cut(&self, to: Offset) -> Checkpoint {
        let known = self.checkpoint();
        // The end comes to lie anywhere in the last segment that stays: `to` may be within a batch.
        let kept = self.segments.iter().rfind(|segment| segment.base < to);
        Checkpoint {
            recovery_point: known.recovery_point.min(kept.map_or(to, |segment| segment.base)),
            high_watermark: known.high_watermark.min(to),
            ..known
        }
    }

    /// What the checkpoint files are to say before [`Self::truncate_fully_and_start_at`]: true of the log
    /// before it, after it, and wherever a kill ends it.
    pub fn checkpoint_before_start_at(&self, start: Offset) -> Checkpoint {
        let start = start.min(self.state.start());
        Checkpoint { log_start: start, ..self.checkpoint_before_cut(start) }
    }

    /// Cuts the log back so that it ends at `to`, or before it if `to` lies within a batch; returns the
    /// end. Blocks. The checkpoint files say [`Self::checkpoint_before_cut`] of `to`.
    ///
    /// # Errors
    /// The log is out of service then.
    pub fn truncate_to(&mut self, to: Offset) -> Result<Offset, AppendError> {
        self.drop_queue();
        if to >= self.state.end() {
            return Ok(self.state.end());
        }
        if to <= self.state.start() {
            let start = self.state.start();
            self.truncate_fully_and_start_at(start)?;
            return Ok(start);
        }
        match self.cut(to) {
            Ok(()) => Ok(self.state.end()),
            Err(error) => Err(self.failed_cut(&error)),
        }
    }

    /// Empties the log; the next record gets `start`. Blocks. The checkpoint files say
    /// [`Self::checkpoint_before_start_at`]. Write them again before appending: next to older segments that
    /// are yet to be removed, the new one would be taken for a gap.
    ///
    /// # Errors
    /// The log is out of service then.
    pub fn truncate_fully_and_start_at(&mut self, start: Offset) -> Result<(), AppendError> {
        self.drop_queue();
        match self.empty(start) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.failed_cut(&error)),
        }
    }

    fn drop_queue(&mut self) {
        assert!(self.queue.is_empty(), "a round is written before the log is cut");
        assert!(!self.unsynced.in_flight, "a flush has ended before the log is cut");
        self.copied.clear();
    }

    fn failed_cut(&mut self, error: &io::Error) -> AppendError {
        self.fail(&format!("cannot cut {}: {error}", self.dir.display()));
        AppendError::Failed(error.to_string())
    }

    fn cut(&mut self, to: Offset) -> io::Result<()> {
        while self.segments.len() > 1 && self.segments.back().is_some_and(|last| last.base >= to) {
            let gone = self.segments.pop_back().expect("there is more than one");
            recover::remove_segment(&*self.disk, &self.dir, gone.base)?;
        }
        let interval = self.config.index_interval_bytes;
        let segment = self.segments.back_mut().expect("a log that has an end has a segment");
        let file = segment.open(&*self.disk, &self.dir)?;
        let mut kept = Segment::new(segment.base, segment.created_ms);
        // Walked from the front: it is rare, and rebuilds indexes and timestamps on the way.
        let mut scan = Scan::new(&*file, 0, segment.size, segment.base, Depth::Headers);
        while let Ok(seen) = scan.step()? {
            if seen.header.last_offset() >= to {
                break;
            }
            kept.take(&seen.header, interval);
        }
        if kept.end < self.state.start() {
            // The start lies within the batch that goes.
            return self.empty(self.state.start());
        }
        file.set_len(kept.size)?;
        file.sync_data()?;
        // A removed segment that a power loss brings back would be taken for what follows.
        self.disk.sync_dir(&self.dir)?;
        kept.file = Some(file);
        kept.touched_ms = segment.touched_ms;
        kept.flushed_size = kept.size;
        kept.aborted = segment.aborted.clone();
        *segment = kept;
        self.after_cut()
    }

    fn after_cut(&mut self) -> io::Result<()> {
        let segment = self.segments.back_mut().expect("the caller kept one");
        let end = segment.end;
        let path = name::file(&self.dir, segment.base, name::TXN_INDEX);
        if segment.aborted.len() > 0 {
            let all = segment.aborted.view(true).all(&*self.disk, &path)?;
            let good = all.iter().take_while(|entry| entry.last_offset < end).count();
            segment.aborted.truncate(good);
        }
        self.state.truncate(end);
        self.tail.trim(0);
        self.recovery_point = self.recovery_point.min(end);
        self.unsynced.names = true;
        self.unsynced.epochs |= self.epochs.truncate_end(end);
        for (offset, bytes) in
            self.unsynced.snapshots.drain(..).filter(|(offset, _)| *offset <= end)
        {
            let path = name::file(&self.dir, offset, name::SNAPSHOT);
            self.disk.write_atomic(&path, &bytes)?;
        }
        let mut snapshots = recover::list_snapshots(&*self.disk, &self.dir)?;
        recover::keep_snapshots(&*self.disk, &self.dir, &mut snapshots, &self.segments)?;
        let loaded = recover::load_producers(
            &*self.disk,
            &self.dir,
            &snapshots,
            &self.segments,
            self.heard_ms,
        )?;
        self.producers = loaded.producers;
        self.producers.commit(self.state.high_watermark());
        self.unsynced.snapshot_end = loaded.from;
        Ok(())
    }

    fn empty(&mut self, start: Offset) -> io::Result<()> {
        let had_files = !self.segments.is_empty();
        while let Some(gone) = self.segments.pop_back() {
            recover::remove_segment(&*self.disk, &self.dir, gone.base)?;
        }
        if had_files {
            recover::remove_snapshots(&*self.disk, &self.dir, |_| true)?;
        } else {
            self.make_folder()?;
        }
        // An empty segment remembers where the log goes on, whatever happens to the checkpoint.
        let mut segment = Segment::new(start, self.heard_ms);
        segment.file = Some(self.create_log_file(start)?);
        self.segments.push_back(segment);
        self.disk.sync_dir(&self.dir)?;
        self.state = LogState::new(start, start, start);
        self.tail.trim(0);
        self.recovery_point = start;
        self.epochs = engine::log::Epochs::default();
        self.producers = engine::log::Producers::default();
        self.unsynced.epochs = true;
        self.unsynced.snapshots.clear();
        self.unsynced.snapshot_end = start;
        self.unsynced.since_snapshot = 0;
        Ok(())
    }
}
