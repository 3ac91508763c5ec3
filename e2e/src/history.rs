//! The client whose every word is judged: what it sent, what was acknowledged, what it read, what it
//! committed (`clients/history`, in franz-go).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::Deserialize;

use crate::library::go;
use crate::process::Process;

/// What it needs to be built.
pub const TOOLS: &[&str] = &["go"];
/// How it is set, for reports.
pub const SETTINGS: &str = "franz-go, acks=all, idempotent, uncompressed, no linger, MetadataMinAge and \
     RetryBackoff 50 ms, MetadataMaxAge 250 ms, ProduceRequestTimeout 1 s, RequestTimeoutOverhead and \
     DialTimeout 100 ms";

/// A line of the program. Moments are microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Said {
    /// A record was acknowledged.
    Acked {
        /// When.
        at: i64,
        /// Where.
        partition: i32,
        /// The how-manieth of this producer there, from 0.
        number: u64,
        /// Where it is.
        offset: i64,
    },
    /// The client gave up on a record: it may be there or not.
    Failed {
        /// Of which partition.
        partition: i32,
        /// Which one.
        number: u64,
        /// Why.
        error: String,
    },
    /// The brokers said that a record is too large.
    Refused {
        /// Of which partition.
        partition: i32,
        /// Which one.
        number: u64,
    },
    /// The end of a producer: how many records it sent to each partition.
    Sent {
        /// The numbers that come next.
        next: Vec<u64>,
    },
    /// Where a partition ended when reading began.
    End {
        /// Which.
        partition: i32,
        /// The offset after its last record.
        offset: i64,
    },
    /// A poll gave records of a partition.
    Read {
        /// When.
        at: i64,
        /// Which.
        partition: i32,
        /// Offsets and values.
        records: Vec<(i64, Value)>,
    },
    /// The client says that records are gone that it had not read.
    Loss {
        /// Of which partition.
        partition: i32,
        /// In its words.
        detail: String,
    },
    /// A member was given partitions.
    Assigned {
        /// When.
        at: i64,
        /// Which.
        partitions: Vec<i32>,
    },
    /// A member gave partitions back, or lost them.
    Revoked {
        /// Which.
        partitions: Vec<i32>,
    },
    /// The coordinator took a commit.
    Committed {
        /// When.
        at: i64,
        /// Of which partition.
        partition: i32,
        /// The offset that comes next.
        offset: i64,
    },
}

/// What a record holds: who sent it, to which partition, and as the how-manieth there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Value(pub u64);

impl Value {
    /// The record of a producer.
    pub fn new(producer: u8, partition: i32, number: u64) -> Self {
        let partition = u64::try_from(partition).expect("partitions begin with 0");
        Self(u64::from(producer) << 56 | partition << 40 | number)
    }

    /// Who sent it.
    pub fn producer(self) -> u8 {
        (self.0 >> 56) as u8
    }

    /// To which partition.
    pub fn partition(self) -> i32 {
        (self.0 >> 40) as i32 & 0xffff
    }

    /// As which record there.
    pub fn number(self) -> u64 {
        self.0 & 0xff_ffff_ffff
    }
}

/// How a producer sends.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    /// Its number, in every value.
    pub producer: u8,
    /// Records per second, over all partitions.
    pub rate: u32,
    /// Whether it waits for all in sync, and is idempotent; else for the leader alone.
    pub is_safe: bool,
}

/// The program, built.
pub struct Historian {
    program: PathBuf,
    brokers: String,
    topic: String,
    partitions: i32,
}

impl Historian {
    /// Builds it, or finds the one that was built from the same files.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn build() -> Result<PathBuf> {
        go("history", &Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/history"))
    }

    /// For this topic.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn new(brokers: String, topic: &str, partitions: i32) -> Result<Self> {
        Ok(Self { program: Self::build()?, brokers, topic: topic.to_owned(), partitions })
    }

    /// Starts a producer, which ends when its input is closed.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn send(&self, sending: Sending) -> Result<Process<Said>> {
        let Sending { producer, rate, is_safe } = sending;
        let acks = if is_safe { "all" } else { "1" };
        let partitions = self.partitions.to_string();
        let rest = [&partitions, &producer.to_string(), &rate.to_string(), acks];
        self.start(&format!("producer {producer}"), "send", &rest)
    }

    /// Starts a producer of records that must be refused for their size, which ends when its input is closed.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn send_too_large(&self, producer: u8) -> Result<Process<Said>> {
        let rest = [self.partitions.to_string(), producer.to_string()];
        self.start(
            &format!("producer {producer}"),
            "send-too-large",
            &rest.each_ref().map(String::as_str),
        )
    }

    /// Starts a producer that sends one record to each partition whenever it is told a line; the topic may be
    /// several, separated by commas, whose partitions are counted through.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn send_to_each(&self) -> Result<Process<Said>> {
        self.start("producer", "each", &[&self.partitions.to_string()])
    }

    /// Starts a reader of all partitions, from their beginning on, which ends when its input is closed.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn read(&self) -> Result<Process<Said>> {
        self.start("reader", "read", &[&self.partitions.to_string()])
    }

    /// Starts a reader of all that is there, which ends by itself.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn read_to_end(&self) -> Result<Process<Said>> {
        self.start("last reader", "read-to-end", &[&self.partitions.to_string()])
    }

    /// Starts a member of `group`, which leaves it at SIGTERM.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn join(&self, group: &str, member: usize) -> Result<Process<Said>> {
        self.start(&format!("{group} {member}"), "group", &[group])
    }

    fn start(&self, name: &str, verb: &str, rest: &[&str]) -> Result<Process<Said>> {
        let mut command = Command::new(&self.program);
        command.args([verb, &self.brokers, &self.topic]).args(rest);
        Process::start(name, &mut command, |line| serde_json::from_str(line).ok())
    }
}

/// Microseconds since 1970, as the program counts them.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_tells_who_where_and_which() {
        let value = Value::new(200, 11, 123_456_789);
        assert_eq!((value.producer(), value.partition(), value.number()), (200, 11, 123_456_789));
    }

    #[test]
    fn a_line_is_understood() {
        let line = r#"{"at":5,"event":"read","partition":2,"records":[[7,18446744073709551615]]}"#;
        let said: Said = serde_json::from_str(line).unwrap();
        let records = vec![(7, Value(u64::MAX))];
        assert_eq!(said, Said::Read { at: 5, partition: 2, records });
    }
}
