//! Drains: what goes at once, what goes step by step, what cannot go.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Drain, Obstacle, loads};
use crate::ids::BrokerId;
use crate::metadata::invariants_test::{Cluster, registration, shape};
use crate::metadata::{Controller, ForgetBrokerError, Registration, UnregisterBrokerError};

fn drain(cluster: &mut Cluster, id: i32, drain: impl Into<Option<Drain>>) {
    let drain = drain.into();
    cluster.run(|c| c.drain_broker(BrokerId(id), drain)).unwrap();
}

fn progress(cluster: &Cluster, id: i32) -> super::DrainProgress {
    let controller = Controller { image: &cluster.image, settings: &cluster.settings };
    controller.drain_progress(BrokerId(id)).expect("it is drained")
}

/// Carries drains on until nothing can be done, with at most `moves_max` partitions moving.
fn carry_on(cluster: &mut Cluster, moves_max: usize) {
    let moving = |cluster: &Cluster| {
        cluster.image.reassignments().filter(|(_, _, it)| it.leader.is_some()).count()
    };
    for _ in 0..200 {
        let before = cluster.log.len();
        cluster.run(|c| c.carry_on_drains(moves_max));
        assert!(moving(cluster) <= moves_max);
        if cluster.log.len() == before && moving(cluster) == 0 {
            return;
        }
        cluster.catch_up();
    }
    panic!("it goes on for ever");
}

#[test]
fn leaderships_go_at_once_and_come_back_when_it_is_over() {
    let mut cluster = Cluster::of(3);
    cluster.place("1/1,2,3/1,2,3");
    drain(&mut cluster, 1, Drain::Leadership);
    assert_eq!(cluster.shape(), "2/1,2,3/1,2,3", "it stays in sync");
    assert!(progress(&cluster, 1).is_done);
    drain(&mut cluster, 2, Drain::Leadership);
    assert_eq!(cluster.shape(), "3/1,2,3/1,2,3");
    drain(&mut cluster, 1, None);
    assert_eq!(cluster.shape(), "1/1,2,3/1,2,3");
    let before = cluster.log.len();
    drain(&mut cluster, 1, None);
    assert_eq!(cluster.log.len(), before);
    assert!(cluster.run(|c| c.drain_broker(BrokerId(9), None)).is_err());
}

#[test]
fn what_nobody_else_can_lead_stays_until_somebody_can() {
    let mut cluster = Cluster::of(3);
    cluster.place("1/1,2,3/1");
    drain(&mut cluster, 1, Drain::Leadership);
    cluster.run(|c| c.carry_on_drains(1));
    assert_eq!(cluster.shape(), "1/1,2,3/1");
    let obstacles = progress(&cluster, 1).obstacles;
    assert_eq!(obstacles.keys().collect::<Vec<_>>(), [&Obstacle::NobodyToLead]);
    cluster.propose(1, &[1, 3]).unwrap();
    cluster.run(|c| c.carry_on_drains(1));
    assert_eq!(cluster.shape(), "3/1,2,3/1,3");
    assert!(progress(&cluster, 1).is_done);
}

#[test]
fn a_drained_broker_leads_only_what_nobody_else_can() {
    let mut cluster = Cluster::of(3);
    cluster.place("3/1,2,3/1,2,3");
    drain(&mut cluster, 1, Drain::Leadership);
    cluster.run(|c| c.fence_broker(BrokerId(3), 3, true)).unwrap();
    assert_eq!(cluster.shape(), "2/1,2,3/1,2");
    cluster.run(|c| c.fence_broker(BrokerId(2), 2, true)).unwrap();
    assert_eq!(cluster.shape(), "1/1,2,3/1", "rather it than nobody");
}

#[test]
fn a_drained_broker_is_nobodys_choice() {
    let mut cluster = Cluster::of(3);
    cluster.place("2/1,2,3/1,2,3");
    drain(&mut cluster, 1, Drain::Leadership);
    let preferred = Some(vec![("t".to_owned(), 0)]);
    let elected = cluster.run(|c| c.elect_leaders(crate::metadata::Election::Preferred, preferred));
    assert!(elected[0].1.is_err());
    cluster.create("new", 3, 3);
    let new = cluster.image.topic("new").unwrap();
    assert!(new.partitions.iter().all(|it| it.leader != Some(BrokerId(1)) && it.isr.len() == 3));
}

#[test]
fn a_drain_of_leaderships_ends_with_the_restart_and_one_of_all_does_not() {
    for (kind, after) in [(Drain::Leadership, None), (Drain::All, Some(Drain::All))] {
        let mut cluster = Cluster::of(2);
        drain(&mut cluster, 1, kind);
        cluster.run(|c| c.register_broker(registration(1, 1))).unwrap();
        assert_eq!(cluster.image.drain(BrokerId(1)), Some(kind), "the same process");
        let again = Registration { previous_epoch: 1, ..registration(1, 2) };
        cluster.run(|c| c.register_broker(again)).unwrap();
        assert_eq!(cluster.image.drain(BrokerId(1)), after);
    }
}

#[test]
fn replicas_move_to_who_has_fewest_and_in_another_rack() {
    let mut cluster = Cluster::of(3);
    for (id, rack) in [(4, "a"), (5, "b"), (6, "c")] {
        let rack = Some(rack.into());
        cluster.run(|c| c.register_broker(Registration { rack, ..registration(id, 1) })).unwrap();
        cluster.beat(id);
    }
    cluster.place("4/4,5/4,5");
    drain(&mut cluster, 5, Drain::All);
    cluster.run(|c| c.carry_on_drains(10));
    // Brokers 1 to 3 share the rack without a name, 6 has one of its own: all are apart from 4.
    assert_eq!(cluster.shape(), "4/4,1,5/4,5//1/5");
    cluster.place("6/6,5,4/6,5,4");
    cluster.run(|c| c.cordon_broker(BrokerId(1), 1, true)).unwrap();
    drain(&mut cluster, 2, Drain::All);
    cluster.run(|c| c.carry_on_drains(10));
    assert_eq!(cluster.shape(), "6/6,3,4,5/6,5,4//3/5");
}

#[test]
fn so_many_partitions_move_at_once() {
    let mut cluster = Cluster::of(4);
    cluster.create("a", 20, 2);
    drain(&mut cluster, 1, Drain::All);
    let replicas = loads(&cluster.image)[&BrokerId(1)].replicas;
    assert_eq!(replicas, 10);
    cluster.run(|c| c.carry_on_drains(3));
    assert_eq!(cluster.image.reassignments().count(), 3);
    cluster.run(|c| c.carry_on_drains(3));
    assert_eq!(cluster.image.reassignments().count(), 3);
    cluster.catch_up();
    assert_eq!(loads(&cluster.image)[&BrokerId(1)].replicas, replicas - 3);
    carry_on(&mut cluster, 3);
    assert!(progress(&cluster, 1).is_done && !loads(&cluster.image).contains_key(&BrokerId(1)));
    let held: Vec<_> = loads(&cluster.image).values().map(|load| load.replicas).collect();
    assert!(held.iter().max().unwrap() - held.iter().min().unwrap() <= 1, "{held:?}");
    cluster.create("b", 4, 3);
    assert!(!loads(&cluster.image).contains_key(&BrokerId(1)), "it takes no new ones");
}

#[test]
fn a_move_to_a_broker_that_went_away_takes_another() {
    let mut cluster = Cluster::of(3);
    cluster.place("1/1/1");
    drain(&mut cluster, 1, Drain::All);
    cluster.run(|c| c.carry_on_drains(1));
    assert_eq!(cluster.shape(), "1/2,1/1//2/1");
    cluster.run(|c| c.fence_broker(BrokerId(2), 2, true)).unwrap();
    cluster.run(|c| c.carry_on_drains(1));
    assert_eq!(cluster.shape(), "1/3,2,1/1//3,2/2,1");
    cluster.run(|c| c.fence_broker(BrokerId(3), 3, true)).unwrap();
    cluster.run(|c| c.carry_on_drains(1));
    assert_eq!(cluster.shape(), "1/3,2,1/1//3,2/2,1", "there is nobody else");
    assert!(progress(&cluster, 1).obstacles.contains_key(&Obstacle::NobodyToHold));
    // What a person asked for stays as it is.
    cluster.place("1/2,1/1//2");
    cluster.run(|c| c.carry_on_drains(1));
    assert_eq!(cluster.shape(), "1/2,1/1//2");
}

#[test]
fn what_is_in_the_way_is_said() {
    let mut cluster = Cluster::of(3);
    cluster.create("a", 3, 3);
    drain(&mut cluster, 1, Drain::All);
    carry_on(&mut cluster, 10);
    let said = progress(&cluster, 1);
    let (obstacle, (count, first)) = said.obstacles.first_key_value().unwrap();
    assert_eq!((*obstacle, *count, first.to_string()), (Obstacle::NobodyToHold, 3, "a-0".into()));
    cluster.run(|c| c.register_broker(registration(4, 1))).unwrap();
    cluster.beat(4);
    carry_on(&mut cluster, 10);
    assert!(progress(&cluster, 1).is_done);
    let mut cluster = Cluster::of(3);
    cluster.place("-/2,3/2");
    drain(&mut cluster, 3, Drain::All);
    cluster.run(|c| c.carry_on_drains(10));
    let obstacles = progress(&cluster, 3).obstacles;
    assert!(obstacles.contains_key(&Obstacle::NobodyLeads), "{obstacles:?}");
}

#[test]
fn only_what_is_stopped_and_empty_is_forgotten() {
    let mut cluster = Cluster::of(4);
    cluster.create("a", 4, 3);
    let forget =
        |cluster: &mut Cluster, epoch| cluster.run(|c| c.forget_broker(BrokerId(4), epoch));
    let id = BrokerId(4);
    assert_eq!(forget(&mut cluster, None), Err(UnregisterBrokerError::Running { id }.into()));
    cluster.run(|c| c.fence_broker(id, 4, true)).unwrap();
    let holds = ForgetBrokerError::HoldsReplicas { id, replicas: 3 };
    assert_eq!(forget(&mut cluster, Some(4)), Err(holds));
    // A broker that is away is emptied as well.
    drain(&mut cluster, 4, Drain::All);
    carry_on(&mut cluster, 2);
    assert!(matches!(forget(&mut cluster, Some(3)), Err(ForgetBrokerError::Unregister(_))));
    assert_eq!(forget(&mut cluster, Some(4)), Ok(()));
    assert!(matches!(forget(&mut cluster, None), Err(ForgetBrokerError::Unregister(_))));
    assert_eq!(cluster.image.drains().count(), 0);
}

proptest! {
    #[test]
    fn drains_end_and_no_partition_has_fewer_replicas(
        racks in prop::collection::vec(prop::sample::select(vec!["", "a", "b", "c"]), 2..7),
        topics in prop::collection::vec((1..6i32, 1..4i16), 1..4),
        drained in prop::collection::btree_set(0..7usize, 1..3),
        gone in prop::collection::btree_set(0..7usize, 0..2),
        moves_max in 1..5usize,
    ) {
        let mut cluster = Cluster::of(0);
        for (id, rack) in (1..).zip(&racks) {
            let rack = (!rack.is_empty()).then(|| (*rack).into());
            let broker = Registration { rack, ..registration(id, 1) };
            cluster.run(|c| c.register_in(&"test".into(), broker)).unwrap();
            cluster.beat(id);
        }
        for (n, (partitions, replicas)) in topics.iter().enumerate() {
            let replicas = (*replicas).min(i16::try_from(racks.len()).unwrap());
            cluster.create(&format!("topic-{n}"), *partitions, replicas);
        }
        let ids = |of: BTreeSet<usize>| of.into_iter().filter(|at| *at < racks.len()).map(|at| {
            i32::try_from(at).unwrap() + 1
        }).collect::<Vec<_>>();
        for id in ids(gone) {
            let epoch = cluster.image.broker(BrokerId(id)).unwrap().epoch;
            cluster.run(|c| c.fence_broker(BrokerId(id), epoch, true)).unwrap();
        }
        let factors: Vec<usize> = cluster.image.topics().map(|it| it.replication_factor()).collect();
        let drained = ids(drained);
        for id in &drained {
            drain(&mut cluster, *id, Drain::All);
        }
        carry_on(&mut cluster, moves_max);
        for id in &drained {
            let said = progress(&cluster, *id);
            prop_assert_eq!(said.is_done, said.obstacles.is_empty(), "{:?}", said);
            prop_assert_eq!(said.is_done, !loads(&cluster.image).contains_key(&BrokerId(*id)));
        }
        for (topic, factor) in cluster.image.topics().zip(factors) {
            for partition in &topic.partitions {
                prop_assert!(partition.replicas.len() >= factor, "{}", shape(partition));
                prop_assert!(!partition.is_reassigning() || partition.leader.is_none());
            }
        }
    }
}
