//! Answers ApiKey 55, DescribeQuorum: who votes about the metadata, and how far each of them is.
//!
//! Offsets are positions in the quorum's log, as Kafka tells them. When a voter had all is told only while it
//! has: then it is when it was last heard of. Observers are the other brokers: how many decisions they lack, the leader knows from their heartbeats.

use std::sync::{Arc, PoisonError};

use engine::BrokerId;
use engine::metadata::{Broker, Controller, Decision};
use wire::describe_quorum::response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use wire::{DescribeQuorumRequest, DescribeQuorumResponse, ErrorCode, Str, Uuid};

use super::super::context::Call;
use super::super::{number, text};
use crate::metadata::State;
use crate::quorum::{Progress, VoterProgress};

/// The name of the quorum's log.
const METADATA_TOPIC: &str = "__cluster_metadata";
const METADATA_PARTITION: i32 = 0;
/// From here on disks and addresses of voters are told (KIP-853).
const NODES_SINCE: i16 = 2;

pub(crate) async fn handle(call: Call, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let refused = |why: &dyn std::fmt::Display| DescribeQuorumResponse {
        error_code: number(ErrorCode::NotLeaderOrFollower),
        error_message: text(&why),
        ..Default::default()
    };
    // One that is cut off may be told of itself only that it leads.
    let nothing = |_: &Controller<'_>| Decision { records: Vec::new(), reply: () };
    if let Err(error) = call.shared().control.decide(nothing).await {
        return refused(&error);
    }
    let Some(progress) = call.shared().quorum.progress().await else {
        return refused(&"the broker is stopping");
    };
    let now_ms = call.shared().now().wall_ms;
    let tells_nodes = call.version >= NODES_SINCE;
    let topics = request.topics.into_iter().map(|topic| {
        let is_it = |index| *topic.topic_name == *METADATA_TOPIC && index == METADATA_PARTITION;
        let partitions = topic.partitions.iter().map(|partition| match partition.partition_index {
            index if is_it(index) => {
                let observers = observers(&call, &progress, tells_nodes);
                PartitionData { observers, ..describe(&progress, now_ms, tells_nodes) }
            }
            index => unknown(index),
        });
        let partitions = partitions.collect();
        TopicData { topic_name: topic.topic_name, partitions, ..Default::default() }
    });
    let topics = topics.collect();
    let state = call.state();
    let nodes = progress.voters.iter().filter(|_| tells_nodes).map(|one| node(&state, one.id));
    DescribeQuorumResponse {
        error_message: None,
        topics,
        nodes: nodes.collect(),
        ..Default::default()
    }
}

fn describe(progress: &Progress, now_ms: i64, tells_disks: bool) -> PartitionData {
    let ends = progress.voters.iter().filter_map(|voter| voter.log_end);
    let end = ends.max();
    let voter = |voter: &VoterProgress| {
        let heard = voter.answered.and_then(|ago| i64::try_from(ago.as_millis()).ok());
        let heard_ms = heard.map_or(-1, |ago| now_ms - ago);
        ReplicaState {
            replica_id: voter.id.0,
            replica_directory_id: if tells_disks { voter.directory } else { Uuid::ZERO },
            log_end_offset: voter.log_end.map_or(-1, offset),
            last_fetch_timestamp: heard_ms,
            last_caught_up_timestamp: if voter.log_end == end { heard_ms } else { -1 },
            ..Default::default()
        }
    };
    PartitionData {
        partition_index: METADATA_PARTITION,
        error_message: None,
        leader_id: progress.leader.map_or(-1, |leader| leader.0),
        leader_epoch: i32::try_from(progress.term).unwrap_or(i32::MAX),
        high_watermark: offset(progress.high_watermark),
        current_voters: progress.voters.iter().map(voter).collect(),
        ..Default::default()
    }
}

/// The brokers without a vote; only the leader knows them.
fn observers(call: &Call, progress: &Progress, tells_disks: bool) -> Vec<ReplicaState> {
    let shared = call.shared();
    if progress.leader != Some(shared.node) {
        return Vec::new();
    }
    let state = call.state();
    let known_by = shared.known_by.lock().unwrap_or_else(PoisonError::into_inner);
    let votes = |id| progress.voters.iter().any(|voter| voter.id == id);
    let others = state.image.live_brokers().filter(|(id, _)| !votes(*id));
    let observer = |(id, broker): (BrokerId, &Arc<Broker>)| {
        let lacks = known_by.get(&id).map(|version| state.version.saturating_sub(*version));
        ReplicaState {
            replica_id: id.0,
            replica_directory_id: if tells_disks { broker.directory } else { Uuid::ZERO },
            log_end_offset: lacks.map_or(-1, |it| offset(progress.high_watermark - it)),
            ..Default::default()
        }
    };
    others.map(observer).collect()
}

fn unknown(partition_index: i32) -> PartitionData {
    let code = ErrorCode::UnknownTopicOrPartition;
    PartitionData {
        partition_index,
        error_code: number(code),
        error_message: text(&code.text()),
        ..Default::default()
    }
}

/// Where a voter is reached, once it has registered.
fn node(state: &State, id: BrokerId) -> Node {
    let broker = state.image.broker(id);
    let listeners = broker.iter().flat_map(|broker| &broker.listeners).map(|one| Listener {
        name: Str::from(one.name.as_str()),
        host: Str::from(one.host.as_str()),
        port: one.port,
        ..Default::default()
    });
    Node { node_id: id.0, listeners: listeners.collect(), ..Default::default() }
}

fn offset(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
