//! `storm`: runs a real broker through many seeds of bad luck, says what that came to, and how to see a
//! failure again.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command of the project talks to a terminal, real files, real threads and real time"
)]

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use anyhow::{Result, bail};
use campaign::Program;
use clap::Parser;
use sim::campaign::{Totals, Trial};
use sim::klamm::Klamm;
use sim::panics::Panics;
use sim::storm;

/// Lines of a trace that are kept when one is asked for.
const TRACE_LINES_MAX: usize = 5_000_000;

/// Runs a real broker through the storm.
#[derive(Parser)]
struct Args {
    /// Seeds to run: `A..B`, the last not among them.
    #[arg(long, default_value = "0..60", value_parser = range)]
    seeds: Range<u64>,
    /// One seed only, told in full.
    #[arg(long)]
    seed: Option<u64>,
    /// Print all that happened.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Go on with a campaign: one line of JSON per run in this file, which is made if it is not there.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Brokers in each run: 1, 3 or 5.
    #[arg(long, default_value_t = 1)]
    brokers: usize,
    /// Runs at a time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Stop at the first seed in which something is broken.
    #[arg(long)]
    fail_fast: bool,
    /// Stop at the first seed in which this property is broken, and succeed only if there is one.
    #[arg(long, value_name = "PROPERTY", conflicts_with = "fail_fast")]
    until: Option<String>,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let parse = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
    let (from, to) = text.split_once("..").ok_or("write it as 0..60")?;
    Ok(parse(from)?..parse(to)?)
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.seed {
        Some(seed) => one(seed, args.brokers, args.trace),
        None => many(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one seed twice: it must tell the same story.
fn one(seed: u64, brokers: usize, trace: bool) -> Result<()> {
    let panics = Panics::listen();
    let run = || storm::run(&Klamm::new(brokers), seed, TRACE_LINES_MAX, &panics);
    let outcome = run();
    if trace {
        for line in outcome.trace.lines() {
            println!("{line}");
        }
    }
    println!(
        "seed {seed}: {:?} of virtual time, {} acknowledged records, {} events, hash {:016x}{}",
        outcome.elapsed,
        outcome.acked,
        outcome.trace.events(),
        outcome.trace.hash(),
        if outcome.counts() { "" } else { "; too little happened for it to count" }
    );
    println!("faults: {:?}\nevaluated: {:?}", outcome.faults, outcome.evaluated);
    for (property, why) in &outcome.broken {
        println!("BROKEN {property}: {why}");
    }
    if let Some((at, left, right)) = outcome.trace.first_difference(&run().trace) {
        bail!("the seed has two stories; they part at event {at}:\n  {left}\n  {right}");
    }
    if !outcome.broken.is_empty() {
        bail!("seed {seed} is broken");
    }
    Ok(())
}

fn many(args: &Args) -> Result<()> {
    let commit = Program::Storm.commit()?;
    let mut trials: Vec<Trial> = match &args.resume {
        Some(file) => campaign::resumed(Program::Storm, file, &commit)?.0,
        None => Vec::new(),
    };
    trials.retain(|trial| args.seeds.contains(&trial.seed) && trial.brokers == args.brokers);
    let done: BTreeSet<u64> = trials.iter().map(|trial| trial.seed).collect();
    let begun = Instant::now();
    let before = trials.len();
    run(args, &commit, &done, &mut trials)?;
    let seconds = begun.elapsed().as_secs_f64();
    let ran = trials.len() - before;
    println!("{ran} seeds in {seconds:.0} s, {before} taken over, at {commit}");
    report(&trials, args)
}

/// Runs the seeds that are not done.
fn run(args: &Args, commit: &str, done: &BTreeSet<u64>, trials: &mut Vec<Trial>) -> Result<()> {
    let panics = Panics::listen();
    let next = AtomicU64::new(args.seeds.start);
    let enough = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            let (tell, panics, next, enough) = (tell.clone(), &panics, &next, &enough);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= args.seeds.end || enough.load(Ordering::Relaxed) {
                        return;
                    }
                    if done.contains(&seed) {
                        continue;
                    }
                    let outcome = storm::run(&Klamm::new(args.brokers), seed, 0, panics);
                    if tell.send(Trial::new(commit, args.brokers, seed, &outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        for trial in told {
            if let Some(file) = &args.resume {
                campaign::write(file, &trial)?;
            }
            for why in &trial.broken {
                println!("seed {}: BROKEN {why}", trial.seed);
            }
            let breaks = |property: &String| trial.breaks(property);
            if (args.fail_fast && !trial.broken.is_empty())
                || args.until.as_ref().is_some_and(breaks)
            {
                enough.store(true, Ordering::Relaxed);
            }
            trials.push(trial);
        }
        Ok(())
    })
}

fn report(trials: &[Trial], args: &Args) -> Result<()> {
    let totals = Totals::of(trials, args.brokers);
    let (counted, uncounted) = totals.trials;
    println!("runs: {counted} count, {uncounted} do not; {} acknowledged records", totals.acked);
    for (what, counts) in [("fault", &totals.faults), ("property", &totals.evaluated)] {
        for (name, count) in counts {
            println!("{what:>8}  {name:<26} {count}");
        }
    }
    for seed in &totals.broken {
        let brokers = args.brokers;
        println!(
            "see it again: cargo run -p sim --bin storm -- --brokers {brokers} --seed {seed} --trace"
        );
    }
    if let Some(property) = &args.until {
        let caught = trials.iter().filter(|trial| trial.breaks(property)).map(|trial| trial.seed);
        let Some(seed) = caught.min() else { bail!("{property} is broken in none of the seeds") };
        println!("{property} is broken in seed {seed}");
        return Ok(());
    }
    if args.fail_fast {
        // Whoever wants to hear of the first failure alone does not ask whether all was tried.
        return if totals.broken.is_empty() { Ok(()) } else { bail!("something is broken") };
    }
    let failures = totals.failures();
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}
