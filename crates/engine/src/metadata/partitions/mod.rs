//! Decisions about partitions that exist: who leads, who is in sync, who is to hold them.

mod alter_partition;
mod change;
mod elections;
mod reassign;

pub use alter_partition::{AlterPartition, AlterPartitionError, AlterPartitionReply};
#[cfg(test)]
pub(super) use change::is_live;
pub(super) use change::{Change, is_active};
pub use elections::{ElectLeaderError, ElectLeadersReply, Election};
pub use reassign::{ReassignError, ReassignReply, Reassignment};
