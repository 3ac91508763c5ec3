//! Heartbeats: who comes in, who goes out.

use super::{Heartbeat, HeartbeatReply};
use crate::ids::BrokerId;
use crate::metadata::UnknownBroker;
use crate::metadata::invariants_test::{Cluster, registration};

fn beat(id: i32, epoch: i64) -> Heartbeat {
    Heartbeat {
        id: BrokerId(id),
        epoch,
        want_fence: false,
        want_shut_down: false,
        is_caught_up: true,
    }
}

fn check(cluster: &mut Cluster, heartbeat: Heartbeat, expected: (bool, bool), shape: &str) {
    let (is_fenced, should_shut_down) = expected;
    let reply = cluster.run(|c| c.heartbeat(heartbeat));
    assert_eq!(reply, Ok(HeartbeatReply { is_fenced, should_shut_down }), "{heartbeat:?}");
    assert_eq!(cluster.shape(), shape, "{heartbeat:?}");
}

#[test]
fn a_broker_comes_in_when_it_has_caught_up_and_wants_to() {
    let mut cluster = Cluster::of(1);
    cluster.place("1/1/1");
    cluster.run(|c| c.register_broker(registration(1, 2))).unwrap();
    let late = Heartbeat { is_caught_up: false, ..beat(1, 2) };
    check(&mut cluster, late, (true, false), "-/1/1");
    let shy = Heartbeat { want_fence: true, ..beat(1, 2) };
    check(&mut cluster, shy, (true, false), "-/1/1");
    check(&mut cluster, beat(1, 2), (false, false), "1/1/1");
    let stale = Err(UnknownBroker { id: BrokerId(1), epoch: 1 });
    assert_eq!(cluster.run(|c| c.heartbeat(beat(1, 1))), stale);
    check(&mut cluster, late, (false, false), "1/1/1");
    check(&mut cluster, shy, (true, false), "-/1/1");
}

#[test]
fn a_quiet_heartbeat_writes_nothing() {
    let mut cluster = Cluster::of(2);
    cluster.create("t", 3, 2);
    let before = cluster.log.len();
    cluster.run(|c| c.heartbeat(beat(1, 1))).unwrap();
    assert_eq!(cluster.log.len(), before);
}

#[test]
fn a_stopping_broker_may_go_when_it_leads_nothing_and_nobody_waits_for_it() {
    let mut cluster = Cluster::of(2).with("min.insync.replicas", "2");
    cluster.place("1/1,2/1,2");
    let leaving = Heartbeat { want_shut_down: true, ..beat(1, 1) };
    check(&mut cluster, leaving, (false, false), "2/1,2/1,2");
    check(&mut cluster, leaving, (false, false), "2/1,2/1,2");
    cluster.let_go();
    check(&mut cluster, leaving, (false, true), "2/1,2/2/1");
    // The other has nobody to give it to.
    let leaving = Heartbeat { want_shut_down: true, ..beat(2, 2) };
    check(&mut cluster, leaving, (false, false), "2/1,2/2/1");
    check(&mut cluster, leaving, (false, true), "2/1,2/2/1");
    // One that never came in may go at once.
    cluster.run(|c| c.register_broker(registration(1, 2))).unwrap();
    let leaving = Heartbeat { want_shut_down: true, ..beat(1, 3) };
    check(&mut cluster, leaving, (true, true), "2/1,2/2");
}

#[test]
fn a_new_replica_in_sync_relieves_a_leader_that_stops() {
    let mut cluster = Cluster::of(2);
    cluster.place("1/1,2/1");
    let leaving = Heartbeat { want_shut_down: true, ..beat(1, 1) };
    check(&mut cluster, leaving, (false, false), "1/1,2/1");
    cluster.propose(1, &[1, 2]).unwrap();
    check(&mut cluster, leaving, (false, false), "2/1,2/1,2");
    cluster.let_go();
    check(&mut cluster, leaving, (false, true), "2/1,2/2");
}

#[test]
fn those_that_stop_together_wait_for_no_more_than_one_another() {
    let mut cluster = Cluster::of(2);
    cluster.place("1/1,2/1,2");
    let leaving = |id: i32| Heartbeat { want_shut_down: true, ..beat(id, i64::from(id)) };
    check(&mut cluster, leaving(2), (false, false), "1/1,2/1,2");
    check(&mut cluster, leaving(1), (false, false), "1/1,2/1,2");
    cluster.let_go();
    check(&mut cluster, leaving(2), (false, true), "1/1,2/1");
    check(&mut cluster, leaving(1), (false, true), "1/1,2/1");
}

#[test]
fn fencing_moves_leadership_and_the_return_of_the_last_restores_it() {
    let mut cluster = Cluster::of(2);
    cluster.place("1/1,2/1,2");
    let mut fence = |id: i32, fenced, shape: &str| {
        cluster.run(|c| c.fence_broker(BrokerId(id), i64::from(id), fenced)).unwrap();
        assert_eq!(cluster.shape(), shape);
    };
    fence(1, true, "2/1,2/2");
    fence(2, true, "-/1,2/2");
    fence(1, false, "-/1,2/2");
    fence(2, false, "2/1,2/2");
}
