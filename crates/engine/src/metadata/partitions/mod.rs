//! Decisions about partitions that exist: who leads, who is in sync, who is to hold them.

mod alter_partition;
mod change;
mod departures;
mod elections;
mod reassign;

pub use alter_partition::{AlterPartition, AlterPartitionError, AlterPartitionReply};
pub(super) use change::{Change, is_active, is_live, may_take_over};
pub use departures::Departure;
pub use elections::{ElectLeaderError, ElectLeadersReply, Election};
pub(super) use reassign::begin;
pub use reassign::{ReassignError, ReassignReply, Reassignment};
