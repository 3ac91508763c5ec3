//! Many seeds: one line of JSON per run, so that a campaign can be interrupted and resumed, and totals
//! that fail if some fault never struck or some property was never evaluated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checks;
use crate::faults::FaultKind;
use crate::storm::Outcome;

/// One run, as a line of the campaign's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// What was run.
    pub commit: String,
    /// How many brokers.
    pub brokers: usize,
    /// Where all its chance came from.
    pub seed: u64,
    /// The trace's hash, in hexadecimal.
    pub hash: String,
    /// Virtual milliseconds.
    pub elapsed_ms: u64,
    /// Records that were acknowledged.
    pub acked: u64,
    /// Whether it had enough in it to count.
    pub counts: bool,
    /// How often each kind of fault struck.
    pub faults: BTreeMap<String, u64>,
    /// How often each property was evaluated.
    pub evaluated: BTreeMap<String, u64>,
    /// What is broken, and how.
    pub broken: Vec<String>,
}

impl Trial {
    /// The line for a run of `commit` with so many brokers from `seed`.
    pub fn new(commit: &str, brokers: usize, seed: u64, outcome: &Outcome) -> Self {
        let owned = |counts: &BTreeMap<&'static str, u64>| {
            counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        Self {
            commit: commit.to_owned(),
            brokers,
            seed,
            hash: format!("{:016x}", outcome.trace.hash()),
            elapsed_ms: u64::try_from(outcome.elapsed.as_millis()).unwrap_or(u64::MAX),
            acked: outcome.acked,
            counts: outcome.counts(),
            faults: owned(&outcome.faults),
            evaluated: owned(&outcome.evaluated),
            broken: outcome.broken.iter().map(|(name, why)| format!("{name}: {why}")).collect(),
        }
    }

    /// Whether it broke `property`.
    pub fn breaks(&self, property: &str) -> bool {
        self.broken.iter().any(|why| why.split_once(':').is_some_and(|(name, _)| name == property))
    }
}

impl campaign::Trial for Trial {
    fn commit(&self) -> Option<&str> {
        Some(&self.commit)
    }
}

/// What a campaign came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Runs that count, and that do not.
    pub trials: (u64, u64),
    /// Acknowledged records.
    pub acked: u64,
    /// How often each kind of fault struck, in runs that count.
    pub faults: BTreeMap<String, u64>,
    /// How often each property was evaluated, in runs that count.
    pub evaluated: BTreeMap<String, u64>,
    /// The seeds in which something is broken.
    pub broken: Vec<u64>,
}

impl Totals {
    /// Adds up trials with so many brokers.
    pub fn of(trials: &[Trial], brokers: usize) -> Self {
        let mut totals = Self::default();
        for kind in FaultKind::of(brokers) {
            totals.faults.insert(kind.name().to_owned(), 0);
        }
        for check in checks::ALL {
            totals.evaluated.insert(check.name.to_owned(), 0);
        }
        for trial in trials {
            // A broken property is one whether or not the run was long enough.
            if !trial.broken.is_empty() {
                totals.broken.push(trial.seed);
            }
            if !trial.counts {
                totals.trials.1 += 1;
                continue;
            }
            totals.trials.0 += 1;
            totals.acked += trial.acked;
            for (name, count) in &trial.faults {
                *totals.faults.entry(name.clone()).or_default() += count;
            }
            for (name, count) in &trial.evaluated {
                *totals.evaluated.entry(name.clone()).or_default() += count;
            }
        }
        totals
    }

    /// Why the campaign proves nothing, or what it disproved; empty if all is well.
    pub fn failures(&self) -> Vec<String> {
        let never = |counts: &BTreeMap<String, u64>, what: &str| -> Vec<String> {
            let zero = counts.iter().filter(|(_, count)| **count == 0);
            zero.map(|(name, _)| format!("{name} was never {what}")).collect()
        };
        let mut failures = never(&self.faults, "struck");
        failures.extend(never(&self.evaluated, "evaluated"));
        failures.extend(self.broken.iter().map(|seed| format!("seed {seed} is broken")));
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(seed: u64) -> Trial {
        let names = FaultKind::ALL.iter().map(|kind| (kind.name().to_owned(), 1));
        let checks = checks::ALL.iter().map(|check| (check.name.to_owned(), 2));
        Trial {
            commit: "c".to_owned(),
            brokers: 3,
            seed,
            hash: "0".to_owned(),
            elapsed_ms: 10_000,
            acked: 200,
            counts: true,
            faults: names.collect(),
            evaluated: checks.collect(),
            broken: Vec::new(),
        }
    }

    #[test]
    fn a_campaign_without_a_fault_or_an_evaluation_fails() {
        assert_eq!(Totals::of(&[trial(1)], 3).failures(), [""; 0]);
        let mut without = trial(1);
        without.faults.remove("pause");
        without.evaluated.insert("recovers".to_owned(), 0);
        let failures = Totals::of(&[without], 3).failures();
        assert_eq!(failures, ["pause was never struck", "recovers was never evaluated"]);
    }

    #[test]
    fn a_broken_run_fails_the_campaign_even_if_it_does_not_count() {
        let broken = Trial { counts: false, broken: vec!["x: y".to_owned()], ..trial(7) };
        let totals = Totals::of(&[trial(1), broken], 3);
        assert_eq!(totals.failures(), ["seed 7 is broken"]);
        assert_eq!((totals.trials, totals.acked), ((1, 1), 200));
    }
}
