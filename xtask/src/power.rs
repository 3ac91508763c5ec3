//! `cargo xtask power`: all brokers are killed at once under load, and their machines may lose power. The
//! method is in `e2e/src/power`.

use std::path::Path;

use anyhow::Result;

/// Kill all brokers at once under load; their machines may lose power with them; root is needed.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Passed on: see `cargo xtask power --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    crate::failover::harm(root, "power", &args.arguments)
}
