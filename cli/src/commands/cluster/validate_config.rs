//! `klamm cluster validate-config`.

use std::path::PathBuf;

use clap::ValueEnum;
use client::admin::ConfigProblem;
use serde::Serialize;

use crate::args::Connect;
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser, Table};
use crate::session;

/// Say whether settings could be set, as the cluster sees it, and set nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exits with 1 if something is wrong with them.")]
pub(super) struct ValidateConfigArgs {
    /// Whose settings they are
    #[arg(value_name = "OF")]
    of: Of,
    /// A setting, for example retention.ms=3600000; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = session::key_value)]
    config: Vec<(String, String)>,
    /// More of them, as Java properties; what --config says wins
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How it is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// A topic's
    Topic,
    /// A broker's
    Broker,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    key: String,
    problem: String,
    hint: Option<String>,
}

impl From<ConfigProblem> for Row {
    fn from(found: ConfigProblem) -> Self {
        Self { key: found.key, problem: found.message, hint: found.hint }
    }
}

pub(super) fn run(args: &ValidateConfigArgs) -> Result<(), Failure> {
    let settings = settings(args)?;
    let problems: Vec<Row> = session::run(async {
        let is_topic = args.of == Of::Topic;
        let found = session::admin(&args.connect).validate_config(is_topic, &settings).await?;
        Ok(found.into_iter().map(Row::from).collect())
    })?;
    match args.output {
        Format::Json => output::json(&problems)?,
        Format::Text if problems.is_empty() => output::line("nothing is wrong with them")?,
        Format::Text => {
            let mut table = Table::new(&["KEY", "PROBLEM", "HINT"]);
            for Row { key, problem, hint } in &problems {
                table.row([key.clone(), problem.clone(), hint.clone().unwrap_or_default()]);
            }
            table.print()?;
        }
    }
    match problems.len() {
        0 => Ok(()),
        count => Err(Failure::new(format!("{count} of {} settings cannot be set", settings.len()))),
    }
}

fn settings(args: &ValidateConfigArgs) -> Result<Vec<(String, String)>, Failure> {
    let mut settings = config::Properties::new();
    if let Some(path) = &args.file {
        let named =
            |error: &dyn std::fmt::Display| Failure::new(format!("{}: {error}", path.display()));
        let bytes = session::world().disk.read(path).map_err(|error| named(&error))?;
        let text = String::from_utf8(bytes).map_err(|error| named(&error))?;
        settings = config::properties::parse(&text).map_err(|error| named(&error))?;
    }
    settings.extend(args.config.iter().cloned());
    if settings.is_empty() {
        return Err(
            Failure::usage("there is nothing to check").hint("--config KEY=VALUE, or --file")
        );
    }
    Ok(settings.into_iter().collect())
}
