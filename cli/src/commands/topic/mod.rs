//! `klamm topic`: the topics of a cluster.

use std::collections::BTreeMap;

use clap::Subcommand;

#[cfg(test)]
use crate::args::Connect;
use crate::failure::Failure;

mod change;
mod describe;
mod list;
mod replicas;

pub(crate) use list::{gather, table};

/// List, describe, create, alter, grow, move and delete topics.
#[derive(Debug, clap::Args)]
pub(crate) struct TopicArgs {
    #[command(subcommand)]
    command: TopicCommand,
}

#[derive(Debug, Subcommand)]
enum TopicCommand {
    /// List topics with their size
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show a topic's partitions, offsets and settings
    Describe(describe::DescribeArgs),
    /// Create topics
    Create(change::CreateArgs),
    /// Change a topic's settings
    Alter(change::AlterArgs),
    /// Give a topic more partitions
    AddPartitions(change::AddPartitionsArgs),
    /// Give each partition of a topic more replicas, or fewer
    SetReplicas(replicas::SetReplicasArgs),
    /// Move replicas to other brokers
    Reassign(replicas::ReassignArgs),
    /// Have preferred leaders lead again
    ElectLeaders(replicas::ElectLeadersArgs),
    /// Delete a topic's oldest records
    Trim(change::TrimArgs),
    /// Delete topics and their records
    #[command(visible_alias = "rm")]
    Delete(change::DeleteArgs),
}

impl TopicArgs {
    #[cfg(test)]
    pub(crate) fn connect(&self) -> &Connect {
        match &self.command {
            TopicCommand::List(args) => &args.connect,
            TopicCommand::Describe(args) => &args.connect,
            TopicCommand::Create(args) => &args.connect,
            TopicCommand::Alter(args) => &args.connect,
            TopicCommand::AddPartitions(args) => &args.connect,
            TopicCommand::SetReplicas(args) => &args.connect,
            TopicCommand::Reassign(args) => &args.connect,
            TopicCommand::ElectLeaders(args) => &args.connect,
            TopicCommand::Trim(args) => &args.connect,
            TopicCommand::Delete(args) => &args.connect,
        }
    }
}

/// Runs the subcommand.
pub(crate) fn run(args: &TopicArgs) -> Result<(), Failure> {
    match &args.command {
        TopicCommand::List(args) => list::run(args),
        TopicCommand::Describe(args) => describe::run(args),
        TopicCommand::Create(args) => change::create(args),
        TopicCommand::Alter(args) => change::alter(args),
        TopicCommand::AddPartitions(args) => change::add_partitions(args),
        TopicCommand::SetReplicas(args) => replicas::set_replicas(args),
        TopicCommand::Reassign(args) => replicas::reassign(args),
        TopicCommand::ElectLeaders(args) => replicas::elect_leaders(args),
        TopicCommand::Trim(args) => change::trim(args),
        TopicCommand::Delete(args) => change::delete(args),
    }
}

/// Settings of the command line, checked before brokers are asked.
fn checked(pairs: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let config: BTreeMap<_, _> = pairs.iter().cloned().collect();
    config::validate_topic_config(&config).map_err(Failure::usage)?;
    Ok(config)
}
