//! `klamm cluster features` and `finalize`.

use client::Admin;
use client::admin::{FeatureFacts, LevelChange};
use serde::Serialize;

use crate::args::Connect;
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser, Table};
use crate::session;

/// What is finalized, unless something else is named.
const METADATA_VERSION: &str = "klamm.metadata.version";

/// Show which feature levels are finalized, and which the brokers support.
#[derive(Debug, clap::Args)]
pub(super) struct FeaturesArgs {
    /// How it is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    connect: Connect,
}

/// Finalize a feature level: the end of an upgrade.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Brokers are upgraded first, one after the other, and can go back to the version before \
                        as long as the new level is not finalized. Afterwards a broker that does not support it \
                        is refused. A level can be lowered again if nothing is there that needs it."
)]
pub(super) struct FinalizeArgs {
    /// The level [default: the newest that all brokers support]
    #[arg(long)]
    level: Option<i16>,
    /// The feature
    #[arg(long, value_name = "NAME", default_value = METADATA_VERSION)]
    feature: String,
    /// Lower the level, if nothing is lost by that
    #[arg(long, requires = "level")]
    downgrade: bool,
    /// Lower the level, and drop what the lower one does not have
    #[arg(long, requires = "level", conflicts_with = "downgrade")]
    unsafe_downgrade: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    feature: String,
    finalized: i16,
    newest_of_all: Option<i16>,
    brokers: Vec<BrokerRow>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BrokerRow {
    id: i32,
    min: Option<i16>,
    max: Option<i16>,
}

fn row((feature, facts): (String, FeatureFacts)) -> Row {
    let broker = |(id, levels): (&i32, &Option<(i16, i16)>)| BrokerRow {
        id: *id,
        min: levels.map(|(min, _)| min),
        max: levels.map(|(_, max)| max),
    };
    Row {
        feature,
        finalized: facts.finalized,
        newest_of_all: facts.newest_of_all(),
        brokers: facts.brokers.iter().map(broker).collect(),
    }
}

pub(super) fn features(args: &FeaturesArgs) -> Result<(), Failure> {
    session::run(async {
        let features = session::admin(&args.connect).features().await?;
        let rows: Vec<Row> = features.into_iter().map(row).collect();
        if args.output == Format::Json {
            return output::json(&rows);
        }
        let mut table = Table::new(&["FEATURE", "FINALIZED", "NEWEST OF ALL", "BROKERS"]);
        for row in rows {
            let newest = row.newest_of_all.map_or("none".to_owned(), |level| level.to_string());
            let brokers = row.brokers.iter().map(|it| match (it.min, it.max) {
                (Some(min), Some(max)) => format!("{}: {min} to {max}", it.id),
                _ => format!("{}: none", it.id),
            });
            let brokers = brokers.collect::<Vec<_>>().join(", ");
            table.row([row.feature, row.finalized.to_string(), newest, brokers]);
        }
        table.print()
    })
}

pub(super) fn finalize(args: &FinalizeArgs) -> Result<(), Failure> {
    let feature = args.feature.as_str();
    session::run(async {
        let admin = session::admin(&args.connect);
        let facts = facts(&admin, feature).await?;
        let level = args.level.or_else(|| facts.newest_of_all()).ok_or_else(|| {
            Failure::new(format!("no level of {feature} is supported by all brokers"))
                .hint("`klamm cluster features` shows what each of them supports")
        })?;
        let change = match (args.downgrade, args.unsafe_downgrade) {
            (true, _) => LevelChange::SafeDowngrade,
            (_, true) => LevelChange::UnsafeDowngrade,
            (false, false) => LevelChange::Upgrade,
        };
        admin.update_feature(feature, level, change, args.dry_run).await?;
        let from = facts.finalized;
        output::line(match (args.dry_run, from == level) {
            (_, true) => format!("{feature} is finalized at level {level} already"),
            (true, false) => format!("{feature} would go from level {from} to {level}"),
            (false, false) => format!("{feature} went from level {from} to {level}"),
        })
    })
}

async fn facts(admin: &Admin, feature: &str) -> Result<FeatureFacts, Failure> {
    admin.features().await?.remove(feature).ok_or_else(|| {
        Failure::new(format!("no broker knows the feature {feature}"))
            .hint("`klamm cluster features` shows what there is")
    })
}
