//! How far a group is behind. Pure.

use std::collections::BTreeMap;

use crds::consumer_group::{GroupTopic, Lag, Trend};

use super::Position;
use crate::kafka::Partition;

/// Topics in a status, at most.
const MAX_TOPICS: usize = 32;

impl Position {
    /// Records that the group has not read; `None` without a committed offset. What retention dropped
    /// cannot be read any more, and does not count.
    pub fn lag(self) -> Option<i64> {
        self.committed.map(|committed| (self.end - committed.max(self.start)).max(0))
    }
}

/// Whether and when the group's committed offsets last moved. Kept in memory by the reconciler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    committed: BTreeMap<Partition, i64>,
    moved_ms: i64,
}

impl Progress {
    /// Starts from what the last status said, so that a restart of the operator ends no stall.
    pub fn since(moved_ms: i64) -> Self {
        Self { committed: BTreeMap::new(), moved_ms }
    }

    /// When a committed offset last moved, as far as is known; 0 if it is not.
    pub fn moved_ms(&self) -> i64 {
        self.moved_ms
    }

    /// Looks at the positions; gives when a committed offset last moved, or there was nothing to read.
    pub fn update(&mut self, positions: &BTreeMap<Partition, Position>, now_ms: i64) -> i64 {
        let committed: BTreeMap<Partition, i64> = positions
            .iter()
            .filter_map(|(partition, at)| at.committed.map(|it| (partition.clone(), it)))
            .collect();
        let is_first_look = self.committed.is_empty() && self.moved_ms > 0;
        let nothing_to_read = positions.values().all(|at| at.lag().unwrap_or(0) == 0);
        if nothing_to_read || (committed != self.committed && !is_first_look) {
            self.moved_ms = now_ms;
        }
        self.committed = committed;
        self.moved_ms
    }
}

/// The sums over all partitions, and the topics with the largest lag. `before` is the total that was
/// written last.
pub fn lag_of(
    positions: &BTreeMap<Partition, Position>,
    before: Option<i64>,
) -> (Lag, Vec<GroupTopic>) {
    let mut lag = Lag::default();
    let mut topics: BTreeMap<&str, GroupTopic> = BTreeMap::new();
    for (partition, at) in positions {
        let topic = topics.entry(&partition.topic).or_default();
        topic.name.clone_from(&partition.topic);
        topic.partitions += 1;
        let Some(records) = at.lag() else {
            lag.uncommitted += 1;
            continue;
        };
        topic.committed_partitions += 1;
        topic.lag = topic.lag.saturating_add(records);
        lag.total = lag.total.saturating_add(records);
        if records > lag.max {
            lag.max = records;
            lag.max_partition = Some(partition.to_string());
        }
    }
    lag.trend = match before {
        Some(before) if lag.total > before => Trend::Growing,
        Some(before) if lag.total < before => Trend::Draining,
        Some(_) | None => Trend::Flat,
    };
    let mut topics: Vec<GroupTopic> = topics.into_values().collect();
    topics.sort_by(|a, b| b.lag.cmp(&a.lag).then_with(|| a.name.cmp(&b.name)));
    topics.truncate(MAX_TOPICS);
    (lag, topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: i64, end: i64, committed: Option<i64>) -> Position {
        Position { start, end, committed }
    }

    #[test]
    fn lag_counts_what_can_still_be_read() {
        assert_eq!(at(0, 10, Some(4)).lag(), Some(6));
        assert_eq!(at(8, 10, Some(4)).lag(), Some(2), "retention dropped 4 to 7");
        assert_eq!(at(0, 10, Some(12)).lag(), Some(0), "the log was truncated");
        assert_eq!(at(0, 10, None).lag(), None);
    }

    #[test]
    fn sums_name_the_worst_partition_and_count_the_uncommitted() {
        let positions = BTreeMap::from([
            (Partition::new("a", 0), at(0, 10, Some(10))),
            (Partition::new("a", 1), at(0, 10, Some(3))),
            (Partition::new("b", 0), at(0, 5, None)),
        ]);
        let (lag, topics) = lag_of(&positions, Some(20));
        assert_eq!((lag.total, lag.max, lag.uncommitted), (7, 7, 1));
        assert_eq!(lag.max_partition.as_deref(), Some("a-1"));
        assert_eq!(lag.trend, Trend::Draining);
        assert_eq!(topics[0].name, "a");
        assert_eq!((topics[0].partitions, topics[0].committed_partitions), (2, 2));
    }

    #[test]
    fn progress_is_the_time_of_the_last_move_or_of_nothing_to_read() {
        let mut progress = Progress::default();
        let look = |committed, end| {
            BTreeMap::from([(Partition::new("a", 0), at(0, end, Some(committed)))])
        };
        assert_eq!(progress.update(&look(1, 10), 100), 100);
        assert_eq!(progress.update(&look(1, 20), 200), 100, "the log grew, the group stands");
        assert_eq!(progress.update(&look(2, 20), 300), 300);
        assert_eq!(progress.update(&look(20, 20), 400), 400);
        assert_eq!(progress.update(&look(20, 20), 500), 500, "nothing to read is no stall");
        let mut restarted = Progress::since(100);
        assert_eq!(restarted.update(&look(1, 10), 900), 100, "a restart ends no stall");
    }
}
