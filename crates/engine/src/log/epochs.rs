//! Which leader wrote which offsets (KIP-101, KIP-320).

use crate::ids::{LeaderEpoch, Offset};

/// The first offset of a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its first offset.
    pub start: Offset,
}

/// The epochs of a log, ascending in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    starts: Vec<EpochStart>,
}

impl Epochs {
    /// The epochs, ascending.
    pub fn starts(&self) -> &[EpochStart] {
        &self.starts
    }
}
