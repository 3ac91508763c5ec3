//! Bad luck: what happens to which broker when, drawn from the seed before the run begins.

use std::collections::BTreeMap;
use std::time::Duration;

use world::simulated::{HostId, PoolLatency, Random, Simulation};

use crate::storm::System;

/// A kind of bad luck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The process is killed, and started again after a while.
    Kill,
    /// The machine loses power, and is on again after a while.
    PowerLoss,
    /// The process is asked to stop, killed if it takes too long, and started again.
    Restart,
    /// The wall clock jumps, either way.
    ClockJump,
    /// Syncs take up to a second.
    SlowDisk,
    /// The process stands still.
    Pause,
    /// Nothing gets through between the broker and one other host, in one direction or both.
    Cut,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Kill,
        Self::PowerLoss,
        Self::Restart,
        Self::ClockJump,
        Self::SlowDisk,
        Self::Pause,
        Self::Cut,
    ];

    /// The kind's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::PowerLoss => "power_loss",
            Self::Restart => "restart",
            Self::ClockJump => "clock_jump",
            Self::SlowDisk => "slow_disk",
            Self::Pause => "pause",
            Self::Cut => "cut",
        }
    }

    /// Whether the broker has to recover from it.
    pub fn is_restart(self) -> bool {
        matches!(self, Self::Kill | Self::PowerLoss | Self::Restart)
    }
}

/// One piece of bad luck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// When, after the beginning of the run.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// Which host it strikes, as a number to be taken modulo their count.
    pub strikes: usize,
    /// A number for the kind's own use: how far a clock jumps, which link is cut.
    pub detail: u64,
}

/// The bad luck of a run, in the order in which it begins. One may strike while another lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// In order.
    pub faults: Vec<Fault>,
}

/// How often each kind has struck.
pub type Struck = BTreeMap<&'static str, u64>;

impl Schedule {
    /// Draws a schedule: three faults at least, of which the first is one to recover from.
    pub fn draw(random: &mut Random) -> Self {
        let count = 3 + random.index(5);
        let millis = |from, to| Duration::from_millis(from)..Duration::from_millis(to);
        let mut faults: Vec<Fault> = Vec::new();
        let mut quiet_from = Duration::ZERO;
        for at in 0..count {
            let restarts = [FaultKind::Kill, FaultKind::PowerLoss];
            let kind = match at {
                0 => restarts[random.index(restarts.len())],
                _ => FaultKind::ALL[random.index(FaultKind::ALL.len())],
            };
            let begins = match faults.last() {
                // Bad luck seldom comes alone: recoveries that are interrupted, answers that are lost
                // on their way while the broker dies.
                Some(last) if random.chance(1, 3) => {
                    let into = random.duration(&millis(0, 3000));
                    last.at + into.min(last.lasts + Duration::from_millis(200))
                }
                Some(_) => quiet_from + random.duration(&millis(500, 4000)),
                None => random.duration(&millis(3000, 6000)),
            };
            // Often shorter than any timeout, sometimes longer than most.
            let lasts = match random.index(4) {
                0 => random.duration(&millis(4000, 20_000)),
                _ => random.duration(&millis(10, 2000)),
            };
            quiet_from = quiet_from.max(begins + lasts);
            let (strikes, detail) = (random.index(1 << 16), random.next_u64());
            faults.push(Fault { kind, at: begins, lasts, strikes, detail });
        }
        Self { faults }
    }

    /// Lets it all happen to `hosts`; says what struck. `power_lost` is told, when a machine
    /// loses its power, how long its broker had run until then, long enough to flush.
    pub async fn perform(
        &self,
        simulation: &Simulation,
        system: &impl System,
        hosts: &[HostId],
        mut power_lost: impl FnMut(Duration),
    ) -> Struck {
        let mut struck = Struck::new();
        let mut flushed: BTreeMap<HostId, Flushed> = BTreeMap::new();
        let begin = |at: usize| (self.faults[at].at, at, true);
        let end = |at: usize| (self.faults[at].at + self.faults[at].lasts, at, false);
        let mut steps: Vec<(Duration, usize, bool)> =
            (0..self.faults.len()).flat_map(|at| [begin(at), end(at)]).collect();
        steps.sort_unstable();
        for (due, at, begins) in steps {
            simulation.sleep(due.saturating_sub(simulation.elapsed())).await;
            let fault = &self.faults[at];
            let host = hosts[fault.strikes % hosts.len()];
            let was_running = simulation.is_running(host);
            let now = simulation.elapsed();
            let flushed = flushed.entry(host).or_default();
            if begins {
                if strike(simulation, system, fault, host) {
                    *struck.entry(fault.kind.name()).or_default() += 1;
                }
                if was_running && !simulation.is_running(host) {
                    flushed.ended(now);
                }
                if was_running && fault.kind == FaultKind::Pause {
                    flushed.ended(now);
                    flushed.started = flushed.started.max(now + fault.lasts);
                }
                if fault.kind == FaultKind::PowerLoss {
                    power_lost(flushed.at);
                }
            } else {
                mend(simulation, system, fault, host);
                if fault.kind == FaultKind::Restart && was_running {
                    flushed.ended(now);
                }
                if fault.kind.is_restart() && (fault.kind == FaultKind::Restart || !was_running) {
                    flushed.started = now;
                }
            }
        }
        simulation.heal_all();
        struck
    }
}

/// How long a host's process needs to run before it has flushed what an earlier one left.
const FLUSHES_WITHIN: Duration = Duration::from_secs(3);

/// Until when a host's process has been able to flush what it wrote.
#[derive(Clone, Copy, Debug, Default)]
struct Flushed {
    at: Duration,
    started: Duration,
}

impl Flushed {
    /// The process ends, or stands still; what it left is flushed by the next, or by itself later, if
    /// there is time enough.
    fn ended(&mut self, now: Duration) {
        if self.at.is_zero() || now.saturating_sub(self.started) >= FLUSHES_WITHIN {
            self.at = now;
        }
    }
}

/// Which links a cut cuts, between the host and another: one way, the other, or both.
fn links(simulation: &Simulation, fault: &Fault, host: HostId) -> Vec<(HostId, HostId)> {
    let others: Vec<HostId> =
        simulation.hosts().into_iter().filter(|other| *other != host).collect();
    let draw = usize::try_from(fault.detail >> 32).expect("it is 32 bits");
    let Some(other) = others.get(draw % others.len().max(1)) else { return Vec::new() };
    match fault.detail % 3 {
        0 => vec![(*other, host)],
        1 => vec![(host, *other)],
        _ => vec![(host, *other), (*other, host)],
    }
}

/// How far a clock jumps: up to an hour either way.
fn jump_ms(fault: &Fault) -> i64 {
    let hour = 3_600_000;
    let by = i64::try_from(fault.detail % (2 * hour)).expect("it is below two hours");
    by - 3_600_000
}

/// False if there was nothing to be struck.
fn strike(simulation: &Simulation, system: &impl System, fault: &Fault, host: HostId) -> bool {
    let was_running = simulation.is_running(host);
    match fault.kind {
        FaultKind::Kill => simulation.kill(host),
        FaultKind::PowerLoss => {
            simulation.power_loss(host);
            return true;
        }
        FaultKind::Restart => system.stop(simulation, host),
        FaultKind::ClockJump => {
            simulation.jump_clock(host, jump_ms(fault));
            return true;
        }
        FaultKind::SlowDisk => {
            let flush = Duration::from_millis(50)..Duration::from_secs(1);
            simulation.set_pool_latency(host, PoolLatency { flush, ..PoolLatency::default() });
        }
        FaultKind::Pause => simulation.pause(host, fault.lasts),
        FaultKind::Cut => {
            for (from, to) in links(simulation, fault, host) {
                simulation.cut(from, to);
            }
        }
    }
    was_running
}

/// Ends what a fault began.
fn mend(simulation: &Simulation, system: &impl System, fault: &Fault, host: HostId) {
    match fault.kind {
        FaultKind::Kill | FaultKind::PowerLoss => {
            if !simulation.is_running(host) {
                system.start(simulation, host);
            }
        }
        FaultKind::Restart => {
            // As long as that was its time to stop.
            simulation.kill(host);
            system.start(simulation, host);
        }
        FaultKind::SlowDisk => simulation.set_pool_latency(host, PoolLatency::default()),
        FaultKind::Cut => {
            for (from, to) in links(simulation, fault, host) {
                simulation.heal(from, to);
            }
        }
        // Whoever set it wrong sets it right: a clock that stays an hour behind makes a broker refuse
        // its clients' records, as it should.
        FaultKind::ClockJump => simulation.jump_clock(host, -jump_ms(fault)),
        FaultKind::Pause => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_flushes_while_a_process_is_dead_or_has_just_begun() {
        let seconds = Duration::from_secs;
        let mut flushed = Flushed::default();
        flushed.ended(seconds(5));
        flushed.started = seconds(20);
        flushed.ended(seconds(21));
        assert_eq!(flushed.at, seconds(5), "it had no time");
        flushed.started = seconds(30);
        flushed.ended(seconds(34));
        assert_eq!(flushed.at, seconds(34));
    }

    #[test]
    fn a_schedule_comes_from_its_seed_and_counts() {
        let draw = |seed| Schedule::draw(&mut Random::new(seed, &["faults"]));
        let mut kinds = Vec::new();
        for seed in 0..200 {
            let schedule = draw(seed);
            assert_eq!(schedule, draw(seed));
            assert!(schedule.faults.len() >= 3);
            assert!(schedule.faults[0].kind.is_restart());
            kinds.extend(schedule.faults.iter().map(|fault| fault.kind));
        }
        for kind in FaultKind::ALL {
            assert!(kinds.contains(&kind), "{kind:?} never happens");
        }
    }
}
