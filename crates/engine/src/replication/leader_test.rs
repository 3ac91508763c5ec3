//! A leader's watermark and its proposals, step by step.

use std::time::Duration;

use super::{Begin, Fetched, Progress, Proposal};
use crate::metadata::Partition;
use crate::{BrokerId, LeaderEpoch, Now, Offset};

const LAG_MAX: Duration = Duration::from_secs(10);

fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().map(|id| BrokerId(*id)).collect()
}

fn place(partition_epoch: i32, isr: &[i32], elr: &[i32]) -> Partition {
    Partition {
        leader: Some(BrokerId(1)),
        leader_epoch: LeaderEpoch(4),
        partition_epoch,
        replicas: ids(&[1, 2, 3]),
        isr: ids(isr),
        elr: ids(elr),
        adding: Vec::new(),
        removing: Vec::new(),
    }
}

fn at(ms: u64) -> Now {
    Now { wall_ms: 0, tick: Duration::from_millis(ms) }
}

/// Broker 1 leads 1, 2 and 3 in epoch 4, which begins at 100; its log ends at `end`.
struct Leader {
    progress: Progress,
    end: Offset,
    ms: u64,
    /// Who may not join.
    stopping: Vec<BrokerId>,
    /// Where the followers' logs begin.
    start: Offset,
}

impl Leader {
    fn new(isr: &[i32], elr: &[i32]) -> Self {
        let place = place(7, isr, elr);
        let begin = Begin { me: BrokerId(1), place: &place, start: 100, high_watermark: 90 };
        Self { progress: Progress::new(begin), end: 100, ms: 0, stopping: Vec::new(), start: 0 }
    }

    fn fetch(&mut self, follower: i32, offset: Offset) -> &mut Self {
        self.fetch_as(follower, i64::from(follower), offset)
    }

    fn fetch_as(&mut self, follower: i32, broker_epoch: i64, offset: Offset) -> &mut Self {
        let (follower, now) = (BrokerId(follower), at(self.ms));
        let may_join = !self.stopping.contains(&follower);
        let (start, end) = (self.start, self.end);
        let fetched = Fetched { follower, broker_epoch, offset, start, end, may_join, now };
        self.progress.fetched(fetched);
        self
    }

    fn append(&mut self, end: Offset) -> &mut Self {
        self.end = end;
        self
    }

    fn pass(&mut self, ms: u64) -> &mut Self {
        self.ms += ms;
        self
    }

    fn configure(&mut self, partition_epoch: i32, isr: &[i32], elr: &[i32]) -> &mut Self {
        self.progress.configured(&place(partition_epoch, isr, elr));
        self
    }

    fn watermark(&mut self) -> Offset {
        self.progress.high_watermark(self.end, 2)
    }

    fn proposal(&mut self) -> Option<Proposal> {
        let may_join = |id| !self.stopping.contains(&id);
        self.progress.proposal(self.end, at(self.ms), LAG_MAX, &may_join)
    }

    /// The proposal as `id:epoch …`.
    fn proposes(&mut self) -> Option<String> {
        let proposal = self.proposal()?;
        let isr = proposal.isr.iter().map(|(id, epoch)| format!("{id}:{epoch}"));
        Some(isr.collect::<Vec<_>>().join(" "))
    }
}

#[test]
fn the_watermark_is_what_all_in_sync_have() {
    let mut leader = Leader::new(&[1, 2, 3], &[]);
    leader.append(120).fetch(2, 115);
    assert_eq!(leader.watermark(), 90, "the third has not fetched yet");
    leader.fetch(3, 110);
    assert_eq!(leader.watermark(), 110);
    leader.fetch(3, 120).fetch(2, 120);
    assert_eq!(leader.watermark(), 120);
    leader.fetch(2, 105);
    assert_eq!(leader.watermark(), 120, "it never goes back");
}

#[test]
fn who_may_not_join_is_not_proposed_and_not_waited_for() {
    let mut leader = Leader::new(&[1, 2], &[]);
    leader.stopping = ids(&[3]);
    leader.append(120).fetch(2, 120).fetch(3, 120);
    assert_eq!(leader.proposes(), None);
    leader.append(130).fetch(2, 130);
    assert_eq!(leader.watermark(), 130);
    leader.stopping.clear();
    assert_eq!(leader.proposes(), None, "it has fallen behind");
    leader.fetch(3, 130).append(140).fetch(2, 140);
    assert_eq!(leader.watermark(), 130, "it is about to join");
    assert_eq!(leader.proposes().as_deref(), Some("1:-1 2:2 3:3"));
}

#[test]
fn it_waits_for_the_records_of_this_epoch() {
    let mut leader = Leader::new(&[1, 2], &[]);
    leader.fetch(2, 95);
    assert_eq!((leader.watermark(), leader.progress.is_serving()), (90, false));
    leader.fetch(2, 100);
    assert_eq!((leader.watermark(), leader.progress.is_serving()), (100, true));
}

#[test]
fn too_few_in_sync_commit_nothing() {
    let mut alone = Leader::new(&[1], &[]);
    alone.append(120);
    assert_eq!(alone.watermark(), 90);
    assert_eq!(alone.progress.high_watermark(120, 1), 120);
    // The setting says that one is enough, and the controller does not know that yet.
    let mut alone = Leader::new(&[1], &[2]);
    assert_eq!(alone.progress.high_watermark(120, 1), 90, "the other may be elected");
    alone.configure(8, &[1], &[]);
    assert_eq!(alone.progress.high_watermark(120, 1), 120);
}

#[test]
fn no_more_can_be_in_sync_than_there_are_replicas() {
    let mut place = place(7, &[1], &[]);
    place.replicas = ids(&[1]);
    let begin = Begin { me: BrokerId(1), place: &place, start: 0, high_watermark: 0 };
    assert_eq!(Progress::new(begin).high_watermark(5, 2), 5);
}

#[test]
fn a_follower_that_has_all_that_is_committed_joins() {
    let mut leader = Leader::new(&[1, 2], &[]);
    leader.append(120).fetch(2, 120).watermark();
    leader.fetch(3, 110);
    assert_eq!(leader.proposes(), None, "120 is committed");
    leader.fetch(3, 120);
    assert_eq!(leader.proposes().as_deref(), Some("1:-1 2:2 3:3"));
    assert_eq!(leader.proposes(), None, "one at a time");
    // Whether it is taken or not: it counts.
    leader.append(130).fetch(2, 130);
    assert_eq!(leader.watermark(), 120);
    leader.fetch(3, 125);
    assert_eq!(leader.watermark(), 125);
    leader.progress.answered(true);
    assert_eq!(leader.proposes(), None, "the metadata will tell");
    leader.configure(8, &[1, 2, 3], &[]);
    assert_eq!(leader.watermark(), 125);
    assert_eq!(leader.proposes(), None);
}

#[test]
fn the_watermark_waits_for_one_that_is_about_to_join() {
    let mut leader = Leader::new(&[1, 2], &[]);
    leader.fetch(2, 100).fetch(3, 100).append(110).fetch(2, 110);
    assert_eq!(leader.watermark(), 100, "under load it would never be level");
    leader.fetch(3, 110);
    assert_eq!(leader.watermark(), 110);
    // One that stopped fetching is not waited for.
    leader.progress.answered(false);
    leader.append(120).fetch(2, 120).fetch(3, 110).pass(600);
    assert_eq!(leader.watermark(), 110);
    leader.proposal();
    leader.configure(8, &[1, 2], &[]);
    assert_eq!(leader.watermark(), 120);
}

#[test]
fn a_follower_that_lags_leaves() {
    let mut leader = Leader::new(&[1, 2, 3], &[]);
    leader.append(120).fetch(2, 120).fetch(3, 110);
    assert_eq!(leader.proposes(), None);
    leader.pass(9_000).append(200).fetch(2, 200).fetch(3, 120);
    assert_eq!(leader.proposes(), None);
    // At 9 s it had all of what there was at 0 s.
    leader.pass(900).fetch(3, 150);
    assert_eq!(leader.proposes(), None);
    leader.pass(200).fetch(3, 160);
    assert_eq!(leader.proposes().as_deref(), Some("1:-1 2:2"));
    leader.watermark();
    assert_eq!(leader.watermark(), 160, "it counts until it is out");
    leader.configure(8, &[1, 2], &[]);
    assert_eq!(leader.watermark(), 200);
}

#[test]
fn nobody_lags_behind_a_log_that_does_not_grow() {
    let mut leader = Leader::new(&[1, 2, 3], &[]);
    leader.fetch(2, 100).fetch(3, 100);
    leader.pass(60_000);
    assert_eq!(leader.proposes(), None);
}

#[test]
fn one_that_had_everything_and_did_not_fetch_for_long_has_all_of_its_time() {
    let mut leader = Leader::new(&[1, 2, 3], &[]);
    leader.fetch(2, 100).fetch(3, 100);
    for _ in 0..100 {
        leader.pass(1000);
        assert_eq!(leader.proposes(), None);
    }
    leader.append(110).pass(50);
    assert_eq!(leader.proposes(), None, "it could not know");
    // Its last Fetch is long ago, and had all of that time: that says nothing about now.
    leader.fetch(2, 105).pass(9_900);
    assert_eq!(leader.proposes(), None);
    leader.fetch(2, 110).pass(200);
    assert_eq!(leader.proposes().as_deref(), Some("1:-1 2:2"));
}

#[test]
fn one_that_never_came_leaves_and_one_that_is_not_known_is_not_vouched_for() {
    let mut leader = Leader::new(&[1, 2, 3], &[]);
    assert_eq!(leader.proposes(), None);
    leader.pass(5_000).append(110).fetch(2, 110);
    leader.pass(5_100).fetch(2, 110);
    assert_eq!(leader.proposes().as_deref(), Some("1:-1 2:2"));
    let mut leader = Leader::new(&[1, 2], &[3]);
    leader.fetch(3, 100);
    assert_eq!(leader.proposes(), None, "of the second no epoch is known yet");
    leader.fetch(2, 100);
    assert_eq!(leader.proposes().as_deref(), Some("1:-1 2:2 3:3"));
}

#[test]
fn a_refused_proposal_counts_no_more_and_one_without_answer_does() {
    for is_answered in [true, false] {
        let mut leader = Leader::new(&[1, 2], &[]);
        leader.fetch(2, 100).fetch(3, 100);
        assert_eq!(leader.proposes().as_deref(), Some("1:-1 2:2 3:3"));
        if is_answered {
            leader.progress.answered(false);
        } else {
            leader.progress.unanswered();
        }
        leader.append(110).fetch(2, 110);
        assert_eq!(leader.watermark(), if is_answered { 110 } else { 100 });
        assert_eq!(leader.proposes(), None, "after a pause");
        leader.pass(300);
        let again = leader.proposes();
        // The third is behind now; a proposal of what is makes the old one void.
        assert_eq!(again.as_deref(), if is_answered { None } else { Some("1:-1 2:2 3:3") });
        leader.progress.answered(false);
        assert_eq!(leader.watermark(), if is_answered { 110 } else { 100 });
        leader.configure(8, &[1, 2], &[]);
        assert_eq!(leader.watermark(), 110);
    }
}

#[test]
fn answers_to_what_is_settled_change_nothing() {
    let mut leader = Leader::new(&[1, 2], &[]);
    leader.fetch(2, 100).fetch(3, 100);
    let first = leader.proposal().unwrap();
    assert_eq!((first.leader_epoch, first.partition_epoch), (LeaderEpoch(4), 7));
    leader.configure(8, &[1, 2, 3], &[]);
    leader.progress.unanswered();
    leader.progress.answered(false);
    assert_eq!(leader.proposes(), None);
    leader.configure(7, &[1, 2], &[]);
    leader.append(110).fetch(2, 110);
    assert_eq!(leader.watermark(), 100, "older metadata mean nothing");
}

#[test]
fn a_follower_that_left_or_started_anew_begins_at_nothing() {
    let mut leader = Leader::new(&[1, 2, 3], &[]);
    leader.fetch(2, 100).fetch(3, 100);
    leader.configure(8, &[1, 2], &[]);
    assert_eq!(leader.proposes(), None, "what it had is not what it has");
    leader.fetch_as(3, 30, 40);
    leader.fetch_as(3, 3, 100);
    assert_eq!(leader.proposes(), None, "that was its old process");
    leader.fetch_as(3, 30, 100);
    assert_eq!(leader.proposes().as_deref(), Some("1:-1 2:2 3:30"));
    leader.fetch(9, 100);
    assert_eq!(leader.progress.followers.len(), 2, "it is no replica");
}

#[test]
fn who_could_serve_consumers_is_in_sync_and_has_fetched() {
    let mut leader = Leader::new(&[1, 2], &[]);
    assert_eq!(leader.progress.holders().count(), 0);
    leader.append(120).fetch(2, 110).fetch(3, 120);
    let held = |leader: &Leader| -> Vec<_> {
        leader.progress.holders().map(|it| (it.id.0, it.start, it.end)).collect()
    };
    assert_eq!(held(&leader), [(2, 0, 110)]);
    leader.configure(8, &[1, 3], &[]);
    assert_eq!(held(&leader), [(3, 0, 120)]);
}

#[test]
fn records_are_deleted_when_whoever_may_lead_begins_behind_them() {
    let mut leader = Leader::new(&[1, 2], &[]);
    assert!(!leader.progress.all_begin_at(5), "it has not said where it begins");
    leader.fetch(2, 100);
    assert!(!leader.progress.all_begin_at(5));
    leader.start = 5;
    leader.fetch(2, 100);
    assert!(leader.progress.all_begin_at(5) && !leader.progress.all_begin_at(6));
    // Another is about to join.
    leader.start = 0;
    leader.fetch(3, 100);
    assert!(!leader.progress.all_begin_at(5));
    leader.start = 5;
    leader.fetch(3, 100);
    assert!(leader.progress.all_begin_at(5));
    // One that is away may come back, and lead.
    let alone = Leader::new(&[1], &[2]);
    assert!(!alone.progress.all_begin_at(0));
}
