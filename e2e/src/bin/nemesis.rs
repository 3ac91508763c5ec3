//! Runs of the nemesis, many of them: `cargo xtask nemesis`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "real processes run in real time, beside real files"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use campaign::Program;
use clap::Parser;
use e2e::cluster::Product;
use e2e::history::{self, Historian};
use e2e::kafka::Kafka;
use e2e::nemesis::checker::Breach;
use e2e::nemesis::faults::{self, Fault};
use e2e::nemesis::{self, Outcome, Plan};
use e2e::network::{self, FORWARD, Network};
use e2e::room::{self, Room};
use e2e::server::klamm_binary;
use e2e::{forwarder, volume};

/// Where the brokers' disks are, told to the run inside of the room.
const FOLDER: &str = "KLAMM_E2E_FOLDER";

/// Harm three brokers while clients send and read, heal them, and judge what the clients saw.
#[derive(Parser)]
#[command(name = "cargo xtask nemesis")]
struct Args {
    /// How many runs there shall be in the end; each has a seed, from the first on.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How long brokers are harmed in a run.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only these faults, separated by commas.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// Where runs are written, and those of this commit taken from.
    #[arg(long)]
    resume: Option<PathBuf>,
    /// Only print what the runs in that file came to.
    #[arg(long, requires = "resume")]
    report: bool,
    /// Instead, Apache Kafka with acks=1, which loses records: the judge must see that.
    #[arg(long, conflicts_with = "resume")]
    control: bool,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let done = match arguments.next().as_deref() {
        Some(FORWARD) => forwarder::run(arguments).map(|()| ExitCode::SUCCESS),
        _ => run(&Args::parse()),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    if args.report || room::is_inside() {
        return inside(args);
    }
    let tools = [network::TOOLS, volume::TOOLS, history::TOOLS].concat();
    let Some(room) = Room::find("nemesis", &tools)? else { return Ok(ExitCode::SUCCESS) };
    if args.control && Kafka::find()?.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    // There is no way to a registry from inside, and what is left when a run is killed is removed here.
    Historian::build()?;
    let klamm = if args.control { PathBuf::new() } else { klamm_binary()? };
    let klamm = klamm.to_str().context("the program's path is not UTF-8")?;
    let folder = tempfile::Builder::new().prefix("klamm-nemesis-").tempdir()?;
    let disks = folder.path().to_str().context("the folder's path is not UTF-8")?;
    let status = room.enter(&[("KLAMM_BIN", klamm), (FOLDER, disks)])?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn inside(args: &Args) -> Result<ExitCode> {
    if args.control {
        return control(args);
    }
    let commit = Program::Broker.commit()?;
    let (mut outcomes, others) = match &args.resume {
        Some(file) => campaign::resumed::<Outcome>(Program::Broker, file, &commit)?,
        None => (Vec::new(), 0),
    };
    if others > 0 {
        println!("{others} runs do not count: they are of other code than {commit}");
    }
    if !args.report {
        let chosen =
            args.faults.iter().map(|name| Fault::named(name)).collect::<Result<Vec<_>>>()?;
        let chosen = if chosen.is_empty() { faults::ALL.to_vec() } else { chosen };
        let done: BTreeSet<u64> = outcomes.iter().map(|outcome| outcome.seed).collect();
        let mut network = Network::lay(&[1, 2, 3])?;
        for seed in (args.seed..args.seed + args.runs).filter(|seed| !done.contains(seed)) {
            let plan = Plan {
                seed,
                length: Duration::from_secs(args.seconds),
                is_safe: true,
                faults: chosen.clone(),
            };
            let (outcome, left) = one(&plan, Product::klamm()?, network, &commit)?;
            network = left;
            if let Some(file) = &args.resume {
                campaign::write(file, &outcome)?;
            }
            outcomes.push(outcome);
        }
    }
    report(&outcomes)
}

/// The judge must find what Apache Kafka loses if producers wait for the leader alone.
fn control(args: &Args) -> Result<ExitCode> {
    let plan = Plan {
        seed: args.seed,
        length: Duration::from_secs(args.seconds),
        is_safe: false,
        faults: vec![Fault::Severed],
    };
    let network = Network::lay(&[1, 2, 3])?;
    let (outcome, _) = one(&plan, Product::kafka()?, network, &Program::Broker.commit()?)?;
    let lost = outcome.verdict.breaches.get(&Breach::Lost).copied().unwrap_or(0);
    ensure!(lost > 0, "Apache Kafka lost nothing: then the judge proves nothing");
    println!("caught: {lost} of {} acknowledged records were lost", outcome.verdict.acked);
    Ok(ExitCode::SUCCESS)
}

fn one(
    plan: &Plan,
    product: Product,
    network: Network,
    commit: &str,
) -> Result<(Outcome, Network)> {
    let base = std::env::var_os(FOLDER).context("the room has a folder for disks")?;
    let folder = PathBuf::from(base).join(format!("run-{}", plan.seed));
    std::fs::create_dir(&folder)?;
    let (outcome, network) = nemesis::run(plan, product, network, &folder, commit)?;
    std::fs::remove_dir_all(&folder)?;
    println!("{}", serde_json::to_string(&outcome)?);
    for told in &outcome.verdict.told {
        println!("seed {}: {told}", plan.seed);
    }
    Ok((outcome, network))
}

fn report(outcomes: &[Outcome]) -> Result<ExitCode> {
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, count) in outcomes.iter().flat_map(|outcome| &outcome.faults) {
        *faults.entry(name).or_default() += count;
    }
    println!(
        "runs: {}, {} of them of at least 60 s with at least 5 faults; faults: {faults:?}",
        outcomes.len(),
        outcomes.iter().filter(|it| it.seconds >= 60 && it.faults() >= 5).count(),
    );
    println!(
        "records: {} acknowledged, {} unknown, {} refused, {} there, {} read; {} commits",
        sum(|it| it.verdict.acked),
        sum(|it| it.verdict.unknown),
        sum(|it| it.verdict.refused),
        sum(|it| it.verdict.there),
        sum(|it| it.verdict.read),
        sum(|it| it.verdict.commits),
    );
    let converged = outcomes.iter().filter_map(|outcome| outcome.converged_ms);
    println!("all in sync after {} ms at most", converged.max().unwrap_or(0));
    let broken: Vec<u64> =
        outcomes.iter().filter(|it| !it.is_fine()).map(|outcome| outcome.seed).collect();
    ensure!(broken.is_empty(), "something is wrong with seeds {broken:?}");
    for outcome in outcomes {
        // A run in which nothing was sent or done would prove nothing.
        let (acked, refused) = (outcome.verdict.acked, outcome.verdict.refused);
        let (seed, done) = (outcome.seed, outcome.faults());
        ensure!(
            acked > 0 && refused > 0 && done > 0,
            "seed {seed}: {acked} acknowledged, {refused} refused, {done} faults"
        );
    }
    println!("nothing is wrong");
    Ok(ExitCode::SUCCESS)
}
