//! The project's own commands: `cargo xtask COMMAND`. Each has a file or folder of its own.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command of the project talks to a terminal, real files and real time"
)]

mod bench;
#[cfg(test)]
mod charts;
mod clients;
mod codegen;
mod e2e;
mod failover;
mod frames;
mod image;
mod mutants;
mod nemesis;
mod partitions;
mod power;
mod readme;
mod suite;
mod tidy;

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Codegen(codegen::Args),
    /// Check the house rules: layers, sizes, names, handlers, dependencies.
    Tidy,
    /// Run all that a pull request must pass, or some stages of it.
    Test(suite::Args),
    Bench(bench::Args),
    Clients(clients::Args),
    E2e(e2e::Args),
    Failover(failover::Args),
    Frames(frames::Args),
    Image(image::Args),
    Mutants(mutants::Args),
    Nemesis(nemesis::Args),
    Partitions(partitions::Args),
    Power(power::Args),
    /// Do what README says in a fresh clone; every order must arrive.
    Readme(readme::Args),
}

fn main() -> std::process::ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Codegen(args) => codegen::run(&args),
        Command::Mutants(args) => mutants::run(suite::root(), &args),
        Command::Tidy => tidy::run(suite::root()),
        Command::Bench(args) => bench::run(suite::root(), &args),
        Command::Clients(args) => clients::run(suite::root(), &args),
        Command::E2e(args) => e2e::run(suite::root(), &args),
        Command::Failover(args) => failover::run(suite::root(), &args),
        Command::Frames(args) => frames::run(suite::root(), &args),
        Command::Image(args) => image::run(suite::root(), &args),
        Command::Nemesis(args) => nemesis::run(suite::root(), &args),
        Command::Partitions(args) => partitions::run(suite::root(), &args),
        Command::Power(args) => power::run(suite::root(), &args),
        Command::Readme(args) => readme::run(suite::root(), &args),
        Command::Test(args) => suite::run(suite::root(), &args),
    }
}
