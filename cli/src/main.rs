//! `klamm`: the one binary. Reads the command line, runs what it names, says what went wrong.
//!
//! | folder | what is there |
//! | --- | --- |
//! | `commands/` | one file or folder per subcommand |
//! | `up/` | `klamm up`: the laptop's platform under the operator's planners |
//!
//! What is absent: everything that a command does to brokers is asked of `client`, and what brokers do
//! is in `broker`.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod commands;
mod failure;
mod logging;
mod output;
mod session;
mod up;

/// Brokers allocate from many threads, and idle ones should give memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = args::Args::parse();
    match commands::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
