//! `cargo xtask partitions`: thousands of partitions on three brokers. The method is in `e2e/src/cluster/partitions.rs`.

use std::path::Path;

use anyhow::Result;

/// Create thousands of partitions on three brokers, kill one of them, and print how long all takes.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Passed on: see `cargo xtask partitions --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    crate::failover::harm(root, "partitions", &args.arguments)
}
