//! `klamm`: the one binary. Reads the command line, runs what it names, says what went wrong.
//!
//! | folder | what is there |
//! | --- | --- |
//! | `commands/` | one file or folder per subcommand |
//! | `up/` | `klamm up`: the laptop's platform under the operator's planners |
//! | `kubectl/` | `kubectl klamm`: the same binary under another name |
//!
//! What is absent: everything that a command does to brokers is asked of `client`, and what brokers do
//! is in `broker`.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod commands;
mod failure;
mod kubectl;
mod logging;
mod output;
mod session;
mod up;

/// Brokers allocate from many threads, and idle ones should give memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    use_small_pages();
    let result = if is_plugin() {
        kubectl::run(kubectl::Args::parse())
    } else {
        commands::run(args::Args::parse())
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Whether kubectl has started us, or somebody in its way.
fn is_plugin() -> bool {
    let path = std::env::args_os().next().map(std::path::PathBuf::from).unwrap_or_default();
    path.file_stem().is_some_and(|name| name == kubectl::NAME)
}

/// A huge page counts whole for the one byte of it that was touched: an idle broker would take twice
/// the memory, and one under hostile frames half as much again. Throughput is the same without.
fn use_small_pages() {
    // Where it cannot be had, the process takes more memory and works as well.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
