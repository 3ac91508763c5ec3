//! The budget of faults: what the brokers promise to bear, and never more. A run beyond it would find
//! nothing but what was never promised.

use world::simulated::Random;

use super::{FaultKind, Schedule};

impl Schedule {
    /// Only one machine's disk rots, and while it may, no other machine loses its power or its disk. Half of the
    /// clusters lose the power or the writes of one machine at most: then no topic may lose anything.
    pub(super) fn keep_to_budget(&mut self, random: &mut Random, brokers: usize) {
        let rot = self.faults.iter().find(|fault| fault.kind == FaultKind::Rot);
        if let Some(strikes) = rot.map(|rot| rot.strikes) {
            for fault in &mut self.faults {
                if fault.kind == FaultKind::PowerLossAll {
                    fault.kind = FaultKind::KillAll;
                }
                let is_of_disk = matches!(fault.kind, FaultKind::Rot | FaultKind::DiskLost);
                if is_of_disk || fault.kind.loses_the_unflushed() {
                    fault.strikes = strikes;
                }
            }
        }
        self.leave_the_votes_where_disks_are_lost();
        if brokers == 1 || random.chance(1, 2) {
            return;
        }
        let mut has_lost = false;
        for fault in &mut self.faults {
            fault.kind = match fault.kind {
                kind if kind.loses_the_unflushed() && std::mem::replace(&mut has_lost, true) => {
                    FaultKind::Kill
                }
                FaultKind::PowerLossAll => FaultKind::KillAll,
                kind => kind,
            };
        }
    }

    /// No vote is taken where a disk is lost: until the new one votes, the others need theirs.
    fn leave_the_votes_where_disks_are_lost(&mut self) {
        if !self.faults.iter().any(|fault| fault.kind == FaultKind::DiskLost) {
            return;
        }
        for fault in self.faults.iter_mut().filter(|fault| fault.kind == FaultKind::Vote) {
            fault.kind = FaultKind::Drain;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_one_disk_rots_no_other_machine_loses_its_power() {
        let mut rotten = 0;
        for seed in 0..1000 {
            let schedule = Schedule::draw(&mut Random::new(seed, &["faults"]), 3);
            let of = |kind| schedule.faults.iter().filter(move |fault| fault.kind == kind);
            let Some(rot) = of(FaultKind::Rot).next() else { continue };
            rotten += 1;
            assert_eq!(of(FaultKind::PowerLossAll).count(), 0);
            let mut others =
                of(FaultKind::Rot).chain(of(FaultKind::PowerLoss)).chain(of(FaultKind::DiskLost));
            assert!(others.all(|other| other.strikes % 3 == rot.strikes % 3));
        }
        assert!(rotten > 100, "{rotten} of 1000");
    }

    #[test]
    fn many_clusters_lose_the_power_of_one_machine_at_most() {
        let machines = |seed| {
            let schedule = Schedule::draw(&mut Random::new(seed, &["faults"]), 3);
            let lost = schedule.faults.iter().map(|fault| match fault.kind {
                kind if kind.loses_the_unflushed() => 1,
                FaultKind::PowerLossAll => 3,
                _ => 0,
            });
            lost.sum::<usize>()
        };
        let gentle = (0..1000).filter(|seed| machines(*seed) <= 1).count();
        assert!((500..900).contains(&gentle), "{gentle} of 1000");
        assert!((0..1000).any(|seed| machines(seed) == 1));
    }

    #[test]
    fn where_a_disk_is_lost_the_others_vote() {
        let mut lost = 0;
        for seed in 0..1000 {
            let schedule = Schedule::draw(&mut Random::new(seed, &["faults"]), 3);
            let has = |kind| schedule.faults.iter().any(|fault| fault.kind == kind);
            lost += i32::from(has(FaultKind::DiskLost));
            assert!(!has(FaultKind::DiskLost) || !has(FaultKind::Vote), "seed {seed}");
        }
        assert!(lost > 100, "{lost} of 1000");
    }
}
