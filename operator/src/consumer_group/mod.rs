//! The ConsumerGroup: shows a group's state, members and lag, and carries out offset resets, each
//! exactly once.
//!
//! ```text
//! token is new ─▶ Resolve ──▶ Gate ─empty, or Fence─▶ Apply ─▶ Verify ─▶ Complete
//!                 │ target    │ has members
//!                 │ → offsets ├─ Wait ─▶ Pending (until empty, or Rejected at the deadline)
//!                 │ (clamped) └─ Fail ─▶ Rejected
//!                 └─ dryRun ─▶ Planned
//! ```
//!
//! *Exactly once* is the coordinator's: a reset's offsets and its token are one record batch in
//! `__consumer_offsets`. This room asks the journal before it resolves anything, and repeats a reset
//! under its token as often as it must.

use std::collections::BTreeMap;

use crds::consumer_group::{GroupReason, LastReset};

use crate::cluster::ClusterSeen;
use crate::kafka::{AdminError, GroupFacts, GroupReset, Partition, ResetDone};

mod apply;
mod lag;
mod observe;
mod plan;
mod resolve;
mod status;

pub use apply::apply;
pub use lag::{Progress, lag_of};
pub use observe::{behind_since, observe};
pub use plan::plan;
pub use resolve::resolve;
pub use status::{status, worth_writing};

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Whether the group's Cluster can be asked.
    pub cluster: ClusterSeen,
    /// The group, if it exists.
    pub group: Option<GroupFacts>,
    /// All partitions of the topics that the group has committed offsets for, and of those that an open
    /// reset names.
    pub positions: BTreeMap<Partition, Position>,
    /// What an open reset needs to know; `None` if no reset is open.
    pub reset: Option<ResetSeen>,
    /// A member has committed an old position again since the reset was done.
    pub is_overwritten: bool,
}

impl Observed {
    /// The brokers stopped answering half-way: nothing is known.
    pub(crate) fn unreachable(error: &AdminError) -> Self {
        Self {
            cluster: ClusterSeen::NotReady(error.to_string()),
            group: None,
            positions: BTreeMap::new(),
            reset: None,
            is_overwritten: false,
        }
    }
}

/// Where a partition's log begins and ends, and where the group stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first record's offset.
    pub start: i64,
    /// The next record's offset.
    pub end: i64,
    /// Where the group goes on; `None` if it never committed.
    pub committed: Option<i64>,
}

/// What an open reset needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResetSeen {
    /// When this reset was seen first, milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// What it did, if the group's journal has its token.
    pub done: Option<ResetDone>,
    /// What the reset to be undone did, if the group's journal has that.
    pub undo: Option<ResetDone>,
    /// The offsets at the wanted time.
    pub at_time: BTreeMap<Partition, i64>,
}

/// What to do, and what to say of the reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// What was declared and is not done.
    pub refusals: Vec<Refused>,
    /// What becomes of the reset; `None` if there is none, or its end was reached before.
    pub reset: Option<ResetPlan>,
}

/// What becomes of the reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResetPlan {
    /// It waits for the members to leave.
    Pending(Moves),
    /// It was asked for as a dry run.
    Planned(Moves),
    /// It is carried out in this pass.
    Apply(Moves),
    /// The journal says that it was carried out, and where the group stood before.
    Complete(BTreeMap<Partition, Option<i64>>),
    /// It was carried out, and a member has committed an old position again.
    Overwritten,
    /// It may not be carried out: why.
    Rejected(String),
}

/// The committed offset before and after, for each partition.
pub type Moves = BTreeMap<Partition, (Option<i64>, i64)>;

/// One step. Each may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Move committed offsets.
    Reset(GroupReset),
    /// Delete the group and its offsets.
    DeleteGroup,
    /// Let the resource go.
    Release,
}

/// Something that was declared and is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// In one word.
    pub reason: GroupReason,
    /// In a sentence, with a hint.
    pub message: String,
}

/// How far [`apply()`] came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The steps that were done.
    pub done: Vec<Step>,
    /// What the reset did.
    pub reset: Option<ResetDone>,
    /// Why the next step was not done.
    pub failure: Option<Failure>,
}

/// Why a step was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The coordinator found members that were not there when we looked.
    GroupNotEmpty,
    /// The coordinator said no for good: the reset is rejected.
    Rejected(String),
    /// Anything else: it is tried again.
    Retry(Refused),
}

/// The reset that a status remembers, if it is the one with this token.
fn remembered<'a>(last: Option<&'a LastReset>, token: &str) -> Option<&'a LastReset> {
    last.filter(|it| it.token == token)
}
