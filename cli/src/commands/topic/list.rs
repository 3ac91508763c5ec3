//! `klamm topic list`.

use std::collections::BTreeMap;

use client::Admin;
use serde::Serialize;

use crate::args::Connect;
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser, Table};
use crate::session;

/// List topics with their size.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Kafka's own topics as well, such as __consumer_offsets
    #[arg(short, long)]
    internal: bool,
    /// How the list is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    pub(super) connect: Connect,
}

/// One topic in a list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TopicRow {
    pub(crate) name: String,
    pub(crate) partitions: usize,
    pub(crate) replicas: usize,
    pub(crate) under_replicated: usize,
    pub(crate) bytes: i64,
    pub(crate) internal: bool,
    pub(crate) id: String,
}

/// All topics, as the brokers describe them.
pub(crate) async fn gather(admin: &Admin, internal: bool) -> Result<Vec<TopicRow>, Failure> {
    let metadata = admin.topics(None).await?;
    let mut bytes: BTreeMap<String, i64> = BTreeMap::new();
    for broker in metadata.brokers.keys() {
        for dir in admin.describe_log_dirs(*broker).await? {
            for (partition, size) in dir.partitions {
                *bytes.entry(partition.topic).or_default() += size;
            }
        }
    }
    let rows = metadata.topics.iter().filter(|(_, topic)| internal || !topic.is_internal);
    let row = |(name, topic): (&String, &client::TopicMetadata)| TopicRow {
        name: name.clone(),
        partitions: topic.partitions.len(),
        replicas: topic.partitions.values().map(|p| p.replicas.len()).min().unwrap_or(0),
        under_replicated: topic
            .partitions
            .values()
            .filter(|p| p.isr.len() < p.replicas.len())
            .count(),
        bytes: bytes.get(name).copied().unwrap_or(0),
        internal: topic.is_internal,
        id: topic.id.to_string(),
    };
    Ok(rows.map(row).collect())
}

/// The topics as a table.
pub(crate) fn table(rows: &[TopicRow]) -> Table {
    let mut table = Table::new(&["NAME", "PARTITIONS", "REPLICAS", "SIZE"]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.partitions.to_string(),
            row.replicas.to_string(),
            output::bytes(row.bytes),
        ]);
    }
    table
}

pub(super) fn run(args: &ListArgs) -> Result<(), Failure> {
    session::run(async {
        let rows = gather(&session::admin(&args.connect), args.internal).await?;
        match args.output {
            Format::Json => output::json(&rows),
            Format::Text => table(&rows).print(),
        }
    })
}
