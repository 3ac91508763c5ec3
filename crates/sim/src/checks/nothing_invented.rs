//! Whatever consumers see, and whatever is in the log, was sent by a producer to that partition
//! before.

use std::collections::BTreeSet;

use crate::history::{Event, History};

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let mut sent = BTreeSet::new();
    for (_, event) in history.events() {
        match event {
            Event::Sent { partition, record, .. } => {
                sent.insert((partition, *record));
            }
            Event::Read { partition, offset, record } => {
                verdict.judge(sent.contains(&(partition, *record)), || {
                    format!("{partition}@{offset}: {record} was read, and nobody had sent it")
                });
            }
            Event::Final { partition, records, .. } => {
                for (offset, record) in records {
                    verdict.judge(sent.contains(&(partition, *record)), || {
                        format!("{partition}@{offset}: {record} is there, and nobody had sent it")
                    });
                }
            }
            Event::Acked { .. }
            | Event::Watermark { .. }
            | Event::CommitAsked { .. }
            | Event::CommitAcked { .. }
            | Event::CommitRefused { .. }
            | Event::PositionRead { .. }
            | Event::Assigned { .. }
            | Event::Damaged { .. }
            | Event::Lossy { .. }
            | Event::PowerLost { .. }
            | Event::Wanted { .. }
            | Event::Healed
            | Event::Placed { .. }
            | Event::LeftBehind { .. }
            | Event::Copy { .. } => {}
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::told::check;
    use super::judge;

    #[test]
    fn a_record_that_nobody_sent_is_caught() {
        check(judge, "sent:1 read:1@0 final:0=1", "sent:1 read:2@0");
        check(judge, "sent:1 final:0=1", "sent:1 final:0=1,2");
    }

    #[test]
    fn a_record_that_is_read_before_it_is_sent_is_caught() {
        check(judge, "sent:1 read:1@0", "read:1@0 sent:1");
    }
}
