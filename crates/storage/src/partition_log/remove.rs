//! The start goes forward: retention, DeleteRecords, and the end of a partition.

use engine::log::retain::{self, SegmentFacts};
use engine::{Now, Offset};

use super::PartitionLog;
use crate::job::RemoveJob;
use crate::segment::Segment;

impl PartitionLog {
    /// Plans retention and lets go of segments that are due; the start moves. `None` if none is. Run the
    /// job on `Pool::Files`, after the checkpoints were written.
    pub fn retain(&mut self, now: Now) -> Option<RemoveJob> {
        let plan = retain::plan(&self.facts(), &self.state, &self.config, now.wall_ms)?;
        if plan.segments == self.segments.len() && !self.begin_empty_segment(now) {
            return None;
        }
        self.state.advance_start(plan.start);
        self.let_go(plan.segments)
    }

    /// Moves the start forward (DeleteRecords, or the leader's start), at most to the high watermark, and
    /// lets go of segments below it. Write the checkpoints before you acknowledge it.
    pub fn advance_start(&mut self, to: Offset) -> Option<RemoveJob> {
        if !self.state.advance_start(to) {
            return None;
        }
        self.unsynced.epochs |= self.epochs.truncate_start(self.state.start());
        let start = self.state.start();
        let sealed = self.segments.len().saturating_sub(1);
        let below = self.segments.iter().take(sealed).take_while(|one| one.end <= start).count();
        self.let_go(below)
    }

    /// Makes the folder unreachable under its name, and removes it. `unique` tells it from an earlier
    /// deletion of the same name.
    pub fn delete(self, unique: u128) -> RemoveJob {
        let parent = self.dir.parent().map(std::path::Path::to_owned).unwrap_or_default();
        let aside = parent.join(format!("{}.{unique:032x}-delete", self.partition));
        let segments = self.segments.iter().map(|segment| (segment.base, segment.size)).collect();
        RemoveJob { disk: self.disk, dir: self.dir, segments, aside: Some(aside) }
    }

    fn facts(&self) -> Vec<SegmentFacts> {
        self.segments.iter().map(Segment::facts).collect()
    }

    /// All segments are due: an empty one takes over, whose name keeps the log's end.
    fn begin_empty_segment(&mut self, now: Now) -> bool {
        let end = self.state.end();
        match self.create_log_file(end) {
            Ok(file) => {
                let mut segment = Segment::new(end, now.wall_ms);
                segment.file = Some(file);
                self.segments.push_back(segment);
                true
            }
            Err(error) => {
                // Retention tries again; nothing was let go of.
                tracing::warn!(partition = %self.partition, %error, "cannot begin a segment");
                false
            }
        }
    }

    /// Lets go of the oldest `count` segments.
    fn let_go(&mut self, count: usize) -> Option<RemoveJob> {
        self.unsynced.epochs |= self.epochs.truncate_start(self.state.start());
        if count == 0 {
            return None;
        }
        let gone: Vec<(Offset, u64)> =
            self.segments.drain(..count).map(|segment| (segment.base, segment.size)).collect();
        // A flush in flight may hold their files: it syncs what nobody needs, and does no harm.
        self.unsynced.names = true;
        Some(RemoveJob {
            disk: self.disk.clone(),
            dir: self.dir.clone(),
            segments: gone,
            aside: None,
        })
    }
}
