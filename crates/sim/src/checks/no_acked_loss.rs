//! A record that was acknowledged at an offset is there at the end, at that offset.

use std::collections::BTreeMap;

use crate::history::{Event, History};

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let lossy = history.lossy();
    let logs: BTreeMap<_, _> = history
        .final_logs()
        .into_iter()
        .map(|(partition, log)| {
            let records: BTreeMap<_, _> = log.records.iter().copied().collect();
            (partition, (log.start, records))
        })
        .collect();
    for (_, event) in history.events() {
        let Event::Acked { partition, record, offset, .. } = event else { continue };
        // What these may lose is another property.
        if lossy.contains(partition.topic.as_str()) {
            continue;
        }
        let Some((start, records)) = logs.get(partition) else { continue };
        // What retention removed was not lost.
        if offset < start {
            continue;
        }
        let found = records.get(offset);
        verdict.judge(found == Some(record), || {
            let found = found.map_or("nothing".to_owned(), ToString::to_string);
            format!("{partition}@{offset}: {record} was acknowledged, {found} is there")
        });
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::told::check;
    use super::judge;

    #[test]
    fn an_acknowledged_record_that_is_gone_is_caught() {
        check(judge, "acked:1@0 acked:2@1 final:0=1,2,3", "acked:1@0 acked:2@1 final:0=1");
    }

    #[test]
    fn an_acknowledged_record_that_moved_is_caught() {
        check(judge, "acked:1@5 final:5=1", "acked:1@5 acked:2@6 final:5=2,1");
    }

    #[test]
    fn what_retention_removed_is_not_lost() {
        check(judge, "acked:1@0 acked:2@1 final:1=2", "acked:2@1 final:1=");
    }
}
