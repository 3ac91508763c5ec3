//! A real Kubernetes, the operator in it, and what people do with kubectl and Helm.
//!
//! ```text
//! site.rs       the cluster: the testbed of e2e/kube, or whatever kubeconfig names (kind, minikube)
//! stage.rs      a namespace of one scenario: applies, waits, asks, with real clients beside it
//! invariants.rs what holds whatever a scenario did
//! evidence.rs   everything about a failure, in one folder
//! scenarios/    what is promised, each with its number, its time limit and its own namespace
//! ```
//!
//! Runs go on where they stopped: a line of JSON for each scenario that passed, with its commit (`crates/campaign`).

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use campaign::{Program, Trial};
use serde::{Deserialize, Serialize};

pub mod evidence;
pub mod invariants;
pub mod scenarios;
pub mod site;
pub mod stage;

pub use site::Site;
pub use stage::Stage;

/// What is promised, and how it is tried.
pub struct Scenario {
    /// Its number in the table of scenarios.
    pub number: u32,
    /// What is shown, as a sentence.
    pub name: &'static str,
    /// How long it may take.
    pub limit: Duration,
    /// Whether every change is tried with it.
    pub is_smoke: bool,
    /// Whether it harms nodes, which only the testbed's bear.
    pub needs_testbed: bool,
    /// Tries it.
    pub run: fn(&mut Stage<'_>) -> Result<()>,
}

/// What a scenario came to, as a line of the campaign's file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// What was tried.
    pub commit: String,
    /// Which one.
    pub scenario: u32,
    /// What it shows.
    pub name: String,
    /// Figures that it measured, in seconds or bytes as their names say.
    pub figures: Vec<(String, f64)>,
    /// Whether what always holds was looked at after it.
    #[serde(default)]
    pub is_thorough: bool,
    /// How long it took, in seconds.
    pub took_s: f64,
}

impl Trial for Shown {
    fn commit(&self) -> Option<&str> {
        Some(&self.commit)
    }
}

/// Runs scenarios one after the other, and goes on after one that failed. After each it is looked that what always
/// holds does ([`invariants`]), if `is_thorough`.
///
/// # Errors
/// When one failed, by number.
pub fn run(
    site: &Site,
    wanted: &[&Scenario],
    resume: Option<&Path>,
    evidence: &Path,
    is_thorough: bool,
) -> Result<()> {
    let commit = Program::Klamm.commit()?;
    let before: Vec<Shown> = match resume {
        Some(file) => campaign::resumed(Program::Klamm, file, &commit)?.0,
        None => Vec::new(),
    };
    let mut failed = Vec::new();
    for scenario in wanted {
        let is_it = |it: &Shown| it.scenario == scenario.number && (it.is_thorough || !is_thorough);
        if before.iter().any(is_it) {
            println!("{:>3} {}: passed before", scenario.number, scenario.name);
            continue;
        }
        if scenario.needs_testbed && !site.is_testbed() {
            println!("{:>3} {}: needs the testbed, skipped", scenario.number, scenario.name);
            continue;
        }
        let begun = Instant::now();
        let mut stage = Stage::open(site, scenario)?;
        let result = (scenario.run)(&mut stage);
        let took = begun.elapsed();
        let result = result.and_then(|()| {
            if took > scenario.limit {
                bail!("it took {took:?}, and may take {:?}", scenario.limit);
            }
            if is_thorough {
                invariants::check(&stage).context("what always holds")
            } else {
                Ok(())
            }
        });
        let figures = stage.figures().to_vec();
        let told = stage.told();
        let folder = evidence.join(scenario.number.to_string());
        if result.is_err() {
            evidence::collect(site, stage.namespace(), &folder)
                .with_context(|| format!("collecting what is known of {}", scenario.number))?;
        }
        // What wedges its namespace has not passed, and holds up no other.
        let closed = stage.close().context("its namespace does not go");
        match result.and(closed) {
            Ok(()) => {
                println!(
                    "{:>3} {}: {:.1} s {}",
                    scenario.number,
                    scenario.name,
                    took.as_secs_f64(),
                    told
                );
                let shown = Shown {
                    commit: commit.clone(),
                    scenario: scenario.number,
                    name: scenario.name.to_owned(),
                    figures,
                    is_thorough,
                    took_s: took.as_secs_f64(),
                };
                if let Some(file) = resume {
                    campaign::write(file, &shown)?;
                }
            }
            Err(error) => {
                println!(
                    "{:>3} {}: FAILED: {error:#}; see {}",
                    scenario.number,
                    scenario.name,
                    folder.display()
                );
                failed.push(scenario.number);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("scenarios failed: {failed:?}") }
}
