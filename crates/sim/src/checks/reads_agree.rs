//! An offset holds one record for ever: whoever reads it, is promised it, or finds it at the end, has
//! the same one. What a consumer has seen does not go away either.

use std::collections::BTreeMap;

use crate::history::{Event, History, Partition, RecordId};

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let mut seen: BTreeMap<(&Partition, i64), RecordId> = BTreeMap::new();
    let lossy = history.lossy();
    for (_, event) in history.events() {
        match event {
            Event::Acked { partition, .. }
            | Event::Read { partition, .. }
            | Event::Final { partition, .. }
                if lossy.contains(partition.topic.as_str()) => {}
            Event::Acked { partition, record, offset, .. }
            | Event::Read { partition, offset, record } => {
                agree(&mut verdict, &mut seen, partition, *offset, *record);
            }
            Event::Final { partition, start, records } => {
                for (offset, record) in records {
                    agree(&mut verdict, &mut seen, partition, *offset, *record);
                }
                let end = records.last().map_or(*start, |(offset, _)| offset + 1);
                let beyond = seen.range((partition, end)..=(partition, i64::MAX)).next();
                verdict.judge(beyond.is_none(), || {
                    format!("{partition}: ends at {end}, but this was seen: {beyond:?}")
                });
            }
            Event::Wanted { .. }
            | Event::Sent { .. }
            | Event::Watermark { .. }
            | Event::CommitAsked { .. }
            | Event::CommitAcked { .. }
            | Event::CommitRefused { .. }
            | Event::PositionRead { .. }
            | Event::Assigned { .. }
            | Event::Damaged { .. }
            | Event::Lossy { .. }
            | Event::PowerLost { .. }
            | Event::Healed
            | Event::Placed { .. }
            | Event::LeftBehind { .. }
            | Event::Copy { .. } => {}
        }
    }
    verdict
}

fn agree<'a>(
    verdict: &mut Verdict,
    seen: &mut BTreeMap<(&'a Partition, i64), RecordId>,
    partition: &'a Partition,
    offset: i64,
    record: RecordId,
) {
    if let Some(before) = seen.insert((partition, offset), record) {
        verdict
            .judge(before == record, || format!("{partition}@{offset}: was {before}, is {record}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::told::check;
    use super::judge;

    #[test]
    fn an_offset_that_changes_its_record_is_caught() {
        check(judge, "read:1@0 read:1@0 final:0=1", "read:1@0 read:2@0");
        check(judge, "acked:1@0 read:1@0", "acked:1@0 read:2@0");
        check(judge, "acked:1@0 acked:2@1 final:0=1,2", "acked:1@0 acked:2@0");
    }

    #[test]
    fn a_record_that_was_read_and_went_away_is_caught() {
        check(judge, "read:1@0 final:0=1,2", "read:1@0 read:2@1 final:0=1");
    }
}
