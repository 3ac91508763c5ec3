//! One lease at a time, for a broker that can be missed, for as long as was asked for.

use std::time::Duration;

use super::super::restart_check::tests::voters;
use super::{AcquireLeaseError as E, LeaseClock};
use crate::ids::BrokerId;
use crate::metadata::invariants_test::Cluster;
use crate::metadata::{Image, Lease, Record};
use crate::now::Now;

const VOTERS: [i32; 3] = [1, 2, 3];

fn lease(broker: i32, holder: &str) -> Lease {
    Lease { broker: BrokerId(broker), holder: holder.into(), ttl_ms: 5000 }
}

fn cluster() -> Cluster {
    let mut cluster = Cluster::of(3).with("min.insync.replicas", "2");
    cluster.place("1/1,2,3/1,2,3");
    cluster
}

fn acquire(cluster: &mut Cluster, asked: Lease, is_over: bool) -> Result<(), E> {
    let voters = voters(cluster, &VOTERS);
    cluster.run(|c| c.acquire_lease(asked, is_over, &voters))
}

#[test]
fn there_is_one_lease_and_whoever_has_it_keeps_it() {
    let mut cluster = cluster();
    assert_eq!(acquire(&mut cluster, lease(1, "a"), false), Ok(()));
    let held = E::Held(lease(1, "a").into());
    for (broker, holder) in [(2, "b"), (2, "a"), (1, "b")] {
        assert_eq!(acquire(&mut cluster, lease(broker, holder), false), Err(held.clone()));
    }
    // Also once the broker is away.
    cluster.run(|c| c.fence_broker(BrokerId(1), 1, true)).unwrap();
    let before = cluster.log.len();
    assert_eq!(acquire(&mut cluster, lease(1, "a"), false), Ok(()));
    assert_eq!(cluster.log.len(), before, "the same again is no news");
    let longer = Lease { ttl_ms: 9000, ..lease(1, "a") };
    assert_eq!(acquire(&mut cluster, longer.clone(), false), Ok(()));
    assert_eq!(cluster.image.lease().map(|held| &**held), Some(&longer));
}

#[test]
fn a_broker_that_cannot_be_missed_is_not_leased() {
    let mut cluster = cluster();
    cluster.run(|c| c.fence_broker(BrokerId(3), 3, true)).unwrap();
    let refused = acquire(&mut cluster, lease(1, "a"), false);
    assert!(matches!(refused, Err(E::Unsafe { id: BrokerId(1), check }) if !check.is_ok()));
    assert_eq!(cluster.image.lease(), None);
    assert_eq!(acquire(&mut cluster, lease(3, "a"), false), Ok(()), "it is away");
    let unknown = acquire(&mut cluster, lease(9, "a"), true);
    assert!(matches!(unknown, Err(E::UnknownBroker(_))));
}

#[test]
fn a_request_has_a_name_and_a_sensible_time() {
    let mut cluster = cluster();
    let long = "x".repeat(256);
    for bad in [lease(1, ""), lease(1, &long)] {
        assert!(matches!(acquire(&mut cluster, bad, false), Err(E::Request(_))));
    }
    for ttl_ms in [i64::MIN, 0, 999, 86_400_001, i64::MAX] {
        let bad = Lease { ttl_ms, ..lease(1, "a") };
        assert!(matches!(acquire(&mut cluster, bad, false), Err(E::Request(_))));
    }
}

#[test]
fn only_the_holder_renews_and_releases() {
    let mut cluster = cluster();
    let renew = |cluster: &mut Cluster, holder: &str| {
        cluster.run(|c| c.renew_lease(BrokerId(1), holder, false)).is_ok()
    };
    assert!(!renew(&mut cluster, "a"));
    acquire(&mut cluster, lease(1, "a"), false).unwrap();
    assert!(renew(&mut cluster, "a") && !renew(&mut cluster, "b"));
    assert!(cluster.run(|c| c.release_lease(BrokerId(2), "a")).is_err());
    assert!(cluster.run(|c| c.release_lease(BrokerId(1), "b")).is_err());
    assert_eq!(cluster.run(|c| c.release_lease(BrokerId(1), "a")), Ok(()));
    assert_eq!(cluster.image.lease(), None);
    assert!(cluster.run(|c| c.release_lease(BrokerId(1), "a")).is_err());
}

#[test]
fn one_that_has_run_out_is_nobodys() {
    let mut cluster = cluster();
    acquire(&mut cluster, lease(1, "a"), false).unwrap();
    assert!(cluster.run(|c| c.renew_lease(BrokerId(1), "a", true)).is_err());
    assert_eq!(acquire(&mut cluster, lease(2, "b"), true), Ok(()));
    assert_eq!(cluster.image.lease().map(|held| &**held), Some(&lease(2, "b")));
    cluster.run(|c| c.end_lease());
    assert_eq!(cluster.image.lease(), None);
    let before = cluster.log.len();
    cluster.run(|c| c.end_lease());
    assert_eq!(cluster.log.len(), before);
}

fn at(ms: u64) -> Now {
    Now { wall_ms: 0, tick: Duration::from_millis(ms) }
}

#[test]
fn the_time_runs_from_the_last_renewal_and_anew_under_another_controller() {
    let mut clock = LeaseClock::default();
    let (none, mut image) = (Image::default(), Image::default());
    image.apply(&Record::Lease { lease: Some(lease(1, "a")) });
    assert_eq!(clock.ends_at(&none, 1, at(0)), None);
    clock.begin(5000, 1, at(100));
    assert_eq!(clock.ends_at(&image, 1, at(200)), Some(at(5100).tick));
    assert!(!clock.is_over(&image, 1, at(5099)) && clock.is_over(&image, 1, at(5100)));
    clock.begin(5000, 1, at(3000));
    assert!(!clock.is_over(&image, 1, at(7999)) && clock.is_over(&image, 1, at(8000)));
    // Another controller has heard no renewal.
    assert!(!clock.is_over(&image, 2, at(8000)));
    assert!(!clock.is_over(&image, 2, at(12_999)) && clock.is_over(&image, 2, at(13_000)));
    // One that was given back leaves nothing behind.
    assert_eq!(clock.ends_at(&none, 2, at(13_000)), None);
    assert_eq!(clock.ends_at(&image, 2, at(14_000)), Some(at(19_000).tick));
}

#[test]
fn a_broker_that_is_unregistered_leaves_no_lease() {
    let mut cluster = cluster();
    acquire(&mut cluster, lease(1, "broker-1"), false).unwrap();
    for id in [1, 2] {
        cluster.run(|c| c.fence_broker(BrokerId(id), i64::from(id), true)).unwrap();
    }
    cluster.run(|c| c.unregister_broker(BrokerId(2), 2)).unwrap();
    assert!(cluster.image.lease().is_some());
    cluster.run(|c| c.unregister_broker(BrokerId(1), 1)).unwrap();
    assert_eq!(cluster.image.lease(), None);
}
