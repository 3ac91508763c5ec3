//! Answers ApiKey 35, DescribeLogDirs: how many bytes partitions take, and how many are left. There is
//! one log dir.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wire::describe_log_dirs::request::DescribableLogDirTopic;
use wire::describe_log_dirs::response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use wire::{DescribeLogDirsRequest, DescribeLogDirsResponse, Str};
use world::tasks::{Pool, blocking};

use super::super::context::Call;
use crate::metadata::State;
use crate::partition::PartitionId;

pub(crate) async fn handle(call: Call, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let state = call.state();
    let sizes = call.shared().partition_sizes().await;
    let wanted = request.topics.as_deref().map(wanted);
    let (total_bytes, usable_bytes) = space(&call).await;
    let result = DescribeLogDirsResult {
        log_dir: Str::from(&*call.shared().log_dir.path().to_string_lossy()),
        topics: describe(&call, &state, &sizes, wanted.as_ref()),
        total_bytes,
        usable_bytes,
        // Cordoning (KIP-1066) arrives later.
        is_cordoned: false,
        ..Default::default()
    };
    DescribeLogDirsResponse { results: vec![result], ..Default::default() }
}

type Sizes = BTreeMap<PartitionId, u64>;
type Wanted<'r> = BTreeSet<(&'r str, i32)>;

/// The partitions that are asked for.
fn wanted(topics: &[DescribableLogDirTopic]) -> Wanted<'_> {
    topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|index| (&*topic.topic, *index)))
        .collect()
}

/// Size of the volume and what is left of it; -1 if the system does not tell.
async fn space(call: &Call) -> (i64, i64) {
    let (disk, path) =
        (Arc::clone(&call.shared().world.disk), call.shared().log_dir.path().to_owned());
    let tasks = Arc::clone(&call.shared().world.tasks);
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    match blocking(&*tasks, Pool::Files, move || disk.space(&path)).await {
        Ok(space) => (bytes(space.total), bytes(space.available)),
        Err(error) => {
            tracing::warn!(%error, "cannot measure the volume of the log dir");
            (-1, -1)
        }
    }
}

/// Every partition that this broker holds; one that was never used takes no bytes.
fn describe(
    call: &Call,
    state: &State,
    sizes: &Sizes,
    wanted: Option<&Wanted<'_>>,
) -> Vec<DescribeLogDirsTopic> {
    let mut topics = Vec::new();
    for topic in state.image.topics() {
        let held = (0..).zip(&topic.partitions).filter(|(index, partition)| {
            partition.replicas.contains(&call.shared().node)
                && wanted.is_none_or(|wanted| wanted.contains(&(&*topic.name, *index)))
        });
        let partitions: Vec<DescribeLogDirsPartition> = held
            .map(|(index, _)| {
                let size = sizes.get(&PartitionId { topic: topic.id, index });
                DescribeLogDirsPartition {
                    partition_index: index,
                    partition_size: size.map_or(0, |size| i64::try_from(*size).unwrap_or(i64::MAX)),
                    offset_lag: 0,
                    is_future_key: false,
                    ..Default::default()
                }
            })
            .collect();
        if !partitions.is_empty() {
            let name = Str::from(&*topic.name);
            topics.push(DescribeLogDirsTopic { name, partitions, ..Default::default() });
        }
    }
    topics
}
