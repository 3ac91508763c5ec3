//! `klamm group list` and `delete`.

use client::Admin;
use serde::Serialize;

use super::lag_of;
use crate::args::Connect;
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser, Table};
use crate::session;

/// List groups with their state and lag.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// How the list is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    connect: Connect,
}

/// One group in a list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupRow {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) protocol: String,
    pub(crate) members: usize,
    pub(crate) lag: i64,
    pub(crate) coordinator: i32,
}

/// All groups, as their coordinators describe them.
pub(crate) async fn gather(admin: &Admin) -> Result<Vec<GroupRow>, Failure> {
    let mut rows = Vec::new();
    for group in admin.list_groups().await? {
        // It may have gone since it was listed.
        let Some(described) = admin.describe_group(&group.id).await? else { continue };
        let lag = lag_of(admin, &group.id).await?.iter().map(|row| row.lag).sum();
        rows.push(GroupRow {
            name: group.id,
            state: described.state,
            protocol: described.protocol_type,
            members: described.members.len(),
            lag,
            coordinator: group.coordinator,
        });
    }
    Ok(rows)
}

/// The groups as a table.
pub(crate) fn table(rows: &[GroupRow]) -> Table {
    let mut table = Table::new(&["NAME", "STATE", "MEMBERS", "LAG"]);
    for row in rows {
        let (members, lag) = (row.members.to_string(), row.lag.to_string());
        table.row([row.name.clone(), row.state.clone(), members, lag]);
    }
    table
}

pub(super) fn run(args: &ListArgs) -> Result<(), Failure> {
    session::run(async {
        let rows = gather(&session::admin(&args.connect)).await?;
        match args.output {
            Format::Json => output::json(&rows),
            Format::Text => table(&rows).print(),
        }
    })
}

/// Delete groups and their committed offsets.
#[derive(Debug, clap::Args)]
pub(super) struct DeleteArgs {
    /// Names of the groups
    #[arg(required = true)]
    groups: Vec<String>,
    #[command(flatten)]
    connect: Connect,
}

pub(super) fn delete(args: &DeleteArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        for group in &args.groups {
            admin.delete_group(group).await?;
            output::line(format_args!("deleted {group}"))?;
        }
        Ok(())
    })
}
