//! What is promised on Kubernetes, by number.

use anyhow::Result;

use super::{Scenario, Stage};
use crate::cache::run;

mod clusters;
mod formation;
mod groups;
mod install;
mod listeners;
mod operators;
mod scale;
mod topics;

/// All of them.
pub fn all() -> Vec<&'static Scenario> {
    let rooms: [&'static [Scenario]; 8] = [
        install::ALL,
        clusters::ALL,
        listeners::ALL,
        formation::ALL,
        topics::ALL,
        scale::ALL,
        groups::ALL,
        operators::ALL,
    ];
    let mut all: Vec<&Scenario> = rooms.into_iter().flatten().collect();
    all.sort_by_key(|scenario| scenario.number);
    all
}

/// A Cluster of so many brokers.
fn cluster(name: &str, replicas: u8) -> String {
    format!(
        "apiVersion: klamm.io/v1alpha1\nkind: Cluster\nmetadata: {{name: {name}}}\nspec: {{replicas: {replicas}, \
         storage: {{size: 1Gi}}, config: {{offsets.topic.num.partitions: \"3\"}}}}\n"
    )
}

/// A Topic of the Cluster `demo`.
fn topic(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: klamm.io/v1alpha1\nkind: Topic\nmetadata: {{name: {name}}}\nspec: {{clusterRef: \
         {{name: demo}}, {spec}}}\n"
    )
}

/// What `klamm` says, asked of the Cluster `demo`.
fn klamm(stage: &Stage<'_>, arguments: &[&str]) -> Result<String> {
    let bootstrap = stage.bootstrap("demo")?;
    run(stage.klamm()?.args(arguments).args(["-b", &bootstrap]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn each_number_stands_for_one_scenario() {
        let all = super::all();
        let numbers: BTreeSet<u32> = all.iter().map(|it| it.number).collect();
        assert_eq!(numbers.len(), all.len());
    }
}
