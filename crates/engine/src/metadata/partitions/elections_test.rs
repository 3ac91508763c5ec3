//! ElectLeaders, and what follows from settings.

use super::{ElectLeaderError as E, Election};
use crate::ids::BrokerId;
use crate::metadata::invariants_test::Cluster;
use crate::metadata::{AlterConfigs, Resource};

fn elect(cluster: &mut Cluster, election: Election) -> Result<(), E> {
    let asked = Some(vec![("t".to_owned(), 0)]);
    cluster.run(|c| c.elect_leaders(election, asked)).remove(0).1
}

#[test]
fn the_preferred_leader_leads_if_it_is_in_sync() {
    let mut cluster = Cluster::of(3);
    cluster.place("2/1,2,3/1,2,3");
    assert_eq!(elect(&mut cluster, Election::Preferred), Ok(()));
    assert_eq!(cluster.shape(), "1/1,2,3/1,2,3");
    assert_eq!(elect(&mut cluster, Election::Preferred), Err(E::NotNeeded));
    cluster.place("2/1,2,3/2,3");
    let away = E::PreferredNotAvailable { id: BrokerId(1) };
    assert_eq!(elect(&mut cluster, Election::Preferred), Err(away));
    assert_eq!(cluster.shape(), "2/1,2,3/2,3");
}

#[test]
fn an_unclean_leader_is_elected_only_where_nobody_else_can() {
    let mut cluster = Cluster::of(2);
    cluster.place("1/1,2/1");
    assert_eq!(elect(&mut cluster, Election::Unclean), Err(E::NotNeeded));
    cluster.run(|c| c.fence_broker(BrokerId(1), 1, true)).unwrap();
    assert_eq!(cluster.shape(), "-/1,2/1");
    assert_eq!(elect(&mut cluster, Election::Unclean), Ok(()));
    assert_eq!(cluster.shape(), "2/1,2/2");
    cluster.run(|c| c.fence_broker(BrokerId(2), 2, true)).unwrap();
    assert_eq!(elect(&mut cluster, Election::Unclean), Err(E::NoneAvailable));
}

#[test]
fn all_partitions_name_only_those_that_needed_it() {
    let mut cluster = Cluster::of(2);
    cluster.create("a", 2, 1);
    cluster.place("2/1,2/1,2");
    let reply = cluster.run(|c| c.elect_leaders(Election::Preferred, None));
    assert_eq!(reply, [(("t".to_owned(), 0), Ok(()))]);
    let nowhere = Some(vec![("t".to_owned(), 1), ("no".to_owned(), 0)]);
    let reply = cluster.run(|c| c.elect_leaders(Election::Preferred, nowhere));
    assert!(reply.iter().all(|(_, result)| *result == Err(E::UnknownPartition)));
}

#[test]
fn fewer_that_must_be_in_sync_end_the_standing_of_the_others() {
    let mut cluster = Cluster::of(2).with("min.insync.replicas", "2");
    cluster.place("1/1,2/1/2");
    assert_eq!(cluster.run(|c| c.settle_partitions()), ());
    assert_eq!(cluster.shape(), "1/1,2/1/2");
    let configs = vec![("min.insync.replicas".to_owned(), Some("1".to_owned()))];
    let asked = AlterConfigs { resource: Resource::Topic("t".into()), configs };
    assert_eq!(cluster.run(|c| c.alter_configs(vec![asked], false))[0].1, Ok(()));
    cluster.run(|c| c.settle_partitions());
    assert_eq!(cluster.shape(), "1/1,2/1");
}
