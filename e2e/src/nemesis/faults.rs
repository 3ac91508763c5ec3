//! What is done to brokers, drawn from a seed, and undone again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result};
use world::simulated::Random;

use crate::cluster::Cluster;
use crate::network::Cut;
use crate::volume::Volume;

/// How long to wait before the next thing is done or undone.
const PAUSE: Range<Duration> = Duration::from_millis(300)..Duration::from_millis(3000);
/// How late connections are.
const DELAY: Range<Duration> = Duration::from_millis(20)..Duration::from_millis(500);

/// What is done to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9.
    Kill,
    /// Asked to stop (SIGTERM).
    Stop,
    /// SIGSTOP, then SIGCONT.
    Halt,
    /// Cut off.
    Cut(Cut),
    /// Cut off from the others, not from clients; killed before that ends.
    Severed,
    /// Its connections to the others are late.
    Delay,
    /// No room on its disk.
    FullDisk,
    /// All brokers killed at once.
    KillAll,
}

/// All that a run of Klamm goes through.
pub const ALL: [Fault; 11] = [
    Fault::Kill,
    Fault::Stop,
    Fault::Halt,
    Fault::Cut(Cut::All),
    Fault::Cut(Cut::Peers),
    Fault::Cut(Cut::FromPeers),
    Fault::Cut(Cut::ToPeers),
    Fault::Severed,
    Fault::Delay,
    Fault::FullDisk,
    Fault::KillAll,
];

impl Fault {
    /// The fault of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self> {
        let names = || ALL.map(Self::name).join(", ");
        let found = ALL.into_iter().find(|fault| fault.name() == name);
        found.with_context(|| format!("no fault {name}; there are {}", names()))
    }

    /// Its name in reports, and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Halt => "halt",
            Self::Cut(Cut::All) => "cut",
            Self::Cut(Cut::Peers) => "cut-peers",
            Self::Cut(Cut::FromPeers) => "cut-from-peers",
            Self::Cut(Cut::ToPeers) => "cut-to-peers",
            Self::Severed => "severed",
            Self::Delay => "delay",
            Self::FullDisk => "full-disk",
            Self::KillAll => "kill-all",
        }
    }
}

/// Who does it.
pub struct Nemesis {
    random: Random,
    may: Vec<Fault>,
    volumes: Vec<Volume>,
    /// What is being done to whom, in the order in which it began.
    active: Vec<(i32, Fault)>,
    /// How often each was done.
    pub done: BTreeMap<String, u64>,
    /// Faults yet to be done before one is done a second time.
    hand: Vec<Fault>,
}

impl Nemesis {
    /// Faults of this kind, from this seed. Broker 1 is on the first of `volumes`, and so on.
    pub fn new(seed: u64, may: &[Fault], volumes: Vec<Volume>) -> Self {
        let random = Random::new(seed, &["nemesis"]);
        let (may, active, hand) = (may.to_vec(), Vec::new(), Vec::new());
        Self { random, may, volumes, active, done: BTreeMap::new(), hand }
    }

    /// Does or undoes one thing. Gives how long to wait then.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn step(&mut self, cluster: &mut Cluster) -> Result<Duration> {
        let whole: Vec<i32> = cluster.ids().into_iter().filter(|id| self.is_whole(*id)).collect();
        // One at a time for most of the time: with more, nothing is acknowledged.
        let is_enough = match self.active.len() {
            0 => false,
            1 => !self.random.chance(1, 5),
            _ => true,
        };
        if is_enough || whole.is_empty() {
            self.undo_first(cluster)?;
        } else {
            let victim = whole[self.random.index(whole.len())];
            let fault = self.draw();
            *self.done.entry(fault.name().to_owned()).or_default() += 1;
            self.begin(cluster, victim, fault)
                .with_context(|| format!("{} of broker {victim}", fault.name()))?;
        }
        Ok(self.random.duration(&PAUSE))
    }

    /// Undoes everything.
    ///
    /// # Errors
    /// When a broker does not come back.
    pub fn heal(&mut self, cluster: &mut Cluster) -> Result<()> {
        while !self.active.is_empty() {
            self.undo_first(cluster)?;
        }
        for id in cluster.ids() {
            cluster.wait_until_ready(id)?;
        }
        Ok(())
    }

    /// Whether nothing is being done to this broker.
    pub fn is_whole(&self, id: i32) -> bool {
        self.active.iter().all(|(victim, _)| *victim != id)
    }

    /// Each fault once, in some order, before one comes again.
    fn draw(&mut self) -> Fault {
        if self.hand.is_empty() {
            self.hand.clone_from(&self.may);
        }
        self.hand.swap_remove(self.random.index(self.hand.len()))
    }

    fn begin(&mut self, cluster: &mut Cluster, id: i32, fault: Fault) -> Result<()> {
        match fault {
            Fault::Kill => cluster.kill(id).map(drop)?,
            Fault::Stop => cluster.ask_to_stop(id).map(drop)?,
            Fault::Halt => cluster.halt(id, true)?,
            Fault::Cut(cut) => network(cluster)?.cut(id, cut)?,
            Fault::Severed => network(cluster)?.cut(id, Cut::Peers)?,
            Fault::Delay => {
                let delay = self.random.duration(&DELAY);
                delayed(cluster, id, delay)?;
            }
            Fault::FullDisk => self.volume(id)?.fill()?,
            Fault::KillAll => return self.kill_all(cluster),
        }
        self.active.push((id, fault));
        Ok(())
    }

    fn kill_all(&mut self, cluster: &mut Cluster) -> Result<()> {
        while !self.active.is_empty() {
            self.undo_first(cluster)?;
        }
        // All first, then what follows from it.
        for id in cluster.ids() {
            cluster.kill(id)?;
            self.active.push((id, Fault::Kill));
        }
        Ok(())
    }

    fn undo_first(&mut self, cluster: &mut Cluster) -> Result<()> {
        let (id, fault) = self.active.remove(0);
        self.undo(cluster, id, fault)
            .with_context(|| format!("the end of {} of broker {id}", fault.name()))
    }

    fn undo(&mut self, cluster: &mut Cluster, id: i32, fault: Fault) -> Result<()> {
        match fault {
            Fault::Kill | Fault::KillAll => cluster.start_broker(id),
            Fault::Stop => {
                cluster.wait_for_end(id)?;
                cluster.start_broker(id)
            }
            Fault::Halt => cluster.halt(id, false),
            Fault::Cut(_) => network(cluster)?.heal(id),
            Fault::Delay => delayed(cluster, id, Duration::ZERO),
            Fault::Severed => {
                cluster.kill(id)?;
                network(cluster)?.heal(id)?;
                self.active.push((id, Fault::Kill));
                Ok(())
            }
            Fault::FullDisk => {
                self.volume(id)?.free()?;
                // It may have chosen to end rather than to go on without a disk.
                if !cluster.is_running(id)? {
                    cluster.start_broker(id)?;
                }
                Ok(())
            }
        }
    }

    fn volume(&self, id: i32) -> Result<&Volume> {
        self.volumes.get(usize::try_from(id - 1)?).context("the broker has no disk of its own")
    }
}

fn delayed(cluster: &mut Cluster, id: i32, delay: Duration) -> Result<()> {
    cluster.network_mut().context("a delay needs a network of its own")?.delay(id, delay)
}

fn network(cluster: &Cluster) -> Result<&crate::network::Network> {
    cluster.network().context("a cut needs a network of its own")
}
