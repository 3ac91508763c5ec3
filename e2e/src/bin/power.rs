//! All brokers killed at once, with and without a loss of power: `cargo xtask power`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "real processes run in real time, beside real files"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use campaign::Program;
use clap::Parser;
use e2e::history::{self, Historian};
use e2e::nemesis::checker::Breach;
use e2e::network;
use e2e::power::{self, Loss};
use e2e::room::{self, Room};
use e2e::server::klamm_binary;

/// Where the brokers' disks are, told to the run inside of the room.
const FOLDER: &str = "KLAMM_E2E_FOLDER";

/// Kill all brokers at once under load, again and again; their machines may lose power with them.
#[derive(Parser)]
#[command(name = "cargo xtask power")]
struct Args {
    /// What is lost: `processes` alone, the power of all machines (topics are synced), or of one; `unnoticed` is
    /// one that keeps its boot id, which must be caught.
    #[arg(long, default_value = "all-power", value_parser = ["processes", "all-power", "one-power", "unnoticed"])]
    loss: String,
    /// How often.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// Where chance comes from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    if room::is_inside() {
        return inside(args);
    }
    let Some(room) = Room::find("power", &[network::TOOLS, history::TOOLS].concat())? else {
        return Ok(ExitCode::SUCCESS);
    };
    // There is no way to a registry from inside, and what is left when a run is killed is removed here.
    Historian::build()?;
    let klamm = klamm_binary()?;
    let klamm = klamm.to_str().context("the program's path is not UTF-8")?;
    let folder = tempfile::Builder::new().prefix("klamm-power-").tempdir()?;
    let disks = folder.path().to_str().context("the folder's path is not UTF-8")?;
    let status = room.enter(&[("KLAMM_BIN", klamm), (FOLDER, disks)])?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn inside(args: &Args) -> Result<ExitCode> {
    let folder = PathBuf::from(std::env::var_os(FOLDER).context("the room has a folder")?);
    let loss = Loss::ALL.into_iter().find(|loss| loss.name() == args.loss);
    let loss = loss.context("no such loss")?;
    let outcome = power::run(loss, args.rounds, args.seed, &folder, &Program::Broker.commit()?)?;
    println!("{}", serde_json::to_string(&outcome)?);
    for told in &outcome.verdict.told {
        println!("{told}");
    }
    let (acked, breaches) = (outcome.verdict.acked, &outcome.verdict.breaches);
    ensure!(acked > 0, "nothing was acknowledged: that proves nothing");
    if loss == Loss::Unnoticed {
        let lost = breaches.get(&Breach::Lost).copied().unwrap_or(0);
        ensure!(lost > 0, "a loss of power that nobody notices was not caught");
        println!("caught: {lost} of {acked} acknowledged records were lost");
    } else {
        ensure!(breaches.is_empty(), "something is wrong: {breaches:?}");
        println!("{} times, {acked} acknowledged records: nothing is wrong", outcome.rounds);
    }
    Ok(ExitCode::SUCCESS)
}
