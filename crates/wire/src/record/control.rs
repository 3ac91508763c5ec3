//! Control records: the markers that end a transaction (KIP-98), and the quorum's.
//!
//! Key: version `i16`, type `i16`. Value of an end marker: version `i16`, coordinator epoch `i32`.

use super::item::Record;

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    /// The producer's transaction was aborted.
    Abort,
    /// The producer's transaction was committed.
    Commit,
    /// Another type: the quorum's (leader change, snapshot header and footer, …).
    Other(i16),
}

/// A marker that ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndMarker {
    /// Commit or abort.
    pub kind: ControlType,
    /// Epoch of the coordinator that wrote it.
    pub coordinator_epoch: i32,
}

impl ControlType {
    /// Reads the type from a control record's key; `None` when the key is no control key.
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let [_, _, high, low, ..] = *key else { return None };
        Some(match i16::from_be_bytes([high, low]) {
            0 => Self::Abort,
            1 => Self::Commit,
            other => Self::Other(other),
        })
    }

    /// The key of a control record of this type.
    pub fn key(self) -> [u8; 4] {
        let number: i16 = match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::Other(number) => number,
        };
        let [high, low] = number.to_be_bytes();
        [0, 0, high, low]
    }
}

impl EndMarker {
    /// Reads the marker from a control record; `None` when it is another control record or damaged.
    pub fn from_record(record: &Record<'_>) -> Option<Self> {
        let kind = ControlType::from_key(record.key?)?;
        if matches!(kind, ControlType::Other(_)) {
            return None;
        }
        let [_, _, a, b, c, d, ..] = *record.value? else { return None };
        Some(Self { kind, coordinator_epoch: i32::from_be_bytes([a, b, c, d]) })
    }

    /// The value of the marker's record.
    pub fn value(self) -> [u8; 6] {
        let [a, b, c, d] = self.coordinator_epoch.to_be_bytes();
        [0, 0, a, b, c, d]
    }
}
