//! The pause in a partition's acknowledgements, from the last before to the first after.

use std::collections::BTreeMap;

use crate::history::Said;
use crate::process::Heard;

/// When each partition acknowledged, in microseconds since 1970.
#[derive(Default)]
pub struct Pulse {
    acked: BTreeMap<i32, Vec<i64>>,
    failed: Vec<String>,
}

impl Pulse {
    /// Adds what a producer said.
    pub fn hear(&mut self, said: impl IntoIterator<Item = Heard<Said>>) {
        for heard in said {
            match heard.event {
                Said::Acked { at, partition, .. } => {
                    self.acked.entry(partition).or_default().push(at);
                }
                Said::Failed { partition, number, error } => {
                    self.failed.push(format!("record {number} of partition {partition}: {error}"));
                }
                _ => {}
            }
        }
    }

    /// Records that the client gave up on.
    pub fn failed(&self) -> &[String] {
        &self.failed
    }

    /// When the last of `partitions` acknowledged for the last time; `None` until all of them have.
    pub fn last(&self, partitions: &[i32]) -> Option<i64> {
        partitions.iter().map(|id| self.acked.get(id)?.last().copied()).min().flatten()
    }

    /// The longest pause of one of `partitions` that ended in this time, and whose.
    pub fn longest(&self, partitions: &[i32], from: i64, to: i64) -> Option<(i64, i32)> {
        let of = |id: &i32| {
            let acked = self.acked.get(id)?;
            let pauses = acked.windows(2).filter(|pair| pair[1] > from && pair[1] <= to);
            Some((pauses.map(|pair| pair[1] - pair[0]).max()?, *id))
        };
        partitions.iter().filter_map(of).max()
    }

    /// Forgets what was acknowledged, but for the last of each partition.
    pub fn forget(&mut self) {
        for acked in self.acked.values_mut() {
            acked.drain(..acked.len().saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn pulse(acked: &[(i32, i64)]) -> Pulse {
        let mut pulse = Pulse::default();
        pulse.hear(acked.iter().map(|(partition, at)| Heard {
            at: Instant::now(),
            event: Said::Acked { at: *at, partition: *partition, number: 0, offset: 0 },
        }));
        pulse
    }

    #[test]
    fn a_gap_is_from_the_last_before_to_the_first_after() {
        let pulse = pulse(&[(0, 10), (0, 90), (0, 400), (0, 410), (1, 95), (1, 120), (2, 5)]);
        assert_eq!(pulse.longest(&[0, 1], 100, 500), Some((310, 0)));
        assert_eq!(pulse.longest(&[1], 100, 500), Some((25, 1)));
        assert_eq!(pulse.longest(&[0], 10, 100), Some((80, 0)));
    }

    #[test]
    fn all_must_have_acknowledged() {
        let pulse = pulse(&[(0, 10), (0, 90), (1, 40)]);
        assert_eq!(pulse.last(&[0, 1]), Some(40));
        assert_eq!(pulse.last(&[0, 1, 2]), None);
        assert_eq!(pulse.longest(&[2], 0, 100), None);
    }

    #[test]
    fn what_was_last_is_not_forgotten() {
        let mut pulse = pulse(&[(0, 10), (0, 90)]);
        pulse.forget();
        pulse.hear([Heard {
            at: Instant::now(),
            event: Said::Acked { at: 100, partition: 0, number: 1, offset: 1 },
        }]);
        assert_eq!(pulse.longest(&[0], 95, 200), Some((10, 0)));
    }
}
