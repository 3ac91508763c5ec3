//! The lines that the client programs print (`clients/README.md`).

use std::collections::BTreeMap;

use serde::Deserialize;

/// One line of a client program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// The brokers acknowledged a record.
    Acked {
        /// Which one, if the client tells.
        n: Option<u64>,
        /// Where it is.
        partition: i32,
        /// Where in the partition.
        offset: i64,
    },
    /// The client gave up on a record.
    Failed {
        /// Which one, if the client tells.
        n: Option<u64>,
        /// Why.
        error: String,
    },
    /// All partitions that this member has now.
    Owns {
        /// Their indexes.
        partitions: Vec<i32>,
    },
    /// A record was read.
    Record(Read),
    /// The brokers acknowledged that this group is to go on there, if the client tells.
    Committed {
        /// In which partition.
        partition: i32,
        /// From which offset on.
        offset: i64,
    },
    /// A batch came from a broker, if the client was asked to tell.
    Fetched {
        /// Which one.
        broker: i32,
        /// Of which partition.
        partition: i32,
        /// How many records.
        records: usize,
    },
    /// This member's coordinator answered it, if the client tells.
    Heartbeat,
    /// Committed offsets were moved to the beginning.
    Rewound {
        /// Of how many partitions.
        partitions: usize,
    },
}

/// A record as a client gave it to its program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Read {
    /// The partition it came from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key, if it has one.
    pub key: Option<String>,
    /// Its value.
    pub value: String,
    /// Its headers by name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Its timestamp in milliseconds since 1970.
    pub timestamp: i64,
}

impl Event {
    /// Reads a line; `None` if it is not one of ours.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}
