//! Moves of replicas and leaders, and new partitions: an administrator who is never content.

use std::rc::Rc;
use std::time::Duration;

use client::{Admin, Cluster, Error};
use wire::alter_partition_reassignments::request::{ReassignablePartition, ReassignableTopic};
use wire::elect_leaders::request::TopicPartitions;
use wire::{AlterPartitionReassignmentsRequest, ElectLeadersRequest, ErrorCode};
use world::World;

use super::{ORDERS, PAUSE, Stage, VIEWS, draw, draw_millis, partitions};
use crate::history::Partition;

/// The longest wait between two changes, milliseconds.
const PACE_MS: u64 = 5000;
/// Grows through the run; nobody writes to it.
const GROWING: &str = "plans";
/// Partitions of it at the end.
const PARTITIONS_MAX: u64 = 6;

/// Changes something now and then. What is refused is refused.
pub(super) async fn shuffle(world: World, stage: Rc<Stage>) {
    let all = [partitions(ORDERS), partitions(VIEWS)].concat();
    let mut count = 1;
    loop {
        world.clock.sleep(draw_millis(&world, "move-pace", PACE_MS)).await;
        let cluster = stage.cluster(&world, Duration::ZERO);
        if draw(&world, "grow", 5) == 0 && count < PARTITIONS_MAX {
            count += 1;
            grow(&cluster, &stage, count).await;
            continue;
        }
        let at = draw(&world, "move", all.len() as u64);
        let partition = &all[usize::try_from(at).expect("it is below their number")];
        let brokers = i32::try_from(stage.brokers).expect("there are few");
        let mut replicas: Vec<i32> = (0..brokers).collect();
        let first = draw(&world, "first", stage.brokers as u64);
        replicas.rotate_left(usize::try_from(first).expect("it is below the number of brokers"));
        if draw(&world, "fewer", 4) == 0 {
            replicas.truncate(2);
        }
        if reassign(&cluster, partition, &replicas).await {
            elect(&cluster, partition).await;
        }
    }
}

/// Gives a partition these replicas, and the first of them lead, trying until nothing is left to do.
pub(super) async fn place(world: &World, stage: &Stage, partition: &Partition, replicas: &[i32]) {
    loop {
        let cluster = stage.cluster(world, Duration::ZERO);
        if reassign(&cluster, partition, replicas).await && elect(&cluster, partition).await {
            return;
        }
        world.clock.sleep(PAUSE).await;
    }
}

async fn grow(cluster: &Cluster, stage: &Stage, count: u64) {
    let admin = Admin::new(cluster.clone());
    let count = i32::try_from(count).expect("it is small");
    let refused = admin.create_partitions(GROWING, count, false).await.err();
    let is_missing = |error: Error| error.code() == Some(ErrorCode::UnknownTopicOrPartition);
    if refused.is_some_and(is_missing) {
        // Whether it worked is seen the next time.
        let _ = admin.create_topic(&stage.topic(GROWING, 1), false).await;
    }
}

/// Says whether it was taken.
pub(super) async fn reassign(cluster: &Cluster, of: &Partition, replicas: &[i32]) -> bool {
    let partition = ReassignablePartition {
        partition_index: of.index,
        replicas: Some(replicas.to_vec()),
        ..Default::default()
    };
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: 3000,
        allow_replication_factor_change: true,
        topics: vec![ReassignableTopic {
            name: (&of.topic).into(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    };
    let Ok(answer) = cluster.ask_any(&request).await else { return false };
    let mut results = answer.responses.iter().flat_map(|topic| &topic.partitions);
    answer.error_code == 0 && results.all(|result| result.error_code == 0)
}

/// Has the first replica lead; says whether it does.
async fn elect(cluster: &Cluster, of: &Partition) -> bool {
    let request = ElectLeadersRequest {
        topic_partitions: Some(vec![TopicPartitions {
            topic: (&of.topic).into(),
            partitions: vec![of.index],
            ..Default::default()
        }]),
        timeout_ms: 3000,
        ..Default::default()
    };
    let Ok(answer) = cluster.ask_any(&request).await else { return false };
    let leads = [0, ErrorCode::ElectionNotNeeded.number()];
    let results = &answer.replica_election_results;
    let mut results = results.iter().flat_map(|topic| &topic.partition_result);
    answer.error_code == 0 && results.all(|result| leads.contains(&result.error_code))
}
