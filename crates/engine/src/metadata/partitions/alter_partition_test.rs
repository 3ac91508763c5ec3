//! Proposals of in-sync replicas: what is compared before it is set.

use super::{AlterPartition, AlterPartitionError as E};
use crate::ids::{BrokerId, LeaderEpoch};
use crate::metadata::Registration;
use crate::metadata::invariants_test::{Cluster, registration};

/// Three brokers; 1 leads, 3 is out of sync.
fn cluster() -> Cluster {
    let mut cluster = Cluster::of(3).with("min.insync.replicas", "2");
    cluster.place("1/1,2,3/1,2");
    cluster
}

fn asked(cluster: &Cluster, isr: &[(i32, i64)]) -> AlterPartition {
    let topic = cluster.image.topic("t").unwrap();
    AlterPartition {
        topic_id: topic.id,
        index: 0,
        leader_epoch: topic.partitions[0].leader_epoch,
        partition_epoch: topic.partitions[0].partition_epoch,
        isr: isr.iter().map(|(id, epoch)| (BrokerId(*id), *epoch)).collect(),
    }
}

fn run(cluster: &mut Cluster, asked: AlterPartition) -> Result<(), E> {
    let reply = cluster.run(|c| c.alter_partitions(BrokerId(1), 1, vec![asked]));
    reply.unwrap().remove(0).1.map(|_| ())
}

#[test]
fn a_leader_widens_and_narrows_what_is_in_sync() {
    let mut cluster = cluster();
    let wider = asked(&cluster, &[(1, 1), (2, 2), (3, 3)]);
    assert_eq!(run(&mut cluster, wider), Ok(()));
    assert_eq!(cluster.shape(), "1/1,2,3/1,2,3");
    let narrower = asked(&cluster, &[(1, -1)]);
    assert_eq!(run(&mut cluster, narrower), Ok(()));
    assert_eq!(cluster.shape(), "1/1,2,3/1/2,3");
    assert_eq!(cluster.image.partition("t", 0).unwrap().leader_epoch, LeaderEpoch(5));
}

#[test]
fn what_the_leader_does_not_know_refuses_it() {
    let mut cluster = cluster();
    let good = asked(&cluster, &[(1, 1)]);
    let mut check = |change: &dyn Fn(&mut AlterPartition), expected| {
        let mut asked = good.clone();
        change(&mut asked);
        assert_eq!(run(&mut cluster, asked), Err(expected));
        assert_eq!(cluster.shape(), "1/1,2,3/1,2");
    };
    check(&|it| it.topic_id = wire::Uuid([1; 16]), E::UnknownTopicId);
    check(&|it| it.index = 1, E::UnknownPartition);
    check(&|it| it.leader_epoch.0 += 1, E::NotController);
    check(&|it| it.partition_epoch += 1, E::NotController);
    check(&|it| it.leader_epoch.0 -= 1, E::FencedLeaderEpoch { current: LeaderEpoch(5) });
    check(&|it| it.partition_epoch -= 1, E::InvalidUpdateVersion { current: 7 });
    let request = |isr: &'static [(i32, i64)]| {
        move |it: &mut AlterPartition| {
            it.isr = isr.iter().map(|(id, epoch)| (BrokerId(*id), *epoch)).collect();
        }
    };
    check(&request(&[(1, 1), (4, 4)]), E::Request("in sync are replicas, each named once"));
    check(&request(&[(1, 1), (1, 1)]), E::Request("in sync are replicas, each named once"));
    check(&request(&[(2, 2)]), E::Request("a leader is in sync with itself"));
    let ineligible = |id, why| E::IneligibleReplica { id: BrokerId(id), why };
    let other = "another process than the leader knows";
    check(&request(&[(1, 1), (2, -1)]), ineligible(2, other));
    check(&request(&[(1, 1), (2, 1)]), ineligible(2, other));
    check(&request(&[(1, 2), (2, 2)]), ineligible(1, other));
}

#[test]
fn only_the_leader_proposes_and_only_under_its_registration() {
    let mut cluster = cluster();
    let good = asked(&cluster, &[(1, 1)]);
    let by_another = cluster.run(|c| c.alter_partitions(BrokerId(2), 2, vec![good.clone()]));
    let refused = E::Request("only the leader says who is in sync");
    assert_eq!(by_another.unwrap().remove(0).1, Err(refused));
    assert!(cluster.run(|c| c.alter_partitions(BrokerId(1), 9, vec![good.clone()])).is_err());
    let twice = cluster.run(|c| c.alter_partitions(BrokerId(1), 1, vec![good.clone(), good]));
    let results: Vec<bool> = twice.unwrap().iter().map(|(_, result)| result.is_ok()).collect();
    assert_eq!(results, [true, false]);
}

#[test]
fn a_replica_that_started_anew_is_not_let_in_by_an_old_request() {
    let mut cluster = cluster();
    let delayed = asked(&cluster, &[(1, 1), (2, 2), (3, 3)]);
    let anew = Registration { directory: wire::Uuid([9; 16]), ..registration(3, 2) };
    cluster.run(|c| c.register_broker(anew)).unwrap();
    let id = BrokerId(3);
    let fenced = E::IneligibleReplica { id, why: "fenced" };
    assert_eq!(run(&mut cluster, delayed.clone()), Err(fenced));
    cluster.beat(3);
    let other = E::IneligibleReplica { id, why: "another process than the leader knows" };
    assert_eq!(run(&mut cluster, delayed), Err(other));
    cluster.stop(3);
    let stopping = asked(&cluster, &[(1, 1), (2, 2), (3, 4)]);
    let refused = E::IneligibleReplica { id, why: "shutting down" };
    assert_eq!(run(&mut cluster, stopping), Err(refused));
}

#[test]
fn a_proposal_of_what_is_makes_older_ones_void() {
    let mut cluster = cluster();
    let delayed = asked(&cluster, &[(1, 1), (2, 2), (3, 3)]);
    let barrier = asked(&cluster, &[(1, 1), (2, 2)]);
    assert_eq!(run(&mut cluster, barrier), Ok(()));
    assert_eq!(run(&mut cluster, delayed), Err(E::InvalidUpdateVersion { current: 8 }));
}

#[test]
fn a_leader_that_is_moved_away_is_replaced_and_stays_in_sync() {
    let mut cluster = Cluster::of(3).with("min.insync.replicas", "2");
    cluster.place("1/3,2,1/1,2//3/1");
    let last = asked(&cluster, &[(1, 1), (2, 2), (3, 3)]);
    assert_eq!(run(&mut cluster, last), Err(E::NewLeaderElected));
    assert_eq!(cluster.shape(), "3/3,2,1/1,2,3//3/1");
    cluster.propose(3, &[1, 2, 3]).unwrap();
    assert_eq!(cluster.shape(), "3/3,2,1/1,2,3//3/1", "it may not know yet who leads");
}

#[test]
fn who_stops_and_is_in_sync_hinders_no_change() {
    let mut cluster = Cluster::of(3);
    cluster.place("1/1,2,3/1,2");
    cluster.stop(2);
    cluster.propose(1, &[1, 2, 3]).unwrap();
    assert_eq!(cluster.shape(), "1/1,2,3/1,2,3");
    cluster.propose(1, &[1, 3]).unwrap();
    let joins = cluster.propose(1, &[1, 2, 3]);
    assert!(matches!(joins, Err(E::IneligibleReplica { .. })), "{joins:?}");
}

#[test]
fn a_replica_whose_log_is_damaged_gives_up_its_standing_if_others_have_some() {
    for (before, id, after) in [
        ("1/1,2,3/1,2,3", 3, "1/1,2,3/1,2"),
        ("1/1,2,3/1,2", 3, "1/1,2,3/1,2"),
        ("1/1,2,3/1/2", 2, "1/1,2,3/1"),
        ("3/1,2,3/3/1,2", 1, "3/1,2,3/3/2"),
    ] {
        let mut cluster = Cluster::of(3).with("min.insync.replicas", "2");
        cluster.place(before);
        // Whatever other change it does not know.
        let damaged = AlterPartition { partition_epoch: 0, ..asked(&cluster, &[]) };
        let epoch = i64::from(id);
        let reply = cluster.run(|c| c.alter_partitions(BrokerId(id), epoch, vec![damaged]));
        assert!(reply.unwrap().remove(0).1.is_ok());
        assert_eq!(cluster.shape(), after, "{id} of {before}");
    }
    let mut cluster = Cluster::of(4);
    cluster.place("1/1,2,3/1,2,3");
    let damaged = asked(&cluster, &[]);
    let reply = cluster.run(|c| c.alter_partitions(BrokerId(4), 4, vec![damaged]));
    let refused = E::Request("only a replica gives up its standing");
    assert_eq!(reply.unwrap().remove(0).1, Err(refused));
}

#[test]
fn a_leader_whose_log_is_damaged_gives_up_the_rest_once_it_knows_who_leads() {
    let mut cluster = Cluster::of(3).with("min.insync.replicas", "2");
    cluster.place("1/1,2,3/1,2,3");
    let leads = asked(&cluster, &[]);
    assert_eq!(run(&mut cluster, leads.clone()), Ok(()));
    assert_eq!(cluster.shape(), "2/1,2,3/1,2,3", "it may tell its watermark still");
    // The answer is lost, and it asks again.
    let current = LeaderEpoch(leads.leader_epoch.0 + 1);
    assert_eq!(run(&mut cluster, leads), Err(E::FencedLeaderEpoch { current }));
    assert_eq!(cluster.shape(), "2/1,2,3/1,2,3");
    let follows = asked(&cluster, &[]);
    assert_eq!(run(&mut cluster, follows), Ok(()));
    assert_eq!(cluster.shape(), "2/1,2,3/2,3");
    for alone in ["1/1,2,3/1", "1/1,2,3/1/2"] {
        cluster.place(alone);
        let leads = asked(&cluster, &[]);
        assert_eq!(run(&mut cluster, leads), Err(E::Request("nobody else can lead")));
        assert_eq!(cluster.shape(), alone);
    }
}
