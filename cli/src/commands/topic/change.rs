//! `klamm topic create`, `alter`, `add-partitions`, `trim` and `delete`.

use std::collections::{BTreeMap, BTreeSet};

use client::admin::{ConfigResource, NewTopic, OffsetAt};
use client::{Isolation, TopicPartition};

use super::checked;
use crate::args::Connect;
use crate::commands::consume::start;
use crate::failure::Failure;
use crate::{output, session};

/// Create topics.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// Names of the topics
    #[arg(required = true)]
    topics: Vec<String>,
    /// How many partitions; the brokers' num.partitions if left out
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many replicas; the brokers' default.replication.factor if left out
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i16).range(1..))]
    replicas: Option<i16>,
    /// A setting, for example retention.ms=3600000; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = session::key_value)]
    config: Vec<(String, String)>,
    /// Succeed if a topic exists already
    #[arg(long)]
    if_not_exists: bool,
    /// Only say whether it could be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) connect: Connect,
}

pub(super) fn create(args: &CreateArgs) -> Result<(), Failure> {
    let configs = checked(&args.config)?;
    session::run(async {
        let admin = session::admin(&args.connect);
        for name in &args.topics {
            let new = NewTopic {
                name: name.clone(),
                partitions: args.partitions,
                replicas: args.replicas,
                configs: configs.clone(),
            };
            match admin.create_topic(&new, args.dry_run).await {
                Ok(_) if args.dry_run => output::line(format_args!("{name} could be created"))?,
                Ok(created) => output::line(format_args!(
                    "created {name}: {} partitions, {} replicas",
                    created.partitions, created.replicas
                ))?,
                Err(error)
                    if args.if_not_exists
                        && error.code() == Some(wire::ErrorCode::TopicAlreadyExists) =>
                {
                    output::line(format_args!("{name} exists already"))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })
}

/// Change a topic's settings.
#[derive(Debug, clap::Args)]
pub(super) struct AlterArgs {
    /// The topic's name
    topic: String,
    /// Set this; may be repeated
    #[arg(short = 'c', long = "config", value_name = "KEY=VALUE", value_parser = session::key_value)]
    set: Vec<(String, String)>,
    /// Go back to the default of this setting; may be repeated
    #[arg(short, long, value_name = "KEY")]
    unset: Vec<String>,
    /// Only say whether it could be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) connect: Connect,
}

pub(super) fn alter(args: &AlterArgs) -> Result<(), Failure> {
    let set = checked(&args.set)?;
    let mut changes: BTreeMap<String, Option<String>> =
        set.into_iter().map(|(key, value)| (key, Some(value))).collect();
    for key in &args.unset {
        if changes.insert(key.clone(), None).is_some() {
            return Err(Failure::usage(format!("{key} is both set and unset")));
        }
    }
    if changes.is_empty() {
        return Err(Failure::usage("nothing to change").hint("--config KEY=VALUE, or --unset KEY"));
    }
    session::run(async {
        let resource = ConfigResource::Topic(args.topic.clone());
        session::admin(&args.connect).alter_configs(&resource, &changes, args.dry_run).await?;
        let done = if args.dry_run { "could be altered" } else { "altered" };
        output::line(format_args!("{} {done}", args.topic))
    })
}

/// Give a topic more partitions.
#[derive(Debug, clap::Args)]
pub(super) struct AddPartitionsArgs {
    /// The topic's name
    topic: String,
    /// How many it shall have afterwards
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    to: i32,
    /// Only say whether it could be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) connect: Connect,
}

pub(super) fn add_partitions(args: &AddPartitionsArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        admin.create_partitions(&args.topic, args.to, args.dry_run).await?;
        let done = if args.dry_run { "could have" } else { "has" };
        output::line(format_args!("{} {done} {} partitions", args.topic, args.to))
    })
}

/// Delete a topic's oldest records.
#[derive(Debug, clap::Args)]
pub(super) struct TrimArgs {
    /// The topic's name
    topic: String,
    /// Delete what is before this: end, an offset, or @TIME
    #[arg(long, value_name = "WHERE", value_parser = start::parse)]
    before: start::Start,
    /// Only these partitions, separated by commas
    #[arg(short, long, value_name = "PARTITIONS", value_delimiter = ',')]
    partition: Vec<i32>,
    #[command(flatten)]
    pub(super) connect: Connect,
}

pub(super) fn trim(args: &TrimArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        let of = start::partitions(&admin, &args.topic, &args.partition).await?;
        let before = start::resolve(&admin, args.before, &of, Isolation::Uncommitted).await?;
        let ends = admin.list_offsets(OffsetAt::Latest, &of, Isolation::Uncommitted).await?;
        for (partition, offset) in &before {
            let end = ends.get(partition).map_or(0, |end| end.offset);
            if *offset > end {
                return Err(Failure::new(format!("{partition} ends at {end}, before {offset}"))
                    .hint("`klamm topic describe` shows the offsets that there are"));
            }
        }
        let starts: BTreeMap<TopicPartition, i64> = admin.delete_records(&before).await?;
        for (partition, start) in starts {
            output::line(format_args!("{partition} begins at {start}"))?;
        }
        Ok(())
    })
}

/// Delete topics and their records.
#[derive(Debug, clap::Args)]
pub(super) struct DeleteArgs {
    /// Names of the topics
    #[arg(required = true)]
    topics: Vec<String>,
    /// Succeed if a topic does not exist
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    pub(super) connect: Connect,
}

pub(super) fn delete(args: &DeleteArgs) -> Result<(), Failure> {
    let names: BTreeSet<&String> = args.topics.iter().collect();
    session::run(async {
        let admin = session::admin(&args.connect);
        for name in names {
            match admin.delete_topic(name).await {
                Ok(()) => output::line(format_args!("deleted {name}"))?,
                Err(error)
                    if args.if_exists
                        && error.code() == Some(wire::ErrorCode::UnknownTopicOrPartition) =>
                {
                    output::line(format_args!("there is no {name}"))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })
}
