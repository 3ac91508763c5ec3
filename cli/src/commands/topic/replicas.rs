//! `klamm topic reassign`, `set-replicas` and `elect-leaders`: who holds partitions, and who leads them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::admin::{BrokerStanding, DrainMode, PerPartition};
use client::{Admin, PartitionMetadata, TopicMetadata, TopicPartition};

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
    /// End moves that are under way: replicas stay where they were
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
        let moves = plan(&args.topic, topic, &brokers, usize::from(args.to))?;
        if moves.is_empty() {
            return output::line(format_args!("{} has {} replicas already", args.topic, args.to));
        }
        if args.dry_run {
            return moves.iter().try_for_each(|(partition, to)| line(partition, to.as_deref()));
        }
        begin(&admin, &moves, &args.wait).await
    })
}

/// Where the replicas of a topic go so that each partition has `count`.
fn plan(
    name: &str,
    topic: &TopicMetadata,
    brokers: &[BrokerStanding],
    count: usize,
) -> Result<Moves, Failure> {
    let takes = |it: &&BrokerStanding| {
        !it.is_fenced && !it.is_stopping && !it.is_cordoned && it.drain != DrainMode::All
    };
    let takers: Vec<&BrokerStanding> = brokers.iter().filter(takes).collect();
    let mut held: BTreeMap<i32, i32> = brokers.iter().map(|it| (it.id, it.replicas)).collect();
    let mut moves = Moves::new();
    for (index, partition) in &topic.partitions {
        let mut replicas = partition.replicas.clone();
        while replicas.len() > count {
            let at = superfluous(partition, &replicas, &held);
            *held.entry(replicas.remove(at)).or_default() -= 1;
        }
        while replicas.len() < count {
            let rack = |id: i32| brokers.iter().find(|it| it.id == id)?.rack.as_ref();
            let cost = |it: &&&BrokerStanding| {
                let in_rack = replicas.iter().filter(|id| rack(**id) == it.rack.as_ref()).count();
                (in_rack, held.get(&it.id).copied(), it.id)
            };
            let free = takers.iter().filter(|it| !replicas.contains(&it.id));
            let Some(taker) = free.min_by_key(cost) else {
                return Err(Failure::new(format!("{} brokers take replicas", takers.len()))
                    .hint("ask for fewer, or see `klamm cluster brokers`"));
            };
            *held.entry(taker.id).or_default() += 1;
            replicas.push(taker.id);
        }
        if replicas != partition.replicas {
            moves.insert(TopicPartition::new(name, *index), Some(replicas));
        }
    }
    Ok(moves)
}

/// Which replica goes first: one out of sync, else that of the fullest broker; rather not the leader's.
fn superfluous(
    partition: &PartitionMetadata,
    replicas: &[i32],
    held: &BTreeMap<i32, i32>,
) -> usize {
    let worth = |(_, id): &(usize, &i32)| {
        let is_leader = partition.leader == Some(**id);
        (is_leader, partition.isr.contains(id), -held.get(*id).copied().unwrap_or(0))
    };
    let first = replicas.iter().enumerate().min_by_key(worth);
    first.map_or(0, |(at, _)| at)
}

async fn begin(admin: &Admin, moves: &Moves, wait: &Wait) -> Result<(), Failure> {
    let results = admin.move_replicas(moves).await?;
    told(&results, |partition| line(partition, moves.get(partition).and_then(Option::as_deref)))?;
    if wait.wait { done(admin, moves, wait.within).await } else { Ok(()) }
}

fn line(partition: &TopicPartition, to: Option<&[i32]>) -> Result<(), Failure> {
    match to {
        None => output::line(format_args!("{partition} stays")),
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
                .hint("it goes on; `klamm topic reassign TOPIC --cancel` ends it"));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(id: i32, rack: &str, replicas: i32) -> BrokerStanding {
        BrokerStanding {
            id,
            epoch: 1,
            address: String::new(),
            rack: Some(rack.to_owned()),
            is_fenced: false,
            is_stopping: false,
            is_cordoned: false,
            is_voter: true,
            is_controller: false,
            drain: DrainMode::Nothing,
            is_drained: false,
            obstacles: Vec::new(),
            leaders: 0,
            replicas,
            in_sync: replicas,
            preferred: 0,
            preferred_led: 0,
        }
    }

    fn check(
        brokers: &[BrokerStanding],
        partitions: &[(&[i32], &[i32])],
        to: usize,
        expected: &str,
    ) {
        let partition = |(replicas, isr): &(&[i32], &[i32])| PartitionMetadata {
            leader: isr.first().copied(),
            replicas: replicas.to_vec(),
            isr: isr.to_vec(),
            ..Default::default()
        };
        let topic = TopicMetadata {
            id: wire::Uuid::ZERO,
            is_internal: false,
            partitions: (0..).zip(partitions.iter().map(partition)).collect(),
        };
        let said = match plan("t", &topic, brokers, to) {
            Ok(moves) => moves
                .iter()
                .map(|(partition, to)| format!("{partition}:{:?}", to.as_ref().unwrap()))
                .collect::<Vec<_>>()
                .join(" "),
            Err(failure) => failure.to_string(),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn more_replicas_go_to_other_racks_and_to_who_has_few() {
        let brokers = [broker(1, "a", 2), broker(2, "a", 0), broker(3, "b", 1), broker(4, "c", 0)];
        check(&brokers, &[(&[1], &[1])], 2, "t-0:[1, 4]");
        check(&brokers, &[(&[1], &[1]), (&[1], &[1])], 3, "t-0:[1, 4, 3] t-1:[1, 4, 3]");
        let away = [broker(1, "a", 1), BrokerStanding { is_fenced: true, ..broker(2, "b", 0) }];
        let refused =
            "error: 1 brokers take replicas\nhint: ask for fewer, or see `klamm cluster brokers`";
        check(&away, &[(&[1], &[1])], 2, refused);
    }

    #[test]
    fn fewer_replicas_keep_the_leader_and_who_is_in_sync() {
        let brokers = [broker(1, "a", 9), broker(2, "b", 1), broker(3, "c", 5)];
        check(&brokers, &[(&[1, 2, 3], &[1, 2, 3])], 2, "t-0:[1, 2]");
        check(&brokers, &[(&[1, 2, 3], &[2, 3])], 2, "t-0:[2, 3]");
        check(&brokers, &[(&[1, 2, 3], &[3, 1, 2])], 1, "t-0:[3]");
        check(&brokers, &[(&[1, 2], &[1, 2])], 2, "");
    }
}
