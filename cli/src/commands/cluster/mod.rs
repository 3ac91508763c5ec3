//! `klamm cluster`: brokers, and what operating them takes.

use std::path::PathBuf;

use clap::Subcommand;

use crate::failure::Failure;
use crate::up::control::{self, Action};
use crate::up::status_file;
use crate::{output, session};

mod balance;
mod change;
mod features;
mod lease;
mod recover;
mod show;
mod validate_config;

/// Look at brokers, and take them out of service without anybody noticing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "To restart a broker: `klamm cluster restart-check ID`, then stop it by SIGTERM; it takes \
                        the disruption lease, hands over what it leads, and gives the lease back when it is \
                        in sync again. To add one: start it, then `klamm cluster balance --apply`. To remove one: `klamm cluster drain ID --wait`, stop it, then \
                        `klamm cluster unregister ID`."
)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    /// Show how the cluster is
    Status(show::StatusArgs),
    /// List brokers with what they carry
    Brokers(show::BrokersArgs),
    /// Say whether brokers may be restarted now, and what would follow
    RestartCheck(show::RestartCheckArgs),
    /// Show, take, renew and give back the disruption lease
    Lease(lease::LeaseArgs),
    /// Have a broker give away what it leads and holds
    Drain(change::DrainArgs),
    /// End a drain: the broker leads again what it is preferred to
    Undrain(change::BrokerArgs),
    /// Place new replicas elsewhere than on a broker
    Cordon(change::BrokerArgs),
    /// Place new replicas on a broker again
    Uncordon(change::BrokerArgs),
    /// Show how brokers would be given equal shares, or have it done
    Balance(balance::BalanceArgs),
    /// Forget a broker that is stopped and empty
    Unregister(change::UnregisterArgs),
    /// Show which feature levels are finalized, and which the brokers support
    Features(features::FeaturesArgs),
    /// Finalize a feature level: the end of an upgrade
    Finalize(features::FinalizeArgs),
    /// Say whether settings could be set, and set nothing
    ValidateConfig(validate_config::ValidateConfigArgs),
    /// Go on from what one stopped broker has, when a majority of the voters' disks is gone for good
    Recover(recover::RecoverArgs),
    /// End a broker of `klamm up` as a crash would
    Kill(LocalArgs),
    /// Stop a broker of `klamm up` in order
    Stop(LocalArgs),
    /// Start a broker of `klamm up` that was killed or stopped
    Start(LocalArgs),
}

/// A broker of the `klamm up` on this machine.
#[derive(Debug, clap::Args)]
struct LocalArgs {
    /// The broker's id
    broker: i32,
    /// Where `klamm up` keeps its data [default: the one folder in .klamm that is in use]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Runs the subcommand.
pub(crate) fn run(args: &ClusterArgs) -> Result<(), Failure> {
    match &args.command {
        ClusterCommand::Status(args) => show::status(args),
        ClusterCommand::Brokers(args) => show::brokers(args),
        ClusterCommand::RestartCheck(args) => show::restart_check(args),
        ClusterCommand::Lease(args) => lease::run(args),
        ClusterCommand::Drain(args) => change::drain(args),
        ClusterCommand::Undrain(args) => change::undrain(args),
        ClusterCommand::Cordon(args) => change::cordon(args, true),
        ClusterCommand::Uncordon(args) => change::cordon(args, false),
        ClusterCommand::Balance(args) => balance::run(args),
        ClusterCommand::Unregister(args) => change::unregister(args),
        ClusterCommand::Features(args) => features::features(args),
        ClusterCommand::Finalize(args) => features::finalize(args),
        ClusterCommand::ValidateConfig(args) => validate_config::run(args),
        ClusterCommand::Recover(args) => recover::run(args),
        ClusterCommand::Kill(args) => local(args, Action::Kill, "killed"),
        ClusterCommand::Stop(args) => local(args, Action::Stop, "stopped"),
        ClusterCommand::Start(args) => local(args, Action::Start, "started"),
    }
}

fn local(args: &LocalArgs, action: Action, done: &str) -> Result<(), Failure> {
    let dir = match &args.data_dir {
        Some(dir) => dir.clone(),
        None => status_file::only_running(&*session::world().disk)?,
    };
    session::run(async {
        control::ask(&dir, action, args.broker).await?;
        output::line(format_args!("{done} broker {}", args.broker))
    })
}
