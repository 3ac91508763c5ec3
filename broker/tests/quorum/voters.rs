//! Brokers without a vote, and votes that are given, taken, and given to another disk.

use std::time::Duration;

use wire::add_raft_voter::request::Listener;
use wire::describe_quorum::request::{PartitionData, TopicData};
use wire::describe_quorum::response::{PartitionData as Described, ReplicaState};
use wire::{
    AddRaftVoterRequest, DescribeQuorumRequest, ErrorCode, RemoveRaftVoterRequest, Str, Uuid,
};
use world::simulated::PoolLatency;

use super::cluster::{CLUSTER_ID, Cluster, NODES, PORT, run, run_with};

/// How long a change of voters may take.
const CHANGE: Duration = Duration::from_secs(40);

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("topic-{number:03}")).collect()
}

/// What the leader says of the quorum.
async fn described(cluster: &Cluster) -> Described {
    let partition = PartitionData { partition_index: 0, ..Default::default() };
    let topic = TopicData {
        topic_name: Str::from("__cluster_metadata"),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = DescribeQuorumRequest { topics: vec![topic], ..Default::default() };
    let leader = cluster.settle().await;
    let connection = cluster.connect(leader).await.expect("the leader listens");
    let mut answer = connection.ask(&request, CHANGE).await.expect("it answers");
    answer.topics.remove(0).partitions.remove(0)
}

/// Who votes, with which disk, as the leader says.
async fn voters(cluster: &Cluster) -> Vec<(i32, Uuid)> {
    let voters = described(cluster).await.current_voters.into_iter();
    let mut voters: Vec<_> =
        voters.map(|voter| (voter.replica_id, voter.replica_directory_id)).collect();
    voters.sort();
    voters
}

/// Waits until the leader says that these follow without a vote, and know all.
async fn are_observers(cluster: &Cluster, ids: &[i32]) {
    for _ in 0..200 {
        let said = described(cluster).await;
        let is_current = |it: &ReplicaState| it.log_end_offset == said.high_watermark;
        let observers: Vec<i32> = said.observers.iter().map(|it| it.replica_id).collect();
        if observers == ids && said.observers.iter().all(is_current) {
            return;
        }
        cluster.simulation.sleep(Duration::from_millis(25)).await;
    }
    panic!("{:?}", described(cluster).await);
}

async fn voter_ids(cluster: &Cluster) -> Vec<i32> {
    voters(cluster).await.into_iter().map(|(id, _)| id).collect()
}

/// Asks `through` to give `id` a vote.
async fn add(cluster: &Cluster, through: i32, id: i32, directory: Uuid) -> ErrorCode {
    add_at(cluster, through, (id, id), directory).await
}

/// As [`add`], with an id and the node where it is said to be.
async fn add_at(
    cluster: &Cluster,
    through: i32,
    (id, at): (i32, i32),
    directory: Uuid,
) -> ErrorCode {
    let host = cluster.host(at).address().to_string();
    let listener = Listener {
        name: Str::from("PLAINTEXT"),
        host: Str::from(host.as_str()),
        port: PORT,
        ..Default::default()
    };
    let request = AddRaftVoterRequest {
        cluster_id: Some(Str::from(CLUSTER_ID)),
        voter_id: id,
        voter_directory_id: directory,
        listeners: vec![listener],
        ..Default::default()
    };
    let connection = cluster.connect(through).await.expect("it listens");
    let answer = connection.ask(&request, CHANGE).await.expect("it answers");
    ErrorCode::from_number(answer.error_code).expect("a code")
}

/// Asks whoever leads to take the vote of `id`, until that is done.
async fn remove(cluster: &Cluster, id: i32, directory: Uuid) {
    for _ in 0..20 {
        let leader = cluster.settle().await;
        let request = RemoveRaftVoterRequest {
            cluster_id: Some(Str::from(CLUSTER_ID)),
            voter_id: id,
            voter_directory_id: directory,
            ..Default::default()
        };
        let connection = cluster.connect(leader).await.expect("it listens");
        let answer = connection.ask(&request, CHANGE).await.expect("it answers");
        match ErrorCode::from_number(answer.error_code) {
            Some(ErrorCode::None) => return,
            Some(ErrorCode::NotController) => {}
            other => panic!("{other:?}: {:?}", answer.error_message),
        }
    }
    panic!("node {id} still votes");
}

#[test]
fn a_broker_without_a_vote_follows_whoever_leads() {
    run(50, async |cluster| {
        cluster.settle().await;
        cluster.create("topic-000").await;
        cluster.start(4);
        cluster.settle().await;
        cluster.knows(4, &names(1)).await;
        cluster.create("topic-001").await;
        cluster.knows(4, &names(2)).await;
        let leader = cluster.leader().expect("there is one");
        cluster.kill(leader);
        cluster.settle().await;
        cluster.create("topic-002").await;
        cluster.knows(4, &names(3)).await;
        assert_eq!(voter_ids(cluster).await, NODES, "it has no vote");
        are_observers(cluster, &[4]).await;
        // It keeps nothing, and is told all.
        cluster.power_loss(4);
        cluster.create("topic-003").await;
        cluster.start(4);
        cluster.settle().await;
        cluster.knows(4, &names(4)).await;
    });
}

#[test]
fn five_voters_of_which_two_may_go() {
    run(51, async |cluster| {
        cluster.start(4);
        cluster.start(5);
        cluster.settle().await;
        cluster.create("topic-000").await;
        for id in [4, 5] {
            // Any broker passes it on.
            assert_eq!(add(cluster, 5, id, cluster.directory(id)).await, ErrorCode::None);
        }
        assert_eq!(voter_ids(cluster).await, [1, 2, 3, 4, 5]);
        assert_eq!(add(cluster, 1, 5, cluster.directory(5)).await, ErrorCode::DuplicateVoter);
        let leader = cluster.settle().await;
        let other = NODES.into_iter().find(|id| *id != leader).expect("there are others");
        cluster.kill(leader);
        cluster.kill(other);
        cluster.create("topic-001").await;
        for id in [4, 5] {
            cluster.knows(id, &names(2)).await;
        }
        // With their votes on disk they are voters after a restart, whatever their settings say.
        cluster.power_loss(4);
        cluster.power_loss(5);
        cluster.start(4);
        cluster.start(5);
        cluster.create("topic-002").await;
        cluster.knows(4, &names(3)).await;
    });
}

#[test]
fn a_voter_that_was_removed_follows() {
    for seed in 52..55 {
        run(seed, async |cluster| {
            let leader = cluster.settle().await;
            cluster.create("topic-000").await;
            // Also if it led: it hands over first.
            remove(cluster, leader, cluster.directory(leader)).await;
            let left: Vec<i32> = NODES.into_iter().filter(|id| *id != leader).collect();
            assert_eq!(voter_ids(cluster).await, left);
            cluster.create("topic-001").await;
            cluster.knows(leader, &names(2)).await;
            cluster.kill(leader);
            cluster.create("topic-002").await;
            cluster.start(leader);
            cluster.settle().await;
            cluster.knows(leader, &names(3)).await;
            assert_eq!(voter_ids(cluster).await, left, "it does not come back by itself");
            assert_eq!(
                add(cluster, left[0], leader, cluster.directory(leader)).await,
                ErrorCode::None
            );
            assert_eq!(voter_ids(cluster).await, NODES);
        });
    }
}

#[test]
fn a_replaced_disk_is_given_a_vote_and_does_not_have_the_old_one() {
    for seed in 55..60 {
        run(seed, async |cluster| {
            let leader = cluster.settle().await;
            cluster.create("topic-000").await;
            let wiped = NODES.into_iter().find(|id| *id != leader).expect("there are others");
            let before = cluster.directory(wiped);
            cluster.power_loss(wiped);
            cluster.wipe(wiped);
            // Nobody leads who could give it a vote; with its old one the third could lead.
            cluster.kill(leader);
            cluster.start(wiped);
            cluster.simulation.sleep(Duration::from_secs(10)).await;
            assert_eq!(cluster.leader_but(&[wiped]), None);
            cluster.start(leader);
            cluster.settle().await;
            let after = cluster.directory(wiped);
            assert_ne!(before, after);
            let mut votes = voters(cluster).await;
            for _ in 0..40 {
                if votes.contains(&(wiped, after)) {
                    break;
                }
                cluster.simulation.sleep(Duration::from_millis(500)).await;
                votes = voters(cluster).await;
            }
            assert!(votes.contains(&(wiped, after)) && votes.len() == 3, "{votes:?}");
            // Now it counts.
            let other = NODES.into_iter().find(|id| ![leader, wiped].contains(id));
            cluster.kill(other.expect("there is a third"));
            cluster.create("topic-001").await;
            cluster.knows(wiped, &names(2)).await;
        });
    }
}

#[test]
fn a_node_asks_on_for_its_vote_if_the_leader_goes_before_it_is_named() {
    // Beyond what is kept behind a snapshot.
    const TOPICS: usize = 450;
    let small = [("metadata.log.max.record.bytes.between.snapshots", "2000")];
    for seed in 61..63 {
        run_with(seed, &small, async |cluster| {
            let leader = cluster.settle().await;
            for name in names(TOPICS) {
                cluster.create(&name).await;
            }
            let wiped = NODES.into_iter().find(|id| *id != leader).expect("there are others");
            cluster.power_loss(wiped);
            cluster.wipe(wiped);
            let slow = Duration::from_millis(300)..Duration::from_millis(400);
            let slow = PoolLatency { flush: slow, ..PoolLatency::default() };
            cluster.simulation.set_pool_latency(cluster.host(wiped), slow);
            cluster.start(wiped);
            let has_some = |cluster: &Cluster| cluster.has_file(wiped, "quorum.snapshot");
            cluster.within(Duration::from_secs(30), "it has a snapshot", has_some).await;
            cluster.kill(leader);
            // It hears of nobody who would give it a vote, for longer than it waits between two looks.
            cluster.simulation.sleep(Duration::from_secs(5)).await;
            if seed % 2 == 0 {
                cluster.power_loss(wiped);
                cluster.start(wiped);
            }
            cluster.start(leader);
            let votes = (wiped, cluster.directory(wiped));
            for _ in 0..60 {
                if voters(cluster).await.contains(&votes) {
                    let has_no_mark = |it: &Cluster| !it.has_file(wiped, "quorum.enlisting");
                    let patience = Duration::from_secs(5);
                    cluster.within(patience, "it asks no more", has_no_mark).await;
                    return;
                }
                cluster.simulation.sleep(Duration::from_secs(1)).await;
            }
            panic!("seed {seed}: {:?} vote", voters(cluster).await);
        });
    }
}

#[test]
fn a_vote_is_not_given_to_a_disk_that_is_not_there() {
    run(60, async |cluster| {
        cluster.start(4);
        cluster.settle().await;
        let nobodys = Uuid([7; 16]);
        assert_eq!(add(cluster, 1, 4, nobodys).await, ErrorCode::InvalidVoterKey);
        assert_eq!(
            add(cluster, 1, 5, nobodys).await,
            ErrorCode::RequestTimedOut,
            "it does not run"
        );
        assert_eq!(add_at(cluster, 1, (-4, 4), nobodys).await, ErrorCode::InvalidRequest);
        assert_eq!(voter_ids(cluster).await, NODES);
    });
}
