//! `klamm cluster drain`, `undrain`, `cordon`, `uncordon` and `unregister`.

use std::time::Duration;

use client::Admin;
use client::admin::{BrokerStanding, DrainMode};

use crate::args::Connect;
use crate::failure::Failure;
use crate::{output, session};

/// How often it is asked how far a drain is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Have a broker give away what it leads and holds.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Its replicas move to brokers that are up, and neither cordoned nor drained; a few at a \
                        time (klamm.drain.partitions.max). It goes on when this command has ended."
)]
pub(super) struct DrainArgs {
    /// The broker's id
    broker: i32,
    /// Only what it leads, until it is restarted; it stays in sync
    #[arg(long)]
    leadership: bool,
    /// Wait until nothing is left
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = session::duration)]
    within: Duration,
    #[command(flatten)]
    connect: Connect,
}

/// A broker.
#[derive(Debug, clap::Args)]
pub(super) struct BrokerArgs {
    /// The broker's id
    broker: i32,
    #[command(flatten)]
    connect: Connect,
}

/// Forget a broker that is stopped and empty.
#[derive(Debug, clap::Args)]
pub(super) struct UnregisterArgs {
    /// The broker's id
    broker: i32,
    /// Only if it is registered with this epoch, as `klamm cluster brokers -o json` shows it
    #[arg(long)]
    epoch: Option<i64>,
    #[command(flatten)]
    connect: Connect,
}

pub(super) fn drain(args: &DrainArgs) -> Result<(), Failure> {
    let id = args.broker;
    let mode = if args.leadership { DrainMode::Leadership } else { DrainMode::All };
    session::run(async {
        let admin = session::admin(&args.connect);
        admin.drain_broker(id, mode).await.map_err(unknown)?;
        if !args.wait {
            return output::line(format_args!("draining broker {id}"));
        }
        wait(&admin, args, mode).await?;
        output::line(format_args!("drained broker {id}"))
    })
}

async fn wait(admin: &Admin, args: &DrainArgs, mode: DrainMode) -> Result<(), Failure> {
    let clock = &admin.cluster().world().clock;
    let until = clock.tick() + args.within;
    let left = |found: &BrokerStanding| match mode {
        DrainMode::All => u64::try_from(found.replicas).unwrap_or(0),
        DrainMode::Leadership | DrainMode::Nothing => u64::try_from(found.leaders).unwrap_or(0),
    };
    let first = standing(admin, args.broker).await?;
    let bar = output::progress(left(&first), "partitions");
    loop {
        let found = standing(admin, args.broker).await?;
        bar.set_position(left(&first).saturating_sub(left(&found)));
        if found.is_drained {
            bar.finish_and_clear();
            return Ok(());
        }
        if found.drain == DrainMode::Nothing {
            return Err(Failure::new(
                "the drain was ended, by `klamm cluster undrain` or a restart",
            ));
        }
        if clock.tick() >= until {
            let why = found.obstacles.join("; ");
            let failure = Failure::new(format!("{} partitions are left: {why}", left(&found)));
            return Err(failure.hint("it goes on; `klamm cluster undrain` ends it"));
        }
        bar.set_message(found.obstacles.join("; "));
        clock.sleep(LOOK_EVERY).await;
    }
}

async fn standing(admin: &Admin, id: i32) -> Result<BrokerStanding, Failure> {
    let brokers = admin.describe_brokers().await?;
    let found = brokers.into_iter().find(|broker| broker.id == id);
    found.ok_or_else(|| Failure::new(format!("broker {id} is not registered any more")))
}

pub(super) fn undrain(args: &BrokerArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        admin.drain_broker(args.broker, DrainMode::Nothing).await.map_err(unknown)?;
        output::line(format_args!("broker {} is not drained any more", args.broker))
    })
}

pub(super) fn cordon(args: &BrokerArgs, is_cordoned: bool) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        admin.cordon_broker(args.broker, is_cordoned).await.map_err(unknown)?;
        let done = if is_cordoned { "cordoned" } else { "uncordoned" };
        output::line(format_args!("{done} broker {}", args.broker))
    })
}

pub(super) fn unregister(args: &UnregisterArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        admin.forget_broker(args.broker, args.epoch).await.map_err(unknown)?;
        output::line(format_args!("unregistered broker {}", args.broker))
    })
}

fn unknown(error: client::Error) -> Failure {
    let is_unknown = error.code() == Some(wire::ErrorCode::BrokerIdNotRegistered);
    let failure = Failure::from(error);
    match is_unknown {
        true => failure.hint("`klamm cluster brokers` shows what there is"),
        false => failure,
    }
}
