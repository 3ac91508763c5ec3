//! Failover trials, many of them: `cargo xtask failover`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "real processes run in real time, beside real files"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use campaign::Program;
use clap::Parser;
use e2e::cache;
use e2e::failover::{Against, Kind, Shown, Stage, report};
use e2e::history::{self, Historian};
use e2e::kafka::Kafka;
use e2e::network::{self, Network};
use e2e::room::{self, Room};
use e2e::server::klamm_binary;

/// Harm one broker of three under load, again and again, and print how long acknowledgements paused.
#[derive(Parser)]
#[command(name = "cargo xtask failover")]
struct Args {
    /// How many trials of each kind and product there shall be in the end.
    #[arg(long, default_value_t = 20)]
    trials: usize,
    /// Only this kind.
    #[arg(long, value_parser = ["kill", "stop-cont", "cut", "move"])]
    kind: Option<String>,
    /// Whose brokers; all is one after the other.
    #[arg(long, default_value = "klamm", value_parser = ["klamm", "kafka", "kafka-3s", "all"])]
    against: String,
    /// Where trials are written, and those of this commit taken from.
    #[arg(long)]
    resume: Option<PathBuf>,
    /// Only print what the trials in that file came to.
    #[arg(long, requires = "resume")]
    report: bool,
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
    if args.report || room::is_inside() {
        return trials(args, true);
    }
    if cache::is_skipped("failover", history::TOOLS)? {
        return Ok(ExitCode::SUCCESS);
    }
    // There is no way to a registry from inside.
    Historian::build()?;
    if args.against != "klamm" && Kafka::find()?.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(room) = Room::find("failover by cuts", network::TOOLS)? else {
        return trials(args, false);
    };
    let klamm = klamm_binary()?;
    let klamm = klamm.to_str().context("the program's path is not UTF-8")?;
    let status = room.enter(&[("KLAMM_BIN", klamm)])?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn trials(args: &Args, has_network: bool) -> Result<ExitCode> {
    let commit = Program::Broker.commit()?;
    let (mut trials, others) = match &args.resume {
        Some(file) => campaign::resumed::<Shown>(Program::Broker, file, &commit)?,
        None => (Vec::new(), 0),
    };
    if others > 0 {
        println!("{others} trials do not count: they are of other code than {commit}");
    }
    if !args.report {
        let is_wanted =
            |against: &Against| ["all", against.name()].contains(&args.against.as_str());
        // A room has one network, and one product after the other in it.
        let mut network = if has_network { Some(Network::lay(&[1, 2, 3])?) } else { None };
        for against in Against::ALL.into_iter().filter(is_wanted) {
            network = try_all(args, against, network, &mut trials)?;
        }
    }
    print!("{}", report(&trials));
    Ok(ExitCode::SUCCESS)
}

/// Does what is left to do on one product, the kinds in turn.
fn try_all(
    args: &Args,
    against: Against,
    network: Option<Network>,
    trials: &mut Vec<Shown>,
) -> Result<Option<Network>> {
    let mut kinds: Vec<Kind> = Kind::ALL.to_vec();
    kinds.retain(|kind| args.kind.as_deref().is_none_or(|wanted| wanted == kind.name()));
    if network.is_none() {
        kinds.retain(|kind| *kind != Kind::Cut);
    }
    let mut done: BTreeMap<Kind, usize> = kinds.iter().map(|kind| (*kind, 0)).collect();
    for shown in trials.iter().filter(|shown| shown.against == against) {
        done.entry(shown.kind).and_modify(|count| *count += 1);
    }
    if done.values().all(|count| *count >= args.trials) {
        return Ok(network);
    }
    let mut stage = Stage::set(against, network)?;
    for number in 0..args.trials {
        for kind in &kinds {
            if done[kind] > number {
                continue;
            }
            let shown = stage.trial(*kind, number)?;
            println!("{}", serde_json::to_string(&shown)?);
            if let Some(file) = &args.resume {
                campaign::write(file, &shown)?;
            }
            trials.push(shown);
        }
    }
    Ok(stage.clear())
}
