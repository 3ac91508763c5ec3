//! A log has a record at every offset from its start to its end, in order: none is skipped, and none
//! is used twice. (It does not hold for compacted topics, which the storm does not have yet.)

use crate::history::History;

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    for (partition, log) in history.final_logs() {
        for (expected, (offset, _)) in (log.start..).zip(log.records) {
            verdict.judge(*offset == expected, || {
                format!("{partition}: offset {offset} is where {expected} should be")
            });
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::told::{history, partition, record};
    use super::judge;
    use crate::history::{Event, History};

    #[test]
    fn a_log_that_starts_late_is_dense() {
        assert_eq!(judge(&history("final:3=1,2,3")).broken, [""; 0]);
    }

    #[test]
    fn a_skipped_offset_and_a_reused_one_are_caught() {
        for offsets in [[0, 2], [0, 0], [1, 0]] {
            let records = offsets.into_iter().zip([record(1), record(2)]).collect();
            let mut history = History::new();
            history.record(Event::Final { partition: partition(), start: 0, records });
            assert!(!judge(&history).broken.is_empty(), "{offsets:?}");
        }
    }
}
