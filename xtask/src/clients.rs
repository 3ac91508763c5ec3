//! `cargo xtask clients`: the order story in real clients, as a table of client × line, and the server
//! killed under load.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Tell the order story in real clients, and print a table of client × line.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these clients: kafka-go, franz-go, java, python, node, kcat.
    clients: Vec<String>,
    /// Against Apache Kafka instead: what fails there is no fault of ours.
    #[arg(long)]
    control: bool,
    /// Also kill the server (kill -9) that many times under load.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    kills: u32,
    /// Who sends while the server is killed: java, franz-go or python.
    #[arg(long, default_value = "java")]
    sender: String,
}

#[derive(Deserialize)]
struct Row {
    client: String,
    /// How many, of which all were killed one after another if there were several.
    brokers: u16,
    line: usize,
    claim: String,
    outcome: String,
    detail: String,
}

/// The table's columns.
const CLIENTS: [&str; 6] = ["kafka-go", "franz-go", "java", "python", "node", "kcat"];

/// Runs the stories; fails if a line failed.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    for name in &args.clients {
        ensure!(CLIENTS.contains(&name.as_str()), "no client {name}; there are {CLIENTS:?}");
    }
    let scratch = tempfile::tempdir()?;
    let report = scratch.path().join("report.jsonl");
    let mut tests = vec!["--test", "clients"];
    let filters: Vec<String> =
        args.clients.iter().map(|name| name.replace('-', "_") + "_tells").collect();
    let mut told = Ok(());
    if args.kills == 0 || !args.clients.is_empty() {
        tests.extend(["--", "--test-threads=1", "--nocapture"]);
        tests.extend(filters.iter().map(String::as_str));
        told = cargo(root, args, &report, &tests);
        print(&report)?;
    }
    if args.kills > 0 {
        let kills = ["--test", "kill9", "--", "--nocapture"];
        told = told.and(cargo(root, args, &report, &kills));
    }
    told
}

fn cargo(root: &Path, args: &Args, report: &Path, tests: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "-p", "e2e"]).args(tests).current_dir(root);
    cargo.env("KLAMM_E2E_REPORT", report);
    cargo.env("KLAMM_E2E_KILLS", args.kills.to_string()).env("KLAMM_E2E_CLIENT", &args.sender);
    if args.control {
        cargo.env("KLAMM_E2E_SERVER", "kafka");
    }
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "not all is well: {status}");
    Ok(())
}

/// Prints the table, and below it what the cells counted or why they are empty.
fn print(report: &Path) -> Result<()> {
    // Without it every client was skipped, and has said so.
    let Ok(text) = std::fs::read_to_string(report) else { return Ok(()) };
    let rows: Vec<Row> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let brokers: BTreeSet<u16> = rows.iter().map(|row| row.brokers).collect();
    for count in brokers {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.brokers == count).collect();
        print_table(count, &rows);
    }
    Ok(())
}

fn print_table(brokers: u16, rows: &[&Row]) {
    let claims: BTreeMap<usize, &str> =
        rows.iter().map(|row| (row.line, row.claim.as_str())).collect();
    let cell = |line: usize, client: &str| {
        rows.iter().rfind(|row| row.line == line && row.client == client)
    };
    let how = if brokers == 1 { "1 broker" } else { "brokers are killed one after another" };
    println!("\n{how}:\n\n| line | {} |", CLIENTS.join(" | "));
    println!("| --- |{}", " --- |".repeat(CLIENTS.len()));
    for (line, claim) in &claims {
        let cells: Vec<&str> = CLIENTS
            .iter()
            .map(|client| cell(*line, client).map_or("not run", |row| row.outcome.as_str()))
            .collect();
        println!("| {line} {claim} | {} |", cells.join(" | "));
    }
    println!();
    for row in rows {
        println!("{:>8} {:>2} {:<6} {}", row.client, row.line, row.outcome, row.detail);
    }
    let count = |outcome: &str| rows.iter().filter(|row| row.outcome == outcome).count();
    let (whole, partly) = (count("ok"), count("partly"));
    let (failed, absent) = (count("FAILED"), count("n/a"));
    println!("cells: {whole} ok, {partly} partly, {failed} failed, {absent} n/a");
}
