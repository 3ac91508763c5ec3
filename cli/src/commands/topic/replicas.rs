//! `klamm topic reassign`, `set-replicas` and `elect-leaders`: who holds partitions, and who leads them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::admin::{PerPartition, placement};
use client::{Admin, TopicPartition};

use crate::args::Connect;
use crate::commands::consume::start;
use crate::failure::Failure;
use crate::{output, session};

/// How often it is asked how far moves are.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Move replicas to other brokers.
#[derive(Debug, clap::Args)]
#[command(after_help = "It goes on when this command has ended; clients need not be stopped.")]
pub(super) struct ReassignArgs {
    /// The topic's name
    topic: String,
    /// The brokers that shall hold each partition, separated by commas, preferred leader first
    #[arg(long, value_name = "IDS", value_delimiter = ',', required_unless_present = "cancel")]
    to: Vec<i32>,
    /// Take moves back that are under way: replicas go back to where they were
    #[arg(long, conflicts_with = "to")]
    cancel: bool,
    /// Only these partitions, separated by commas
    #[arg(short, long, value_name = "PARTITIONS", value_delimiter = ',')]
    partition: Vec<i32>,
    #[command(flatten)]
    pub(super) wait: Wait,
    #[command(flatten)]
    pub(super) connect: Connect,
}

/// Give each partition of a topic more replicas, or fewer.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "New replicas go to brokers that are up and hold the fewest, in other racks if there \
                        are; those go that are not in sync, then those of the fullest brokers."
)]
pub(super) struct SetReplicasArgs {
    /// The topic's name
    topic: String,
    /// How many replicas each partition shall have
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    to: u16,
    /// Only show what would move
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) wait: Wait,
    #[command(flatten)]
    pub(super) connect: Connect,
}

/// Have preferred leaders lead again.
#[derive(Debug, clap::Args)]
pub(super) struct ElectLeadersArgs {
    /// The topic's name; all topics if left out
    topic: Option<String>,
    /// Only these partitions, separated by commas
    #[arg(short, long, value_name = "PARTITIONS", value_delimiter = ',', requires = "topic")]
    partition: Vec<i32>,
    /// Where nobody leads, elect any replica that is there. Records that it lacks are lost
    #[arg(long, requires = "topic")]
    unclean: bool,
    #[command(flatten)]
    pub(super) connect: Connect,
}

/// Whether to wait for moves.
#[derive(Debug, clap::Args)]
pub(super) struct Wait {
    /// Wait until the moves are done
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = session::duration)]
    within: Duration,
}

type Moves = BTreeMap<TopicPartition, Option<Vec<i32>>>;

pub(super) fn reassign(args: &ReassignArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        let mut of = start::partitions(&admin, &args.topic, &args.partition).await?;
        if args.cancel && args.partition.is_empty() {
            let moving = admin.list_moves().await?;
            of.retain(|partition| moving.contains_key(partition));
        }
        let to = (!args.cancel).then(|| args.to.clone());
        let moves: Moves = of.into_iter().map(|partition| (partition, to.clone())).collect();
        if moves.is_empty() {
            return output::line(format_args!("nothing of {} moves", args.topic));
        }
        begin(&admin, &moves, &args.wait).await
    })
}

pub(super) fn set_replicas(args: &SetReplicasArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        let names = [args.topic.clone()];
        let metadata = admin.topics(Some(&names)).await?;
        let topic = metadata.topics.get(&args.topic).ok_or_else(|| {
            Failure::new(format!("there is no topic {}", args.topic))
                .hint("`klamm topic list` shows what there is")
        })?;
        let brokers = admin.describe_brokers().await?;
        let moves = admin.list_moves().await?;
        let to = usize::from(args.to);
        let placed = placement::place(&args.topic, topic, &moves, &brokers, to);
        let placed = placed.map_err(|error| {
            Failure::new(error.to_string()).hint("ask for fewer, or see `klamm cluster brokers`")
        })?;
        let moves: Moves =
            placed.into_iter().map(|(partition, to)| (partition, Some(to))).collect();
        if moves.is_empty() {
            return output::line(format_args!("{} has {} replicas already", args.topic, args.to));
        }
        if args.dry_run {
            return moves.iter().try_for_each(|(partition, to)| line(partition, to.as_deref()));
        }
        begin(&admin, &moves, &args.wait).await
    })
}

async fn begin(admin: &Admin, moves: &Moves, wait: &Wait) -> Result<(), Failure> {
    let results = admin.move_replicas(moves).await?;
    told(&results, |partition| line(partition, moves.get(partition).and_then(Option::as_deref)))?;
    if wait.wait { done(admin, moves, wait.within).await } else { Ok(()) }
}

fn line(partition: &TopicPartition, to: Option<&[i32]>) -> Result<(), Failure> {
    match to {
        None => output::line(format_args!("{partition} goes back to where it was")),
        Some(to) => {
            let to = to.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            output::line(format_args!("{partition} moves to {to}"))
        }
    }
}

/// Tells what was done, then the first failure.
fn told(
    results: &PerPartition,
    line: impl Fn(&TopicPartition) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for (partition, _) in results.iter().filter(|(_, result)| result.is_ok()) {
        line(partition)?;
    }
    let mut failures = results.values().filter_map(|result| result.as_ref().err());
    let Some(first) = failures.next() else { return Ok(()) };
    let more = failures.count();
    let failure = Failure::from(first.clone());
    Err(if more > 0 { failure.hint(format!("{more} more failed as well")) } else { failure })
}

async fn done(admin: &Admin, moves: &Moves, within: Duration) -> Result<(), Failure> {
    let clock = &admin.cluster().world().clock;
    let until = clock.tick() + within;
    loop {
        let moving: BTreeSet<TopicPartition> = admin.list_moves().await?.into_keys().collect();
        let left = moves.keys().filter(|partition| moving.contains(partition)).count();
        if left == 0 {
            return output::line(format_args!(
                "{} partitions are where they shall be",
                moves.len()
            ));
        }
        if clock.tick() >= until {
            return Err(Failure::new(format!("{left} partitions move still"))
                .hint("it goes on; `klamm topic reassign TOPIC --cancel` takes it back"));
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

pub(super) fn elect_leaders(args: &ElectLeadersArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        let of: Option<Vec<TopicPartition>> = match &args.topic {
            None => None,
            Some(topic) => {
                let of = start::partitions(&admin, topic, &args.partition).await?;
                Some(of.into_iter().collect())
            }
        };
        let mut results = admin.elect_leaders(args.unclean, of.as_deref()).await?;
        // Whoever leads already need not be elected.
        let is_needless =
            |error: &client::Error| error.code() == Some(wire::ErrorCode::ElectionNotNeeded);
        results.retain(|_, result| !result.as_ref().is_err_and(is_needless));
        if results.is_empty() {
            return output::line("nothing to elect");
        }
        told(&results, |partition| output::line(format_args!("{partition} has a new leader")))
    })
}
