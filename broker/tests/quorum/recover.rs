//! A quorum that has lost its majority goes on from what one voter has, if a person wants that.

use std::path::Path;
use std::time::Duration;

use broker::{RecoverError, Recovery};
use wire::describe_quorum::request::{PartitionData, TopicData};
use wire::{DescribeBrokersRequest, DescribeQuorumRequest, Request, Str};

use super::cluster::{Cluster, NODES, TIMEOUT, run};

const BROKER_NOT_AVAILABLE: i16 = 8;

async fn ask<R: Request>(cluster: &Cluster, id: i32, request: R) -> R::Response {
    let connection = cluster.connect(id).await.expect("it listens");
    connection.ask(&request, TIMEOUT).await.expect("it answers")
}

fn open(cluster: &Cluster, id: i32) -> Result<Recovery, RecoverError> {
    Recovery::open(&cluster.simulation.world(cluster.host(id)), Path::new("/data"))
}

fn recover(cluster: &Cluster, id: i32) {
    open(cluster, id).expect("it can be recovered").carry_out().expect("its disk is fine");
}

/// Who votes, as one broker has it.
async fn voters(cluster: &Cluster, id: i32) -> Vec<i32> {
    let partitions = vec![PartitionData::default()];
    let topic_name = Str::from_static("__cluster_metadata");
    let topic = TopicData { topic_name, partitions, ..Default::default() };
    let request = DescribeQuorumRequest { topics: vec![topic], ..Default::default() };
    let answer = ask(cluster, id, request).await;
    answer.topics[0].partitions[0].current_voters.iter().map(|one| one.replica_id).collect()
}

/// Waits until all three vote again.
async fn all_vote(cluster: &Cluster) {
    for _ in 0..200 {
        let leader = cluster.settle().await;
        if voters(cluster, leader).await == NODES {
            return;
        }
        cluster.simulation.sleep(Duration::from_millis(50)).await;
    }
    panic!("seed {}: not all vote", cluster.simulation.seed());
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_cluster_goes_on_from_the_one_disk_that_is_left() {
    run(100, async |cluster| {
        cluster.settle().await;
        cluster.create("orders").await;
        cluster.knows(1, &names(&["orders"])).await;
        NODES.into_iter().for_each(|id| cluster.power_loss(id));
        [2, 3].into_iter().for_each(|id| cluster.wipe(id));
        NODES.into_iter().for_each(|id| cluster.start(id));
        cluster.simulation.sleep(Duration::from_secs(10)).await;
        for id in NODES {
            assert!(!cluster.serves(id), "what was decided may be lost");
            let said = ask(cluster, id, DescribeBrokersRequest::default()).await;
            assert_eq!(said.error_code, BROKER_NOT_AVAILABLE);
            let why = said.error_message.expect("it says why");
            assert!(why.contains("nodes 2, 3") && why.contains("`klamm cluster recover"), "{why}");
        }
        assert!(matches!(open(cluster, 1), Err(RecoverError::DataDir(_))), "it is in use");
        cluster.kill(1);
        let found = open(cluster, 1).expect("it can be recovered").found().clone();
        assert_eq!((found.node, &*found.voters, found.recoveries), (1, &NODES[..], 0));
        assert_eq!(found.brokers.iter().map(|(id, _)| *id).collect::<Vec<_>>(), NODES);
        assert!(found.version > 3 && found.term > 0 && found.partitions == 1, "{found:?}");
        recover(cluster, 1);
        cluster.start(1);
        all_vote(cluster).await;
        cluster.create("invoices").await;
        for id in NODES {
            cluster.knows(id, &names(&["invoices", "orders"])).await;
        }
        // It holds: the next restart of all, and of all but the one, finds a quorum.
        NODES.into_iter().for_each(|id| cluster.power_loss(id));
        [2, 3].into_iter().for_each(|id| cluster.start(id));
        cluster.settle().await;
        cluster.start(1);
        cluster.settle().await;
        cluster.knows(1, &names(&["invoices", "orders"])).await;
    });
}

#[test]
fn an_empty_disk_has_nothing_to_recover_from() {
    run(101, async |cluster| {
        cluster.settle().await;
        cluster.kill(2);
        cluster.wipe(2);
        assert!(matches!(open(cluster, 2), Err(RecoverError::DataDir(_))), "there is no directory");
        cluster.kill(1);
        cluster.start(2);
        cluster.simulation.sleep(Duration::from_secs(1)).await;
        cluster.kill(2);
        assert!(matches!(open(cluster, 2), Err(RecoverError::Nothing(_))));
    });
}

/// Node 1 is recovered from what it had when it went away; the others and an observer know more, and come
/// back with their disks.
#[test]
fn whoever_knows_more_of_the_old_history_starts_over() {
    run(102, async |cluster| {
        cluster.start(4);
        cluster.settle().await;
        cluster.create("orders").await;
        cluster.knows(1, &names(&["orders"])).await;
        cluster.kill(1);
        for n in 0..5 {
            cluster.create(&format!("lost-{n}")).await;
        }
        let lost: Vec<String> = (0..5).map(|n| format!("lost-{n}")).collect();
        let known: Vec<String> = lost.iter().cloned().chain(names(&["orders"])).collect();
        cluster.knows(4, &known).await;
        [2, 3].into_iter().for_each(|id| cluster.kill(id));
        recover(cluster, 1);
        cluster.start(1);
        // The observer has never stopped, and its version was a newer one.
        cluster.knows(4, &names(&["orders"])).await;
        cluster.create("invoices").await;
        let all = names(&["invoices", "orders"]);
        cluster.knows(4, &all).await;
        // Together they are a majority of the old voters.
        [2, 3].into_iter().for_each(|id| cluster.start(id));
        let both_end =
            |cluster: &Cluster| [2, 3].iter().all(|id| cluster.start_failure(*id).is_some());
        cluster.within(Duration::from_secs(5), "both end", both_end).await;
        let why = cluster.start_failure(2).expect("it has ended");
        assert!(
            why.contains("the quorum was recovered") && why.contains("hint: start it"),
            "{why}"
        );
        [2, 3].into_iter().for_each(|id| cluster.start(id));
        all_vote(cluster).await;
        for id in NODES {
            cluster.knows(id, &all).await;
        }
    });
}

/// As above, but the old majority forms before it can hear of the recovery.
#[test]
fn an_old_majority_ends_as_soon_as_it_hears_of_the_recovery() {
    run(103, async |cluster| {
        cluster.settle().await;
        cluster.create("orders").await;
        cluster.knows(1, &names(&["orders"])).await;
        cluster.kill(1);
        cluster.create("lost").await;
        recover(cluster, 1);
        // Nodes 2 and 3 have never stopped.
        let leader = cluster.settle().await;
        assert_ne!(leader, 1);
        cluster.start(1);
        let both_end = |cluster: &Cluster| [2, 3].iter().all(|id| cluster.failure(*id).is_some());
        cluster.within(Duration::from_secs(10), "both end", both_end).await;
        [2, 3].into_iter().for_each(|id| cluster.start(id));
        all_vote(cluster).await;
        for id in NODES {
            cluster.knows(id, &names(&["orders"])).await;
        }
    });
}

#[test]
fn a_recovery_that_was_cut_off_keeps_the_broker_from_starting_until_it_is_done() {
    run(104, async |cluster| {
        cluster.settle().await;
        cluster.create("orders").await;
        cluster.knows(1, &names(&["orders"])).await;
        NODES.into_iter().for_each(|id| cluster.kill(id));
        let disk = cluster.simulation.world(cluster.host(1)).disk;
        let marker = Path::new("/data/__cluster_metadata/quorum.recovering");
        disk.write_atomic(marker, b"").expect("writes");
        cluster.start(1);
        let ended = |cluster: &Cluster| cluster.start_failure(1).is_some();
        cluster.within(Duration::from_secs(1), "it does not start", ended).await;
        let why = cluster.start_failure(1).expect("it has ended");
        assert!(why.contains("hint: `klamm cluster recover --data-dir /data` again"), "{why}");
        recover(cluster, 1);
        // Twice is no harm.
        recover(cluster, 1);
        cluster.start(1);
        cluster.settle().await;
        cluster.knows(1, &names(&["orders"])).await;
        assert_eq!(voters(cluster, 1).await, [1]);
    });
}
