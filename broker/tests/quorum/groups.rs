//! What coordinators of groups tell while they change.

use std::collections::BTreeMap;
use std::time::Duration;

use client::admin::Committed;
use client::{Admin, TopicPartition};
use wire::offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::{
    ErrorCode, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, ResetGroupOffsetsRequest,
    Str, reset_group_offsets,
};

use super::cluster::{Cluster, NODES, TIMEOUT, run_with};
use super::topics::{in_sync, reassign};
use super::upkeep::{ask, create};

const GROUP: &str = "readers";
const OFFSETS: &str = "__consumer_offsets";
/// Votes for nobody.
const LATE: i32 = 4;
const ONE: (&str, &str) = ("offsets.topic.num.partitions", "1");
/// Names topics.
const COMMIT: i16 = 8;
const FETCH: i16 = 7;

/// Who coordinates, and the others; the group has committed once.
async fn begin(cluster: &Cluster) -> (i32, Vec<i32>) {
    let through = cluster.settle().await;
    create(cluster, through, 1, 3).await;
    let admin = Admin::new(cluster.clients());
    let committed = BTreeMap::from([(
        TopicPartition::new("orders", 0),
        Committed { offset: 0, leader_epoch: -1, metadata: String::new() },
    )]);
    admin.commit_offsets(GROUP, &committed).await.expect("it is committed");
    cluster.simulation.sleep(Duration::from_secs(2)).await;
    let coordinator = coordinator(cluster, through).await;
    (coordinator, NODES.into_iter().filter(|id| *id != coordinator).collect())
}

/// Who leads the one partition of `__consumer_offsets`, as a broker tells.
async fn coordinator(cluster: &Cluster, through: i32) -> i32 {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let answer = ask(cluster, through, request).await;
    let offsets = |name: &Str| &**name == OFFSETS;
    let topic = answer.topics.iter().find(|it| it.name.as_ref().is_some_and(offsets));
    topic.expect("it was created").partitions[0].leader_id
}

fn cut(cluster: &Cluster, one: i32, other: i32) {
    cluster.simulation.cut(cluster.host(one), cluster.host(other));
    cluster.simulation.cut(cluster.host(other), cluster.host(one));
}

/// What a broker says is committed.
async fn committed(cluster: &Cluster, at: i32) -> Result<i64, ErrorCode> {
    let request = OffsetFetchRequest {
        group_id: Str::from_static(GROUP),
        topics: None,
        ..Default::default()
    };
    let connection = cluster.connect(at).await.expect("it listens");
    let answer = connection.ask_at(&request, FETCH, TIMEOUT).await.expect("it answers");
    match ErrorCode::from_number(answer.error_code) {
        Some(ErrorCode::None) => Ok(answer.topics[0].partitions[0].committed_offset),
        code => Err(code.expect("Kafka's")),
    }
}

#[test]
fn a_new_coordinator_tells_nothing_that_may_be_lost_yet() {
    run_with(180, &[ONE], async |cluster| {
        begin(cluster).await;
        // The active controller goes on whatever happens to these.
        let controller = cluster.leader().expect("there is one");
        cluster.start(LATE);
        cluster.settle().await;
        let voters: Vec<i32> = NODES.into_iter().filter(|id| *id != controller).collect();
        let on = [voters, vec![LATE]].concat();
        reassign(cluster, controller, OFFSETS, &on).await;
        in_sync(cluster, controller, OFFSETS, 3).await;
        cluster.simulation.sleep(Duration::from_secs(2)).await;
        let old = coordinator(cluster, controller).await;
        let new = if on[0] == old { on[1] } else { on[0] };
        cut(cluster, LATE, old);
        let partition = OffsetCommitRequestPartition { committed_offset: 7, ..Default::default() };
        let topic = OffsetCommitRequestTopic {
            name: Str::from_static("orders"),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: Str::from_static(GROUP),
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        };
        let connection = cluster.connect(old).await.expect("it listens");
        let commit = connection.ask_at(&request, COMMIT, Duration::from_millis(300));
        assert!(commit.await.is_err(), "one in sync does not have it");
        cut(cluster, LATE, new);
        cluster.kill(old);
        for _ in 0..100 {
            if coordinator(cluster, controller).await == new {
                break;
            }
            cluster.simulation.sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(coordinator(cluster, new).await, new, "the other one leads: take another seed");
        for _ in 0..20 {
            let told = committed(cluster, new).await;
            assert!(told.is_err(), "{told:?} may be lost");
            cluster.simulation.sleep(Duration::from_millis(50)).await;
        }
        cluster.simulation.heal_all();
        cluster.simulation.sleep(Duration::from_secs(5)).await;
        assert_eq!(committed(cluster, new).await, Ok(7));
    });
}

#[test]
fn who_does_not_coordinate_knows_nothing_of_resets() {
    run_with(181, &[ONE], async |cluster| {
        let (coordinator, others) = begin(cluster).await;
        let topic = reset_group_offsets::request::ResetTopic {
            name: Str::from_static("missing"),
            partitions: vec![Default::default()],
            ..Default::default()
        };
        let request = ResetGroupOffsetsRequest {
            group_id: Str::from_static(GROUP),
            token: Str::from_static("once"),
            topics: vec![topic],
            ..Default::default()
        };
        for (at, expected) in [
            (coordinator, ErrorCode::UnknownTopicOrPartition),
            (others[0], ErrorCode::NotCoordinator),
        ] {
            let answer = ask(cluster, at, request.clone()).await;
            assert_eq!(ErrorCode::from_number(answer.error_code), Some(expected), "broker {at}");
        }
    });
}
