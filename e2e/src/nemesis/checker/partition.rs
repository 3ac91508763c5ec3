//! One partition's history: who said what is at which offset, and who has read how far.

use std::collections::BTreeMap;

use super::bits::Bits;
use super::{Breach, Speaker};
use crate::history::Value;

/// What was said about a partition.
pub(super) struct Partition {
    index: i32,
    /// What is at each offset, plus one; 0 is not known.
    values: Vec<u64>,
    producers: BTreeMap<u8, Lane>,
    /// The offset that each reader must read next.
    readers: BTreeMap<Speaker, i64>,
    /// Where the partition ends, if the last reader asked.
    end: Option<i64>,
}

/// What one producer sent here.
#[derive(Default)]
struct Lane {
    acked: Bits,
    there: Bits,
    /// The number after the largest that is there.
    next: u64,
    /// The number after the last that was sent, if the producer told.
    sent: Option<u64>,
}

/// What a partition's history came to.
pub(super) struct Ended {
    /// Records that are there.
    pub(super) there: u64,
    /// Records that were sent and not acknowledged.
    pub(super) unknown: u64,
    /// What is wrong.
    pub(super) wrong: Vec<(Breach, String)>,
}

type Wrong = Vec<(Breach, String)>;

impl Partition {
    pub(super) fn new(index: i32) -> Self {
        let (values, producers, readers) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { index, values, producers, readers, end: None }
    }

    /// A record was acknowledged at `offset`.
    pub(super) fn acked(&mut self, value: Value, offset: i64) -> Wrong {
        let lane = self.producers.entry(value.producer()).or_default();
        let is_new = lane.acked.add(value.number());
        let mut wrong = self.agree_with(&[(offset, value)]);
        if !is_new {
            let number = value.number();
            wrong.push((Breach::Duplicated, format!("{number} was acknowledged twice")));
        }
        wrong
    }

    /// A producer tells how many it sent.
    pub(super) fn sent(&mut self, producer: u8, next: u64) {
        self.producers.entry(producer).or_default().sent = Some(next);
    }

    /// The last reader asked where the partition ends.
    pub(super) fn ends_at(&mut self, offset: i64) {
        self.end = Some(offset);
    }

    /// A reader read these, after what it read before.
    pub(super) fn read(&mut self, reader: Speaker, records: &[(i64, Value)]) -> Wrong {
        let mut wrong = self.agree_with(records);
        let next = self.readers.entry(reader).or_default();
        for (offset, value) in records {
            let breach = match offset.cmp(next) {
                std::cmp::Ordering::Less => Some(Breach::PollBack),
                std::cmp::Ordering::Equal => None,
                std::cmp::Ordering::Greater => Some(Breach::PollSkip),
            };
            if let Some(breach) = breach {
                let index = self.index;
                wrong.push((
                    breach,
                    format!("partition {index}: {reader:?} was at {next}, got {offset}"),
                ));
            }
            *next = offset + 1;
            if reader == Speaker::LastReader {
                wrong.extend(
                    self.producers.entry(value.producer()).or_default().read(*offset, *value),
                );
            }
        }
        wrong
    }

    /// What is said to be at offsets must be what was said before.
    pub(super) fn agree_with(&mut self, records: &[(i64, Value)]) -> Wrong {
        let mut wrong = Vec::new();
        for (offset, value) in records {
            if value.partition() != self.index {
                let index = self.index;
                wrong.push((Breach::Invented, format!("partition {index}, {offset}: {value:?}")));
            }
            // A client that knows of a duplicate may not know where the record is.
            let Ok(at) = usize::try_from(*offset) else { continue };
            if self.values.len() <= at {
                self.values.resize(at + 1, 0);
            }
            let known = &mut self.values[at];
            if *known == 0 {
                *known = value.0 + 1;
            } else if *known != value.0 + 1 {
                let (index, before) = (self.index, Value(*known - 1));
                wrong.push((
                    Breach::Inconsistent,
                    format!("partition {index}, {offset}: {before:?}, then {value:?}"),
                ));
            }
        }
        wrong
    }

    pub(super) fn end(self) -> Ended {
        let mut wrong = Vec::new();
        let reached = self.readers.get(&Speaker::LastReader).copied().unwrap_or(0);
        if self.end.is_none_or(|end| reached < end) {
            // Nobody knows what is there.
            wrong.push((Breach::Stuck, format!("read to {reached} of {:?}", self.end)));
            return Ended { there: 0, unknown: 0, wrong };
        }
        // Acknowledged or read beyond the end: it was there, and is not.
        let beyond = usize::try_from(reached).unwrap_or(0);
        for (offset, value) in self.values.iter().enumerate().skip(beyond) {
            if *value != 0 {
                let value = Value(value - 1);
                wrong.push((Breach::Lost, format!("{value:?} at {offset}: it ends at {reached}")));
            }
        }
        let (mut there, mut unknown) = (0, 0);
        for (producer, lane) in &self.producers {
            there += lane.there.count();
            for number in lane.acked.without(&lane.there) {
                wrong.push((Breach::Lost, format!("{number} of producer {producer}")));
            }
            let Some(sent) = lane.sent else { continue };
            unknown += sent.saturating_sub(lane.acked.count());
            if lane.next > sent {
                let last = lane.next - 1;
                wrong.push((Breach::Invented, format!("{last} of producer {producer}")));
            }
        }
        Ended { there, unknown, wrong }
    }
}

impl Lane {
    fn read(&mut self, offset: i64, value: Value) -> Option<(Breach, String)> {
        let number = value.number();
        let is_new = self.there.add(number);
        let breach = match (is_new, number < self.next) {
            (false, _) => Breach::Duplicated,
            (true, true) => Breach::Reordered,
            (true, false) => {
                self.next = number + 1;
                return None;
            }
        };
        let (producer, partition) = (value.producer(), value.partition());
        let after = self.next.saturating_sub(1);
        let detail = format!(
            "partition {partition}: {number} of producer {producer} at {offset}, after {after}"
        );
        Some((breach, detail))
    }
}
