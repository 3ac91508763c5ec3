//! What must be true of every run: one property per file, each a function of a [`History`].
//!
//! A check says how often it had something to judge: a property that never had is not known to hold.

use crate::history::History;

mod committed_offset_not_lost;
mod converges;
mod loss_bounded;
mod no_acked_loss;
mod no_duplicate;
mod nothing_invented;
mod offsets_dense;
mod one_owner_per_generation;
mod order_per_partition;
mod reads_agree;
mod reads_intact;
mod recovers;
mod replicas_agree;
mod watermark_monotonic;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How often the property was evaluated.
    pub evaluated: u64,
    /// Each way in which it is broken, in words; at most [`BROKEN_MAX`].
    pub broken: Vec<String>,
}

/// Violations that one check names; the first few tell enough.
pub const BROKEN_MAX: usize = 10;

impl Verdict {
    /// Judges once: `holds`, or else `why` not.
    fn judge(&mut self, holds: bool, why: impl FnOnce() -> String) {
        self.evaluated += 1;
        if !holds && self.broken.len() < BROKEN_MAX {
            self.broken.push(why());
        }
    }
}

/// A property of every run.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name, which is its file's.
    pub name: &'static str,
    /// Judges a history.
    pub judge: fn(&History) -> Verdict,
}

/// All properties.
pub const ALL: [Check; 14] = [
    Check { name: "committed_offset_not_lost", judge: committed_offset_not_lost::judge },
    Check { name: "converges", judge: converges::judge },
    Check { name: "loss_bounded", judge: loss_bounded::judge },
    Check { name: "no_acked_loss", judge: no_acked_loss::judge },
    Check { name: "no_duplicate", judge: no_duplicate::judge },
    Check { name: "nothing_invented", judge: nothing_invented::judge },
    Check { name: "offsets_dense", judge: offsets_dense::judge },
    Check { name: "one_owner_per_generation", judge: one_owner_per_generation::judge },
    Check { name: "order_per_partition", judge: order_per_partition::judge },
    Check { name: "reads_agree", judge: reads_agree::judge },
    Check { name: "reads_intact", judge: reads_intact::judge },
    Check { name: "recovers", judge: recovers::judge },
    Check { name: "replicas_agree", judge: replicas_agree::judge },
    Check { name: "watermark_monotonic", judge: watermark_monotonic::judge },
];

/// Histories in a few words, for the checks' own tests.
#[cfg(test)]
mod told {
    use std::time::Duration;

    use crate::history::{CommitId, Event, History, Partition, RecordId};

    use super::Verdict;

    pub(super) fn partition() -> Partition {
        Partition { topic: "t".to_owned(), index: 0 }
    }

    pub(super) fn record(number: u32) -> RecordId {
        RecordId { producer: number / 100, sequence: number % 100 }
    }

    fn number(word: &str) -> u32 {
        word.parse().unwrap()
    }

    /// A final log, a sending and so on from words such as `sent:1`, `acked:1@0`, `final:0=1,2`.
    fn event(word: &str, now: crate::history::Moment) -> Event {
        let (what, rest) = word.split_once(':').unwrap_or((word, ""));
        let at = |text: &str| {
            let (record_number, offset) = text.split_once('@').unwrap();
            (record(number(record_number)), i64::from(number(offset)))
        };
        let partition = partition();
        match what {
            "wanted" => Event::Wanted { partition },
            "sent" => Event::Sent { partition, record: record(number(rest)), idempotent: true },
            "acked" => {
                let (record, offset) = at(rest);
                Event::Acked { partition, record, offset, at: Duration::ZERO }
            }
            "read" => {
                let (record, offset) = at(rest);
                Event::Read { partition, offset, record }
            }
            "watermark" => Event::Watermark { partition, asked: now, offset: number(rest).into() },
            "commit" => {
                let (commit, offset) = rest.split_once('=').unwrap();
                let commit = CommitId(number(commit).into());
                let (group, offset) = ("g".to_owned(), number(offset).into());
                Event::CommitAsked { commit, group, partition, offset }
            }
            "committed" => Event::CommitAcked { commit: CommitId(number(rest).into()) },
            "refused" => Event::CommitRefused { commit: CommitId(number(rest).into()) },
            "position" => {
                let offset = rest.parse().ok();
                Event::PositionRead { group: "g".to_owned(), partition, asked: now, offset }
            }
            "assigned" => {
                let (generation, member) = rest.split_once('=').unwrap();
                let generation = i32::try_from(number(generation)).unwrap();
                let (group, member) = ("g".to_owned(), member.to_owned());
                Event::Assigned { group, generation, member, partitions: vec![partition] }
            }
            "damaged" => Event::Damaged { partition, why: rest.to_owned() },
            "lossy" => Event::Lossy { topic: "t".to_owned() },
            "power" => Event::PowerLost { at: Duration::from_millis(number(rest).into()) },
            "healed" => Event::Healed,
            "placed" => {
                let (replicas, in_sync) = rest.split_once('/').unwrap();
                let ids = |text: &str| {
                    let ids = text.split(',').filter(|id| !id.is_empty());
                    ids.map(|id| i32::try_from(number(id)).unwrap()).collect()
                };
                Event::Placed { partition, replicas: ids(replicas), in_sync: ids(in_sync) }
            }
            "left" => {
                let what = rest.split(',').filter(|what| !what.is_empty());
                Event::LeftBehind { what: what.map(str::to_owned).collect() }
            }
            "copy" => {
                let (broker, log) = rest.split_once('=').unwrap();
                let broker = i32::try_from(number(broker)).unwrap();
                Event::Copy { partition, broker, log: log.to_owned().into() }
            }
            "final" => {
                let (start, records) = rest.split_once('=').unwrap();
                let start = i64::from(number(start));
                let numbers = records.split(',').filter(|text| !text.is_empty());
                let records = (start..).zip(numbers.map(|text| record(number(text)))).collect();
                Event::Final { partition, start, records }
            }
            _ => panic!("no such word: {what}"),
        }
    }

    /// The history that `words` tell, one event per word.
    pub(super) fn history(words: &str) -> History {
        let mut history = History::new();
        for word in words.split_whitespace() {
            let now = history.now();
            history.record(event(word, now));
        }
        history
    }

    /// Judges a history that keeps the property, and one that breaks it.
    pub(super) fn check(judge: fn(&History) -> Verdict, good: &str, bad: &str) {
        let verdict = judge(&history(good));
        assert!(verdict.evaluated > 0, "nothing to judge in: {good}");
        assert_eq!(verdict.broken, [""; 0], "in: {good}");
        let verdict = judge(&history(bad));
        assert!(!verdict.broken.is_empty(), "not caught in: {bad}");
    }

    #[test]
    fn every_check_is_named_once_and_judges_nothing_in_an_empty_history() {
        let names: Vec<&str> = super::ALL.iter().map(|check| check.name).collect();
        assert!(names.is_sorted_by(|one, two| one < two));
        for check in super::ALL {
            assert_eq!((check.judge)(&History::new()), Verdict::default(), "{}", check.name);
        }
    }
}
