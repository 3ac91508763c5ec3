//! `cargo xtask frames`: frames that no client would send, against a real broker; or the valid ones that
//! they are made from, taken anew from real clients.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Send mutated frames to a broker, and print per API how many were read.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many frames.
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// Which ones: the same seed gives the same frames.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Instead, record what six clients and Kafka's tools send, into e2e/fixtures/frames.txt.
    #[arg(long)]
    record: bool,
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let mut cargo = Command::new("cargo");
    if args.record {
        cargo.args(["run", "--quiet", "-p", "e2e", "--bin", "record-frames"]);
    } else {
        cargo.args(["test", "--quiet", "-p", "e2e", "--test", "mutated_frames", "--"]);
        cargo.arg("--nocapture");
    }
    cargo.env("KLAMM_E2E_FRAMES", args.count.to_string());
    cargo.env("KLAMM_E2E_SEED", args.seed.to_string());
    let status = cargo.current_dir(root).status().context("cannot run cargo")?;
    ensure!(status.success(), "not all is well: {status}");
    Ok(())
}
