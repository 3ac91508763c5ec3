//! What may happen, and how often: each scenario is a bounded history space that is searched whole.

/// What a replica vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// What it has written.
    Replicated,
    /// What is on its disk.
    Fsync,
}

/// How often each thing may still happen. What heals (starts, Fetches, proposals, metadata that are
/// followed) is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Records that are produced.
    pub records: u8,
    /// Processes that are killed; the machine stays up.
    pub kills: u8,
    /// Machines that lose power: with `durability=replicated` never one before the last that did has
    /// registered again and the others have flushed.
    pub power_losses: u8,
    /// Disks that are lost, as long as somebody else has what is committed.
    pub lost_disks: u8,
    /// Processes that are not heard of, and live.
    pub silences: u8,
    /// Processes that are told to stop.
    pub stops: u8,
    /// Hours that pass: whoever has not caught up since the last one lags.
    pub hours: u8,
    /// Proposals whose answer does not come in time.
    pub give_ups: u8,
    /// Elections of the preferred leader.
    pub elections: u8,
}

/// A space of histories.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it is about.
    pub name: &'static str,
    /// What a replica vouches for.
    pub durability: Durability,
    /// How many of the three replicas are in sync when it begins.
    pub in_sync: usize,
    /// What may happen.
    pub budget: Budget,
}
