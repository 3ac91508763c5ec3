//! `cargo xtask bench`: Klamm against Apache Kafka in one interleaved run. The method is in the crate
//! `bench`; here both programs are built as they would be run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Compare Klamm with Apache Kafka, in one run; a quiet machine, root and 30 GB of disk are needed.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Passed on to `bench compare`: see `cargo xtask bench --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    crate::suite::command(root, "cargo", &["build", "--release", "-p", "klamm", "-p", "bench"])?;
    let programs = target(root).join("release");
    let program = |name: &str| programs.join(name).to_str().map(str::to_owned);
    let bench = program("bench").context("the target folder's path is UTF-8")?;
    let klamm = program("klamm").context("the target folder's path is UTF-8")?;
    let mut arguments = vec!["compare", "--klamm", &klamm];
    arguments.extend(args.arguments.iter().map(String::as_str));
    crate::suite::command(root, &bench, &arguments)
}

pub(crate) fn target(root: &Path) -> PathBuf {
    // As cargo decides it.
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root.join(target)
}
