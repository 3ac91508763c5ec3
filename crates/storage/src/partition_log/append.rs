//! Batches in: each is checked, given offsets and queued; then one write takes all that is queued.
//!
//! What a check learns (sequences, offsets) holds for the next batch of the same round at once, so a
//! failed write must take it back: every queued batch knows how.

use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use engine::log::AdmitError;
use engine::log::admit::{self, Origin};
use engine::log::producers::{Undo, Verdict};
use engine::log::roll::{self, Incoming};
use engine::log::snapshot;
use engine::log::transactions::Ended;
use engine::{LeaderEpoch, Now, Offset};
use wire::record::{Batch, Batches, EndMarker, Header, batch};
use world::{File, OpenMode};

use super::{Admitted, PartitionLog, Written};
use crate::error::{AppendError, is_full};
use crate::segment::scan::end_marker;
use crate::segment::{Segment, name};

/// A log with so few batches in a round keeps no room for the next: there may be thousands of them.
const QUIET_QUEUE: usize = 4;
/// Smaller batches are copied together, so that they go to disk as one buffer and do not keep alive the
/// frame in which they came.
const COPY_BELOW: usize = 16 << 10;
/// The most that is set aside for copies of later rounds.
const COPIED_CAPACITY_MAX: usize = 64 << 10;

/// A batch that waits for the write.
pub(super) struct Queued {
    header: Header,
    /// The batch, or `None` if it is the next one in the copies.
    bytes: Option<Bytes>,
    undo: Option<Undo>,
    ended: Option<Ended>,
}

impl PartitionLog {
    /// Checks one batch of a producer or coordinator, gives it offsets, and queues it for the next write.
    /// `bytes` is exactly one batch; it is stamped in place and, if large, kept by reference.
    ///
    /// # Errors
    /// When the batch may not enter; nothing is queued then.
    pub fn admit(
        &mut self,
        mut bytes: BytesMut,
        origin: Origin,
        epoch: LeaderEpoch,
        now: Now,
    ) -> Result<Admitted, AppendError> {
        self.check_in_service()?;
        let accepted = admit::admit(&mut bytes, origin, &self.config, now.wall_ms)?;
        if let Verdict::Duplicate(known) = self.producers.check(&accepted.header)? {
            let with_append_time = accepted.append_time_ms.is_some();
            return Ok(Admitted {
                base_offset: known.base_offset(),
                last_offset: known.last_offset,
                append_time_ms: with_append_time.then_some(known.timestamp),
                is_duplicate: true,
            });
        }
        if origin == Origin::Client
            && let Some(repacked) = admit::repack(&bytes, &self.config)?
        {
            bytes = repacked;
        }
        let base_offset = self.queued_end();
        batch::stamp(&mut bytes, base_offset, epoch.0);
        let parsed = Batch::parse(&bytes).map_err(AdmitError::Damaged)?;
        let (header, marker) = (*parsed.header(), end_marker(&parsed));
        if let Some(marker) = marker {
            self.producers.check_marker(&header, marker)?;
        }
        self.enqueue(header, marker, Large::Own(bytes), now);
        Ok(Admitted {
            base_offset,
            last_offset: header.last_offset(),
            append_time_ms: accepted.append_time_ms,
            is_duplicate: false,
        })
    }

    /// Queues batches as the leader sent them: one or more, offsets and epochs given. Returns the end
    /// that the log will have. A cut batch at the end is ignored.
    ///
    /// # Errors
    /// When a batch is damaged or does not continue the log; those before it stay queued.
    #[expect(clippy::needless_pass_by_value, reason = "large batches are kept by reference to it")]
    pub fn admit_replica(&mut self, batches: Bytes, now: Now) -> Result<Offset, AppendError> {
        self.check_in_service()?;
        for parsed in Batches::new(&batches) {
            let parsed = match parsed {
                Ok(parsed) => parsed,
                Err(wire::record::BatchError::Cut { .. }) => break,
                Err(error) => return Err(AdmitError::Damaged(error).into()),
            };
            parsed.verify().map_err(AdmitError::Damaged)?;
            let header = *parsed.header();
            let expected = self.queued_end();
            let found = header.base_offset;
            if found < expected || header.last_offset_delta < 0 {
                return Err(AppendError::NotContiguous { expected, found });
            }
            let current = self.queued_epoch();
            if header.leader_epoch < current {
                return Err(AppendError::EpochWentBack { current, found: header.leader_epoch });
            }
            let whole = batches.slice_ref(parsed.bytes());
            self.enqueue(header, end_marker(&parsed), Large::Shared(whole), now);
        }
        Ok(self.queued_end())
    }

    /// Bytes queued for the next write.
    pub fn queued_bytes(&self) -> usize {
        self.queue.iter().map(|queued| queued.header.size).sum()
    }

    /// Writes all that is queued, with one call per segment touched.
    ///
    /// # Errors
    /// The log ends where [`engine::log::LogState::end`] says; of the round, treat all as failed. A full
    /// disk leaves it in service, anything else does not.
    pub fn write(&mut self, now: Now) -> Result<Written, AppendError> {
        let mut done = Written { end: self.state.end(), ..Written::default() };
        if self.queue.is_empty() {
            return Ok(done);
        }
        let mut queue = std::mem::take(&mut self.queue);
        let mut copied = self.copied.split().freeze();
        let mut first = 0;
        while first < queue.len() {
            let outcome = self.write_run(&queue[first..], &mut copied, now, &mut done);
            match outcome {
                Ok(count) => first += count,
                Err(error) => return Err(self.roll_back(&queue[first..], &error)),
            }
        }
        if queue.capacity() > QUIET_QUEUE {
            queue.clear();
            self.queue = queue;
        }
        done.end = self.state.end();
        Ok(done)
    }

    fn check_in_service(&self) -> Result<(), AppendError> {
        match &self.failure {
            None => Ok(()),
            Some(why) => Err(AppendError::Failed(why.clone())),
        }
    }

    /// The log's end once the queue is written.
    pub(super) fn queued_end(&self) -> Offset {
        self.queue.last().map_or(self.state.end(), |last| last.header.next_offset())
    }

    fn queued_epoch(&self) -> i32 {
        match self.queue.last() {
            Some(last) => last.header.leader_epoch,
            None => self.latest_epoch().map_or(-1, |epoch| epoch.0),
        }
    }

    fn enqueue(&mut self, header: Header, marker: Option<EndMarker>, bytes: Large, now: Now) {
        self.heard_ms = now.wall_ms;
        let applied = self.producers.apply(&header, marker, now.wall_ms);
        let (undo, ended) = applied.map_or((None, None), |(undo, ended)| (Some(undo), ended));
        let bytes = if header.size < COPY_BELOW {
            self.copy(bytes.as_ref());
            None
        } else {
            Some(bytes.into_shared())
        };
        self.queue.push(Queued { header, bytes, undo, ended });
    }

    /// Copies behind the others. What is set aside doubles with use, so a quiet log holds little.
    fn copy(&mut self, bytes: &[u8]) {
        if self.copied.capacity() - self.copied.len() < bytes.len() {
            let more = (2 * self.copied.capacity()).clamp(bytes.len(), COPIED_CAPACITY_MAX);
            self.copied.reserve(more.max(bytes.len()));
        }
        self.copied.extend_from_slice(bytes);
    }

    /// Writes the batches that fit the active segment, or a new one; returns how many.
    fn write_run(
        &mut self,
        queue: &[Queued],
        copied: &mut Bytes,
        now: Now,
        done: &mut Written,
    ) -> io::Result<usize> {
        let config = self.config.clone();
        let rolls = |segment: &Segment, ahead: u64, header: &Header| {
            let incoming = Incoming {
                size: header.size,
                last_offset: header.last_offset(),
                max_timestamp: header.max_timestamp,
            };
            let active = segment.active(ahead, config.index_interval_bytes);
            roll::must_roll(&active, &incoming, &config, now.wall_ms)
        };
        let begins_new = match self.segments.back() {
            None => true,
            Some(active) => rolls(active, 0, &queue[0].header),
        };
        if begins_new {
            self.begin_segment(queue, now)?;
            done.rolled += 1;
        }
        let active = self.segments.back().expect("a segment was begun if there was none");
        let mut count = 1;
        let mut size = queue[0].header.size;
        while let Some(next) = queue.get(count)
            && !rolls(active, size as u64, &next.header)
        {
            size += next.header.size;
            count += 1;
        }
        let run = &queue[..count];
        let mut rest = copied.clone();
        let buffers = gather(run, &mut rest);
        self.write_buffers(&buffers)?;
        *copied = rest;
        self.take_run(run, buffers, now);
        done.bytes += size;
        Ok(count)
    }

    fn write_buffers(&mut self, buffers: &[Bytes]) -> io::Result<()> {
        let active = self.segments.back_mut().expect("the caller began one");
        let file = active.open(&*self.disk, &self.dir)?;
        let slices: Vec<IoSlice<'_>> = buffers.iter().map(|bytes| IoSlice::new(bytes)).collect();
        file.write_all_at(&slices, active.size)
    }

    /// The run is in the file: it is part of the log from here on.
    fn take_run(&mut self, run: &[Queued], buffers: Vec<Bytes>, now: Now) {
        let interval = self.config.index_interval_bytes;
        let base = self.state.end();
        let active = self.segments.back_mut().expect("the caller wrote to it");
        active.touched_ms = now.wall_ms;
        for queued in run {
            active.take(&queued.header, interval);
            if let Some(ended) = queued.ended.filter(|ended| ended.is_abort) {
                active.aborted.push(ended.into());
            }
            let epoch = LeaderEpoch(queued.header.leader_epoch);
            if epoch.0 >= 0 {
                self.unsynced.epochs |= self.epochs.assign(epoch, queued.header.base_offset);
            }
            self.unsynced.since_snapshot += queued.header.size as u64;
        }
        let mut from = base;
        for bytes in buffers {
            let end = last_end(&bytes);
            self.tail.push(from, end, bytes);
            from = end;
        }
        self.state.append(active.end);
        assert!(from == self.state.end(), "the buffers held the run");
    }

    /// Begins a segment with the first batch of `queue`. The active one, if any, is sealed, and the
    /// producers as they were before this batch are kept for a snapshot.
    fn begin_segment(&mut self, queue: &[Queued], now: Now) -> io::Result<()> {
        let base = queue[0].header.base_offset;
        if self.segments.is_empty() {
            self.make_folder()?;
        }
        let file = self.create_log_file(base)?;
        if let Some(sealed) = self.segments.back_mut() {
            sealed.index_time();
            let mut producers = self.producers.clone();
            for queued in queue.iter().rev() {
                if let Some(undo) = &queued.undo {
                    producers.undo(undo.clone());
                }
            }
            self.unsynced.snapshots.push((base, snapshot::encode(&producers)));
            self.unsynced.snapshot_end = base;
            self.unsynced.since_snapshot = 0;
        }
        let mut segment = Segment::new(base, now.wall_ms);
        segment.file = Some(file);
        if self.segments.is_empty() {
            // A deque would make room for four, and most logs have one.
            self.segments.reserve_exact(1);
        }
        self.segments.push_back(segment);
        Ok(())
    }

    /// The file of a segment that begins at `base`, empty.
    pub(super) fn create_log_file(&mut self, base: Offset) -> io::Result<Arc<dyn File>> {
        let file = self.disk.open(&name::file(&self.dir, base, name::LOG), OpenMode::Create)?;
        if !file.is_empty()? {
            file.set_len(0)?;
        }
        self.unsynced.names = true;
        Ok(file)
    }

    pub(super) fn make_folder(&mut self) -> io::Result<()> {
        self.disk.create_dir_all(&self.dir)?;
        // Readable at once, so that a killed process leaves no folder without a topic; synced by the flush.
        let path = self.dir.join(name::PARTITION_METADATA);
        let text = name::metadata_text(self.topic_id);
        self.disk
            .open(&path, OpenMode::Create)?
            .write_all_at(&[IoSlice::new(text.as_bytes())], 0)?;
        self.unsynced.folder = true;
        self.unsynced.names = true;
        self.unsynced.epochs |= !self.epochs.starts().is_empty();
        Ok(())
    }

    /// Forgets what is queued for the next write: nobody waits for it any more.
    pub fn forget_queued(&mut self) {
        for queued in self.queue.drain(..).rev() {
            if let Some(undo) = queued.undo {
                self.producers.undo(undo);
            }
        }
        self.copied.clear();
    }

    /// Takes back what `queue` did, and cuts off what was written of it.
    fn roll_back(&mut self, queue: &[Queued], error: &io::Error) -> AppendError {
        for queued in queue.iter().rev() {
            if let Some(undo) = &queued.undo {
                self.producers.undo(undo.clone());
            }
        }
        let mut path = self.dir.clone();
        if let Some(active) = self.segments.back() {
            path = name::file(&self.dir, active.base, name::LOG);
            if let Some(file) = &active.file
                && let Err(cut) = file.set_len(active.size)
            {
                self.fail(&format!("cannot cut {} after a failed write: {cut}", path.display()));
            }
        }
        if is_full(error) && self.failure.is_none() {
            return AppendError::DiskFull { path };
        }
        self.fail(&format!("cannot write {}: {error}", path.display()));
        AppendError::Failed(self.failure.clone().unwrap_or_default())
    }
}

/// A batch that may have to be kept.
enum Large {
    Own(BytesMut),
    Shared(Bytes),
}

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Large {
    fn into_shared(self) -> Bytes {
        match self {
            Self::Own(bytes) => bytes.freeze(),
            Self::Shared(bytes) => bytes,
        }
    }
}

/// The buffers of a run: neighbouring copies as one, large batches each for itself. `copied` loses what
/// the run takes of it.
fn gather(run: &[Queued], copied: &mut Bytes) -> Vec<Bytes> {
    let mut buffers = Vec::new();
    let mut pending = 0;
    for queued in run {
        match &queued.bytes {
            None => pending += queued.header.size,
            Some(bytes) => {
                if pending > 0 {
                    buffers.push(copied.split_to(std::mem::take(&mut pending)));
                }
                buffers.push(bytes.clone());
            }
        }
    }
    if pending > 0 {
        buffers.push(copied.split_to(pending));
    }
    buffers
}

/// The offset after the last batch in `bytes`.
fn last_end(bytes: &[u8]) -> Offset {
    let last = Batches::new(bytes).last().expect("a buffer holds batches");
    last.expect("what is written was checked").header().next_offset()
}
