//! `klamm group describe`.

use std::collections::{BTreeMap, BTreeSet};

use client::admin::{GroupDescription, OffsetAt};
use client::{Admin, Isolation, TopicPartition};
use serde::Serialize;

use crate::args::Connect;
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser, Table};
use crate::session;

/// Show a group's members, committed offsets and lag.
#[derive(Debug, clap::Args)]
pub(super) struct DescribeArgs {
    /// The group's name
    group: String,
    /// How it is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    connect: Connect,
}

/// How far a group is behind in one partition.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LagRow {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) committed: i64,
    pub(crate) end: Option<i64>,
    pub(crate) lag: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    name: String,
    state: String,
    protocol_type: String,
    protocol: String,
    coordinator: i32,
    members: Vec<MemberRow>,
    offsets: Vec<LagRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberRow {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    client_id: String,
    host: String,
    partitions: Vec<String>,
}

/// The lag of `group` in each partition that it has committed an offset for.
pub(crate) async fn lag_of(admin: &Admin, group: &str) -> Result<Vec<LagRow>, Failure> {
    let committed = admin.fetch_offsets(group).await?;
    let of: BTreeSet<TopicPartition> = committed.keys().cloned().collect();
    let ends = admin.list_offsets(OffsetAt::Latest, &of, Isolation::Uncommitted).await?;
    let row = |(partition, committed): (TopicPartition, client::admin::Committed)| {
        let end = ends.get(&partition).map(|found| found.offset);
        LagRow {
            topic: partition.topic,
            partition: partition.partition,
            committed: committed.offset,
            end,
            lag: end.map_or(0, |end| (end - committed.offset).max(0)),
            member: None,
        }
    };
    Ok(committed.into_iter().map(row).collect())
}

pub(super) fn run(args: &DescribeArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        let found = admin.describe_group(&args.group).await?.ok_or_else(|| {
            Failure::new(format!("there is no group {}", args.group))
                .hint("`klamm group list` shows what there is")
        })?;
        let mut offsets = lag_of(&admin, &args.group).await?;
        let owners = owners(&found);
        for row in &mut offsets {
            let partition = TopicPartition::new(&row.topic, row.partition);
            row.member = owners.get(&partition).cloned();
        }
        let described = describe(&args.group, found, offsets);
        match args.output {
            Format::Json => output::json(&described),
            Format::Text => print(&described),
        }
    })
}

fn owners(found: &GroupDescription) -> BTreeMap<TopicPartition, String> {
    let pairs = found.members.iter().flat_map(|member| {
        member.partitions.iter().map(|partition| (partition.clone(), member.id.clone()))
    });
    pairs.collect()
}

fn describe(name: &str, found: GroupDescription, offsets: Vec<LagRow>) -> Described {
    let member = |member: client::admin::MemberDescription| MemberRow {
        id: member.id,
        instance_id: member.instance_id,
        client_id: member.client_id,
        host: member.host,
        partitions: member.partitions.iter().map(ToString::to_string).collect(),
    };
    Described {
        name: name.to_owned(),
        state: found.state,
        protocol_type: found.protocol_type,
        protocol: found.protocol,
        coordinator: found.coordinator,
        members: found.members.into_iter().map(member).collect(),
        offsets,
    }
}

fn print(described: &Described) -> Result<(), Failure> {
    output::line(format_args!(
        "group {}: {}, {} members, coordinator {}",
        described.name,
        described.state,
        described.members.len(),
        described.coordinator
    ))?;
    if !described.members.is_empty() {
        output::line("")?;
        let mut table = Table::new(&["MEMBER", "CLIENT", "HOST", "PARTITIONS"]);
        for member in &described.members {
            let id = member.instance_id.clone().unwrap_or_else(|| member.id.clone());
            let partitions = member.partitions.join(" ");
            table.row([id, member.client_id.clone(), member.host.clone(), partitions]);
        }
        table.print()?;
    }
    if !described.offsets.is_empty() {
        output::line("")?;
        let mut table = Table::new(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG"]);
        for row in &described.offsets {
            table.row([
                row.topic.clone(),
                row.partition.to_string(),
                row.committed.to_string(),
                row.end.map_or("no such partition".to_owned(), |end| end.to_string()),
                row.lag.to_string(),
            ]);
        }
        table.print()?;
    }
    Ok(())
}
