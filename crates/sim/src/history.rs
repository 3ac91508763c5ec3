//! What clients did and saw in one run, in the order in which it happened.
//!
//! The workload records; the checks read. Nothing here judges.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// The most events of one history; a run that has more is too long to be read by anyone.
const EVENTS_MAX: usize = 4_000_000;

/// A partition as a client names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    /// The topic's name.
    pub topic: String,
    /// The partition's index.
    pub index: i32,
}

/// A record that exists once in a run: what a producer wrote as its so-manieth into a partition. Its
/// value on the wire is these two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    /// Which producer; producers are numbered through the run, a restarted one anew.
    pub producer: u32,
    /// Counts what this producer sent to one partition, from 0.
    pub sequence: u32,
}

/// A position in a history: which events came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(usize);

/// Names an attempt to commit an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitId(pub u64);

/// One thing that a client did or saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Clients are going to write here, whether or not they are ever able to.
    Wanted {
        /// Where.
        partition: Partition,
    },
    /// A producer sends a record, for the first time. It may be written from now on, and at most once
    /// if the producer is idempotent.
    Sent {
        /// Where to.
        partition: Partition,
        /// What.
        record: RecordId,
        /// Whether the producer is idempotent and has never given up on an earlier record.
        idempotent: bool,
    },
    /// The broker promised that the record is kept at this offset.
    Acked {
        /// Where.
        partition: Partition,
        /// What.
        record: RecordId,
        /// At which offset.
        offset: i64,
        /// When, in virtual time since the beginning of the run.
        at: Duration,
    },
    /// A consumer was served a record.
    Read {
        /// Where.
        partition: Partition,
        /// At which offset.
        offset: i64,
        /// What.
        record: RecordId,
    },
    /// A consumer was served bytes that are no records.
    Damaged {
        /// Where.
        partition: Partition,
        /// What is wrong with them.
        why: String,
    },
    /// A client was told the high watermark.
    Watermark {
        /// Of which partition.
        partition: Partition,
        /// When it asked.
        asked: Moment,
        /// The offset after the last record that consumers may see.
        offset: i64,
    },
    /// A member asks for a position to be kept. It may be kept from now on.
    CommitAsked {
        /// Names this attempt.
        commit: CommitId,
        /// Whose position.
        group: String,
        /// In which partition.
        partition: Partition,
        /// The next offset to read.
        offset: i64,
    },
    /// The broker promised that the position is kept.
    CommitAcked {
        /// Which attempt.
        commit: CommitId,
    },
    /// The broker said that the position is not kept.
    CommitRefused {
        /// Which attempt.
        commit: CommitId,
    },
    /// A client was told a group's position.
    PositionRead {
        /// Whose.
        group: String,
        /// In which partition.
        partition: Partition,
        /// When it asked.
        asked: Moment,
        /// The position, if there is one.
        offset: Option<i64>,
    },
    /// A member was told what to read.
    Assigned {
        /// Of which group.
        group: String,
        /// In which generation.
        generation: i32,
        /// Which member.
        member: String,
        /// All that it is to read.
        partitions: Vec<Partition>,
    },
    /// This topic does not wait for the disk: a power loss may take what was acknowledged just before.
    Lossy {
        /// The topic's name.
        topic: String,
    },
    /// The machine lost power.
    PowerLost {
        /// Until when the broker had been able to flush, in virtual time since the beginning of the run.
        at: Duration,
    },
    /// All faults are over. From here on the system must serve.
    Healed,
    /// Who had a partition and who was in sync at the end, after as long as that may take.
    Placed {
        /// Which partition.
        partition: Partition,
        /// The brokers that have a replica.
        replicas: Vec<i32>,
        /// Those of them that are in sync.
        in_sync: Vec<i32>,
    },
    /// What was left at the end of what people had done to the cluster, after as long as that may take.
    LeftBehind {
        /// In words; nothing if all is as the settings say.
        what: Vec<String>,
    },
    /// What one broker's disk held of a partition at the end, when nobody wrote any more.
    Copy {
        /// Of which partition.
        partition: Partition,
        /// Whose disk.
        broker: i32,
        /// The bytes of all its segments, one after the other.
        log: Bytes,
    },
    /// What a partition holds at the end, read after the healing.
    Final {
        /// Which partition.
        partition: Partition,
        /// The first offset that is still there.
        start: i64,
        /// All records, with their offsets, in order.
        records: Vec<(i64, RecordId)>,
    },
}

/// A run, as its clients know it.
#[derive(Clone, Debug, Default)]
pub struct History {
    events: Vec<Event>,
}

/// A partition at the end of a run.
#[derive(Clone, Copy, Debug)]
pub struct FinalLog<'a> {
    /// The first offset that is still there.
    pub start: i64,
    /// All records, with their offsets, in order.
    pub records: &'a [(i64, RecordId)],
}

impl History {
    /// A history in which nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what happened just now.
    pub fn record(&mut self, event: Event) {
        assert!(self.events.len() < EVENTS_MAX, "a history has at most {EVENTS_MAX} events");
        self.events.push(event);
    }

    /// Now: after all events so far.
    pub fn now(&self) -> Moment {
        Moment(self.events.len())
    }

    /// All events with their moments, in order.
    pub fn events(&self) -> impl Iterator<Item = (Moment, &Event)> {
        self.events.iter().enumerate().map(|(at, event)| (Moment(at), event))
    }

    /// What each partition holds at the end; the last reading counts.
    pub fn final_logs(&self) -> BTreeMap<&Partition, FinalLog<'_>> {
        let mut logs = BTreeMap::new();
        for event in &self.events {
            if let Event::Final { partition, start, records } = event {
                logs.insert(partition, FinalLog { start: *start, records });
            }
        }
        logs
    }

    /// The topics that may have lost something: they do not wait for the disk, and there was a power
    /// loss. Without one they are held to what all others are.
    pub fn lossy(&self) -> BTreeSet<&str> {
        if !self.events.iter().any(|event| matches!(event, Event::PowerLost { .. })) {
            return BTreeSet::new();
        }
        let lossy = self.events.iter().filter_map(|event| match event {
            Event::Lossy { topic } => Some(topic.as_str()),
            _ => None,
        });
        lossy.collect()
    }

    /// Whether something was acknowledged since `since` in every partition that clients want to write to.
    pub fn is_served_since(&self, since: Moment) -> bool {
        let mut wanted = self.events.iter().filter_map(|event| match event {
            Event::Wanted { partition } | Event::Sent { partition, .. } => Some(partition),
            _ => None,
        });
        let served = self.events[since.0..].iter().filter_map(|event| match event {
            Event::Acked { partition, .. } => Some(partition),
            _ => None,
        });
        let served: BTreeSet<&Partition> = served.collect();
        wanted.all(|partition| served.contains(partition))
    }

    /// How many records were acknowledged.
    pub fn acked(&self) -> u64 {
        self.events.iter().filter(|event| matches!(event, Event::Acked { .. })).count() as u64
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}#{}", self.producer, self.sequence)
    }
}
