//! `klamm cluster status`, `brokers` and `restart-check`.

use client::Admin;
use client::admin::{BrokerStanding, DrainMode, HarmFacts, HarmKind, LeaseFacts};
use serde::Serialize;

use crate::args::Connect;
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser, Table};
use crate::session;

/// Show how the cluster is.
#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    /// How it is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    connect: Connect,
}

/// List brokers with what they carry.
#[derive(Debug, clap::Args)]
pub(super) struct BrokersArgs {
    /// How the list is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    connect: Connect,
}

/// Say whether brokers may be restarted now, and what would follow.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exits with 1 if they may not be restarted now.")]
pub(super) struct RestartCheckArgs {
    /// Ids of brokers that would be restarted together
    #[arg(required = true)]
    brokers: Vec<i32>,
    /// How it is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    cluster_id: String,
    controller: Option<i32>,
    brokers: usize,
    brokers_up: usize,
    partitions: usize,
    without_leader: usize,
    under_replicated: usize,
    moving: usize,
    lease: Option<Lease>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lease {
    broker: i32,
    holder: String,
    remaining_ms: u128,
}

impl From<LeaseFacts> for Lease {
    fn from(lease: LeaseFacts) -> Self {
        let LeaseFacts { broker, holder, remaining } = lease;
        Self { broker, holder, remaining_ms: remaining.as_millis() }
    }
}

impl std::fmt::Display for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { broker, holder, remaining_ms } = self;
        write!(f, "{holder} has it for broker {broker}, for {} s", remaining_ms.div_ceil(1000))
    }
}

pub(super) fn status(args: &StatusArgs) -> Result<(), Failure> {
    session::run(async {
        let status = gather(&session::admin(&args.connect)).await?;
        if args.output == Format::Json {
            return output::json(&status);
        }
        let mut table = Table::new(&["CLUSTER", &status.cluster_id]);
        let controller = status.controller.map_or("none".to_owned(), |id| format!("broker {id}"));
        table.row(["controller".to_owned(), controller]);
        table
            .row(["brokers".to_owned(), format!("{} of {} up", status.brokers_up, status.brokers)]);
        table.row([
            "partitions".to_owned(),
            format!(
                "{}, {} without a leader, {} under-replicated, {} moving",
                status.partitions, status.without_leader, status.under_replicated, status.moving
            ),
        ]);
        let lease = status.lease.map_or("nobody has it".to_owned(), |lease| lease.to_string());
        table.row(["disruption lease".to_owned(), lease]);
        table.print()
    })
}

async fn gather(admin: &Admin) -> Result<Status, Failure> {
    let brokers = admin.describe_brokers().await?;
    let metadata = admin.topics(None).await?;
    let partitions = || metadata.topics.values().flat_map(|topic| topic.partitions.values());
    Ok(Status {
        controller: brokers.iter().find(|it| it.is_controller).map(|it| it.id),
        brokers: brokers.len(),
        brokers_up: brokers.iter().filter(|it| !it.is_fenced).count(),
        partitions: partitions().count(),
        without_leader: partitions().filter(|it| it.leader.is_none()).count(),
        under_replicated: partitions().filter(|it| it.isr.len() < it.replicas.len()).count(),
        moving: admin.list_moves().await?.len(),
        lease: admin.lease().await?.map(Lease::from),
        cluster_id: metadata.cluster_id.unwrap_or_default(),
    })
}

/// One broker in the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BrokerRow {
    id: i32,
    epoch: i64,
    address: String,
    rack: Option<String>,
    state: &'static str,
    controller: bool,
    voter: bool,
    cordoned: bool,
    drain: &'static str,
    drained: bool,
    obstacles: Vec<String>,
    leaders: i32,
    replicas: i32,
    in_sync_percent: i32,
    preferred_percent: i32,
}

impl From<BrokerStanding> for BrokerRow {
    fn from(of: BrokerStanding) -> Self {
        Self {
            in_sync_percent: of.in_sync_percent(),
            preferred_percent: of.preferred_percent(),
            id: of.id,
            epoch: of.epoch,
            address: of.address,
            rack: of.rack,
            state: match (of.is_fenced, of.is_stopping) {
                (true, _) => "down",
                (false, true) => "stopping",
                (false, false) => "up",
            },
            controller: of.is_controller,
            voter: of.is_voter,
            cordoned: of.is_cordoned,
            drain: match of.drain {
                DrainMode::Nothing => "none",
                DrainMode::Leadership => "leadership",
                DrainMode::All => "all",
            },
            drained: of.is_drained,
            obstacles: of.obstacles,
            leaders: of.leaders,
            replicas: of.replicas,
        }
    }
}

impl BrokerRow {
    /// What is special about it.
    fn notes(&self) -> String {
        let mut notes = Vec::new();
        if self.controller {
            notes.push("controller".to_owned());
        }
        if self.cordoned {
            notes.push("cordoned".to_owned());
        }
        match (self.drain, self.drained) {
            ("none", _) => {}
            (_, true) => notes.push("drained".to_owned()),
            (drain, false) => notes.push(format!("draining {drain}")),
        }
        notes.extend(self.obstacles.iter().cloned());
        notes.join("; ")
    }
}

pub(super) fn brokers(args: &BrokersArgs) -> Result<(), Failure> {
    session::run(async {
        let brokers = session::admin(&args.connect).describe_brokers().await?;
        let rows: Vec<BrokerRow> = brokers.into_iter().map(BrokerRow::from).collect();
        if args.output == Format::Json {
            return output::json(&rows);
        }
        let mut table =
            Table::new(&["ID", "ADDRESS", "RACK", "STATE", "LEADS", "HOLDS", "IN SYNC", "NOTES"]);
        for row in &rows {
            table.row([
                row.id.to_string(),
                row.address.clone(),
                row.rack.clone().unwrap_or_else(|| "-".to_owned()),
                row.state.to_owned(),
                row.leaders.to_string(),
                row.replicas.to_string(),
                format!("{} %", row.in_sync_percent),
                row.notes(),
            ]);
        }
        table.print()
    })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    ok: bool,
    harms: Vec<HarmRow>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HarmRow {
    what: &'static str,
    accepted: bool,
    partitions: Vec<String>,
}

fn row(harm: &HarmFacts) -> HarmRow {
    HarmRow {
        what: match harm.kind {
            HarmKind::DataLoss => "on no other disk",
            HarmKind::Unavailable => "without a leader",
            HarmKind::UnderMinIsr => "under min.insync.replicas",
            HarmKind::Quorum => "no majority in the quorum",
            HarmKind::Unknown => "something that this klamm does not know",
        },
        accepted: harm.is_accepted,
        partitions: harm.partitions.iter().map(ToString::to_string).collect(),
    }
}

/// How many partitions are named to a person.
const NAMED_MAX: usize = 3;

pub(super) fn restart_check(args: &RestartCheckArgs) -> Result<(), Failure> {
    let checked = session::run(async {
        Ok(session::admin(&args.connect).restart_check(&args.brokers).await?)
    })?;
    let verdict = Verdict { ok: checked.is_ok, harms: checked.harms.iter().map(row).collect() };
    match args.output {
        Format::Json => output::json(&verdict)?,
        Format::Text if verdict.harms.is_empty() => output::line("nothing would be missing")?,
        Format::Text => {
            let mut table = Table::new(&["WHAT", "PARTITIONS", "ACCEPTED"]);
            for harm in &verdict.harms {
                table.row([harm.what, &named(&harm.partitions), yes(harm.accepted)]);
            }
            table.print()?;
        }
    }
    if verdict.ok {
        return Ok(());
    }
    Err(Failure::new("not now: others could not stand in")
        .hint("wait until all brokers are up and in sync: `klamm cluster brokers`"))
}

fn yes(is: bool) -> &'static str {
    if is { "yes: it happens with every restart" } else { "no" }
}

fn named(partitions: &[String]) -> String {
    let shown = partitions.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match partitions.len() {
        0 => "-".to_owned(),
        count if count <= NAMED_MAX => shown,
        count => format!("{count}: {shown}, …"),
    }
}
