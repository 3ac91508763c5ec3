//! Tables: a partition as `leader/replicas/isr/elr/adding/removing`, brokers that are there, what happens.

use super::Change;
use crate::ids::BrokerId;
use crate::metadata::invariants_test::{Cluster, partition, shape};

/// Brokers 1 to 4, of which `gone` are fenced and `stopping` shut down.
fn check(
    before: &str,
    (gone, stopping): (&[i32], &[i32]),
    change: impl FnOnce(Change<'_>) -> Change<'_>,
    expected: &str,
) {
    let mut cluster = Cluster::of(4);
    for id in gone {
        cluster.run(|c| c.fence_broker(BrokerId(*id), i64::from(*id), true)).unwrap();
    }
    for id in stopping {
        cluster.stop(*id);
    }
    let before = partition(before);
    let after = change(Change::of(&cluster.image, &before, 2)).decide();
    let text = after.map_or("same".to_owned(), |after| {
        assert_eq!(after.partition_epoch, before.partition_epoch + 1);
        format!("{} +{}", shape(&after), after.leader_epoch.0 - before.leader_epoch.0)
    });
    assert_eq!(text, expected);
}

fn leaves(id: i32) -> impl FnOnce(Change<'_>) -> Change<'_> {
    move |change| change.leaves(BrokerId(id))
}

fn loses(id: i32, has_new_disk: bool) -> impl FnOnce(Change<'_>) -> Change<'_> {
    move |change| change.loses(BrokerId(id), has_new_disk)
}

fn hands(id: i32) -> impl FnOnce(Change<'_>) -> Change<'_> {
    move |change| change.hands_over(BrokerId(id))
}

fn isr(ids: &[i32]) -> impl FnOnce(Change<'_>) -> Change<'_> {
    move |change| change.set_isr(ids.iter().map(|id| BrokerId(*id)).collect())
}

fn uncleanly(change: Change<'_>) -> Change<'_> {
    change.uncleanly()
}

fn nothing(change: Change<'_>) -> Change<'_> {
    change
}

#[test]
fn a_leader_that_leaves_is_followed_by_the_next_in_sync() {
    check("1/1,2,3/1,2,3", (&[1], &[]), leaves(1), "2/1,2,3/2,3 +1");
    check("1/1,2,3/1,2,3", (&[1, 2], &[]), leaves(1), "3/1,2,3/2,3 +1");
    check("1/1,2,3/1,3", (&[1], &[]), leaves(1), "3/1,2,3/3/1 +1");
    check("1/1,2,3/1,2,3", (&[2], &[]), leaves(2), "1/1,2,3/1,3 +1");
    check("1/1,2,3/1,2,3", (&[4], &[]), leaves(4), "same");
    check("1/1,2,3/1,2,3", (&[1], &[2]), leaves(1), "3/1,2,3/2,3 +1");
    check("1/1,2/1,2", (&[1], &[2]), leaves(1), "2/1,2/2/1 +1");
}

#[test]
fn who_leaves_too_few_behind_stays_eligible() {
    check("1/1,2,3/1,2", (&[2], &[]), leaves(2), "1/1,2,3/1/2 +1");
    check("1/1,2,3/1/2", (&[1, 2], &[]), leaves(1), "-/1,2,3/1/2 +1");
    check("1/1,2,3/1/2", (&[1], &[]), leaves(1), "2/1,2,3/2/1 +1");
    check("1/1/1", (&[1], &[]), leaves(1), "-/1/1 +1");
}

#[test]
fn whoever_has_the_records_leads_when_it_is_back() {
    check("-/1,2,3/1/2", (&[1, 3], &[]), nothing, "2/1,2,3/2/1 +1");
    check("-/1,2,3/1/2", (&[2, 3], &[]), nothing, "1/1,2,3/1/2 +1");
    check("-/1,2,3/1/2", (&[1, 2], &[]), nothing, "same");
    check("-/1,2,3/", (&[], &[]), nothing, "same");
}

#[test]
fn enough_in_sync_end_the_standing_of_the_others() {
    check("1/1,2,3/1/2", (&[], &[]), isr(&[1, 3]), "1/1,2,3/1,3 +0");
    check("1/1,2,3/1,2,3", (&[], &[]), isr(&[1]), "1/1,2,3/1/2,3 +0");
    check("1/1,2,3/1,2", (&[], &[]), isr(&[1, 2, 3]), "1/1,2,3/1,2,3 +0");
    check("1/1/1", (&[], &[]), isr(&[1]), "same");
}

#[test]
fn a_log_that_lost_something_leaves_both_sets() {
    check("1/1,2,3/1/2", (&[2], &[]), loses(2, false), "1/1,2,3/1 +0");
    check("-/1,2,3/1/2,3", (&[1, 2, 3], &[]), loses(1, false), "-/1,2,3/2/3 +0");
    check("-/1,2,3/1/2,3", (&[1, 2], &[]), loses(1, false), "3/1,2,3/3/2 +1");
    check("-/1,2,3/1", (&[1], &[]), loses(1, false), "same");
    check("-/1,2,3/1", (&[1], &[]), loses(1, true), "-/1,2,3/ +0");
    check("-/1/1", (&[1], &[]), loses(1, true), "same");
}

#[test]
fn only_a_person_chooses_a_leader_that_lacks_records() {
    check("-/1,2,3/1", (&[1], &[]), uncleanly, "2/1,2,3/2 +1");
    check("-/1,2,3/1/3", (&[1], &[]), uncleanly, "3/1,2,3/3/1 +1");
    check("-/1,2,3/", (&[1, 2], &[]), uncleanly, "3/1,2,3/3 +1");
    check("-/1,2,3/1/2", (&[1, 2, 3], &[]), uncleanly, "same");
}

#[test]
fn a_stopping_broker_gives_away_what_others_can_lead() {
    check("1/1,2,3/1,2,3", (&[], &[1]), hands(1), "2/1,2,3/1,2,3 +1");
    check("1/1,2,3/1,2,3", (&[], &[2]), hands(2), "same");
    check("1/1,2/1,2", (&[], &[1]), hands(1), "2/1,2/1,2 +1");
    check("1/1,2,3/1", (&[], &[1]), hands(1), "same");
    check("1/1,2/1,2", (&[], &[1, 2]), hands(1), "same");
    check("1/1,2/1,2", (&[], &[1, 2]), hands(2), "same");
}

#[test]
fn replicas_go_when_those_that_come_are_in_sync_and_enough() {
    check("1/4,2,1/1,2//4/1", (&[], &[]), nothing, "same");
    check("1/4,2,1/1,2//4/1", (&[], &[]), isr(&[1, 2, 4]), "4/4,2,1/1,2,4//4/1 +1");
    check("4/4,2,1/1,2,4//4/1", (&[], &[]), isr(&[1, 2, 4]), "same");
    check("4/4,2,1/1,2,4//4/1", (&[], &[]), isr(&[2, 4]), "4/4,2/2,4 +1");
    check("4/4,2,1/1,2,4//4/1", (&[1], &[]), leaves(1), "4/4,2/2,4 +1");
    check("1/4,2,1/1,2//4/1", (&[], &[]), isr(&[1, 4]), "1/4,2,1/1,4//4/1 +0");
    check("2/4,2,1/1,2//4/1", (&[], &[]), isr(&[1, 2, 4]), "2/4,2,1/1,2,4//4/1 +0");
    check("2/4,2,1/1,2//4/1", (&[], &[]), isr(&[2, 4]), "2/4,2/2,4 +1");
    // Nobody who is about to stop counts among those that stay.
    check("1/4,2,1/1,2//4/1", (&[], &[2]), isr(&[1, 2, 4]), "1/4,2,1/1,2,4//4/1 +0");
    // What was moved away and came back before it had gone.
    check("4/2,1,4/1,2,4//4/4", (&[], &[]), nothing, "2/2,1,4/1,2,4//4/4 +1");
    check("1/1,2,3/1/2//3", (&[2, 3], &[]), nothing, "1/1,2/1/2 +1");
    // Who leaves the in-sync replicas now is eligible, and does not go.
    check("1/2,3,1/1,3///1", (&[1], &[]), leaves(1), "3/2,3,1/3/1//1 +1");
    check("1/2,3,1/1,3///1", (&[1], &[]), loses(1, true), "3/2,3/3 +1");
}
