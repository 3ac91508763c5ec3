//! The nemesis: real brokers under faults, real clients that never pause, and a judge of every word.
//!
//! A run starts three brokers, harms them for a while, heals them, waits until all replicas are in sync
//! again, and reads everything. What is judged is in `checker/`, what is done in `faults.rs`.

pub mod checker;
pub mod faults;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::campaign::Trial;
use crate::cluster::{Cluster, Product, Spec};
use crate::history::{Historian, Said, Sending};
use crate::network::Network;
use crate::process::{Process, until};
use crate::volume::Volume;
use checker::{Breach, Checker, Speaker, Verdict};
use faults::{Fault, Nemesis};

const TOPIC: &str = "journal";
const OFFSETS: &str = "__consumer_offsets";
const GROUP: &str = "auditors";
const PARTITIONS: i32 = 12;
const PRODUCERS: u8 = 2;
/// Records per second and producer.
const RATE: u32 = 1500;
const MEMBERS: usize = 2;
/// How long clients may take to finish once all is healed.
const LIMIT: Duration = Duration::from_secs(90);
/// How often lines are looked at.
const LISTEN_EVERY: Duration = Duration::from_millis(20);

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

/// All who speak, and who listens.
struct Court {
    checker: Checker,
    speakers: Vec<(Speaker, Process<Said>)>,
    /// Where each partition ends, once it was asked.
    ends: BTreeMap<i32, i64>,
}

impl Court {
    fn listen(&mut self) {
        for (speaker, process) in &self.speakers {
            for heard in process.take() {
                if let Said::End { partition, offset } = heard.event {
                    self.ends.insert(partition, offset);
                }
                if let Said::Failed { partition, number, error } = &heard.event {
                    println!("the client gave up on {number} of partition {partition}: {error}");
                }
                self.checker.hear(*speaker, &heard.event);
            }
        }
    }

    /// Waits until those end that `whom` names, after their input was closed.
    fn wait_for(&mut self, whom: impl Fn(Speaker) -> bool) -> Result<()> {
        for (speaker, process) in &mut self.speakers {
            if whom(*speaker) {
                process.close_input();
            }
        }
        until("clients have finished", LIMIT, || {
            self.listen();
            let mut all = true;
            for (speaker, process) in &mut self.speakers {
                all &= !whom(*speaker) || !process.is_running()?;
            }
            Ok(all.then_some(()))
        })?;
        self.listen();
        Ok(())
    }

    fn notes(&self) -> String {
        self.speakers.iter().map(|(_, process)| process.notes()).collect()
    }
}

/// One run in `folder`, which holds the brokers' disks.
///
/// # Errors
/// When the run itself fails; what brokers do wrong is in the outcome.
pub fn run(
    plan: &Plan,
    product: Product,
    network: Network,
    folder: &Path,
    commit: &str,
) -> Result<(Outcome, Network)> {
    let mount = |id| Volume::mount(&folder.join(format!("disk-{id}")));
    let volumes = (1..=3).map(mount).collect::<Result<Vec<_>>>()?;
    let data = volumes.iter().map(Volume::data).collect();
    let settings = vec!["offsets.topic.num.partitions=3".to_owned()];
    let spec = Spec { count: 3, product, network: Some(network), settings, data: Some(data) };
    let mut cluster = Cluster::launch(spec)?;
    cluster.create_topic(TOPIC, PARTITIONS)?;
    cluster.settle(TOPIC)?;

    let historian = Historian::new(cluster.bootstrap(), TOPIC, PARTITIONS)?;
    let mut court =
        Court { checker: Checker::default(), speakers: Vec::new(), ends: BTreeMap::new() };
    for producer in 1..=PRODUCERS {
        let sending = Sending { producer, rate: RATE, is_safe: plan.is_safe };
        court.speakers.push((Speaker::Producer(producer), historian.send(sending)?));
    }
    court.speakers.push((Speaker::Reader(0), historian.read()?));
    for member in 0..MEMBERS {
        court.speakers.push((Speaker::Member(member), historian.join(GROUP, member)?));
    }

    let mut nemesis = Nemesis::new(plan.seed, &plan.faults, volumes);
    harm(plan.length, &mut cluster, &mut nemesis, &mut court)?;
    let healed = Instant::now();
    let converged = converge(&mut cluster, &mut nemesis);
    let converged_ms = match converged {
        Ok(()) => Some(u64::try_from(healed.elapsed().as_millis())?),
        Err(error) => {
            court.checker.tell(Breach::Stuck, format!("{error:#}"));
            None
        }
    };
    if let Err(error) = finish(&historian, &mut court) {
        let notes = format!("{}{}", court.notes(), cluster.notes());
        court.checker.tell(Breach::Stuck, format!("{error:#}\n{notes}"));
    }
    let outcome = Outcome {
        commit: commit.to_owned(),
        seed: plan.seed,
        seconds: plan.length.as_secs(),
        faults: std::mem::take(&mut nemesis.done),
        converged_ms,
        verdict: court.checker.end(),
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
        std::thread::sleep(LISTEN_EVERY);
        court.listen();
        for id in cluster.ids() {
            if nemesis.is_whole(id) && !cluster.is_running(id)? {
                let notes = cluster.notes();
                court.checker.tell(Breach::Died, format!("broker {id}\n{notes}"));
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

/// Lets the clients finish, and reads everything.
fn finish(historian: &Historian, court: &mut Court) -> Result<()> {
    court.wait_for(|speaker| matches!(speaker, Speaker::Producer(_)))?;
    court.speakers.push((Speaker::LastReader, historian.read_to_end()?));
    let is_last = |speaker| speaker == Speaker::LastReader;
    until("everything is read", LIMIT, || {
        court.listen();
        let last = court.speakers.iter_mut().find(|(speaker, _)| is_last(*speaker));
        let (_, process) = last.context("it was started")?;
        Ok((!process.is_running()?).then_some(()))
    })?;
    court.listen();
    ensure!(court.ends.len() == usize::try_from(PARTITIONS)?, "no ends: {}", court.notes());
    until("the group has read everything", LIMIT, || {
        court.listen();
        let reached = court.checker.group_reached();
        let all = court.ends.iter().all(|(partition, end)| {
            *end == 0 || reached.get(partition).is_some_and(|reached| reached >= end)
        });
        Ok(all.then_some(()))
    })?;
    court.wait_for(|speaker| matches!(speaker, Speaker::Reader(_)))
}
