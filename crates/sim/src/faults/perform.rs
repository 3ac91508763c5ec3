//! How each kind of bad luck is done to a simulation, and undone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use world::simulated::{HostId, NetFaults, PoolLatency, Random, Simulation};

use super::flushed::Flushed;
use super::upkeep::Upkeep;
use super::{Fault, FaultKind, Schedule, Struck, millis};
use crate::storm::System;

/// Room on a sound disk, far more than a run needs.
const DISK_BYTES: u64 = 1 << 30;

/// How long others must have run when a disk is lost: those that came back are known to have by then.
const WHOLE_FOR: Duration = Duration::from_secs(5);
/// How long they may take to say that they can do without it.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// What is due at a moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A fault begins.
    Strike(usize),
    /// It ends, for one of the hosts that it struck.
    Mend(usize, HostId),
}

/// What happens to hosts, and what their disks could have kept.
struct Weather<'a, S> {
    simulation: &'a Simulation,
    system: &'a S,
    flushed: BTreeMap<HostId, Flushed>,
    /// How many faults each disk suffers from.
    failing: BTreeMap<HostId, u32>,
    /// Who has got an empty disk, and may not have filled it yet.
    filling: BTreeSet<HostId>,
}

impl Schedule {
    /// Lets it all happen to `hosts`; says what struck, and what people have still under way. `power_lost` is
    /// told, when a machine loses its power, how long its broker had run until then, long enough to flush.
    pub async fn perform(
        &self,
        simulation: &Simulation,
        system: &impl System,
        hosts: &[HostId],
        mut power_lost: impl FnMut(Duration),
    ) -> (Struck, Upkeep) {
        let (mut struck, mut upkeep) = (Struck::new(), Upkeep::default());
        let (flushed, failing, filling) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let mut weather = Weather { simulation, system, flushed, failing, filling };
        // What really happened of each.
        let mut happened: BTreeMap<usize, Fault> = BTreeMap::new();
        for (due, step) in self.steps(hosts) {
            simulation.sleep(due.saturating_sub(simulation.elapsed())).await;
            match step {
                Step::Strike(at) => {
                    let fault = weather.within_budget(&self.faults[at]).await;
                    let fault = &*happened.entry(at).insert_entry(fault).into_mut();
                    let mut any = false;
                    for host in fault.hosts(hosts) {
                        if fault.kind.is_upkeep() {
                            upkeep.begin(fault.kind, system.upkeep(simulation, host, fault));
                        } else if fault.kind == FaultKind::DiskLost {
                            any |= weather.lose_disk(host, hosts).await;
                        } else {
                            any |= weather.strike(fault, host, hosts, &mut power_lost);
                        }
                    }
                    if any {
                        *struck.entry(fault.kind.name()).or_default() += 1;
                    }
                }
                Step::Mend(at, host) => {
                    weather.mend(&happened[&at], host, hosts, &mut power_lost);
                }
            }
        }
        simulation.heal_all();
        (struck, upkeep)
    }

    /// Begins and ends, in the order of time.
    fn steps(&self, hosts: &[HostId]) -> Vec<(Duration, Step)> {
        let mut steps: Vec<(Duration, Step)> = Vec::new();
        for (at, fault) in self.faults.iter().enumerate() {
            steps.push((fault.at, Step::Strike(at)));
            let mut apart = Random::new(fault.detail, &["apart"]);
            let mut ends = fault.at + fault.lasts;
            for host in fault.hosts(hosts) {
                steps.push((ends, Step::Mend(at, host)));
                ends += apart.duration(&millis(0, 2000));
            }
        }
        steps.sort_unstable();
        steps
    }
}

impl Fault {
    /// Whom it strikes, in the order in which they recover.
    fn hosts(&self, hosts: &[HostId]) -> Vec<HostId> {
        let first = self.strikes % hosts.len();
        let count = if self.kind.strikes_all() { hosts.len() } else { 1 };
        hosts.iter().cycle().skip(first).take(count).copied().collect()
    }

    /// How far a clock jumps: up to an hour either way.
    fn jump_ms(&self) -> i64 {
        let hour = 3_600_000;
        let by = i64::try_from(self.detail % (2 * hour)).expect("it is below two hours");
        by - 3_600_000
    }

    /// Which links are cut between `host` and `others`: one way, the other, or both.
    fn links(&self, host: HostId, others: &[HostId]) -> Vec<(HostId, HostId)> {
        let between = |other: &HostId| match self.detail % 3 {
            0 => vec![(*other, host)],
            1 => vec![(host, *other)],
            _ => vec![(host, *other), (*other, host)],
        };
        others.iter().flat_map(between).collect()
    }
}

impl<S: System> Weather<'_, S> {
    fn now(&self) -> Duration {
        self.simulation.elapsed()
    }

    /// Whom a cut of `host` concerns: one other host, or all other brokers.
    fn cut_from(&self, fault: &Fault, host: HostId, brokers: &[HostId]) -> Vec<HostId> {
        let not_itself = |other: &HostId| *other != host;
        if fault.kind == FaultKind::Isolate {
            return brokers.iter().copied().filter(not_itself).collect();
        }
        let others: Vec<HostId> = self.simulation.hosts().into_iter().filter(not_itself).collect();
        let draw = usize::try_from(fault.detail >> 32).expect("it is 32 bits");
        others.get(draw % others.len().max(1)).copied().into_iter().collect()
    }

    /// Ends one of a disk's faults; with the last of them the disk is sound again.
    fn repair(&mut self, host: HostId) {
        let left = self.failing.entry(host).or_default();
        *left -= 1;
        if *left == 0 {
            let disk = self.simulation.disk(host);
            disk.fail_writes(0);
            disk.fail_reads(0);
            disk.fail_syncs(0);
            disk.set_capacity(DISK_BYTES);
            self.system.disk_fails(host, false);
        }
    }

    /// Until a new disk is filled, another machine that crashes is one too many, and so is a disk that cannot be read
    /// when a broker begins: its process is killed instead.
    async fn within_budget(&mut self, fault: &Fault) -> Fault {
        let instead = match fault.kind {
            kind if kind.unproves() => FaultKind::Kill,
            FaultKind::PowerLossAll => FaultKind::KillAll,
            _ => return fault.clone(),
        };
        for host in self.filling.clone() {
            // Else it may still be said of the disk before.
            let is_known = self.is_whole(host);
            let asked = self.system.has_all(self.simulation, host);
            if is_known && self.simulation.within(LEAVE_WITHIN, asked).await == Some(true) {
                self.filling.remove(&host);
            }
        }
        let kind = if self.filling.is_empty() { fault.kind } else { instead };
        Fault { kind, ..fault.clone() }
    }

    /// Whether a host has run for a while, and its disk is sound.
    fn is_whole(&self, host: HostId) -> bool {
        let started = self.flushed.get(&host).copied().unwrap_or_default().started();
        let fails = self.failing.get(&host).is_some_and(|count| *count > 0);
        self.simulation.is_running(host) && !fails && self.now() >= started + WHOLE_FOR
    }

    /// Has a host lose its disk, if all are whole and the system says that it can do without; whether it did.
    async fn lose_disk(&mut self, host: HostId, brokers: &[HostId]) -> bool {
        let asked = self.system.can_lose_disk(self.simulation, host);
        let can = self.simulation.within(LEAVE_WITHIN, asked).await;
        if can != Some(true) || !brokers.iter().all(|broker| self.is_whole(*broker)) {
            return false;
        }
        self.simulation.kill(host);
        self.simulation.disk(host).replace();
        self.filling.insert(host);
        let now = self.now();
        self.flushed.entry(host).or_default().ended(now);
        true
    }

    /// Begins a fault; false if there was nothing to be struck.
    fn strike(
        &mut self,
        fault: &Fault,
        host: HostId,
        brokers: &[HostId],
        power_lost: &mut impl FnMut(Duration),
    ) -> bool {
        let (simulation, now) = (self.simulation, self.now());
        let was_running = simulation.is_running(host);
        match fault.kind {
            FaultKind::Kill | FaultKind::KillAll => simulation.kill(host),
            FaultKind::PowerLoss | FaultKind::PowerLossAll => simulation.power_loss(host),
            FaultKind::Restart => self.system.stop(simulation, host),
            FaultKind::ClockJump => simulation.jump_clock(host, fault.jump_ms()),
            FaultKind::SlowDisk => {
                let flush = millis(50, 1000);
                simulation.set_pool_latency(host, PoolLatency { flush, ..PoolLatency::default() });
            }
            FaultKind::Pause => simulation.pause(host, fault.lasts),
            FaultKind::Cut | FaultKind::Isolate => {
                for (from, to) in fault.links(host, &self.cut_from(fault, host, brokers)) {
                    simulation.cut(from, to);
                }
            }
            FaultKind::SlowNet => simulation
                .set_net_faults(NetFaults { delay: millis(1, 1000), ..NetFaults::default() }),
            FaultKind::DiskError => {
                let count = if fault.detail.is_multiple_of(2) { u32::MAX } else { 1 };
                let disk = simulation.disk(host);
                match fault.detail / 2 % 3 {
                    0 => disk.fail_writes(count),
                    _ => disk.fail_syncs(count),
                }
            }
            FaultKind::ReadError => {
                let count = if fault.detail.is_multiple_of(2) { u32::MAX } else { 1 };
                simulation.disk(host).fail_reads(count);
            }
            FaultKind::DiskFull => simulation.disk(host).set_capacity(0),
            FaultKind::DiskLost
            | FaultKind::Vote
            | FaultKind::Drain
            | FaultKind::Lease
            | FaultKind::Balance
            | FaultKind::Join => unreachable!("not done to the host alone"),
            FaultKind::Rot => return self.system.rot(simulation, host, fault.detail),
        }
        if fault.kind.is_of_disk() {
            *self.failing.entry(host).or_default() += 1;
            self.system.disk_fails(host, true);
        }
        let flushed = self.flushed.entry(host).or_default();
        if was_running && !simulation.is_running(host) {
            flushed.ended(now);
        }
        // From here on it is not known what it flushes, until it begins again.
        if was_running && (fault.kind == FaultKind::Pause || fault.kind.is_of_disk()) {
            flushed.ended(now);
            flushed.begins(now + fault.lasts);
        }
        match fault.kind {
            FaultKind::PowerLoss | FaultKind::PowerLossAll => {
                power_lost(flushed.at());
                true
            }
            FaultKind::ClockJump | FaultKind::SlowNet => true,
            _ => was_running,
        }
    }

    /// Ends what a fault began.
    fn mend(
        &mut self,
        fault: &Fault,
        host: HostId,
        brokers: &[HostId],
        power_lost: &mut impl FnMut(Duration),
    ) {
        let (simulation, now) = (self.simulation, self.now());
        let was_running = simulation.is_running(host);
        match fault.kind {
            FaultKind::Kill
            | FaultKind::PowerLoss
            | FaultKind::KillAll
            | FaultKind::PowerLossAll
            | FaultKind::DiskLost
            | FaultKind::Rot
            | FaultKind::Vote
            | FaultKind::Drain
            | FaultKind::Lease
            | FaultKind::Balance
            | FaultKind::Join => {}
            // As long as that was its time to stop.
            FaultKind::Restart => simulation.kill(host),
            FaultKind::SlowDisk => simulation.set_pool_latency(host, PoolLatency::default()),
            FaultKind::Cut | FaultKind::Isolate => {
                for (from, to) in fault.links(host, &self.cut_from(fault, host, brokers)) {
                    simulation.heal(from, to);
                }
            }
            // Whoever set it wrong sets it right: a clock that stays an hour behind makes a broker refuse
            // its clients' records, as it should.
            FaultKind::ClockJump => simulation.jump_clock(host, -fault.jump_ms()),
            FaultKind::Pause => {}
            FaultKind::SlowNet => simulation.set_net_faults(NetFaults::default()),
            FaultKind::DiskError | FaultKind::ReadError | FaultKind::DiskFull => self.repair(host),
        }
        let flushed = self.flushed.entry(host).or_default();
        if fault.kind == FaultKind::DiskError {
            // All that it wrote since the last flush before may be gone.
            power_lost(flushed.at());
        }
        if was_running && fault.kind == FaultKind::Restart {
            flushed.ended(now);
        }
        // Whoever repairs a disk starts the broker that has given up.
        let starts = fault.kind.is_restart() || fault.kind.is_of_disk();
        if starts && !simulation.is_running(host) {
            self.system.start(simulation, host);
            flushed.begins(now);
        }
    }
}
