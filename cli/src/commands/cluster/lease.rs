//! `klamm cluster lease`: leave to take one broker out of service.

use std::time::Duration;

use clap::Subcommand;
use client::Admin;

use super::show::Lease;
use crate::args::Connect;
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser};
use crate::session;

/// Show, take, renew and give back the disruption lease.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "There is one lease in the whole cluster. It is given only for a broker that the others can \
                        stand in for, and runs out unless it is renewed. Without a subcommand, it is shown."
)]
pub(super) struct LeaseArgs {
    #[command(subcommand)]
    command: Option<LeaseCommand>,
    /// How it is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Subcommand)]
enum LeaseCommand {
    /// Take the lease for a broker
    Acquire(AcquireArgs),
    /// Let the lease run anew
    Renew(HolderArgs),
    /// Give the lease back
    Release(HolderArgs),
}

#[derive(Debug, clap::Args)]
struct AcquireArgs {
    /// The broker that is to be out of service
    broker: i32,
    /// Who takes it
    #[arg(long, value_name = "NAME", default_value = "cli")]
    holder: String,
    /// How long it lasts, unless it is renewed
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = session::duration)]
    ttl: Duration,
}

#[derive(Debug, clap::Args)]
struct HolderArgs {
    /// The broker that it was taken for
    broker: i32,
    /// Who took it
    #[arg(long, value_name = "NAME", default_value = "cli")]
    holder: String,
}

pub(super) fn run(args: &LeaseArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        match &args.command {
            None => {}
            Some(LeaseCommand::Acquire(AcquireArgs { broker, holder, ttl })) => {
                admin.acquire_lease(*broker, holder, *ttl).await.map_err(refused)?;
            }
            Some(LeaseCommand::Renew(HolderArgs { broker, holder })) => {
                admin.renew_lease(*broker, holder).await.map_err(refused)?;
            }
            Some(LeaseCommand::Release(HolderArgs { broker, holder })) => {
                admin.release_lease(*broker, holder).await.map_err(refused)?;
            }
        }
        show(args, &admin).await
    })
}

fn refused(error: client::Error) -> Failure {
    let is_refused = error.code().is_some();
    let failure = Failure::from(error);
    match is_refused {
        true => failure.hint("`klamm cluster lease` shows who has it and for how long"),
        false => failure,
    }
}

async fn show(args: &LeaseArgs, admin: &Admin) -> Result<(), Failure> {
    let lease = admin.lease().await?.map(Lease::from);
    match (args.output, lease) {
        (Format::Json, lease) => output::json(&lease),
        (Format::Text, None) => output::line("nobody has the lease"),
        (Format::Text, Some(lease)) => output::line(lease),
    }
}
