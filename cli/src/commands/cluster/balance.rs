//! `klamm cluster balance`: what the balancer would do, and that it is to do so.

use std::time::Duration;

use client::Admin;
use client::admin::{BalancePlan, PlannedChange, PlannedShare};
use serde::Serialize;

use crate::args::Connect;
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser, Table};
use crate::session;

/// How often it is asked how far it is: a plan is made anew each time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Show how brokers would be given equal shares, or have it done.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Replicas are spread over racks first, then brokers get equally many, then equally many \
                        bytes, then equally many to lead. Nothing begins while a broker is drained, replicas \
                        move or are not in sync, or somebody has the disruption lease. It goes on when this \
                        command has ended; klamm.balance.enable has it done always."
)]
pub(super) struct BalanceArgs {
    /// Do it, and wait until it is done
    #[arg(long, conflicts_with = "stop")]
    apply: bool,
    /// Begin nothing more; what moves comes to its end
    #[arg(long)]
    stop: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = session::duration)]
    within: Duration,
    /// How the plan is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    running: bool,
    hold: Option<String>,
    moving: i32,
    moves: Vec<Change>,
    leaders: Vec<Change>,
    brokers: Vec<Share>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    partition: String,
    from: i32,
    to: i32,
    bytes: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Share {
    broker: i32,
    replicas: (i32, i32),
    bytes: (i64, i64),
    preferred: (i32, i32),
}

impl From<PlannedChange> for Change {
    fn from(change: PlannedChange) -> Self {
        let PlannedChange { partition, from, to, bytes } = change;
        Self { partition: partition.to_string(), from, to, bytes }
    }
}

impl From<PlannedShare> for Share {
    fn from(share: PlannedShare) -> Self {
        let PlannedShare { broker, replicas, bytes, preferred } = share;
        Self { broker, replicas, bytes, preferred }
    }
}

impl From<BalancePlan> for Plan {
    fn from(plan: BalancePlan) -> Self {
        Self {
            running: plan.is_running,
            hold: plan.hold,
            moving: plan.moving,
            moves: plan.moves.into_iter().map(Change::from).collect(),
            leaders: plan.leaders.into_iter().map(Change::from).collect(),
            brokers: plan.shares.into_iter().map(Share::from).collect(),
        }
    }
}

pub(super) fn run(args: &BalanceArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        if args.stop {
            admin.balance(false).await?;
            return output::line("nothing more begins");
        }
        let plan =
            if args.apply { admin.balance(true).await? } else { admin.balance_plan().await? };
        let left = plan.left();
        show(plan, args.output)?;
        match args.apply {
            true => wait(&admin, args, left).await,
            false => Ok(()),
        }
    })
}

fn show(plan: BalancePlan, format: Format) -> Result<(), Failure> {
    let plan = Plan::from(plan);
    if format == Format::Json {
        return output::json(&plan);
    }
    let mut brokers = Table::new(&["BROKER", "HOLDS", "BYTES", "PREFERRED"]);
    for Share { broker, replicas, bytes, preferred } in &plan.brokers {
        let bytes = (output::bytes(bytes.0), output::bytes(bytes.1));
        brokers.row([broker.to_string(), then(replicas), then(&bytes), then(preferred)]);
    }
    brokers.print()?;
    if let Some(hold) = &plan.hold {
        output::line(format_args!("\nnothing begins now: {hold}"))?;
    }
    if plan.moves.is_empty() && plan.leaders.is_empty() {
        return output::line("\nnothing to do");
    }
    output::line("")?;
    let mut changes = Table::new(&["WHAT", "PARTITION", "FROM", "TO", "BYTES"]);
    let moves = plan.moves.iter().map(|it| ("replica", it, output::bytes(it.bytes)));
    let leaders = plan.leaders.iter().map(|it| ("leader", it, "-".to_owned()));
    for (what, Change { partition, from, to, .. }, bytes) in moves.chain(leaders) {
        changes.row([what, partition, &from.to_string(), &to.to_string(), &bytes]);
    }
    changes.print()
}

/// How something is, and how it will be, if that differs.
fn then<T: PartialEq + std::fmt::Display>((now, then): &(T, T)) -> String {
    if now == then { now.to_string() } else { format!("{now} -> {then}") }
}

async fn wait(admin: &Admin, args: &BalanceArgs, of: usize) -> Result<(), Failure> {
    let clock = &admin.cluster().world().clock;
    let until = clock.tick() + args.within;
    let bar = output::progress(of as u64, "replicas and leaders");
    loop {
        let plan = admin.balance_plan().await?;
        let left = plan.left();
        bar.set_position(of.saturating_sub(left) as u64);
        if left == 0 {
            bar.finish_and_clear();
            output::note("balanced");
            return Ok(());
        }
        if !plan.is_running {
            return Err(Failure::new("it was ended, by `klamm cluster balance --stop`"));
        }
        let hold = plan.hold.unwrap_or_default();
        if clock.tick() >= until {
            let failure = Failure::new(format!("{left} replicas and leaders are left: {hold}"));
            return Err(failure.hint("it goes on; `klamm cluster balance --stop` ends it"));
        }
        bar.set_message(hold);
        clock.sleep(LOOK_EVERY).await;
    }
}
