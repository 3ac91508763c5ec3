//! `cargo xtask test`: all that a pull request must pass, stage by stage, with the seconds that each took.
//!
//! A stage whose toolchain is missing says so and is counted as skipped; with `CI=true` that is a
//! failure, because a check that did not run proves nothing.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these stages: format, lint, tidy, build, unit, storm, clients. Without any: all.
    stages: Vec<String>,
    /// Storm seeds to run.
    #[arg(long, default_value_t = 60)]
    seeds: u64,
    /// Storm seeds to run with three brokers.
    #[arg(long, default_value_t = 60)]
    cluster_seeds: u64,
}

struct Stage {
    name: &'static str,
    /// What must be on the machine.
    needs: &'static [&'static str],
    run: fn(&Path, &Args) -> Result<()>,
}

const STAGES: &[Stage] = &[
    Stage { name: "format", needs: &["cargo"], run: format },
    Stage { name: "lint", needs: &["cargo"], run: lint },
    Stage { name: "tidy", needs: &["git"], run: |root, _| crate::tidy::run(root) },
    Stage { name: "build", needs: &["cargo"], run: build },
    Stage { name: "unit", needs: &["cargo", "java", "mvn"], run: unit },
    Stage { name: "storm", needs: &["cargo"], run: storm },
    Stage {
        name: "clients",
        needs: &["go", "java", "mvn", "node", "python3", "kcat"],
        run: clients,
    },
];

/// Runs the stages in order; stops at the first that fails.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    for name in &args.stages {
        if !STAGES.iter().any(|stage| stage.name == name) {
            let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
            bail!("no stage {name}; there are {}", names.join(", "));
        }
    }
    let mut rows: Vec<(&str, String)> = Vec::new();
    let (mut passed, mut skipped) = (0, 0);
    for stage in STAGES {
        if !args.stages.is_empty() && !args.stages.iter().any(|name| name == stage.name) {
            continue;
        }
        let missing: Vec<&str> =
            stage.needs.iter().copied().filter(|tool| !is_installed(tool)).collect();
        if !missing.is_empty() {
            if std::env::var("CI").is_ok_and(|ci| ci == "true") {
                bail!("stage {} cannot run: {} missing", stage.name, missing.join(", "));
            }
            rows.push((stage.name, format!("skipped: {} missing", missing.join(", "))));
            skipped += 1;
            continue;
        }
        println!("── {}", stage.name);
        let begun = Instant::now();
        let outcome = (stage.run)(root, args);
        let seconds = begun.elapsed().as_secs_f64();
        if let Err(error) = outcome {
            report(&rows);
            println!("{} failed, 1 stage failed after {seconds:.0} s", stage.name);
            return Err(error.context(format!("stage {}", stage.name)));
        }
        rows.push((stage.name, format!("{seconds:.0} s")));
        passed += 1;
    }
    report(&rows);
    println!("stages: {passed} passed, 0 failed, {skipped} skipped");
    Ok(())
}

fn report(rows: &[(&str, String)]) {
    for (name, outcome) in rows {
        println!("{name:>8}  {outcome}");
    }
}

fn is_installed(tool: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(tool).is_file())
}

/// Runs a command of the project in `root`, its output shown.
pub(crate) fn command(root: &Path, program: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        bail!("{program} {}: {status}", arguments.join(" "));
    }
    Ok(())
}

fn format(root: &Path, _: &Args) -> Result<()> {
    command(root, "cargo", &["fmt", "--all", "--check"])
}

fn lint(root: &Path, _: &Args) -> Result<()> {
    command(root, "cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn build(root: &Path, _: &Args) -> Result<()> {
    build_binaries(root)
}

/// Builds the binaries that tests use. A package by itself would have other features, and be compiled anew.
pub(crate) fn build_binaries(root: &Path) -> Result<()> {
    command(root, "cargo", &["build", "--workspace", "--bins"])
}

fn unit(root: &Path, _: &Args) -> Result<()> {
    command(root, "cargo", &["test", "--workspace", "--exclude", "e2e"])
}

fn storm(root: &Path, args: &Args) -> Result<()> {
    // A different range each day would hide a failure behind a date: the range is fixed.
    for (brokers, seeds) in [("1", args.seeds), ("3", args.cluster_seeds)] {
        let seeds = format!("0..{seeds}");
        let storm = ["run", "--quiet", "-p", "sim", "--bin", "storm", "--", "--jobs", "2"];
        let which = ["--brokers", brokers, "--seeds", &seeds];
        command(root, "cargo", &[&storm[..], &which[..]].concat())?;
    }
    Ok(())
}

fn clients(root: &Path, _: &Args) -> Result<()> {
    command(root, "cargo", &["test", "-p", "e2e", "--", "--test-threads=1"])
}

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root")
}
