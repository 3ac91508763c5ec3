//! What happened, as one running hash, and as text when somebody wants to read it.

use std::fmt::{self, Write};
use std::time::Duration;

use super::random::digest;

/// All that was observable in a run: every disk and net operation, fault and note, with its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    hash: u64,
    events: u64,
    lines_max: usize,
    lines: Vec<String>,
    line: String,
}

impl Trace {
    /// A trace that keeps its first `lines_max` lines as text.
    pub(super) fn new(lines_max: usize) -> Self {
        Self { lines_max, ..Self::default() }
    }

    /// Adds an event.
    pub(super) fn record(&mut self, at: Duration, who: &str, what: fmt::Arguments<'_>) {
        self.line.clear();
        write!(self.line, "{:>12.6} {who} {what}", at.as_secs_f64())
            .expect("writing to a string cannot fail");
        self.hash = self.hash.rotate_left(5) ^ digest(self.line.as_bytes());
        self.hash = self.hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.events += 1;
        if self.lines.len() < self.lines_max {
            self.lines.push(self.line.clone());
        }
    }

    /// The hash of all events so far, in order.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The events as text, as many as were asked for.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Where two traces part: the number of the first different event and both its lines, as far as
    /// they were kept.
    pub fn first_difference<'a>(&'a self, other: &'a Self) -> Option<(usize, &'a str, &'a str)> {
        if self.hash == other.hash && self.events == other.events {
            return None;
        }
        let kept = self.lines.len().max(other.lines.len());
        let line =
            |trace: &'a Self, at: usize| trace.lines.get(at).map_or("(none)", String::as_str);
        let at = (0..kept).find(|at| line(self, *at) != line(other, *at)).unwrap_or(kept);
        Some((at, line(self, at), line(other, at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(events: &[&str]) -> Trace {
        let mut trace = Trace::new(10);
        for event in events {
            trace.record(Duration::from_millis(1), "a", format_args!("{event}"));
        }
        trace
    }

    #[test]
    fn the_order_of_events_matters() {
        assert_eq!(trace(&["x", "y"]).hash(), trace(&["x", "y"]).hash());
        assert_ne!(trace(&["x", "y"]).hash(), trace(&["y", "x"]).hash());
    }

    #[test]
    fn two_traces_tell_where_they_part() {
        let (one, two) = (trace(&["x", "y"]), trace(&["x", "z"]));
        let (at, left, right) = one.first_difference(&two).unwrap();
        assert_eq!((at, left.ends_with('y'), right.ends_with('z')), (1, true, true));
        assert_eq!(one.first_difference(&one), None);
        assert_eq!(one.first_difference(&trace(&["x"])).unwrap().2, "(none)");
    }
}
