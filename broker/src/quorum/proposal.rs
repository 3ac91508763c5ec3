//! What openraft is instantiated with: who votes, what is proposed, what becomes of it.

use std::fmt;

use bytes::Bytes;
use openraft::impls::leader_id_std;
use openraft::vote::RaftLeaderId;
use wire::Uuid;

use super::runtime::WorldRuntime;

openraft::declare_raft_types!(
    /// openraft on tokio's current thread, with dice from a seed that follows each task.
    pub(crate) Types:
        D = Proposal,
        R = Outcome,
        Node = Voter,
        LeaderId = leader_id_std::LeaderId<Self::Term, Self::NodeId>,
        AsyncRuntime = Runtime,
);

/// Time and tasks from the runtime that the world drives, dice from the task's seed.
pub(crate) type Runtime = openraft_rt::deterministic_rng::DeterministicRng<WorldRuntime>;

pub(crate) type Entry = openraft::type_config::alias::EntryOf<Types>;
pub(crate) type LogId = openraft::type_config::alias::LogIdOf<Types>;
pub(crate) type Membership = openraft::Membership<u64, Voter>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<Types>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<Types>;

/// Where a voter is, and which disk makes it that voter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Voter {
    /// `host:port` when it became a voter; `controller.quorum.voters` says it anew at each start.
    pub(crate) address: String,
    /// The id of its data directory.
    pub(crate) directory: Uuid,
}

/// A decision, and the state that it was made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// The version of the state that the controller saw.
    pub(crate) decided_on: u64,
    /// What changes, encoded.
    pub(crate) records: Bytes,
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes decided on version {}", self.records.len(), self.decided_on)
    }
}

/// What became of an entry once a majority had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The state has changed as decided.
    Applied,
    /// Nothing has changed: the decision was made on another state than the entry met.
    Void,
}

/// The id of an entry.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(leader_id_std::LeaderId::new(term, 0).to_committed(), index)
}
