//! Thousands of partitions on three brokers: `cargo xtask partitions`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "real processes run in real time, beside real files"
)]

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use e2e::cache;
use e2e::cluster::{Product, partitions};
use e2e::history;
use e2e::kafka::Kafka;

/// Create thousands of partitions on three brokers, kill one and start it again; print how long it takes until all
/// is well, and the memory.
#[derive(Parser)]
#[command(name = "cargo xtask partitions")]
struct Args {
    /// How many partitions, in thousands that are topics.
    #[arg(long, default_value_t = 10_000)]
    count: usize,
    /// How often, each time with new brokers; the active controller is killed every second time. What one trial
    /// deletes slows down the files of the next: with TMPDIR on a fresh file system, one trial shows what is so.
    #[arg(long, default_value_t = 2)]
    trials: usize,
    /// Kill the active controller each time.
    #[arg(long)]
    controller: bool,
    /// Whose brokers.
    #[arg(long, default_value = "klamm", value_parser = ["klamm", "kafka"])]
    against: String,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if cache::is_skipped("partitions", history::TOOLS)? {
        return Ok(());
    }
    let is_kafka = args.against == "kafka";
    if is_kafka && Kafka::find()?.is_none() {
        return Ok(());
    }
    for trial in 0..args.trials {
        if trial > 0 {
            std::thread::sleep(partitions::REST);
        }
        let product = if is_kafka { Product::kafka()? } else { Product::klamm()? };
        let shown = partitions::trial(product, args.count, args.controller || trial % 2 == 1)?;
        println!("{}", serde_json::to_string(&shown)?);
    }
    Ok(())
}
