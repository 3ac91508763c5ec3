//! `cargo xtask nemesis`: three brokers are harmed while clients send and read, and every word of theirs
//! is judged. The method is in `e2e/src/nemesis`.

use std::path::Path;

use anyhow::Result;

/// Harm three brokers while clients send and read, and judge what the clients saw; root is needed.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Passed on: see `cargo xtask nemesis --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    crate::failover::harm(root, "nemesis", &args.arguments)
}
