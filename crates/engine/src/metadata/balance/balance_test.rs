//! Plans: what they reach, what they keep, that they end.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::{BYTES_APART_MAX, Hold, Round, Share, Sizes};
use crate::ids::BrokerId;
use crate::metadata::invariants_test::{Cluster, new_topic, registration};
use crate::metadata::{
    AlterPartition, Assignment, Controller, Drain, Image, Lease, Partition, Registration,
};

const GIB: u64 = 1 << 30;

/// Brokers with these racks, with the ids from 1 on; an empty text is none.
fn with_racks(racks: &[&str]) -> Cluster {
    let mut cluster = Cluster::of(0);
    (1..).zip(racks).for_each(|(id, rack)| join(&mut cluster, id, rack));
    cluster
}

fn join(cluster: &mut Cluster, id: i32, rack: &str) {
    let rack = (!rack.is_empty()).then(|| rack.into());
    cluster.run(|c| c.register_broker(Registration { rack, ..registration(id, 1) })).unwrap();
    cluster.beat(id);
}

/// A topic whose partitions have these replicas, `1,2/2,3`.
fn place(cluster: &mut Cluster, name: &str, replicas: &str) {
    let ids = |of: &str| of.split(',').map(|id| id.parse().unwrap()).collect();
    let assignments = (0..)
        .zip(replicas.split('/'))
        .map(|(index, of)| Assignment { partition: index, brokers: ids(of) });
    let mut topic = new_topic(name, -1, -1);
    topic.assignments = assignments.collect();
    let reply = cluster.run(|c| c.create_topics(vec![topic], false));
    assert!(reply[0].1.is_ok(), "{reply:?}");
}

fn replicas(cluster: &Cluster, name: &str) -> String {
    let ids =
        |it: &Partition| it.replicas.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let topic = cluster.image.topic(name).unwrap();
    topic.partitions.iter().map(ids).collect::<Vec<_>>().join("/")
}

fn controller(cluster: &Cluster) -> Controller<'_> {
    Controller { image: &cluster.image, settings: &cluster.settings }
}

/// Sizes of partitions in GiB, by topic in the order of their names.
fn sizes(cluster: &Cluster, gib: &[u64]) -> Sizes {
    let topics = cluster.image.topics();
    let keys = topics.flat_map(|it| (0..).zip(&it.partitions).map(|(index, _)| (it.id, index)));
    keys.zip(gib).map(|(key, gib)| (key, gib * GIB)).collect()
}

/// Carries the balancer on until nothing is left; says how many replicas were moved.
fn balance(cluster: &mut Cluster, sizes: &Sizes, moves_max: usize) -> usize {
    let mut moved = 0;
    for _ in 0..10_000 {
        let Round { hold, begun } = cluster.run(|c| c.carry_on_balance(sizes, moves_max));
        assert_eq!(hold, None);
        if begun == 0 {
            return moved;
        }
        let added = cluster.image.reassignments().map(|(_, _, it)| it.adding.len());
        let added: usize = added.sum();
        assert!(added <= moves_max, "{added} replicas at once");
        moved += added;
        cluster.catch_up();
    }
    panic!("it goes on for ever");
}

fn shares(cluster: &Cluster, sizes: &Sizes) -> BTreeMap<BrokerId, Share> {
    let plan = controller(cluster).plan_balance(sizes, 0);
    plan.shares.into_iter().map(|(id, (now, _))| (id, now)).collect()
}

/// How far the brokers are apart.
fn apart(shares: &BTreeMap<BrokerId, Share>, of: impl Fn(&Share) -> u64) -> u64 {
    let (least, most) = (shares.values().map(&of).min(), shares.values().map(&of).max());
    most.unwrap_or(0) - least.unwrap_or(0)
}

fn count(share: &Share) -> u64 {
    share.replicas as u64
}

fn preferred(share: &Share) -> u64 {
    share.preferred as u64
}

/// In how many racks the replicas of each partition are.
fn racks(image: &Image) -> Vec<usize> {
    let rack = |id: &BrokerId| image.broker(*id).unwrap().rack.clone();
    let of = |it: &Partition| {
        it.replicas.iter().map(rack).collect::<std::collections::BTreeSet<_>>().len()
    };
    image.topics().flat_map(|topic| topic.partitions.iter().map(of)).collect()
}

#[test]
fn a_new_broker_gets_its_share_with_no_more_moves_than_needed() {
    let mut cluster = Cluster::of(3);
    cluster.create("a", 12, 2);
    cluster.create("b", 12, 2);
    join(&mut cluster, 4, "");
    assert_eq!(balance(&mut cluster, &Sizes::new(), 5), 12, "a quarter of 48");
    let shares = shares(&cluster, &Sizes::new());
    assert!(shares.values().all(|it| (it.replicas, it.preferred) == (12, 6)), "{shares:?}");
    let leads = |id| {
        let all = cluster.image.topics().flat_map(|it| &it.partitions);
        all.filter(|it| it.leader == Some(BrokerId(id))).count()
    };
    assert_eq!([1, 2, 3, 4].map(leads), [6; 4]);
    let of_each = ["a", "b"].map(|name| {
        let partitions = &cluster.image.topic(name).unwrap().partitions;
        partitions.iter().filter(|it| it.replicas.contains(&BrokerId(4))).count()
    });
    assert_eq!(of_each, [6, 6], "of both topics");
}

#[test]
fn replicas_that_share_a_rack_are_spread_first() {
    let mut cluster = with_racks(&["a", "a", "b", "b"]);
    place(&mut cluster, "t", "1,2/2,1/1,3/2,4");
    balance(&mut cluster, &Sizes::new(), 2);
    assert!(racks(&cluster.image).iter().all(|racks| *racks == 2));
    assert_eq!(apart(&shares(&cluster, &Sizes::new()), count), 0);
}

#[test]
fn a_rack_with_one_broker_keeps_a_replica_of_everything() {
    let mut cluster = with_racks(&["a", "b", "b", "b"]);
    place(&mut cluster, "t", "1,2/1,2/1,2/1,2/1,2/1,2");
    balance(&mut cluster, &Sizes::new(), 2);
    assert!(racks(&cluster.image).iter().all(|racks| *racks == 2));
    let held: Vec<usize> = shares(&cluster, &Sizes::new()).values().map(|it| it.replicas).collect();
    assert_eq!(held, [6, 2, 2, 2]);
}

#[test]
fn large_partitions_change_places_with_small_ones() {
    let mut cluster = Cluster::of(2);
    place(&mut cluster, "t", "1/1/1/2/2/2");
    let sizes = sizes(&cluster, &[40, 40, 40, 0, 0, 20]);
    assert_eq!(balance(&mut cluster, &sizes, 2), 2, "one exchange");
    let shares = shares(&cluster, &sizes);
    assert_eq!((apart(&shares, count), apart(&shares, |it| it.bytes)), (0, 20 * GIB));
    // What differs by less than is worth a copy stays.
    let mut cluster = Cluster::of(2);
    place(&mut cluster, "t", "1/2");
    let small = BTreeMap::from([((cluster.image.topic("t").unwrap().id, 0), BYTES_APART_MAX)]);
    assert_eq!(balance(&mut cluster, &small, 2), 0);
}

#[test]
fn who_gets_more_replicas_gets_those_that_make_bytes_even() {
    let mut cluster = Cluster::of(2);
    place(&mut cluster, "t", "1/1/1/1");
    let sizes = sizes(&cluster, &[90, 10, 30, 50]);
    assert_eq!(balance(&mut cluster, &sizes, 2), 2);
    let shares = shares(&cluster, &sizes);
    assert_eq!((apart(&shares, count), apart(&shares, |it| it.bytes)), (0, 20 * GIB));
    let mut cluster = Cluster::of(2);
    place(&mut cluster, "t", "1/1/1/1");
    let even = self::sizes(&cluster, &[30, 10, 10, 30]);
    balance(&mut cluster, &even, 2);
    assert_eq!(apart(&self::shares(&cluster, &even), |it| it.bytes), 0);
}

#[test]
fn preferences_are_handed_on_over_brokers_between() {
    // 1 leads two more than 3, and shares nothing with it.
    let mut cluster = Cluster::of(4);
    place(&mut cluster, "t", "1,2/1,2/1,4/4,1/4,3/3,4/2,3/2,3");
    assert_eq!(balance(&mut cluster, &Sizes::new(), 2), 0, "no replica moves for it");
    assert_eq!(apart(&shares(&cluster, &Sizes::new()), preferred), 0);
}

#[test]
fn nothing_goes_to_who_takes_nothing() {
    let mut cluster = Cluster::of(6);
    place(&mut cluster, "t", "1/1/1/1/2/2");
    cluster.run(|c| c.cordon_broker(BrokerId(3), 3, true)).unwrap();
    cluster.run(|c| c.fence_broker(BrokerId(4), 4, true)).unwrap();
    cluster.run(|c| c.drain_broker(BrokerId(5), Some(Drain::All))).unwrap();
    balance(&mut cluster, &Sizes::new(), 3);
    let held: Vec<usize> = shares(&cluster, &Sizes::new()).values().map(|it| it.replicas).collect();
    assert_eq!(held, [2, 2, 0, 0, 0, 2]);
}

#[test]
fn nothing_begins_while_something_else_is_under_way() {
    let uneven = || {
        let mut cluster = Cluster::of(4);
        place(&mut cluster, "t", "1,2/1,2/1,2/1,2");
        cluster
    };
    let held_by = |cluster: &mut Cluster| {
        let before = cluster.image.clone();
        let Round { hold, begun } = cluster.run(|c| c.carry_on_balance(&Sizes::new(), 9));
        assert_eq!((begun, &before), (0, &cluster.image));
        hold.expect("it waits").to_string()
    };
    let mut cluster = uneven();
    let lease = Lease { broker: BrokerId(3), holder: "me".into(), ttl_ms: 1000 };
    cluster.run(|c| c.acquire_lease(lease, false, &[])).unwrap();
    assert_eq!(held_by(&mut cluster), "me holds the disruption lease, for broker 3");
    let mut cluster = uneven();
    cluster.run(|c| c.drain_broker(BrokerId(1), Some(Drain::All))).unwrap();
    assert_eq!(held_by(&mut cluster), "broker 1 is being drained");
    let mut cluster = uneven();
    cluster.run(|c| c.carry_on_balance(&Sizes::new(), 2));
    assert_eq!(held_by(&mut cluster), "replicas are being moved: 1 partitions, as t-0");
    let mut cluster = uneven();
    cluster.run(|c| c.fence_broker(BrokerId(2), 2, true)).unwrap();
    assert_eq!(held_by(&mut cluster), "replicas are not in sync: 4 partitions, as t-0");
}

#[test]
fn what_was_asked_for_ends_when_nothing_is_left() {
    let mut cluster = Cluster::of(2);
    place(&mut cluster, "t", "1/1");
    cluster.run(|c| c.ask_for_balance(true)).unwrap();
    assert_eq!(controller(&cluster).ask_for_balance(true).records, []);
    assert!(cluster.run(|c| c.carry_on_balance(&Sizes::new(), 2)).begun > 0);
    cluster.catch_up();
    assert!(cluster.image.is_balance_asked());
    balance(&mut cluster, &Sizes::new(), 2);
    assert!(!cluster.image.is_balance_asked());
    assert_eq!(replicas(&cluster, "t").len(), 3);
}

#[test]
fn moves_under_way_count_as_done() {
    let mut cluster = Cluster::of(3);
    place(&mut cluster, "t", "1/1/1/2/2/2");
    let all = controller(&cluster).plan_balance(&Sizes::new(), 100).move_count();
    cluster.run(|c| c.carry_on_balance(&Sizes::new(), 1));
    let left = controller(&cluster).plan_balance(&Sizes::new(), 100).move_count();
    assert_eq!((all, left), (2, 1));
    assert!(matches!(controller(&cluster).balance_hold(), Some(Hold::Moving { .. })));
}

#[test]
fn preferred_leaders_return_where_too_many_are_led_by_others() {
    let mut cluster = Cluster::of(3);
    place(&mut cluster, "t", &["1,2"; 10].join("/"));
    let lose = |cluster: &mut Cluster| {
        cluster.run(|c| c.fence_broker(BrokerId(1), 1, true)).unwrap();
        cluster.run(|c| c.fence_broker(BrokerId(1), 1, false)).unwrap();
    };
    let led = |cluster: &Cluster| {
        let partitions = &cluster.image.topic("t").unwrap().partitions;
        partitions.iter().filter(|it| it.leader == Some(BrokerId(1))).count()
    };
    lose(&mut cluster);
    assert_eq!(cluster.run(|c| c.return_leaders(10)), 0, "it is not in sync");
    let in_sync = |cluster: &mut Cluster, count: usize| {
        let topic = cluster.image.topic("t").unwrap().clone();
        for (index, it) in (0..).zip(&topic.partitions).take(count) {
            let asked = AlterPartition {
                topic_id: topic.id,
                index,
                leader_epoch: it.leader_epoch,
                partition_epoch: it.partition_epoch,
                isr: vec![(BrokerId(1), 1), (BrokerId(2), 2)],
            };
            cluster.run(|c| c.alter_partitions(BrokerId(2), 2, vec![asked])).unwrap();
        }
    };
    in_sync(&mut cluster, 9);
    let lease = Lease { broker: BrokerId(1), holder: "me".into(), ttl_ms: 1000 };
    cluster.run(|c| c.acquire_lease(lease, true, &[])).unwrap();
    assert_eq!(cluster.run(|c| c.return_leaders(10)), 0, "it is about to be disrupted");
    cluster.run(|c| c.release_lease(BrokerId(1), "me")).unwrap();
    assert_eq!(cluster.run(|c| c.return_leaders(100)), 0);
    assert_eq!((cluster.run(|c| c.return_leaders(10)), led(&cluster)), (9, 9));
    let last = cluster.image.partition("t", 9).unwrap();
    assert_eq!(last.leader, Some(BrokerId(2)), "not in sync");
    lose(&mut cluster);
    in_sync(&mut cluster, 10);
    cluster.run(|c| c.drain_broker(BrokerId(1), Some(Drain::Leadership))).unwrap();
    assert_eq!(cluster.run(|c| c.return_leaders(0)), 0, "it is drained");
    cluster.run(|c| c.drain_broker(BrokerId(1), None)).unwrap();
    assert_eq!(led(&cluster), 10, "the end of a drain returns them as well");
    // One of ten is not more than a tenth.
    let one = Some(vec![("t".to_owned(), 0)]);
    cluster.run(|c| c.fence_broker(BrokerId(1), 1, true)).unwrap();
    cluster.run(|c| c.fence_broker(BrokerId(1), 1, false)).unwrap();
    in_sync(&mut cluster, 10);
    let rest = (1..10).map(|index| ("t".to_owned(), index)).collect();
    cluster.run(|c| c.elect_leaders(crate::metadata::Election::Preferred, Some(rest)));
    assert_eq!((led(&cluster), cluster.run(|c| c.return_leaders(10))), (9, 0));
    assert_eq!(cluster.run(|c| c.return_leaders(9)), 1);
    let again = cluster.run(|c| c.elect_leaders(crate::metadata::Election::Preferred, one));
    assert!(again[0].1.is_err());
}

#[test]
fn ten_thousand_partitions_are_planned_in_milliseconds() {
    let mut cluster = Cluster::of(3);
    cluster.create("a", 5000, 3);
    cluster.create("b", 5000, 2);
    let keys = cluster.image.topics().flat_map(|it| (0..5000i32).map(|index| (it.id, index)));
    let sizes: Sizes = keys.map(|key| (key, u64::from(key.1.unsigned_abs() % 97) << 24)).collect();
    let took = |cluster: &Cluster, moves_max: usize| {
        #[expect(clippy::disallowed_methods, reason = "it is the speed that is tried")]
        let began = std::time::Instant::now();
        let plan = controller(cluster).plan_balance(&sizes, moves_max);
        (plan.move_count(), began.elapsed())
    };
    let (moves, balanced) = took(&cluster, 10);
    assert_eq!(moves, 0);
    join(&mut cluster, 4, "");
    let (moves, round) = took(&cluster, 10);
    assert_eq!(moves, 10);
    let (moves, all) = took(&cluster, usize::MAX);
    assert!((6250..6400).contains(&moves), "{moves}");
    // Ten times as long as it takes on a slow machine.
    let said = format!("balanced {balanced:?}, a round {round:?}, all {all:?}");
    println!("{said}");
    assert!(balanced.max(round) < Duration::from_millis(500), "{said}");
    assert!(all < Duration::from_secs(5), "{said}");
}

/// Any cluster of up to seven brokers, and partitions wherever chance has put them.
fn clusters() -> impl Strategy<Value = (Cluster, Sizes)> {
    let racks = prop::collection::vec(prop::sample::select(vec!["", "a", "b", "c"]), 1..7);
    let partition = || (any::<u64>(), prop::option::of(0..50u64));
    let partitions = move || prop::collection::vec(partition(), 1..12);
    let topics = prop::collection::vec((1..4usize, partitions()), 1..4);
    let cordoned = prop::option::of(0..14usize);
    (racks, topics, cordoned).prop_map(|(racks, topics, cordoned)| {
        let mut cluster = with_racks(&racks);
        let mut known = Vec::new();
        for (n, (count, partitions)) in topics.iter().enumerate() {
            let shapes = partitions.iter().map(|(dice, _)| {
                let mut ids: Vec<i32> = (1..).take(racks.len()).collect();
                // A permutation by chance.
                for at in (1..ids.len()).rev() {
                    ids.swap(at, usize::try_from(dice >> at).unwrap_or(0) % (at + 1));
                }
                let ids = ids.iter().take(*count).map(ToString::to_string);
                ids.collect::<Vec<_>>().join(",")
            });
            place(&mut cluster, &format!("t{n}"), &shapes.collect::<Vec<_>>().join("/"));
            known.extend(partitions.iter().map(|(_, gib)| *gib));
        }
        if let Some(id) = cordoned.filter(|id| *id < racks.len()) {
            let id = BrokerId(i32::try_from(id).unwrap() + 1);
            let epoch = cluster.image.broker(id).unwrap().epoch;
            cluster.run(|c| c.cordon_broker(id, epoch, true)).unwrap();
        }
        let keys = cluster.image.topics();
        let keys = keys.flat_map(|it| (0..).zip(&it.partitions).map(|(index, _)| (it.id, index)));
        let sizes = keys.zip(known).filter_map(|(key, gib)| Some((key, gib? * GIB))).collect();
        (cluster, sizes)
    })
}

proptest! {
    #[test]
    fn a_plan_keeps_racks_evens_out_and_is_empty_once_it_is_done(
        (mut cluster, sizes) in clusters(),
        moves_max in 2..9usize,
    ) {
        let before = (racks(&cluster.image), shares(&cluster, &sizes));
        let factors: Vec<usize> = cluster.image.topics()
            .flat_map(|it| it.partitions.iter().map(|it| it.replicas.len())).collect();
        let plan = controller(&cluster).plan_balance(&sizes, usize::MAX);
        prop_assert_eq!(&plan, &controller(&cluster).plan_balance(&sizes, usize::MAX));
        let cordoned = |id: BrokerId| cluster.image.broker(id).unwrap().cordoned;
        prop_assert!(plan.moves.iter().flatten().all(|it| !cordoned(it.to)));
        balance(&mut cluster, &sizes, moves_max);
        let after = (racks(&cluster.image), shares(&cluster, &sizes));
        prop_assert!(before.0.iter().zip(&after.0).all(|(before, after)| before <= after));
        let is_spread_already = before.0 == after.0;
        let has_cordons = cluster.image.brokers().any(|(_, it)| it.cordoned);
        if is_spread_already && !has_cordons {
            prop_assert!(apart(&after.1, count) <= apart(&before.1, count).max(1));
        }
        let one_rack = cluster.image.brokers().map(|(_, it)| it.rack.clone())
            .collect::<std::collections::BTreeSet<_>>().len() == 1;
        if one_rack && !has_cordons {
            prop_assert!(apart(&after.1, count) <= 1, "{:?}", after.1);
        }
        let plan = controller(&cluster).plan_balance(&sizes, usize::MAX);
        prop_assert!(plan.is_empty(), "{plan:?}");
        let mut factors = factors.into_iter();
        for partition in cluster.image.topics().flat_map(|it| &it.partitions) {
            prop_assert_eq!(Some(partition.replicas.len()), factors.next());
            prop_assert_eq!(partition.leader, Some(partition.replicas[0]));
            prop_assert!(!partition.is_reassigning());
        }
    }

    #[test]
    fn every_step_comes_nearer((cluster, sizes) in clusters()) {
        // Racks, counts and bytes as sums of squares: what comes first must not grow, and something shrinks.
        let plan = controller(&cluster).plan_balance(&sizes, usize::MAX);
        let mut image = cluster.image.clone();
        let rack = |image: &Image, id: BrokerId| image.broker(id).unwrap().rack.clone();
        let measure = |image: &Image| {
            let (mut spread, mut held) = (0u128, BTreeMap::<BrokerId, (u128, u128)>::new());
            for topic in image.topics() {
                for (index, partition) in (0..).zip(&topic.partitions) {
                    let bytes = sizes.get(&(topic.id, index)).copied().unwrap_or(0);
                    let mut racks = BTreeMap::<_, u128>::new();
                    for id in &partition.replicas {
                        *racks.entry(rack(image, *id)).or_default() += 1;
                        let held = held.entry(*id).or_default();
                        *held = (held.0 + 1, held.1 + u128::from(bytes));
                    }
                    spread += racks.values().map(|count| count * count).sum::<u128>();
                }
            }
            let squares = |of: fn(&(u128, u128)) -> u128| {
                held.values().map(|held| of(held) * of(held)).sum::<u128>()
            };
            (spread, squares(|it| it.0), squares(|it| it.1))
        };
        for step in &plan.moves {
            let before = measure(&image);
            for one in step {
                let topic = image.topic_by_id(one.topic_id).unwrap();
                let mut partition = topic.partition(one.index).unwrap().clone();
                let at = partition.replicas.iter().position(|id| *id == one.from).unwrap();
                partition.replicas[at] = one.to;
                let (topic_id, index) = (one.topic_id, one.index);
                image.apply(&crate::metadata::Record::Partition { topic_id, index, partition });
            }
            prop_assert!(measure(&image) < before, "{step:?}");
        }
    }
}
