//! Who is let go, when, and what becomes of the partition.

use super::Departure;
use crate::ids::BrokerId;
use crate::metadata::Controller;
use crate::metadata::invariants_test::Cluster;

fn due(cluster: &Cluster) -> Vec<Departure> {
    Controller { image: &cluster.image, settings: &cluster.settings }.departures()
}

/// Brokers 1 to 4, of which `stopping` are about to stop: who is due, and what follows if they are let go.
fn check(before: &str, stopping: &[i32], expected: &[i32], after: &str) {
    let mut cluster = Cluster::of(4).with("min.insync.replicas", "2");
    cluster.place(before);
    stopping.iter().for_each(|id| cluster.stop(*id));
    let ids: Vec<i32> = due(&cluster).iter().map(|it| it.broker.0).collect();
    assert_eq!(ids, expected, "{before}");
    cluster.let_go();
    assert_eq!(cluster.shape(), after, "{before}");
    assert_eq!(due(&cluster), [], "{before}");
}

#[test]
fn who_stops_and_does_not_lead_goes() {
    check("1/1,2,3/1,2,3", &[], &[], "1/1,2,3/1,2,3");
    check("1/1,2,3/1,2,3", &[3], &[3], "1/1,2,3/1,2");
    check("1/1,2,3/1,2,3", &[1], &[], "1/1,2,3/1,2,3");
    check("1/1,2,3/1,2,3", &[1, 2, 3], &[2, 3], "1/1,2,3/1/2,3");
    check("1/1,2,3/1,2", &[3], &[], "1/1,2,3/1,2");
}

#[test]
fn who_is_moved_away_goes_when_enough_stay() {
    check("4/4,2,1/1,2,4//4/1", &[], &[1], "4/4,2/2,4");
    check("4/4,2,1/1,4//4/1", &[], &[], "4/4,2,1/1,4//4/1");
    check("2/4,2,1/1,2//4/1", &[], &[], "2/4,2,1/1,2//4/1");
    check("4/4,3,2,1/1,2,3,4//3,4/1,2", &[], &[1, 2], "4/4,3/3,4");
    // Who leads is not let go: it is given no more than a successor.
    check("1/4,2,1/1,2,4//4/1", &[], &[], "1/4,2,1/1,2,4//4/1");
    // Who is about to stop does not stay, however long it is still there.
    check("4/4,2,1/1,2,4//4/1", &[2], &[2], "4/4,2,1/1,4//4/1");
    check("4/4,2,1/1,2,4//4/1", &[1], &[1], "4/4,2/2,4");
}

#[test]
fn what_was_due_in_another_epoch_is_not() {
    let mut cluster = Cluster::of(3);
    cluster.place("1/1,2,3/1,2,3");
    cluster.stop(3);
    let departures = due(&cluster);
    cluster.run(|c| c.fence_broker(BrokerId(1), 1, true)).unwrap();
    assert_eq!(cluster.shape(), "2/1,2,3/2,3");
    cluster.run(|c| c.let_go(&departures));
    assert_eq!(cluster.shape(), "2/1,2,3/2,3", "it may have led in between");
    cluster.let_go();
    assert_eq!(cluster.shape(), "2/1,2,3/2");
}

#[test]
fn those_that_are_moved_away_go_together() {
    let mut cluster = Cluster::of(4).with("min.insync.replicas", "2");
    cluster.place("4/4,3,2,1/1,2,3,4//3,4/1,2");
    let departures = due(&cluster);
    for one in &departures {
        cluster.run(|c| c.let_go(&[*one]));
        assert_eq!(cluster.shape(), "4/4,3,2,1/1,2,3,4//3,4/1,2", "{one:?}");
    }
    // One that stops does not wait for the others, and these wait for it no more.
    cluster.stop(1);
    cluster.run(|c| c.let_go(&departures[..1]));
    assert_eq!(cluster.shape(), "4/4,3,2,1/2,3,4//3,4/1,2");
    cluster.let_go();
    assert_eq!(cluster.shape(), "4/4,3/3,4");
}
