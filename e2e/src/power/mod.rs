//! All brokers killed at once, again and again; their machines lose power as well, or one of them does: what
//! was not synced may be gone then. Nothing that was acknowledged may be.

mod disk;
mod mount;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use world::simulated::Random;

use crate::cluster::{Cluster, Machine, Product, Spec};
use crate::nemesis::checker::{Breach, Verdict};
use crate::nemesis::{self, Court};
use crate::network::Network;
use mount::Mounted;

const TOPIC: &str = "journal";
const PARTITIONS: i32 = 12;
/// How long all is well between two losses.
const CALM: Duration = Duration::from_secs(2);
/// How long it may take until records are acknowledged again.
const LIMIT: Duration = Duration::from_secs(60);

/// What happens when all brokers are killed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The machines stay up.
    Processes,
    /// All machines lose power; topics are `durability=fsync`.
    AllPower,
    /// One machine loses power.
    OnePower,
    /// One machine loses power, and does not know: its boot id is the one of before. A control, which ends
    /// when something is wrong: that takes until this machine happens to lead.
    Unnoticed,
}

/// What a run came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// What was tried.
    pub commit: String,
    /// What happened.
    pub loss: Loss,
    /// How often at most.
    pub rounds: u64,
    /// The longest time from the start of the brokers until a record was acknowledged, in milliseconds.
    pub back_ms: u64,
    /// What was counted, and what is wrong.
    pub verdict: Verdict,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Processes, Self::AllPower, Self::OnePower, Self::Unnoticed];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::AllPower => "all-power",
            Self::OnePower => "one-power",
            Self::Unnoticed => "unnoticed",
        }
    }

    fn settings(self) -> Vec<String> {
        let settings: &[&str] = match self {
            Self::Processes | Self::AllPower => &[],
            // What is not synced on demand is not synced, so that there is something to lose.
            Self::OnePower | Self::Unnoticed => &["klamm.flush.interval.ms=60000"],
        };
        nemesis::SETTINGS.iter().chain(settings).map(ToString::to_string).collect()
    }

    fn durability(self) -> &'static str {
        if self == Self::AllPower { "fsync" } else { "replicated" }
    }
}

/// The machines: a disk that can lose its power, and the file that says since when it is up.
struct Machines {
    disks: Vec<Mounted>,
    boot_ids: Vec<PathBuf>,
    random: Random,
}

impl Machines {
    fn set_up(folder: &Path, seed: u64) -> Result<(Self, Vec<Machine>)> {
        let mut machines = Vec::new();
        let (disks, boot_ids, random) = (Vec::new(), Vec::new(), Random::new(seed, &["power"]));
        let mut all = Self { disks, boot_ids, random };
        for id in 1..=3 {
            let (disk, boot_id) =
                (folder.join(format!("disk-{id}")), folder.join(format!("boot-{id}")));
            fs::create_dir(&disk)?;
            all.disks.push(Mounted::at(&disk)?);
            all.boot_ids.push(boot_id.clone());
            all.boot(machines.len())?;
            machines.push(Machine { data: disk.join("data"), boot_id: Some(boot_id) });
        }
        Ok((all, machines))
    }

    fn lose_power(&mut self, index: usize) {
        self.disks[index].lose_power(&mut self.random);
    }

    /// A new boot has a new id.
    fn boot(&mut self, index: usize) -> Result<()> {
        Ok(fs::write(&self.boot_ids[index], format!("{:032x}\n", self.random.next_u64()))?)
    }

    fn suffer(&mut self, loss: Loss, round: u64) -> Result<()> {
        let one = usize::try_from(round)? % self.disks.len();
        match loss {
            Loss::Processes => {}
            Loss::AllPower => {
                for index in 0..self.disks.len() {
                    self.lose_power(index);
                    self.boot(index)?;
                }
            }
            Loss::OnePower => {
                self.lose_power(one);
                self.boot(one)?;
            }
            Loss::Unnoticed => self.lose_power(one),
        }
        Ok(())
    }
}

/// Kills all brokers at once, so many times, with disks in `folder`.
///
/// # Errors
/// When the run itself fails; what brokers do wrong is in the outcome.
pub fn run(loss: Loss, rounds: u64, seed: u64, folder: &Path, commit: &str) -> Result<Outcome> {
    let (mut all, machines) = Machines::set_up(folder, seed)?;
    let spec = Spec {
        count: 3,
        product: Product::klamm()?,
        network: Some(Network::lay(&[1, 2, 3])?),
        settings: loss.settings(),
        prefix: Vec::new(),
        machines: Some(machines),
    };
    let mut cluster = Cluster::launch(spec)?;
    cluster.create_topic_with(TOPIC, PARTITIONS, &[("klamm.durability", loss.durability())])?;
    cluster.settle(TOPIC)?;
    let mut court = Court::convene(cluster.bootstrap(), TOPIC, PARTITIONS, true)?;
    let mut back = Duration::ZERO;
    for round in 0..rounds {
        listen_for(&mut court, CALM);
        for id in cluster.ids() {
            cluster.kill(id)?;
        }
        all.suffer(loss, round)?;
        match come_back(&mut cluster, &mut court) {
            Ok(took) => back = back.max(took),
            Err(error) => {
                court.tell(Breach::Stuck, format!("round {round}: {error:#}"));
                break;
            }
        }
        if loss == Loss::Unnoticed && court.is_broken() {
            break;
        }
    }
    listen_for(&mut court, CALM);
    let outcome = Outcome {
        commit: commit.to_owned(),
        loss,
        rounds,
        back_ms: u64::try_from(back.as_millis())?,
        verdict: court.adjourn(&cluster),
    };
    // Brokers before their disks.
    drop(cluster);
    drop(all);
    Ok(outcome)
}

fn listen_for(court: &mut Court, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        court.listen();
    }
}

/// Starts all brokers; gives how long it took until something was acknowledged.
fn come_back(cluster: &mut Cluster, court: &mut Court) -> Result<Duration> {
    // What was acknowledged before is heard by now.
    listen_for(court, CALM / 4);
    let (before, begun) = (court.acked(), Instant::now());
    for id in cluster.ids() {
        cluster.start_broker(id)?;
    }
    while court.acked() == before {
        court.listen();
        anyhow::ensure!(begun.elapsed() < LIMIT, "nothing is acknowledged\n{}", cluster.notes());
    }
    let took = begun.elapsed();
    for id in cluster.ids() {
        cluster.wait_until_ready(id)?;
    }
    cluster.settle(TOPIC).context("after a loss")?;
    Ok(took)
}
