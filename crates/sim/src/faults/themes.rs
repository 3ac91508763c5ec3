//! Bad luck that matters together, and that chance alone seldom brings together: a few schedules are made for
//! one situation each. None is beyond the budget.

use std::time::Duration;

use world::simulated::Random;

use super::{Fault, FaultKind, Schedule, millis};

/// What a schedule is about.
#[derive(Clone, Copy)]
enum Theme {
    /// One machine loses power, and the other brokers' processes die at the same time. Its log lacks an end
    /// that the others have, and it may be back before them: it must not lead.
    OneMachineOfAll,
    /// Two disks take long to sync, then all machines lose power: what was acknowledged is on enough disks.
    DarkWithSlowDisks,
    /// A disk is lost, then perhaps another machine's, both in quiet times; a process dies meanwhile. Nobody
    /// loses power, so nothing may be lost, whatever it waits for.
    LostDisks,
}

const ALL: [Theme; 3] = [Theme::OneMachineOfAll, Theme::DarkWithSlowDisks, Theme::LostDisks];

impl Schedule {
    /// Draws a schedule with a theme, for several brokers.
    pub(super) fn with_theme(random: &mut Random) -> Self {
        let theme = ALL[random.index(ALL.len())];
        let begins = random.duration(&millis(3000, 6000));
        let mut faults = vec![one(random, FaultKind::Kill, begins)];
        let mut at = faults[0].at + faults[0].lasts + random.duration(&millis(3000, 6000));
        match theme {
            Theme::OneMachineOfAll => {
                faults.push(one(random, FaultKind::PowerLoss, at));
                at += random.duration(&millis(0, 20));
                faults.push(one(random, FaultKind::KillAll, at));
            }
            Theme::DarkWithSlowDisks => {
                let first = random.index(1 << 16);
                let dark = at + random.duration(&millis(1000, 3000));
                for strikes in [first, first + 1] {
                    let slow = one(random, FaultKind::SlowDisk, at);
                    faults.push(Fault { strikes, lasts: dark - at, ..slow });
                }
                faults.push(one(random, FaultKind::PowerLossAll, dark));
            }
            Theme::LostDisks => {
                for _ in 0..=random.index(2) {
                    at += random.duration(&millis(4000, 8000));
                    let lost = one(random, FaultKind::DiskLost, at);
                    let dies = at + lost.lasts + random.duration(&millis(0, 3000));
                    faults.push(lost);
                    faults.push(one(random, FaultKind::Kill, dies));
                    at = dies + faults[faults.len() - 1].lasts + Duration::from_secs(6);
                }
            }
        }
        Self { faults }
    }
}

/// A short one.
fn one(random: &mut Random, kind: FaultKind, at: Duration) -> Fault {
    let lasts = random.duration(&millis(10, 2000));
    Fault { kind, at, lasts, strikes: random.index(1 << 16), detail: random.next_u64() }
}
