//! What an idempotent producer sent is in the log at most once, however often it was sent again.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Event, History};

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let mut once = BTreeSet::new();
    for (_, event) in history.events() {
        if let Event::Sent { partition, record, idempotent: true } = event {
            once.insert((partition, *record));
        }
    }
    for (partition, log) in history.final_logs() {
        let mut first = BTreeMap::new();
        for (offset, record) in log.records {
            if once.contains(&(partition, *record)) {
                let earlier = first.insert(record, *offset);
                verdict.judge(earlier.is_none(), || {
                    let earlier = earlier.unwrap_or(-1);
                    format!("{partition}: {record} is at {earlier} and at {offset}")
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
    fn a_record_that_is_there_twice_is_caught() {
        check(judge, "sent:1 sent:2 final:0=1,2", "sent:1 sent:2 final:0=1,2,1");
    }
}
