//! The nemesis: real brokers under faults, real clients that never pause, and a judge of every word.
//!
//! A run starts three brokers, harms them for a while, heals them, waits until all replicas are in sync
//! again, and reads everything. What is judged is in `checker/`, what is done in `faults.rs`.

pub mod checker;
mod court;
pub mod faults;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use campaign::Trial;
use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, Machine, Product, Spec};
use crate::network::Network;
use crate::volume::Volume;
use checker::{Breach, Verdict};
pub(crate) use court::Court;
use faults::{Fault, Nemesis};

const TOPIC: &str = "journal";
const OFFSETS: &str = "__consumer_offsets";
const PARTITIONS: i32 = 12;
/// A group is there at once: it would wait for more members longer than brokers are left alone.
pub(crate) const SETTINGS: [&str; 2] =
    ["offsets.topic.num.partitions=3", "group.initial.rebalance.delay.ms=0"];

/// What a run is about.
pub struct Plan {
    /// Where the faults come from.
    pub seed: u64,
    /// How long brokers are harmed.
    pub length: Duration,
    /// Whether producers wait for all in sync; else for the leader alone, which loses records.
    pub is_safe: bool,
    /// What is done.
    pub faults: Vec<Fault>,
}

/// What a run came to, as a line of a campaign.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// What was tried.
    pub commit: String,
    /// Where the faults came from.
    pub seed: u64,
    /// How long brokers were harmed, in seconds.
    pub seconds: u64,
    /// How often each fault was done.
    pub faults: BTreeMap<String, u64>,
    /// From the end of the faults until all replicas were in sync, in milliseconds.
    pub converged_ms: Option<u64>,
    /// What was counted, and what is wrong.
    pub verdict: Verdict,
}

impl Trial for Outcome {
    fn commit(&self) -> Option<&str> {
        Some(&self.commit)
    }
}

impl Outcome {
    /// How many faults there were.
    pub fn faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Whether nothing is wrong.
    pub fn is_fine(&self) -> bool {
        self.verdict.breaches.is_empty()
    }
}

/// One run in `folder`, which holds the brokers' disks.
///
/// # Errors
/// When the run itself fails; what brokers do wrong is in the outcome.
pub fn run(
    plan: &Plan,
    product: Product,
    mut network: Network,
    folder: &Path,
    commit: &str,
) -> Result<(Outcome, Network)> {
    if plan.faults.contains(&Fault::Delay) {
        network.add_forwarders()?;
    }
    let mount = |id| Volume::mount(&folder.join(format!("disk-{id}")));
    let volumes = (1..=3).map(mount).collect::<Result<Vec<_>>>()?;
    let machine = |volume: &Volume| Machine { data: volume.data(), boot_id: None };
    let machines = Some(volumes.iter().map(machine).collect());
    let settings = SETTINGS.map(str::to_owned).to_vec();
    let (network, prefix) = (Some(network), Vec::new());
    let spec = Spec { count: 3, product, network, settings, prefix, machines };
    let mut cluster = Cluster::launch(spec)?;
    cluster.create_topic(TOPIC, PARTITIONS)?;
    cluster.settle(TOPIC)?;

    let mut court = Court::convene(cluster.bootstrap(), TOPIC, PARTITIONS, plan.is_safe)?;
    let mut nemesis = Nemesis::new(plan.seed, &plan.faults, volumes);
    harm(plan.length, &mut cluster, &mut nemesis, &mut court)?;
    let healed = Instant::now();
    let converged = converge(&mut cluster, &mut nemesis);
    let converged_ms = match converged {
        Ok(()) => Some(u64::try_from(healed.elapsed().as_millis())?),
        Err(error) => {
            court.tell(Breach::Stuck, format!("{error:#}"));
            None
        }
    };
    let outcome = Outcome {
        commit: commit.to_owned(),
        seed: plan.seed,
        seconds: plan.length.as_secs(),
        faults: std::mem::take(&mut nemesis.done),
        converged_ms,
        verdict: court.adjourn(&cluster),
    };
    // Brokers before their disks.
    let network = cluster.into_network().context("the network was lent")?;
    drop(nemesis);
    Ok((outcome, network))
}

/// Faults, one after the other.
fn harm(
    length: Duration,
    cluster: &mut Cluster,
    nemesis: &mut Nemesis,
    court: &mut Court,
) -> Result<()> {
    let begun = Instant::now();
    let mut next = begun + Duration::from_secs(2);
    while begun.elapsed() < length {
        court.listen();
        for id in cluster.ids() {
            if nemesis.is_whole(id) && !cluster.is_running(id)? {
                let notes = cluster.notes();
                court.tell(Breach::Died, format!("broker {id}\n{notes}"));
                cluster.start_broker(id)?;
            }
        }
        if Instant::now() >= next {
            let pause = nemesis.step(cluster).with_context(|| cluster.notes())?;
            next = Instant::now() + pause;
        }
    }
    Ok(())
}

fn converge(cluster: &mut Cluster, nemesis: &mut Nemesis) -> Result<()> {
    nemesis.heal(cluster)?;
    cluster.settle(TOPIC)?;
    cluster.settle(OFFSETS)?;
    Ok(())
}
