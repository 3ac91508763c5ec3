//! The subcommands.

use crate::args::{Args, Command};
use crate::failure::Failure;
use crate::{logging, up};

pub(crate) mod broker;
pub(crate) mod cluster;
pub(crate) mod completions;
pub(crate) mod consume;
pub(crate) mod delete;
pub(crate) mod doctor;
pub(crate) mod get;
pub(crate) mod group;
pub(crate) mod operator;
pub(crate) mod produce;
pub(crate) mod topic;

/// Runs what the command line names.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let default_level = match &args.command {
        Command::Broker(_) | Command::Operator(_) => "info",
        // The live view shows events itself.
        Command::Up(_) => "warn",
        _ => "error",
    };
    logging::start(args.log_format, default_level)?;
    match args.command {
        Command::Up(args) => up::run(&args),
        Command::Broker(args) => broker::run(&args),
        Command::Operator(args) => operator::run(&args),
        Command::Cluster(args) => cluster::run(&args),
        Command::Topic(args) => topic::run(&args),
        Command::Group(args) => group::run(&args),
        Command::Produce(args) => produce::run(&args),
        Command::Consume(args) => consume::run(&args),
        Command::Get(args) => get::run(&args),
        Command::Delete(args) => delete::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
}
