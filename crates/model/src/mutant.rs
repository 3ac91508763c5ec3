//! The protocol with one rule broken. Each is caught by the property that is named, in a scenario that holds
//! without it.

use crate::properties::{
    COPIED, HEALS, LOGS_MATCH, ONE_LEADER, PREFIXES_AGREE, SURVIVES, UNCUT, WATERMARK,
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
    /// A follower cuts its log to its own watermark, not to where the leader's diverges (KIP-101).
    CutsToWatermark,
    /// A leader does not compare the epochs of its log with its follower's (KIP-320).
    IgnoresDivergence,
    /// A Fetch names the newest epoch that the follower knows, which may have no records.
    NamesEmptyEpochs,
    /// If nobody who has all that is committed can lead, anybody does.
    ElectsUncleanly,
    /// A leader that starts anew leads on in the same leader epoch.
    LeadsOnAfterItsDeath,
    /// A process takes its role from metadata that speak of the one before.
    TrustsOldMetadata,
    /// A proposal that was not answered is taken for refused.
    TakesSilenceForRefusal,
    /// A leader tells its watermark before it has one of its own epoch (KIP-207).
    TellsEarly,
    /// Nobody joins the in-sync replicas again.
    NeverGrows,
    /// A machine loses power before the one that did last is back: more than is promised.
    TwoMachinesAtOnce,
}

impl Mutant {
    /// All of them, each with the property that catches it and the scenario in which it does.
    pub const ALL: [(Mutant, &str, &str); 19] = [
        (Mutant::ForgetsTheBoot, SURVIVES, "power"),
        (Mutant::IgnoresBrokerEpochs, SURVIVES, "late proposals"),
        (Mutant::IgnoresPartitionEpochs, SURVIVES, "late proposals"),
        (Mutant::AcksAlone, COPIED, "kills"),
        (Mutant::CommitsBelowMin, COPIED, "kills"),
        (Mutant::KeepsEligible, SURVIVES, "eligible"),
        (Mutant::EligibleAfterPowerLoss, SURVIVES, "eligible"),
        (Mutant::ForgetsTheProposed, SURVIVES, "late proposals"),
        (Mutant::JoinsEarly, SURVIVES, "lag"),
        (Mutant::CutsToWatermark, PREFIXES_AGREE, "kills"),
        (Mutant::IgnoresDivergence, LOGS_MATCH, "kills"),
        (Mutant::NamesEmptyEpochs, UNCUT, "kills"),
        (Mutant::ElectsUncleanly, SURVIVES, "eligible"),
        (Mutant::LeadsOnAfterItsDeath, ONE_LEADER, "kills"),
        (Mutant::TrustsOldMetadata, SURVIVES, "power"),
        (Mutant::TakesSilenceForRefusal, SURVIVES, "late proposals"),
        (Mutant::TellsEarly, WATERMARK, "kills"),
        (Mutant::NeverGrows, HEALS, "lag"),
        (Mutant::TwoMachinesAtOnce, SURVIVES, "power"),
    ];
}
