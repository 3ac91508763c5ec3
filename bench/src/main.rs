//! Load and latency against any broker that speaks Kafka. `cargo xtask bench` runs it; alone it answers
//! one question at a time, as one line of JSON.
//!
//! Blocking sockets and threads: the generator must cost little and do nothing clever. Batches are built
//! once and stamped per send (sequence numbers and checksum), so that every record is different and can
//! be verified, and the broker is what is measured.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a load generator talks to a terminal, real sockets and real time"
)]

mod compare;
mod connection;
mod floor;
mod latency;
mod load;
mod payload;
mod server;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "bench", about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create a topic, with settings as key=value.
    Topic(load::TopicArgs),
    /// Send a fixed number of bytes in batches.
    Produce(load::ProduceArgs),
    /// Read all of a topic, checking every record if asked.
    Fetch(load::FetchArgs),
    /// Single records at a fixed rate, timed from when each was due until a consumer has it.
    Latency(latency::Args),
    /// Be the floor: receive, check, append, acknowledge, and nothing else.
    Floor(floor::Args),
    /// Compare Klamm with Apache Kafka, in one run.
    Compare(compare::Args),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Topic(args) => args.run(),
        Command::Produce(args) => print(&load::produce(&args)?),
        Command::Fetch(args) => print(&load::fetch(&args)?),
        Command::Latency(args) => print(&latency::run(&args)?),
        Command::Floor(args) => floor::run(&args),
        Command::Compare(args) => compare::run(&args),
    }
}

fn print(result: &impl serde::Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}
