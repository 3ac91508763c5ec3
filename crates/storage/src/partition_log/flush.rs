//! What makes written bytes safe, and the end of a log's use.

use std::io;

use engine::Offset;
use engine::log::snapshot;

use super::PartitionLog;
use crate::error::FlushError;
use crate::job::{CloseJob, FlushJob, FlushTicket, IndexWrite, SegmentTicket};
use crate::segment::index::HOT_ENTRIES_MAX;
use crate::segment::name;

/// A producer snapshot is due after so many bytes even without a roll, so that a restart replays no more.
const SNAPSHOT_EVERY_BYTES: u64 = 64 << 20;

impl PartitionLog {
    /// What makes all that was written so far survive a power loss; `None` if it does, or if a job is
    /// out already. Run it on `Pool::Flush`.
    pub fn flush_job(&mut self) -> Option<FlushJob> {
        let is_clean = !self.has_unsynced();
        if is_clean || self.unsynced.in_flight || self.failure.is_some() {
            return None;
        }
        if self.unsynced.since_snapshot >= SNAPSHOT_EVERY_BYTES
            && !self.producers.is_empty()
            && self.queue.is_empty()
        {
            self.snapshot_producers();
        }
        Some(self.make_flush_job(false))
    }

    /// Takes note of a flush; returns [`PartitionLog::flushed_offset`].
    pub fn flushed(&mut self, ticket: FlushTicket) -> Offset {
        self.unsynced.in_flight = false;
        let active = self.segments.back().map(|active| active.base);
        for flushed in ticket.segments {
            let found = self.segments.binary_search_by_key(&flushed.base, |segment| segment.base);
            let Ok(index) = found else { continue };
            let segment = &mut self.segments[index];
            let is_active = active == Some(segment.base);
            let keep = if is_active { HOT_ENTRIES_MAX } else { 0 };
            segment.flushed_size = segment.flushed_size.max(flushed.size);
            segment.offsets.mark_written(flushed.offsets, keep);
            segment.times.mark_written(flushed.times, keep);
            segment.aborted.mark_written(flushed.aborted, keep);
            segment.indexes_synced |= flushed.indexes_synced;
            if !is_active && !segment.is_dirty() {
                segment.file = None;
            }
        }
        self.recovery_point = self.recovery_point.max(ticket.end);
        assert!(self.recovery_point <= self.state.end(), "only what was written is flushed");
        self.recovery_point
    }

    /// Ends the log's use, once no flush is in flight. Run the job on `Pool::Flush`. What is queued and not
    /// written is forgotten.
    pub fn close(mut self) -> CloseJob {
        let failure = self.failure.take();
        let knows_what_is_synced = failure.is_some() || !self.unsynced.in_flight;
        assert!(knows_what_is_synced, "a flush has ended before the log is closed");
        if failure.is_none() {
            if let Some(active) = self.segments.back_mut() {
                active.index_time();
            }
            if !self.segments.is_empty() && self.unsynced.snapshot_end < self.state.end() {
                self.snapshot_producers();
            }
        }
        let mut checkpoint = self.checkpoint();
        checkpoint.recovery_point = self.state.end();
        let flush = match failure {
            None => Ok(self.make_flush_job(true)),
            Some(why) => Err(FlushError { path: self.dir, source: io::Error::other(why) }),
        };
        CloseJob { flush, checkpoint }
    }

    fn has_unsynced(&self) -> bool {
        let unsynced = &self.unsynced;
        unsynced.folder
            || unsynced.names
            || (unsynced.epochs && !self.segments.is_empty())
            || !unsynced.snapshots.is_empty()
            || self.recovery_point < self.state.end()
            || self.segments.back().is_some_and(crate::segment::Segment::is_dirty)
    }

    fn snapshot_producers(&mut self) {
        let end = self.state.end();
        self.unsynced.snapshots.push((end, snapshot::encode(&self.producers)));
        self.unsynced.snapshot_end = end;
        self.unsynced.since_snapshot = 0;
    }

    fn make_flush_job(&mut self, seals_all: bool) -> FlushJob {
        let mut indexes = Vec::new();
        let mut logs = Vec::new();
        let mut tickets = Vec::new();
        let last = self.segments.len().saturating_sub(1);
        for (index, segment) in self.segments.iter().enumerate() {
            let syncs_indexes = (seals_all || index < last) && !segment.indexes_synced;
            let parts = [
                (name::INDEX, segment.offsets.unwritten()),
                (name::TIME_INDEX, segment.times.unwritten()),
                (name::TXN_INDEX, segment.aborted.unwritten()),
            ];
            let has_index = parts.iter().any(|(_, unwritten)| unwritten.is_some());
            if !segment.is_dirty() && !has_index && !syncs_indexes {
                continue;
            }
            for (kind, unwritten) in parts {
                let exists = kind != name::TXN_INDEX || segment.aborted.len() > 0;
                if unwritten.is_some() || (syncs_indexes && exists) {
                    let path = name::file(&self.dir, segment.base, kind);
                    indexes.push(IndexWrite { path, unwritten, sync: syncs_indexes });
                }
            }
            if segment.is_dirty() {
                let path = name::file(&self.dir, segment.base, name::LOG);
                logs.push((path, segment.file.clone()));
            }
            tickets.push(SegmentTicket {
                base: segment.base,
                size: segment.size,
                offsets: segment.offsets.len(),
                times: segment.times.len(),
                aborted: segment.aborted.len(),
                indexes_synced: syncs_indexes,
            });
        }
        self.unsynced.in_flight = true;
        let unsynced = &mut self.unsynced;
        let writes_epochs = std::mem::take(&mut unsynced.epochs) && !self.segments.is_empty();
        FlushJob {
            disk: self.disk.clone(),
            topic_id: unsynced.folder.then_some(self.topic_id),
            sync_parent: std::mem::take(&mut unsynced.folder),
            sync_names: std::mem::take(&mut unsynced.names) || !indexes.is_empty(),
            dir: self.dir.clone(),
            logs,
            indexes,
            snapshots: std::mem::take(&mut unsynced.snapshots),
            epochs: writes_epochs.then(|| self.epochs.encode()),
            ticket: FlushTicket { end: self.state.end(), segments: tickets },
        }
    }
}
