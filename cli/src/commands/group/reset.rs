//! `klamm group reset`: moves a group's committed offsets, exactly once per token.

use std::collections::{BTreeMap, BTreeSet};

use client::admin::{GroupReset, OffsetAt};
use client::{Admin, Isolation, TopicPartition};
use serde::Serialize;

use crate::args::Connect;
use crate::commands::consume::start::{self, Start};
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser, Table};
use crate::session;

/// Move a group's committed offsets.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A group with members is refused unless --fence drops them first: they join \
                        again, and their late commits are refused."
)]
pub(super) struct ResetArgs {
    /// The group's name
    group: String,
    /// Where to: beginning, end, an offset, -N from the end, or @TIME
    #[arg(short, long, value_name = "WHERE", value_parser = start::parse, allow_hyphen_values = true)]
    to: Start,
    /// Only these topics; all that the group has committed offsets for if left out
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Drop the group's members first
    #[arg(long)]
    fence: bool,
    /// Make the group if there is none; needs --topic
    #[arg(long, requires = "topic")]
    create: bool,
    /// Names the reset: repeated with the same token, it is not done again
    #[arg(long, value_name = "TEXT")]
    token: Option<String>,
    /// Only show what would move
    #[arg(long)]
    dry_run: bool,
    /// How it is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MoveRow {
    topic: String,
    partition: i32,
    from: Option<i64>,
    to: i64,
}

pub(super) fn run(args: &ResetArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        if !args.create && admin.describe_group(&args.group).await?.is_none() {
            return Err(Failure::new(format!("there is no group {}", args.group))
                .hint("`klamm group list` shows what there is; --create makes one"));
        }
        let of = partitions(&admin, args).await?;
        let to =
            clamped(&admin, start::resolve(&admin, args.to, &of, Isolation::Uncommitted).await?)
                .await?;
        let previous = if args.dry_run {
            let committed = admin.fetch_offsets(&args.group).await?;
            let at = |p: &TopicPartition| committed.get(p).map(|committed| committed.offset);
            to.keys().map(|partition| (partition.clone(), at(partition))).collect()
        } else {
            let token = args.token.clone().unwrap_or_else(|| new_token(&admin));
            let (group, fence) = (args.group.clone(), args.fence);
            let reset = GroupReset { group, token, fence, to: to.clone() };
            let done = admin.reset_group_offsets(&reset).await?;
            if done.already_done {
                output::note("this token was carried out before; nothing was moved now");
            }
            done.previous
        };
        let row = |(partition, from): (TopicPartition, Option<i64>)| MoveRow {
            to: to.get(&partition).copied().unwrap_or(-1),
            topic: partition.topic,
            partition: partition.partition,
            from,
        };
        show(args, &previous.into_iter().map(row).collect::<Vec<_>>())
    })
}

async fn partitions(admin: &Admin, args: &ResetArgs) -> Result<BTreeSet<TopicPartition>, Failure> {
    if args.topic.is_empty() {
        let committed = admin.fetch_offsets(&args.group).await?;
        if committed.is_empty() {
            return Err(Failure::new(format!("group {} has no committed offsets", args.group))
                .hint("name the topics with --topic"));
        }
        return Ok(committed.into_keys().collect());
    }
    let mut of = BTreeSet::new();
    for topic in &args.topic {
        of.extend(start::partitions(admin, topic, &[]).await?);
    }
    Ok(of)
}

/// The nearest offsets that are there.
async fn clamped(
    admin: &Admin,
    to: BTreeMap<TopicPartition, i64>,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let of: BTreeSet<_> = to.keys().cloned().collect();
    let starts = admin.list_offsets(OffsetAt::Earliest, &of, Isolation::Uncommitted).await?;
    let ends = admin.list_offsets(OffsetAt::Latest, &of, Isolation::Uncommitted).await?;
    let clamp = |(partition, offset): (TopicPartition, i64)| {
        let start = starts.get(&partition).map_or(0, |found| found.offset);
        let end = ends.get(&partition).map_or(offset, |found| found.offset);
        (partition, offset.clamp(start, end.max(start)))
    };
    Ok(to.into_iter().map(clamp).collect())
}

fn new_token(admin: &Admin) -> String {
    let world = admin.cluster().world();
    format!("cli-{}-{:016x}", world.clock.wall_ms(), world.dice.next_u64("reset-token"))
}

fn show(args: &ResetArgs, rows: &[MoveRow]) -> Result<(), Failure> {
    if args.output == Format::Json {
        return output::json(&rows);
    }
    let mut table = Table::new(&["TOPIC", "PARTITION", "FROM", "TO"]);
    for row in rows {
        let from = row.from.map_or("none".to_owned(), |from| from.to_string());
        table.row([row.topic.clone(), row.partition.to_string(), from, row.to.to_string()]);
    }
    table.print()
}
