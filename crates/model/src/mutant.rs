//! The protocol with one rule broken. Each is caught by the property that is named, in a scenario that holds
//! without it.

use crate::properties::{
    COPIED, FLUSHED_SURVIVES, HEALS, LOGS_MATCH, ONE_LEADER, PREFIXES_AGREE, SURVIVES, UNCUT,
    WATERMARK,
};

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A machine that lost power says that its log is whole: the boot id is ignored.
    ForgetsTheBoot,
    /// An ISR change is taken whatever registrations it names (KIP-841, KIP-903).
    IgnoresBrokerEpochs,
    /// An ISR change is taken on another state than it was made for (KIP-497).
    IgnoresPartitionEpochs,
    /// A leader acknowledges what it has written.
    AcksAlone,
    /// The watermark moves although fewer than `min.insync.replicas` are in sync.
    CommitsBelowMin,
    /// Whoever was eligible stays so when enough are in sync again, and the watermark moves on (KIP-966).
    KeepsEligible,
    /// Whoever was eligible stays so after its machine lost power.
    EligibleAfterPowerLoss,
    /// The watermark does not wait for those whom a proposal under way would add (KIP-497).
    ForgetsTheProposed,
    /// A follower joins before it has what is committed.
    JoinsEarly,
    /// A follower joins before what it has copied is on its disk.
    JoinsUnflushed,
    /// A follower cuts its log to its own watermark, not to where the leader's diverges (KIP-101).
    CutsToWatermark,
    /// A leader does not compare the epochs of its log with its follower's (KIP-320).
    IgnoresDivergence,
    /// A Fetch names the newest epoch that the follower knows, which may have no records.
    NamesEmptyEpochs,
    /// If nobody who has all that is committed can lead, anybody does.
    ElectsUncleanly,
    /// A new leader leads in the epoch of the one before (KIP-101).
    KeepsTheLeaderEpoch,
    /// A leader that starts anew leads on in the same leader epoch.
    LeadsOnAfterItsDeath,
    /// A process takes its role from metadata that speak of the one before.
    TrustsOldMetadata,
    /// A proposal that was not answered is taken for refused.
    TakesSilenceForRefusal,
    /// A leader whose proposal was taken, and made somebody else the leader, takes it for refused.
    TakesAnotherLeaderForRefusal,
    /// Who led, lives and is replaced leaves the in-sync replicas before it knows.
    ForgetsTheOldLeader,
    /// A leader tells its watermark before it has one of its own epoch (KIP-207).
    TellsEarly,
    /// Nobody joins the in-sync replicas again.
    NeverGrows,
    /// A machine loses power before the one that did last is back: more than is promised.
    TwoMachinesAtOnce,
}

impl Mutant {
    /// All of them, each with the property that catches it and the scenario in which it does.
    pub const ALL: [(Mutant, &str, &str); 23] = [
        (Mutant::ForgetsTheBoot, SURVIVES, "two power losses"),
        (Mutant::IgnoresBrokerEpochs, SURVIVES, "a lost disk, a late proposal"),
        (Mutant::IgnoresPartitionEpochs, SURVIVES, "a lag, a late proposal"),
        (Mutant::AcksAlone, COPIED, "two records, a kill"),
        (Mutant::CommitsBelowMin, COPIED, "two kills"),
        (Mutant::KeepsEligible, SURVIVES, "two kills"),
        (Mutant::EligibleAfterPowerLoss, SURVIVES, "two power losses"),
        (Mutant::ForgetsTheProposed, SURVIVES, "a kill, a late proposal"),
        (Mutant::JoinsEarly, SURVIVES, "two records, a kill"),
        (Mutant::JoinsUnflushed, FLUSHED_SURVIVES, "an outage"),
        (Mutant::CutsToWatermark, SURVIVES, "two records, a kill"),
        (Mutant::IgnoresDivergence, PREFIXES_AGREE, "two records, a kill"),
        (Mutant::NamesEmptyEpochs, HEALS, "a silence, an election"),
        (Mutant::ElectsUncleanly, SURVIVES, "two kills"),
        (Mutant::KeepsTheLeaderEpoch, LOGS_MATCH, "two records, a kill"),
        (Mutant::LeadsOnAfterItsDeath, ONE_LEADER, "two records, a kill"),
        (Mutant::TrustsOldMetadata, UNCUT, "two power losses"),
        (Mutant::TakesSilenceForRefusal, SURVIVES, "a kill, a late proposal"),
        (Mutant::TakesAnotherLeaderForRefusal, SURVIVES, "a move"),
        (Mutant::ForgetsTheOldLeader, WATERMARK, "a stop, an election"),
        (Mutant::TellsEarly, WATERMARK, "two records, a kill"),
        (Mutant::NeverGrows, HEALS, "a lag, a late proposal"),
        (Mutant::TwoMachinesAtOnce, SURVIVES, "two power losses"),
    ];
}
