//! What may happen, and how often: each scenario is a bounded history space that is searched whole.

/// What a replica vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// What it has written.
    Replicated,
    /// What is on its disk.
    Fsync,
}

/// How often each thing may still happen. What heals (starts, Fetches, proposals, metadata that are
/// followed) is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Records that are produced.
    pub records: u8,
    /// Processes that are killed; the machine stays up.
    pub kills: u8,
    /// Machines that lose power: with `durability=replicated` never one before the last that did has
    /// registered again and the others have flushed.
    pub power_losses: u8,
    /// All machines that lose power at once.
    pub outages: u8,
    /// Disks that are lost, as long as somebody else has what is committed.
    pub lost_disks: u8,
    /// Processes that are not heard of, and live.
    pub silences: u8,
    /// Processes that are told to stop.
    pub stops: u8,
    /// Hours that pass: whoever has not caught up since the last one lags.
    pub hours: u8,
    /// Proposals whose answer does not come in time.
    pub give_ups: u8,
    /// Elections of the preferred leader.
    pub elections: u8,
    /// Reassignments that take a replica away, or add one.
    pub moves: u8,
    /// Fetches that arrive late, and whose answers nobody waits for.
    pub late_fetches: u8,
}

/// A space of histories.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it is about.
    pub name: &'static str,
    /// What a replica vouches for.
    pub durability: Durability,
    /// How many of the three replicas are in sync when it begins. The third joins by itself, so what begins
    /// with two goes through all that begins with three as well.
    pub in_sync: usize,
    /// What may happen.
    pub budget: Budget,
}

impl Scenario {
    /// Whether what was acknowledged may be lost as long as it is not on the disks.
    pub(crate) fn loses_the_newest(&self) -> bool {
        self.budget.outages > 0 && self.durability == Durability::Replicated
    }
}

/// One record, and nothing goes wrong.
const CALM: Budget = Budget {
    records: 1,
    kills: 0,
    power_losses: 0,
    outages: 0,
    lost_disks: 0,
    silences: 0,
    stops: 0,
    hours: 0,
    give_ups: 0,
    elections: 0,
    moves: 0,
    late_fetches: 0,
};

const fn scenario(name: &'static str, in_sync: usize, budget: Budget) -> Scenario {
    Scenario { name, durability: Durability::Replicated, in_sync, budget }
}

/// What every test run searches: some seconds each.
pub const SCENARIOS: &[Scenario] = &[
    scenario("two records, a kill", 2, Budget { records: 2, kills: 1, ..CALM }),
    scenario("two kills", 2, Budget { kills: 2, ..CALM }),
    scenario("two power losses", 2, Budget { power_losses: 2, ..CALM }),
    Scenario {
        durability: Durability::Fsync,
        ..scenario("fsync, power losses at once", 3, Budget { power_losses: 2, ..CALM })
    },
    scenario("an outage", 2, Budget { outages: 1, ..CALM }),
    scenario("two records, a lost disk", 2, Budget { records: 2, lost_disks: 1, ..CALM }),
    scenario("a stop, an election", 2, Budget { stops: 1, elections: 1, ..CALM }),
    scenario("a silence, an election", 2, Budget { silences: 1, elections: 1, ..CALM }),
    scenario("a silence, a kill", 3, Budget { silences: 1, kills: 1, ..CALM }),
    scenario("a lag, a kill", 2, Budget { hours: 1, kills: 1, ..CALM }),
    scenario("a lag, a late proposal", 2, Budget { hours: 1, give_ups: 1, ..CALM }),
    scenario("a kill, a late proposal", 2, Budget { kills: 1, give_ups: 1, ..CALM }),
    scenario("a power loss, a late Fetch", 2, Budget { power_losses: 1, late_fetches: 1, ..CALM }),
    scenario("a power loss, a late proposal", 2, Budget { power_losses: 1, give_ups: 1, ..CALM }),
    scenario("a lost disk, a late proposal", 2, Budget { lost_disks: 1, give_ups: 1, ..CALM }),
    scenario("a move", 2, Budget { moves: 1, ..CALM }),
    scenario("a move, a late proposal", 2, Budget { moves: 1, give_ups: 1, ..CALM }),
    scenario("a move, an election", 2, Budget { moves: 1, elections: 1, ..CALM }),
    scenario("a move, a stop", 2, Budget { moves: 1, stops: 1, ..CALM }),
    scenario("two moves", 3, Budget { moves: 2, ..CALM }),
];

/// More of it, searched by hand: minutes each.
pub const DEEP_SCENARIOS: &[Scenario] = &[
    scenario("two records, an outage", 2, Budget { records: 2, outages: 1, ..CALM }),
    scenario("a lost disk, an outage", 2, Budget { lost_disks: 1, outages: 1, ..CALM }),
    scenario("two records, two kills", 3, Budget { records: 2, kills: 2, ..CALM }),
    scenario("a kill, a power loss", 2, Budget { kills: 1, power_losses: 1, ..CALM }),
    scenario("a kill, a lost disk", 2, Budget { kills: 1, lost_disks: 1, ..CALM }),
    scenario("a lost disk, a power loss", 2, Budget { lost_disks: 1, power_losses: 1, ..CALM }),
    scenario("a silence, a power loss", 2, Budget { silences: 1, power_losses: 1, ..CALM }),
    scenario("a stop, a power loss", 2, Budget { stops: 1, power_losses: 1, ..CALM }),
    scenario("a stop, a kill", 2, Budget { stops: 1, kills: 1, ..CALM }),
    scenario("a lag, a power loss", 2, Budget { hours: 1, power_losses: 1, ..CALM }),
    scenario(
        "a power loss, a lag, a late Fetch",
        2,
        Budget { power_losses: 1, hours: 1, late_fetches: 1, ..CALM },
    ),
    scenario("three moves", 2, Budget { moves: 3, ..CALM }),
    scenario("two moves, a kill", 2, Budget { moves: 2, kills: 1, ..CALM }),
    scenario("a move, a kill", 2, Budget { moves: 1, kills: 1, ..CALM }),
    scenario("a move, a power loss", 2, Budget { moves: 1, power_losses: 1, ..CALM }),
    scenario("two lags, two late proposals", 2, Budget { hours: 2, give_ups: 2, ..CALM }),
    scenario(
        "two records, a kill, a lag, a late proposal",
        2,
        Budget { records: 2, kills: 1, hours: 1, give_ups: 1, ..CALM },
    ),
    scenario(
        "two records, a silence, an election, a kill",
        2,
        Budget { records: 2, silences: 1, elections: 1, kills: 1, ..CALM },
    ),
    Scenario {
        durability: Durability::Fsync,
        ..scenario("fsync, a power loss, a kill", 2, Budget { power_losses: 1, kills: 1, ..CALM })
    },
];
