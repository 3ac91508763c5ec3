//! What the leader of a partition knows of its followers: the watermark, and who is in sync.

use std::collections::BTreeMap;
use std::time::Duration;

use super::nearest::Holder;
use crate::metadata::Partition;
use crate::{BrokerId, LeaderEpoch, Now, Offset};

/// How long the watermark waits for a follower that is about to be in sync and stopped fetching.
const JOINING_MAX: Duration = Duration::from_millis(500);
/// Pause after a proposal that was not taken.
const PAUSE: Duration = Duration::from_millis(250);

/// A leader's first moment.
#[derive(Clone, Copy, Debug)]
pub struct Begin<'a> {
    /// The broker that leads.
    pub me: BrokerId,
    /// The partition's place in the cluster.
    pub place: &'a Partition,
    /// Where the log ends: the first offset of this leader epoch.
    pub start: Offset,
    /// What the log knew to be committed.
    pub high_watermark: Offset,
}

/// A follower's Fetch, after it was found not to diverge: all below its offset is the same on both sides.
#[derive(Clone, Copy, Debug)]
pub struct Fetched {
    /// Who fetches.
    pub follower: BrokerId,
    /// Its registration.
    pub broker_epoch: i64,
    /// Up to where it vouches for its records; with `durability=fsync` they are on its disk.
    pub offset: Offset,
    /// Where its log begins.
    pub start: Offset,
    /// Where the leader's log ends.
    pub end: Offset,
    /// Whether the controller would let it join the in-sync replicas: it is not about to stop.
    pub may_join: bool,
    /// When.
    pub now: Now,
}

/// A change of the in-sync replicas for the controller to compare and set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The epoch of this leader.
    pub leader_epoch: LeaderEpoch,
    /// The state that it would change.
    pub partition_epoch: i32,
    /// Who shall be in sync, each with its broker epoch; -1 for the leader itself.
    pub isr: Vec<(BrokerId, i64)>,
}

/// The progress of a partition, seen by its leader in one leader epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    me: BrokerId,
    leader_epoch: LeaderEpoch,
    start: Offset,
    high_watermark: Offset,
    partition_epoch: i32,
    isr: Vec<BrokerId>,
    /// Whether nobody outside of the in-sync replicas may be elected. While somebody may, a record that
    /// is committed now could be missing there.
    only_isr_may_lead: bool,
    followers: BTreeMap<BrokerId, Follower>,
    /// Who would be in sync if a proposal is taken that may still be.
    proposed: Vec<BrokerId>,
    /// Whether a proposal is under way, or taken and not yet in the metadata.
    is_asking: bool,
    /// Whether a proposal had no answer: it may be taken any time until the partition epoch moves.
    is_doubtful: bool,
    wants_pause: bool,
    not_before: Duration,
}

/// What is known of one follower. All is forgotten when it leaves the in-sync replicas or starts anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Follower {
    broker_epoch: Option<i64>,
    offset: Option<Offset>,
    /// Its first offset.
    start: Offset,
    /// Its last Fetch, and where the leader's log ended then.
    last: Option<(Duration, Offset)>,
    /// When it last had all that the leader had.
    caught_up_at: Option<Duration>,
    /// Whether it has just caught up and is not in sync yet. The watermark waits for it: else, under load,
    /// it would always be a little behind and could never join.
    is_joining: bool,
}

impl Progress {
    /// Begins to lead.
    pub fn new(begin: Begin<'_>) -> Self {
        let mut progress = Self {
            me: begin.me,
            leader_epoch: begin.place.leader_epoch,
            start: begin.start,
            high_watermark: begin.high_watermark,
            partition_epoch: begin.place.partition_epoch,
            isr: Vec::new(),
            only_isr_may_lead: false,
            followers: BTreeMap::new(),
            proposed: Vec::new(),
            is_asking: false,
            is_doubtful: false,
            wants_pause: false,
            not_before: Duration::ZERO,
        };
        progress.set_place(begin.place);
        progress
    }

    /// The metadata have another state of the partition, under the same leader epoch. Whatever was proposed
    /// before is settled by it.
    pub fn configured(&mut self, place: &Partition) {
        if place.partition_epoch <= self.partition_epoch {
            return;
        }
        self.partition_epoch = place.partition_epoch;
        self.proposed.clear();
        self.is_asking = false;
        self.is_doubtful = false;
        self.set_place(place);
    }

    fn set_place(&mut self, place: &Partition) {
        self.followers.retain(|id, _| place.replicas.contains(id));
        for id in place.replicas.iter().filter(|id| **id != self.me) {
            let follower = self.followers.entry(*id).or_default();
            if self.isr.contains(id) && !place.isr.contains(id) {
                *follower = Follower::default();
            }
            follower.is_joining &= !place.isr.contains(id);
        }
        self.isr.clone_from(&place.isr);
        self.only_isr_may_lead = place.elr.is_empty();
    }

    /// A follower has fetched.
    pub fn fetched(&mut self, fetched: Fetched) {
        let Fetched { follower: id, broker_epoch, offset, start, end, may_join, now } = fetched;
        let Some(follower) = self.followers.get_mut(&id) else { return };
        if follower.broker_epoch.is_some_and(|known| known > broker_epoch) {
            return;
        }
        if follower.broker_epoch.is_some_and(|known| known < broker_epoch) {
            *follower = Follower::default();
        }
        let had_all_of_last = follower.last.filter(|(_, end_then)| offset >= *end_then);
        let caught_up_at =
            if offset >= end { Some(now.tick) } else { had_all_of_last.map(|(at, _)| at) };
        let is_joining = caught_up_at.is_some() && offset >= self.start && !self.isr.contains(&id);
        follower.is_joining = may_join && (follower.is_joining || is_joining);
        follower.caught_up_at = caught_up_at.max(follower.caught_up_at);
        follower.broker_epoch = Some(broker_epoch);
        follower.offset = Some(offset.min(end));
        follower.start = start;
        follower.last = Some((now.tick, end));
    }

    /// The first offset that is not committed, where the leader itself vouches for all below `own`.
    ///
    /// All that are in sync have what is below, and all that would be if a proposal was taken (KIP-497).
    /// It moves only while `min_insync_replicas` are in sync (KIP-966), and never back.
    pub fn high_watermark(&mut self, own: Offset, min_insync_replicas: i32) -> Offset {
        let replicas = self.followers.len() + 1;
        let enough = usize::try_from(min_insync_replicas).unwrap_or(0).clamp(1, replicas);
        if self.isr.len() < enough || !self.only_isr_may_lead {
            return self.high_watermark;
        }
        let theirs = self.followers.iter().filter(|it| self.counts(it));
        let theirs = theirs.map(|(_, follower)| follower.offset.unwrap_or(0));
        let common = theirs.min().map_or(own, |theirs| theirs.min(own));
        // What earlier leaders wrote is committed together with what this one does.
        if common >= self.start {
            self.high_watermark = self.high_watermark.max(common);
        }
        self.high_watermark
    }

    /// Whether it is in sync, as the metadata have it.
    pub fn is_in_sync(&self, follower: BrokerId) -> bool {
        self.isr.contains(&follower)
    }

    /// The followers that are in sync and have fetched from this leader.
    pub fn holders(&self) -> impl Iterator<Item = Holder> {
        let in_sync = self.followers.iter().filter(|(id, _)| self.isr.contains(id));
        in_sync.filter_map(|(id, it)| Some(Holder { id: *id, start: it.start, end: it.offset? }))
    }

    /// Whether whoever may lead next has told that it begins at `to` or later.
    pub fn all_begin_at(&self, to: Offset) -> bool {
        let begins = |follower: &Follower| follower.offset.is_some() && follower.start >= to;
        let mut who_counts = self.followers.iter().filter(|it| self.counts(it));
        self.only_isr_may_lead && who_counts.all(|(_, follower)| begins(follower))
    }

    /// Whether a follower is in sync, or would be if a proposal was taken (KIP-497), or is about to join.
    fn counts(&self, (id, follower): &(&BrokerId, &Follower)) -> bool {
        self.isr.contains(id) || self.proposed.contains(id) || follower.is_joining
    }

    /// Whether the watermark is known to be at least what earlier leaders have told (KIP-207).
    pub fn is_serving(&self) -> bool {
        self.high_watermark >= self.start
    }

    /// Whether the watermark waits for somebody who is about to join.
    pub fn waits_for_joining(&self) -> bool {
        self.followers.values().any(|follower| follower.is_joining)
    }

    /// Who should be in sync, if that is news and no proposal is under way. A follower joins with all that
    /// is committed, and leaves when it has not caught up for `lag_max`. Whoever `may_join` excludes, as one that
    /// is about to stop, is not proposed: it would be refused, and until then the watermark would wait for it.
    pub fn proposal(
        &mut self,
        end: Offset,
        now: Now,
        lag_max: Duration,
        may_join: &dyn Fn(BrokerId) -> bool,
    ) -> Option<Proposal> {
        let now = now.tick;
        for (id, follower) in &mut self.followers {
            follower.is_joining &= may_join(*id) && follower.has_fetched_within(JOINING_MAX, now);
        }
        if std::mem::take(&mut self.wants_pause) {
            self.not_before = now + PAUSE;
        }
        if self.is_asking || now < self.not_before {
            return None;
        }
        let wanted = self.high_watermark.max(self.start);
        let belongs = |id: BrokerId, follower: &mut Follower, is_in_sync: bool| {
            if is_in_sync {
                !follower.lags(end, now, lag_max)
            } else {
                follower.offset.is_some_and(|offset| offset >= wanted)
                    && follower.has_fetched_within(lag_max, now)
                    && may_join(id)
            }
        };
        let (before, mut followers) = (&self.isr, self.followers.iter_mut());
        // Thousands of leaders are asked many times a second: nothing is bought where nothing changes.
        let stays_as_it_is = followers.all(|(id, follower)| {
            let is_in_sync = before.contains(id);
            belongs(*id, follower, is_in_sync) == is_in_sync
        });
        if stays_as_it_is && !self.is_doubtful {
            return None;
        }
        let mut isr = before.clone();
        isr.retain(|id| self.followers.get_mut(id).is_none_or(|it| belongs(*id, it, true)));
        let others = self.followers.iter_mut().filter(|(id, _)| !before.contains(id));
        isr.extend(others.filter_map(|(id, it)| belongs(*id, it, false).then_some(*id)));
        let with_epoch = |id: &BrokerId| match self.followers.get(id) {
            // One that has not fetched yet under this leader is not vouched for.
            Some(follower) => follower.broker_epoch.map(|epoch| (*id, epoch)),
            None => Some((*id, -1)),
        };
        let with_epochs = isr.iter().map(with_epoch).collect::<Option<Vec<_>>>()?;
        self.is_asking = true;
        self.proposed.extend(isr.into_iter().filter(|id| !self.isr.contains(id)));
        self.proposed.sort();
        self.proposed.dedup();
        let (leader_epoch, partition_epoch) = (self.leader_epoch, self.partition_epoch);
        Some(Proposal { leader_epoch, partition_epoch, isr: with_epochs })
    }

    /// The controller has answered the proposal: it was taken, and the metadata will have it; or refused.
    pub fn answered(&mut self, taken: bool) {
        if !self.is_asking || taken {
            return;
        }
        self.is_asking = false;
        self.wants_pause = true;
        // One before it may still be under way.
        if !self.is_doubtful {
            self.proposed.clear();
        }
        for follower in self.followers.values_mut() {
            follower.is_joining = false;
        }
    }

    /// Nobody knows whether the proposal was taken, or will be. Another is made until the partition epoch
    /// moves; all that were made count until then.
    pub fn unanswered(&mut self) {
        if self.is_asking {
            self.is_asking = false;
            self.is_doubtful = true;
            self.wants_pause = true;
        }
    }
}

impl Follower {
    fn has_fetched_within(&self, span: Duration, now: Duration) -> bool {
        self.last.is_some_and(|(at, _)| now.saturating_sub(at) <= span)
    }

    /// Whether it has been behind for too long. One that nobody looked at yet begins now; one that has
    /// everything need not fetch to be told so.
    fn lags(&mut self, end: Offset, now: Duration, lag_max: Duration) -> bool {
        if self.offset == Some(end) {
            self.caught_up_at = Some(now);
        }
        let caught_up_at = *self.caught_up_at.get_or_insert(now);
        now.saturating_sub(caught_up_at) > lag_max
    }
}

#[cfg(test)]
#[path = "leader_test.rs"]
mod tests;
