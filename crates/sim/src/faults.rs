//! Bad luck: what happens to which broker when, drawn from the seed before the run begins.

use std::time::Duration;

use world::simulated::{HostId, PoolLatency, Random, Simulation};

/// A kind of bad luck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The process is killed, and started again after a while.
    Kill,
    /// The machine loses power, and is on again after a while.
    PowerLoss,
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
    pub const ALL: [Self; 6] =
        [Self::Kill, Self::PowerLoss, Self::ClockJump, Self::SlowDisk, Self::Pause, Self::Cut];

    /// The kind's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::PowerLoss => "power_loss",
            Self::ClockJump => "clock_jump",
            Self::SlowDisk => "slow_disk",
            Self::Pause => "pause",
            Self::Cut => "cut",
        }
    }

    /// Whether the broker has to recover from it.
    pub fn is_restart(self) -> bool {
        matches!(self, Self::Kill | Self::PowerLoss)
    }
}

/// One piece of bad luck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// How long after the end of the one before.
    pub after: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// Which host it strikes, as a number to be taken modulo their count.
    pub strikes: usize,
    /// A number for the kind's own use: how far a clock jumps, which link is cut.
    pub detail: u64,
}

/// The bad luck of a run, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// In order.
    pub faults: Vec<Fault>,
}

impl Schedule {
    /// Draws a schedule: three faults at least, of which the first is one to recover from.
    pub fn draw(random: &mut Random) -> Self {
        let count = 3 + random.index(4);
        let fault = |at: usize| {
            let restarts = [FaultKind::Kill, FaultKind::PowerLoss];
            let kind = match at {
                0 => restarts[random.index(restarts.len())],
                _ => FaultKind::ALL[random.index(FaultKind::ALL.len())],
            };
            let millis = |from, to| Duration::from_millis(from)..Duration::from_millis(to);
            Fault {
                kind,
                after: random.duration(&millis(500, 4000)),
                // Often shorter than any timeout, sometimes longer than most.
                lasts: match random.index(4) {
                    0 => random.duration(&millis(4000, 20_000)),
                    _ => random.duration(&millis(10, 2000)),
                },
                strikes: random.index(1 << 16),
                detail: random.next_u64(),
            }
        };
        Self { faults: (0..count).map(fault).collect() }
    }

    /// Lets it all happen to `hosts`. `start` starts a host's process again.
    pub async fn perform(
        &self,
        simulation: &Simulation,
        hosts: &[HostId],
        mut start: impl FnMut(HostId),
    ) {
        for fault in &self.faults {
            simulation.sleep(fault.after).await;
            let host = hosts[fault.strikes % hosts.len()];
            strike(simulation, fault, host);
            simulation.sleep(fault.lasts).await;
            simulation.heal_all();
            simulation.set_pool_latency(host, PoolLatency::default());
            if !simulation.is_running(host) {
                start(host);
            }
        }
    }
}

fn strike(simulation: &Simulation, fault: &Fault, host: HostId) {
    match fault.kind {
        FaultKind::Kill => simulation.kill(host),
        FaultKind::PowerLoss => simulation.power_loss(host),
        FaultKind::ClockJump => {
            // Up to an hour either way.
            let hour = 3_600_000;
            let by = i64::try_from(fault.detail % (2 * hour)).expect("it is below two hours");
            simulation.jump_clock(host, by - 3_600_000);
        }
        FaultKind::SlowDisk => {
            let flush = Duration::from_millis(50)..Duration::from_secs(1);
            simulation.set_pool_latency(host, PoolLatency { flush, ..PoolLatency::default() });
        }
        FaultKind::Pause => simulation.pause(host, fault.lasts),
        FaultKind::Cut => {
            let others: Vec<HostId> =
                simulation.hosts().into_iter().filter(|other| *other != host).collect();
            let draw = usize::try_from(fault.detail >> 32).expect("it is 32 bits");
            let Some(other) = others.get(draw % others.len().max(1)) else { return };
            // One direction, the other, or both.
            let way = fault.detail % 3;
            let (there, back) = (way != 0, way != 1);
            if there {
                simulation.cut(host, *other);
            }
            if back {
                simulation.cut(*other, host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
