//! `klamm topic describe`.

use std::collections::BTreeSet;

use client::admin::{ConfigResource, ConfigSource, OffsetAt};
use client::{Isolation, TopicPartition};
use serde::Serialize;

use crate::args::Connect;
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser, Table};
use crate::session;

/// Show a topic's partitions, offsets and settings.
#[derive(Debug, clap::Args)]
pub(super) struct DescribeArgs {
    /// The topic's name
    topic: String,
    /// All settings, not only those that differ from their default
    #[arg(short, long)]
    all: bool,
    /// How it is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    pub(super) connect: Connect,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    name: String,
    id: String,
    internal: bool,
    partitions: Vec<PartitionRow>,
    config: Vec<ConfigRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartitionRow {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    start: Option<i64>,
    end: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigRow {
    name: String,
    value: Option<String>,
    source: String,
}

pub(super) fn run(args: &DescribeArgs) -> Result<(), Failure> {
    session::run(async {
        let described = describe(args).await?;
        match args.output {
            Format::Json => output::json(&described),
            Format::Text => print(&described),
        }
    })
}

async fn describe(args: &DescribeArgs) -> Result<Described, Failure> {
    let admin = session::admin(&args.connect);
    let metadata = admin.topics(Some(std::slice::from_ref(&args.topic))).await?;
    let topic = metadata.topics.get(&args.topic).ok_or_else(|| {
        Failure::new(format!("there is no topic {}", args.topic))
            .hint("`klamm topic list` shows what there is; `klamm topic create` makes one")
    })?;
    let of: BTreeSet<_> =
        topic.partitions.keys().map(|index| TopicPartition::new(&args.topic, *index)).collect();
    let starts = admin.list_offsets(OffsetAt::Earliest, &of, Isolation::Uncommitted).await?;
    let ends = admin.list_offsets(OffsetAt::Latest, &of, Isolation::Uncommitted).await?;
    let resource = ConfigResource::Topic(args.topic.clone());
    let settings = admin.describe_configs(&resource, false).await?;
    let partition = |(index, found): (&i32, &client::PartitionMetadata)| {
        let key = TopicPartition::new(&args.topic, *index);
        PartitionRow {
            partition: *index,
            leader: found.leader,
            leader_epoch: found.leader_epoch,
            replicas: found.replicas.clone(),
            isr: found.isr.clone(),
            start: starts.get(&key).map(|found| found.offset),
            end: ends.get(&key).map(|found| found.offset),
        }
    };
    let shown = settings.into_values().filter(|s| args.all || s.source != ConfigSource::Default);
    Ok(Described {
        name: args.topic.clone(),
        id: topic.id.to_string(),
        internal: topic.is_internal,
        partitions: topic.partitions.iter().map(partition).collect(),
        config: shown
            .map(|setting| ConfigRow {
                name: setting.name,
                value: setting.value,
                source: setting.source.to_string(),
            })
            .collect(),
    })
}

fn print(described: &Described) -> Result<(), Failure> {
    output::line(format_args!("topic {} (id {})\n", described.name, described.id))?;
    let heading = ["PARTITION", "LEADER", "REPLICAS", "ISR", "START", "END", "RECORDS"];
    let mut table = Table::new(&heading);
    let number = |offset: Option<i64>| offset.map_or("?".to_owned(), |offset| offset.to_string());
    for row in &described.partitions {
        let records = row.start.zip(row.end).map(|(start, end)| end - start);
        table.row([
            row.partition.to_string(),
            row.leader.map_or("none".to_owned(), |leader| leader.to_string()),
            ids(&row.replicas),
            ids(&row.isr),
            number(row.start),
            number(row.end),
            number(records),
        ]);
    }
    table.print()?;
    if !described.config.is_empty() {
        output::line("")?;
        let mut table = Table::new(&["SETTING", "VALUE", "FROM"]);
        for row in &described.config {
            let value = row.value.clone().unwrap_or_else(|| "[hidden or unset]".to_owned());
            table.row([row.name.clone(), value, row.source.clone()]);
        }
        table.print()?;
    }
    Ok(())
}

fn ids(ids: &[i32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
