//! `cargo xtask failover`: one broker of three goes under load, again and again, beside Apache Kafka. The
//! method is in `e2e/src/failover`; here the program under test is built as it would be run.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Harm one broker of three under load, and print how long acknowledgements paused, beside Apache Kafka.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Passed on: see `cargo xtask failover --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    harm(root, "failover", &args.arguments)
}

/// Runs a program of `e2e` against a release build of Klamm, or the one that `KLAMM_BIN` names.
pub(crate) fn harm(root: &Path, program: &str, arguments: &[String]) -> Result<()> {
    let klamm = match std::env::var_os("KLAMM_BIN") {
        Some(klamm) => klamm.into(),
        None => {
            crate::suite::command(root, "cargo", &["build", "--release", "-p", "klamm"])?;
            crate::bench::target(root).join("release/klamm")
        }
    };
    harm_with(root, &klamm, program, arguments)
}

/// Runs a program of `e2e` against this binary of Klamm.
pub(crate) fn harm_with(
    root: &Path,
    klamm: &Path,
    program: &str,
    arguments: &[String],
) -> Result<()> {
    let status = Command::new("cargo")
        .args(["run", "--quiet", "-p", "e2e", "--bin", program, "--"])
        .args(arguments)
        .env("KLAMM_BIN", klamm)
        .current_dir(root)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "not all is well: {status}");
    Ok(())
}
