//! What one producer sent to one partition is there in the order in which it was sent.

use std::collections::BTreeMap;

use crate::history::History;

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    for (partition, log) in history.final_logs() {
        let mut last = BTreeMap::new();
        for (offset, record) in log.records {
            if let Some(before) = last.insert(record.producer, record.sequence) {
                // Equal is a duplicate, which is another property.
                verdict.judge(before <= record.sequence, || {
                    format!("{partition}@{offset}: {record} comes after number {before}")
                });
            }
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::told::check;
    use super::judge;

    #[test]
    fn two_records_that_swapped_places_are_caught() {
        check(judge, "final:0=1,101,2,102", "final:0=2,101,1,102");
    }
}
