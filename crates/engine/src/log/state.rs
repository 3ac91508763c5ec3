//! The four offsets of a log, and the order that always holds between them.
//!
//! ```text
//! start ≤ last stable ≤ high watermark ≤ end
//! ```

use crate::ids::Offset;

/// Where a log starts, ends, and up to where it is committed and stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    start: Offset,
    end: Offset,
    high_watermark: Offset,
}

impl LogState {
    /// A log with these offsets; the watermark is brought within them.
    ///
    /// # Panics
    /// When `start` is negative or beyond `end`.
    pub fn new(start: Offset, end: Offset, high_watermark: Offset) -> Self {
        assert!(start >= 0, "a log starts at 0 or later");
        assert!(start <= end, "a log starts before it ends");
        Self { start, end, high_watermark: high_watermark.clamp(start, end) }
    }

    /// The first offset that can be read.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The offset that the next record gets.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// The first offset that is not committed: consumers read below it.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Records were written up to `end`.
    ///
    /// # Panics
    /// When the end goes back.
    pub fn append(&mut self, end: Offset) {
        assert!(end >= self.end, "appending does not shorten a log");
        self.end = end;
        self.check();
    }

    /// Moves the watermark forward, at most to the end; says whether it moved.
    pub fn commit(&mut self, high_watermark: Offset) -> bool {
        let to = high_watermark.clamp(self.high_watermark, self.end);
        let moved = to > self.high_watermark;
        self.high_watermark = to;
        self.check();
        moved
    }

    /// Moves the start forward, at most to the watermark; says whether it moved.
    pub fn advance_start(&mut self, start: Offset) -> bool {
        let to = start.clamp(self.start, self.high_watermark);
        let moved = to > self.start;
        self.start = to;
        self.check();
        moved
    }

    /// Cuts the log's end back to `end`. The watermark, if beyond, follows.
    pub fn truncate(&mut self, end: Offset) {
        self.end = end.clamp(self.start, self.end);
        self.high_watermark = self.high_watermark.min(self.end);
        self.check();
    }

    fn check(&self) {
        assert!(self.start <= self.high_watermark, "a log starts at or before its watermark");
        assert!(self.high_watermark <= self.end, "nothing is committed beyond the end");
    }
}
