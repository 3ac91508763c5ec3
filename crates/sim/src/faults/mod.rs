//! Bad luck: what happens to which broker when, drawn from the seed before the run begins.
//!
//! | file | knows |
//! | --- | --- |
//! | `mod` | which kinds there are; what is drawn |
//! | `budget` | how much of it the brokers promise to bear |
//! | `themes` | schedules for a single situation |
//! | `perform` | how each kind is done to a simulation, and undone |
//! | `upkeep` | what the system does to itself meanwhile, because people ask for it |
//! | `flushed` | what a machine could have brought to its disk before it lost power |

mod budget;
mod flushed;
mod perform;
mod themes;
mod upkeep;

use std::collections::BTreeMap;
use std::time::Duration;

use world::simulated::Random;

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
    /// Nothing gets through between the broker and all other brokers, in one direction or both. Clients
    /// reach it.
    Isolate,
    /// Everything takes up to a second on its way, so that connections overtake each other.
    SlowNet,
    /// All processes are killed at once, and started again one after the other.
    KillAll,
    /// All machines lose power at once, and are on again one after the other.
    PowerLossAll,
    /// Some writes or syncs fail: once, or as long as it lasts.
    DiskError,
    /// Some reads fail: once, or as long as it lasts.
    ReadError,
    /// No space is left.
    DiskFull,
    /// A bit of what the broker has stored is another one from now on.
    Rot,
    /// The machine gets an empty disk, once the others say that they can do without the old one.
    DiskLost,
    /// Its vote in the quorum is taken away, and given back.
    Vote,
    /// Its leaderships go elsewhere, or all that it holds, until that is cancelled.
    Drain,
    /// Somebody has the leave to take it out of service; gives it back, or lets it run out.
    Lease,
    /// Equal shares are asked for, and perhaps no longer.
    Balance,
    /// Another broker joins with an empty disk, gets replicas, is emptied, and forgotten.
    Join,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 21] = [
        Self::Kill,
        Self::PowerLoss,
        Self::Restart,
        Self::ClockJump,
        Self::SlowDisk,
        Self::Pause,
        Self::Cut,
        Self::Isolate,
        Self::SlowNet,
        Self::KillAll,
        Self::PowerLossAll,
        Self::DiskError,
        Self::ReadError,
        Self::DiskFull,
        Self::Rot,
        Self::DiskLost,
        Self::Vote,
        Self::Drain,
        Self::Lease,
        Self::Balance,
        Self::Join,
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
            Self::Isolate => "isolate",
            Self::SlowNet => "slow_net",
            Self::KillAll => "kill_all",
            Self::PowerLossAll => "power_loss_all",
            Self::DiskError => "disk_error",
            Self::ReadError => "read_error",
            Self::DiskFull => "disk_full",
            Self::Rot => "rot",
            Self::DiskLost => "disk_lost",
            Self::Vote => "vote",
            Self::Drain => "drain",
            Self::Lease => "lease",
            Self::Balance => "balance",
            Self::Join => "join",
        }
    }

    /// The kinds that a system of so many brokers meets. One alone has nobody to be cut off from, or to be
    /// healed by.
    pub fn of(brokers: usize) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |kind| brokers > 1 || !kind.needs_others())
    }

    fn needs_others(self) -> bool {
        let heals = matches!(self, Self::Rot | Self::DiskLost);
        self.strikes_all() || self.is_upkeep() || heals || self == Self::Isolate
    }

    /// Whether it is a thing that people do to a cluster: the system carries it out and undoes it.
    fn is_upkeep(self) -> bool {
        matches!(self, Self::Vote | Self::Drain | Self::Lease | Self::Balance | Self::Join)
    }

    /// Whether it strikes all brokers at once.
    fn strikes_all(self) -> bool {
        matches!(self, Self::KillAll | Self::PowerLossAll)
    }

    /// Whether the broker's disk fails: its process may end by itself, and not begin.
    fn is_of_disk(self) -> bool {
        matches!(self, Self::DiskError | Self::ReadError | Self::DiskFull)
    }

    /// Whether one machine may lose by it what was not flushed: a failed sync leaves pages that the system takes for
    /// written.
    fn loses_the_unflushed(self) -> bool {
        matches!(self, Self::PowerLoss | Self::DiskError)
    }

    /// Whether one machine's broker cannot prove afterwards that it has all that it wrote: so it is when it cannot read
    /// its disk as it begins.
    fn unproves(self) -> bool {
        self.loses_the_unflushed() || self == Self::ReadError
    }

    /// Whether the broker has to recover from it.
    pub fn is_restart(self) -> bool {
        let one = matches!(self, Self::Kill | Self::PowerLoss | Self::Restart | Self::DiskLost);
        self.strikes_all() || one
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

fn millis(from: u64, to: u64) -> std::ops::Range<Duration> {
    Duration::from_millis(from)..Duration::from_millis(to)
}

impl Schedule {
    /// Draws a schedule for so many brokers: three faults at least, of which the first is one to recover
    /// from. Some clusters have to be formed although a broker is cut off, some meet one situation alone.
    pub fn draw(random: &mut Random, brokers: usize) -> Self {
        let kinds: Vec<FaultKind> = FaultKind::of(brokers).collect();
        let count = 3 + random.index(5);
        let mut faults: Vec<Fault> = Vec::new();
        let mut quiet_from = Duration::ZERO;
        for at in 0..count {
            let restarts = [FaultKind::Kill, FaultKind::PowerLoss];
            let kind = match at {
                0 => restarts[random.index(restarts.len())],
                _ => kinds[random.index(kinds.len())],
            };
            let begins = match faults.last() {
                // Not before the others have recovered: it is told then that they have not.
                Some(_) if kind == FaultKind::DiskLost => {
                    quiet_from + random.duration(&millis(7000, 10_000))
                }
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
            if kind == FaultKind::Lease {
                // What the lease is for.
                let (kind, at) = (FaultKind::Restart, begins + Duration::from_millis(500));
                faults.push(Fault { kind, at, lasts: lasts / 2, strikes, detail });
            }
        }
        if brokers > 1 && random.chance(1, 6) {
            let lasts = random.duration(&millis(1000, 8000));
            let (strikes, detail) = (random.index(1 << 16), random.next_u64());
            let (kind, at) = (FaultKind::Isolate, Duration::ZERO);
            faults.insert(0, Fault { kind, at, lasts, strikes, detail });
        }
        let mut schedule = Self { faults };
        schedule.keep_to_budget(random, brokers);
        if brokers > 1 && random.chance(1, 8) {
            return Self::with_theme(random);
        }
        schedule
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_comes_from_its_seed_and_counts() {
        for brokers in [1, 3] {
            let draw = |seed| Schedule::draw(&mut Random::new(seed, &["faults"]), brokers);
            let mut kinds = Vec::new();
            for seed in 0..200 {
                let schedule = draw(seed);
                assert_eq!(schedule, draw(seed));
                assert!(schedule.faults.len() >= 3);
                assert!(schedule.faults.is_sorted_by_key(|fault| fault.at));
                assert!(schedule.faults.iter().any(|fault| fault.kind.is_restart()));
                kinds.extend(schedule.faults.iter().map(|fault| fault.kind));
            }
            for kind in FaultKind::ALL {
                let is_met = FaultKind::of(brokers).any(|other| other == kind);
                assert_eq!(kinds.contains(&kind), is_met, "{kind:?} with {brokers} brokers");
            }
        }
    }
}
