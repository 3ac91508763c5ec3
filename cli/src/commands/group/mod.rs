//! `klamm group`: the consumer groups of a cluster.

use clap::Subcommand;

use crate::failure::Failure;

mod describe;
mod list;
mod reset;

pub(crate) use describe::lag_of;
pub(crate) use list::{gather, table};

/// List, describe, reset and delete consumer groups.
#[derive(Debug, clap::Args)]
pub(crate) struct GroupArgs {
    #[command(subcommand)]
    command: GroupCommand,
}

#[derive(Debug, Subcommand)]
enum GroupCommand {
    /// List groups with their state and lag
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show a group's members, committed offsets and lag
    Describe(describe::DescribeArgs),
    /// Move a group's committed offsets
    Reset(reset::ResetArgs),
    /// Delete groups and their committed offsets
    #[command(visible_alias = "rm")]
    Delete(list::DeleteArgs),
}

/// Runs the subcommand.
pub(crate) fn run(args: &GroupArgs) -> Result<(), Failure> {
    match &args.command {
        GroupCommand::List(args) => list::run(args),
        GroupCommand::Describe(args) => describe::run(args),
        GroupCommand::Reset(args) => reset::run(args),
        GroupCommand::Delete(args) => list::delete(args),
    }
}
