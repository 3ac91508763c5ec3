//! What is promised on Kubernetes, tried on a real one: `cargo xtask e2e`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "real processes run in real time, beside real files"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use e2e::kube::{self, Scenario, Site, scenarios};

/// Try what Klamm promises on a real Kubernetes: the testbed of `e2e/kube`, or the one that kubectl reaches.
#[derive(Parser)]
#[command(name = "cargo xtask e2e")]
struct Args {
    /// Scenarios by their number; without any: all.
    #[arg(value_name = "NUMBER", conflicts_with = "smoke")]
    numbers: Vec<u32>,
    /// Only those that every change is tried with, and not what holds after each (a minute of silence).
    #[arg(long)]
    smoke: bool,
    /// Show the scenarios and try none.
    #[arg(long)]
    list: bool,
    /// Use the cluster of the current context (kind, minikube) and not the testbed: the image is loaded there, and
    /// pods and Services are reached.
    #[arg(long)]
    current_context: bool,
    /// The archive of the image, from `cargo xtask image`; without one the image is on the nodes already.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Leave the testbed, and the operator in it, as they are in the end.
    #[arg(long)]
    keep: bool,
    /// Go on with a campaign: one line of JSON per scenario that passed.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Where what is known of a failure is kept.
    #[arg(long, value_name = "FOLDER", default_value = "target/e2e-evidence")]
    evidence: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let wanted = wanted(args)?;
    if args.list {
        for Scenario { number, name, limit, .. } in wanted {
            println!("{number:>3}  {name}, within {} s", limit.as_secs());
        }
        return Ok(());
    }
    let site = if args.current_context { Site::of_kubeconfig() } else { Site::testbed() };
    let was_up = site.raise()?;
    let (resume, evidence) = (args.resume.as_deref(), &args.evidence);
    let result = site
        .install(args.image.as_deref())
        .and_then(|()| kube::run(&site, &wanted, resume, evidence, !args.smoke));
    if !args.keep {
        let ended = if was_up { site.uninstall() } else { site.lower() };
        // What failed first is the one to tell.
        return result.and(ended);
    }
    result
}

fn wanted(args: &Args) -> Result<Vec<&'static Scenario>> {
    let all = scenarios::all();
    let known: BTreeSet<u32> = all.iter().map(|it| it.number).collect();
    let unknown: Vec<&u32> = args.numbers.iter().filter(|it| !known.contains(it)).collect();
    ensure!(unknown.is_empty(), "no scenario {unknown:?}; hint: --list shows all");
    let is_wanted = |it: &&Scenario| match () {
        () if args.smoke => it.is_smoke,
        () => args.numbers.is_empty() || args.numbers.contains(&it.number),
    };
    Ok(all.into_iter().filter(is_wanted).collect())
}
