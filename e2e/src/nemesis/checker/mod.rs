//! Judges a history while it is made, after Jepsen's workload for Kafka: what was acknowledged is read
//! once, where it was acknowledged, in the order in which it was sent; what was refused is not read; who
//! reads goes on where they stopped; what was committed stays committed.
//!
//! Eight bytes and two bits per record; each line is looked at once.

mod bits;
mod members;
mod partition;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::{Said, Value};
use members::Members;
use partition::Partition;

/// How many breaches of a kind are told.
const TOLD_MAX: usize = 5;

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// Acknowledged or read, and not there in the end.
    Lost,
    /// There twice.
    Duplicated,
    /// Two values at one offset.
    Inconsistent,
    /// Behind a later record of its producer.
    Reordered,
    /// Nobody sent it, or not to this partition.
    Invented,
    /// It had to be refused, and was acknowledged or read.
    Aborted,
    /// A poll gave what the same reader had read.
    PollBack,
    /// A poll left out what the reader had not read.
    PollSkip,
    /// A group went on before what it had committed.
    CommitBack,
    /// It did not go on after all was healed.
    Stuck,
    /// A broker ended by itself.
    Died,
}

/// Who says a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaker {
    /// The producer of this number.
    Producer(u8),
    /// The producer of this number, all of whose records must be refused.
    Refused(u8),
    /// A reader of all partitions, from their beginning.
    Reader(usize),
    /// The reader of everything in the end.
    LastReader,
    /// A member of the group.
    Member(usize),
}

/// What was counted, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Records that were acknowledged.
    pub acked: u64,
    /// Records that the client gave up on, or never heard of.
    pub unknown: u64,
    /// Records that were refused, as they must be.
    #[serde(default)]
    pub refused: u64,
    /// Records that are there in the end.
    pub there: u64,
    /// Records that readers and members read.
    pub read: u64,
    /// Commits that were taken.
    pub commits: u64,
    /// How often each breach was found.
    pub breaches: BTreeMap<Breach, u64>,
    /// The first of each kind, told.
    pub told: Vec<String>,
}

/// The judge.
#[derive(Default)]
pub struct Checker {
    partitions: BTreeMap<i32, Partition>,
    members: Members,
    /// The producers whose records must be refused.
    refused: BTreeSet<u8>,
    verdict: Verdict,
}

impl Checker {
    /// Who is going to speak: what must be refused is known before anybody reads.
    pub fn admit(&mut self, speaker: Speaker) {
        if let Speaker::Refused(producer) = speaker {
            self.refused.insert(producer);
        }
    }

    /// Looks at a line.
    pub fn hear(&mut self, speaker: Speaker, said: &Said) {
        if let Said::Read { partition, records, .. } = said {
            let must_not_be = |(_, value): &&(i64, Value)| self.refused.contains(&value.producer());
            let wrong = records.iter().filter(must_not_be).map(|(offset, value)| {
                let text = format!("partition {partition}, {offset}: {value:?} was read");
                (Breach::Aborted, text)
            });
            let wrong = wrong.collect();
            self.tell_all(wrong);
        }
        match (speaker, said) {
            (Speaker::Producer(producer), Said::Acked { partition, number, offset, .. }) => {
                self.verdict.acked += 1;
                let value = Value::new(producer, *partition, *number);
                let wrong = self.partition(*partition).acked(value, *offset);
                self.tell_all(wrong);
            }
            (Speaker::Refused(_), Said::Refused { .. }) => self.verdict.refused += 1,
            (Speaker::Refused(producer), Said::Acked { partition, number, offset, .. }) => {
                let value = Value::new(producer, *partition, *number);
                let text = format!("partition {partition}, {offset}: {value:?} was acknowledged");
                self.tell(Breach::Aborted, text);
            }
            (Speaker::Producer(producer), Said::Sent { next }) => {
                for (partition, next) in (0..).zip(next) {
                    self.partition(partition).sent(producer, *next);
                }
            }
            (Speaker::Reader(_) | Speaker::LastReader, Said::Read { partition, records, .. }) => {
                self.verdict.read += records.len() as u64;
                let wrong = self.partition(*partition).read(speaker, records);
                self.tell_all(wrong);
            }
            (Speaker::LastReader, Said::End { partition, offset }) => {
                self.partition(*partition).ends_at(*offset);
            }
            (Speaker::Member(member), said) => {
                if let Said::Read { partition, records, .. } = said {
                    self.verdict.read += records.len() as u64;
                    let wrong = self.partition(*partition).agree_with(records);
                    self.tell_all(wrong);
                }
                self.verdict.commits += u64::from(matches!(said, Said::Committed { .. }));
                self.members.hear(member, said);
            }
            (_, Said::Loss { partition, detail }) => {
                self.tell(Breach::Lost, format!("partition {partition}: a client says: {detail}"));
            }
            _ => {}
        }
    }

    /// Something that only the run itself can see.
    pub fn tell(&mut self, breach: Breach, detail: impl fmt::Display) {
        let count = self.verdict.breaches.entry(breach).or_default();
        *count += 1;
        if *count <= TOLD_MAX as u64 {
            self.verdict.told.push(format!("{breach:?}: {detail}"));
        }
    }

    /// How many records were acknowledged so far.
    pub fn acked(&self) -> u64 {
        self.verdict.acked
    }

    /// Whether something is wrong already.
    pub fn is_broken(&self) -> bool {
        !self.verdict.breaches.is_empty()
    }

    /// How far the group has read each partition.
    pub fn group_reached(&self) -> BTreeMap<i32, i64> {
        self.members.reached()
    }

    /// The end of the history. All that was there must have been read by the last reader.
    pub fn end(mut self) -> Verdict {
        for (index, partition) in std::mem::take(&mut self.partitions) {
            let ended = partition.end();
            self.verdict.there += ended.there;
            self.verdict.unknown += ended.unknown;
            for (breach, detail) in ended.wrong {
                self.tell(breach, format!("partition {index}: {detail}"));
            }
        }
        let wrong = std::mem::take(&mut self.members).end();
        self.tell_all(wrong);
        self.verdict
    }

    fn partition(&mut self, index: i32) -> &mut Partition {
        self.partitions.entry(index).or_insert_with(|| Partition::new(index))
    }

    fn tell_all(&mut self, wrong: Vec<(Breach, String)>) {
        for (breach, detail) in wrong {
            self.tell(breach, detail);
        }
    }
}

#[cfg(test)]
mod tests;
