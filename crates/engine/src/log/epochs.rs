//! Which leader wrote which offsets (KIP-101, KIP-320), and Kafka's `leader-epoch-checkpoint` file.
//!
//! ```text
//! epoch 0 from 0, epoch 3 from 20, log ends at 50
//! asked 3 → (3, 50)   asked 1 → (0, 20)   asked 4 → undefined: the asker knows more than we do
//! ```

use std::fmt::Write;

use crate::ids::{LeaderEpoch, Offset};

/// The first offset of a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its first offset.
    pub start: Offset,
}

/// The epochs of a log, ascending in both epoch and start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epochs {
    starts: Vec<EpochStart>,
}

/// Why a `leader-epoch-checkpoint` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("leader epoch checkpoint is damaged at line {line}")]
pub struct EpochsError {
    /// The line, from 1.
    pub line: usize,
}

impl Epochs {
    /// The epochs, ascending.
    pub fn starts(&self) -> &[EpochStart] {
        &self.starts
    }

    /// The newest epoch.
    pub fn latest(&self) -> Option<EpochStart> {
        self.starts.last().copied()
    }

    /// Records that `epoch` begins at `start`, or goes on there; says whether that was news. Entries that
    /// contradict it (a later start, or a newer epoch) go: they were never committed. A leader that wrote
    /// nothing leaves such an entry behind.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        let before = self.starts.len();
        let goes_on = |entry: &EpochStart| entry.epoch == epoch && entry.start <= start;
        self.starts.retain(|it| goes_on(it) || (it.epoch < epoch && it.start < start));
        let is_known = self.latest().is_some_and(|last| last.epoch == epoch);
        if !is_known {
            self.starts.push(EpochStart { epoch, start });
        }
        !is_known || self.starts.len() != before
    }

    /// The records from `start` to before `end` were all written in `epoch`, as they themselves say; says whether that was
    /// news. An epoch may begin before `start`, where it is known to; entries of others that begin within go.
    pub fn confirm(&mut self, epoch: LeaderEpoch, start: Offset, end: Offset) -> bool {
        let before = self.starts.len();
        let within = |it: &EpochStart| start < it.start && it.start < end && it.epoch != epoch;
        self.starts.retain(|it| !within(it));
        let had_others = self.starts.len() != before;
        let is_known = self.epoch_of(start) == Some(epoch);
        (!is_known && self.assign(epoch, start)) || had_others
    }

    /// Forgets epochs that begin at `end` or later; says whether there were any.
    pub fn truncate_end(&mut self, end: Offset) -> bool {
        let before = self.starts.len();
        self.starts.retain(|entry| entry.start < end);
        self.starts.len() != before
    }

    /// Forgets epochs that end at or before `start`; says whether anything changed.
    pub fn truncate_start(&mut self, start: Offset) -> bool {
        let gone = self.starts.partition_point(|entry| entry.start <= start).saturating_sub(1);
        let moved = self.starts.get(gone).is_some_and(|entry| entry.start < start);
        self.starts.drain(..gone);
        if moved {
            self.starts[0].start = start;
        }
        gone > 0 || moved
    }

    /// The epoch that wrote `offset`.
    pub fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.starts.partition_point(|entry| entry.start <= offset);
        after.checked_sub(1).map(|index| self.starts[index].epoch)
    }

    /// The largest epoch that is at most `asked`, and where it ends in a log that ends at `log_end`. When
    /// all known epochs are newer, `asked` itself ends where they begin. `None` when `asked` is newer than
    /// all (the asker knows more), or none is known.
    pub fn end_offset_for(
        &self,
        asked: LeaderEpoch,
        log_end: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        let latest = self.latest()?;
        if asked.0 < 0 || asked > latest.epoch {
            return None;
        }
        if asked == latest.epoch {
            return Some((asked, log_end));
        }
        let after = self.starts.partition_point(|entry| entry.epoch <= asked);
        let end = self.starts[after].start;
        let epoch = after.checked_sub(1).map_or(asked, |index| self.starts[index].epoch);
        Some((epoch, end))
    }

    /// The content of `leader-epoch-checkpoint`.
    pub fn encode(&self) -> String {
        let mut text = format!("0\n{}\n", self.starts.len());
        for entry in &self.starts {
            writeln!(text, "{} {}", entry.epoch, entry.start).expect("a string takes all");
        }
        text
    }

    /// Reads the content of `leader-epoch-checkpoint`.
    ///
    /// # Errors
    /// When a line is missing, malformed, or out of order.
    pub fn decode(text: &str) -> Result<Self, EpochsError> {
        let mut lines = text.lines();
        if lines.next() != Some("0") {
            return Err(EpochsError { line: 1 });
        }
        let count: usize =
            lines.next().and_then(|line| line.parse().ok()).ok_or(EpochsError { line: 2 })?;
        let mut epochs = Self::default();
        for (index, line) in lines.enumerate() {
            let error = EpochsError { line: index + 3 };
            let (epoch, start) = line.split_once(' ').ok_or(error.clone())?;
            let (Ok(epoch), Ok(start)) = (epoch.parse(), start.parse()) else {
                return Err(error);
            };
            let entry = EpochStart { epoch: LeaderEpoch(epoch), start };
            let ascends =
                epochs.latest().is_none_or(|last| last.epoch < entry.epoch && last.start <= start);
            if !ascends || epoch < 0 || start < 0 {
                return Err(error);
            }
            epochs.starts.push(entry);
        }
        if epochs.starts.len() != count {
            return Err(EpochsError { line: 2 });
        }
        Ok(epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        for &(epoch, start) in entries {
            epochs.assign(LeaderEpoch(epoch), start);
        }
        epochs
    }

    #[test]
    fn what_records_say_of_themselves_is_right() {
        let check =
            |known: &[(i32, i64)], (epoch, start, end), is_news, expected: &[(i32, i64)]| {
                let mut epochs = epochs(known);
                assert_eq!(epochs.confirm(LeaderEpoch(epoch), start, end), is_news);
                assert_eq!(pairs(&epochs), expected, "{known:?} and {epoch} from {start} to {end}");
            };
        check(&[(5, 0), (6, 100)], (5, 90, 130), true, &[(5, 0)]);
        check(&[(5, 0), (6, 100)], (5, 100, 130), true, &[(5, 0)]);
        check(&[(5, 0), (6, 100)], (5, 90, 100), false, &[(5, 0), (6, 100)]);
        check(&[(5, 0), (6, 100)], (7, 100, 130), true, &[(5, 0), (7, 100)]);
        check(&[(5, 0)], (5, 40, 130), false, &[(5, 0)]);
        check(&[], (5, 40, 130), true, &[(5, 40)]);
    }

    fn pairs(epochs: &Epochs) -> Vec<(i32, i64)> {
        epochs.starts().iter().map(|entry| (entry.epoch.0, entry.start)).collect()
    }

    #[test]
    fn the_end_of_an_epoch_is_the_start_of_the_next_known_one() {
        let known = epochs(&[(2, 5), (3, 20), (7, 30)]);
        let ask = |epoch| known.end_offset_for(LeaderEpoch(epoch), 50).map(|(e, o)| (e.0, o));
        assert_eq!(ask(7), Some((7, 50)));
        assert_eq!(ask(3), Some((3, 30)));
        assert_eq!(ask(5), Some((3, 30)));
        assert_eq!(ask(1), Some((1, 5)));
        assert_eq!(ask(8), None);
        assert_eq!(ask(-1), None);
        assert_eq!(Epochs::default().end_offset_for(LeaderEpoch(0), 50), None);
    }

    #[test]
    fn an_assignment_removes_what_it_contradicts() {
        let mut known = epochs(&[(1, 0), (2, 10), (3, 20)]);
        assert!(!known.assign(LeaderEpoch(3), 25));
        assert!(known.assign(LeaderEpoch(4), 15));
        assert_eq!(pairs(&known), [(1, 0), (2, 10), (4, 15)]);
    }

    #[test]
    fn an_epoch_goes_on_where_a_newer_one_wrote_nothing() {
        let mut known = epochs(&[(1, 0), (2, 10)]);
        assert!(known.assign(LeaderEpoch(4), 20));
        assert!(known.assign(LeaderEpoch(2), 20), "the fourth is gone");
        assert_eq!(pairs(&known), [(1, 0), (2, 10)]);
        assert!(!known.assign(LeaderEpoch(2), 30));
        assert!(known.assign(LeaderEpoch(2), 5), "it begins earlier");
        assert_eq!(pairs(&known), [(1, 0), (2, 5)]);
    }

    #[test]
    fn truncation_keeps_the_epoch_that_holds_the_cut() {
        let mut known = epochs(&[(1, 0), (2, 10), (3, 20)]);
        assert!(known.truncate_end(20));
        assert_eq!(pairs(&known), [(1, 0), (2, 10)]);
        assert!(known.truncate_start(12));
        assert_eq!(pairs(&known), [(2, 12)]);
        assert!(!known.truncate_start(12));
        assert_eq!(known.epoch_of(11), None);
        assert_eq!(known.epoch_of(12), Some(LeaderEpoch(2)));
    }

    #[test]
    fn the_checkpoint_reads_back_and_damage_is_named() {
        let known = epochs(&[(1, 0), (2, 10)]);
        assert_eq!(known.encode(), "0\n2\n1 0\n2 10\n");
        assert_eq!(Epochs::decode(&known.encode()), Ok(known));
        assert_eq!(Epochs::decode("0\n0\n"), Ok(Epochs::default()));
        assert_eq!(Epochs::decode("0\n2\n1 0\n1 9\n"), Err(EpochsError { line: 4 }));
        assert_eq!(Epochs::decode("0\n3\n1 0\n2 9\n"), Err(EpochsError { line: 2 }));
        assert_eq!(Epochs::decode(""), Err(EpochsError { line: 1 }));
    }
}
