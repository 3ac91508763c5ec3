//! One partition from one state to the next: in-sync replicas, eligible leaders, leader, epochs.
//!
//! ```text
//! Change::of(partition) ─ leaves, loses, sets … ─► decide ─► the next state, or None if nothing changes
//!                                                    │
//!      reassignment done? → somebody keeps the records → who leads → who is eligible → epochs
//! ```
//!
//! Two sets hold every committed record: the in-sync replicas, and those that left them when these became
//! too few to commit any more (KIP-966). Whoever is in one of them may lead. A set of both never gets
//! empty by failures: the last one stays, though it is fenced.

use crate::ids::{BrokerId, LeaderEpoch};

use super::super::image::{Image, Partition};

/// What shall become of a partition.
pub(in crate::metadata) struct Change<'a> {
    /// The brokers as they will be.
    image: &'a Image,
    before: &'a Partition,
    /// `min.insync.replicas` of the topic.
    min_isr: usize,
    next: Partition,
    /// Whose log may lack committed records.
    lost: Option<BrokerId>,
    may_be_unclean: bool,
    begins_epoch: bool,
}

impl<'a> Change<'a> {
    /// Nothing but what follows from the brokers as `image` has them.
    pub(in crate::metadata) fn of(image: &'a Image, before: &'a Partition, min_isr: usize) -> Self {
        let next = before.clone();
        let (lost, may_be_unclean, begins_epoch) = (None, false, false);
        Self { image, before, min_isr, next, lost, may_be_unclean, begins_epoch }
    }

    /// `gone` leaves the in-sync replicas. Those that stay, also one whose Fetch is still under way, learn
    /// of it by a new leader epoch.
    pub(in crate::metadata) fn leaves(mut self, gone: BrokerId) -> Self {
        self.begins_epoch |= self.next.isr.len() > 1 && self.next.isr.contains(&gone);
        self.next.isr.retain(|id| *id != gone);
        self
    }

    /// The log of `lost` may lack committed records: it has no standing any more, unless nobody else has.
    /// If its disk is new, and other replicas exist, it has none even then: an old log is better than
    /// none, and only a person can choose it.
    pub(in crate::metadata) fn loses(mut self, lost: BrokerId, has_new_disk: bool) -> Self {
        self = self.leaves(lost);
        self.next.elr.retain(|id| *id != lost);
        self.lost = Some(lost);
        let others = self.before.isr.iter().chain(&self.before.elr).any(|id| *id != lost);
        let stays = !has_new_disk || self.before.replicas.len() == 1;
        if !others && stays && self.before.isr.contains(&lost) {
            self.next.isr = vec![lost];
        }
        self
    }

    /// `going` leads no more, if somebody else can. It stays in sync until it follows that one
    /// ([`super::departures`]).
    pub(in crate::metadata) fn hands_over(mut self, going: BrokerId) -> Self {
        if self.next.leader == Some(going) {
            let isr = self.next.isr.iter().copied();
            let may_lead = |id: &BrokerId| *id != going && is_active(self.image, *id);
            let others: Vec<BrokerId> = isr.filter(may_lead).collect();
            self.next.leader = self.best(&others).or(self.next.leader);
        }
        self
    }

    /// `draining` leads no more, if somebody else in sync can begin to. It stays in sync itself.
    pub(in crate::metadata) fn resigns(mut self, draining: BrokerId) -> Self {
        if self.next.leader == Some(draining) {
            let in_sync = self.next.replicas.iter().filter(|id| self.next.isr.contains(id));
            let heir =
                in_sync.copied().find(|id| *id != draining && may_take_over(self.image, *id));
            self.next.leader = heir.or(self.next.leader);
        }
        self
    }

    /// `id` leads if it is the preferred leader and can begin to.
    pub(in crate::metadata) fn returns(mut self, id: BrokerId) -> Self {
        let is_preferred = self.next.replicas.first() == Some(&id);
        if is_preferred && self.next.isr.contains(&id) && may_take_over(self.image, id) {
            self.next.leader = Some(id);
        }
        self
    }

    /// These are in sync, says the leader.
    pub(in crate::metadata) fn set_isr(mut self, isr: Vec<BrokerId>) -> Self {
        self.next.isr = isr;
        self
    }

    /// These are its replicas from now on, some of them only until the move ends.
    pub(in crate::metadata) fn set_replicas(
        mut self,
        replicas: Vec<BrokerId>,
        adding: Vec<BrokerId>,
        removing: Vec<BrokerId>,
    ) -> Self {
        (self.next.replicas, self.next.adding, self.next.removing) = (replicas, adding, removing);
        self
    }

    /// This in-sync replica leads.
    pub(in crate::metadata) fn set_leader(mut self, leader: BrokerId) -> Self {
        self.next.leader = Some(leader);
        self
    }

    /// If nobody with all committed records can lead, anybody does. Records are lost.
    pub(in crate::metadata) fn uncleanly(mut self) -> Self {
        self.may_be_unclean = true;
        self
    }

    /// How many in-sync replicas may commit.
    fn enough(&self, replicas: usize) -> usize {
        self.min_isr.min(replicas)
    }

    /// The next state.
    pub(in crate::metadata) fn decide(mut self) -> Option<Partition> {
        self.finish_reassignment();
        let was_unclean = self.elect();
        self.keep_eligible(was_unclean);
        if self.next == *self.before {
            return None;
        }
        let is_new_leader = self.next.leader != self.before.leader;
        let is_removed = |id: &BrokerId| !self.next.replicas.contains(id);
        let begins_epoch =
            self.begins_epoch || is_new_leader || self.before.replicas.iter().any(is_removed);
        assert!(self.next.leader.is_none_or(|leader| self.next.isr.contains(&leader)));
        self.next.leader_epoch = LeaderEpoch(self.before.leader_epoch.0 + i32::from(begins_epoch));
        self.next.partition_epoch += 1;
        Some(self.next)
    }

    /// Replicas are let go once nobody who goes leads, or is in sync.
    fn finish_reassignment(&mut self) {
        if !self.next.is_reassigning() {
            return;
        }
        let mut seen = self.next.clone();
        // Who leaves now has what is committed all the same.
        let leaves = |id: &BrokerId| !seen.isr.contains(id) && self.lost != Some(*id);
        let left: Vec<BrokerId> = self.before.isr.iter().copied().filter(leaves).collect();
        seen.elr.extend(left);
        if !seen.may_let_go(self.min_isr, |id| is_active(self.image, id)) {
            return;
        }
        let goes = |id: &BrokerId| self.next.removing.contains(id);
        if self.next.isr.iter().any(goes) {
            if self.next.leader.as_ref().is_some_and(goes) {
                let isr = self.next.isr.iter().copied();
                let stays: Vec<BrokerId> = isr.filter(|id| !goes(id)).collect();
                self.next.leader = self.best(&stays).or(self.next.leader);
            }
            return;
        }
        let removing = std::mem::take(&mut self.next.removing);
        self.next.replicas.retain(|id| !removing.contains(id));
        self.next.adding.clear();
    }

    /// Says whether the leader lacks committed records.
    fn elect(&mut self) -> bool {
        let leads_on =
            |leader: &BrokerId| self.next.isr.contains(leader) && is_live(self.image, *leader);
        let of_isr = || self.best(&self.next.isr);
        self.next.leader = self.next.leader.filter(leads_on).or_else(of_isr);
        if self.next.leader.is_some() {
            return false;
        }
        let has_standing = |id: &BrokerId| self.next.replicas.contains(id);
        let eligible: Vec<BrokerId> = self.next.elr.iter().copied().filter(has_standing).collect();
        let clean = self.best(&eligible);
        let any = || self.best(&self.next.replicas).filter(|_| self.may_be_unclean);
        if let Some(leader) = clean.or_else(any) {
            self.next.leader = Some(leader);
            self.next.isr = vec![leader];
            return clean.is_none();
        }
        if self.next.isr.is_empty() {
            // Who has all committed records stays on record until it is back.
            let last = self.before.isr.iter().find(|id| self.lost != Some(**id));
            self.next.isr = last.or(eligible.first()).copied().into_iter().collect();
        }
        false
    }

    /// Who of these leads: the preferred one that is there, and rather one that does not give its
    /// leaderships away, or is about to stop.
    fn best(&self, among: &[BrokerId]) -> Option<BrokerId> {
        let there = |id: &BrokerId| among.contains(id) && is_live(self.image, *id);
        let there: Vec<BrokerId> = self.next.replicas.iter().copied().filter(there).collect();
        let first = |may: fn(&Image, BrokerId) -> bool| {
            there.iter().copied().find(|id| may(self.image, *id))
        };
        first(may_take_over).or_else(|| first(is_active)).or(there.first().copied())
    }

    /// While too few are in sync to commit anything, whoever was in sync keeps all that is committed.
    fn keep_eligible(&mut self, was_unclean: bool) {
        let Partition { leader, replicas, isr, .. } = &self.next;
        let commits = leader.is_some() && isr.len() >= self.enough(replicas.len());
        if commits || was_unclean {
            self.next.elr.clear();
            return;
        }
        let is_eligible = |id: &BrokerId| {
            (self.before.isr.contains(id) || self.before.elr.contains(id))
                && !isr.contains(id)
                && self.lost != Some(*id)
        };
        self.next.elr = replicas.iter().copied().filter(is_eligible).collect();
    }
}

/// Whether a broker may go on leading.
pub(in crate::metadata) fn is_live(image: &Image, id: BrokerId) -> bool {
    image.broker(id).is_some_and(|broker| !broker.fenced)
}

/// Whether a broker may begin to lead, and join the in-sync replicas.
pub(in crate::metadata) fn is_active(image: &Image, id: BrokerId) -> bool {
    image.is_active(id)
}

/// Whether a broker is one that leaderships are given to.
pub(in crate::metadata) fn may_take_over(image: &Image, id: BrokerId) -> bool {
    is_active(image, id) && image.drain(id).is_none()
}

#[cfg(test)]
#[path = "change_test.rs"]
mod tests;
