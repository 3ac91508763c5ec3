//! Replaces damaged logs by the healthy ones of other replicas.
//!
//! ```text
//! a read meets a damaged batch ─► Partition::found_damage ─┐
//! a start finds a damaged log ─────────────────────────────┴► AlterPartition: nobody, for this log
//!                                                                          │ others have the records
//!                              copied again ◄── cut, or set aside ◄────────┘
//! ```
//!
//! First the controller takes away its standing, from a leader once it knows who leads in its place: who must not lead,
//! and counts for no watermark, may lose records. Where nobody else has any the log stays as it is; what is not damaged is still served.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::LeaderEpoch;
use wire::alter_partition::request::{PartitionData, TopicData};
use wire::{AlterPartitionRequest, AlterPartitionResponse, ErrorCode};

use crate::controller::Link;
use crate::partition::{PartitionId, PartitionRef};
use crate::shard::Shard;
use crate::shared::Shared;

/// Pause before the controller is asked again, and between two looks at what has come of it.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the controller may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Has the controller take away this broker's standing in partitions, of which it knows the leaders of these epochs;
/// names those where others have one. Nothing if it has to be asked again.
async fn give_up(
    shared: &Arc<Shared>,
    link: &Link,
    damaged: &[(PartitionId, LeaderEpoch)],
) -> Option<Vec<PartitionId>> {
    let topics = damaged.iter().map(|(id, LeaderEpoch(leader_epoch))| {
        let (partition_index, leader_epoch) = (id.index, *leader_epoch);
        let partition = PartitionData { partition_index, leader_epoch, ..Default::default() };
        TopicData { topic_id: id.topic, partitions: vec![partition], ..Default::default() }
    });
    let request = AlterPartitionRequest {
        broker_id: shared.node.0,
        broker_epoch: shared.membership.epoch(),
        topics: topics.collect(),
        ..Default::default()
    };
    match link.ask(request, TIMEOUT).await {
        Ok(answer) if answer.error_code == 0 && !is_outdated(&answer) => {
            Some(given_up(shared, &answer))
        }
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, "the standing of damaged logs cannot be given up now");
            None
        }
    }
}

/// Whether this broker or the controller has yet to hear who leads a partition.
fn is_outdated(answer: &AlterPartitionResponse) -> bool {
    let outdated = [ErrorCode::FencedLeaderEpoch, ErrorCode::NotController].map(ErrorCode::number);
    let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.any(|data| outdated.contains(&data.error_code))
}

fn given_up(shared: &Shared, answer: &AlterPartitionResponse) -> Vec<PartitionId> {
    let of_topic = answer.topics.iter().flat_map(|topic| {
        let done = topic.partitions.iter().filter(|data| data.error_code == 0);
        let done = done.filter(|data| !data.isr.contains(&shared.node.0));
        done.map(|data| PartitionId { topic: topic.topic_id, index: data.partition_index })
    });
    of_topic.collect()
}

/// At the start, before this broker may lead: logs that could not be opened, or lost an end that they should
/// have, have no standing. Those that could not be opened begin anew.
pub(crate) async fn give_up_at_start(shared: &Arc<Shared>, link: &Link) {
    let mut damaged = Vec::new();
    for index in 0..shared.shards() {
        damaged.extend(
            shared.shard(index).call(|shard| shard.damaged_at_start()).await.unwrap_or_default(),
        );
    }
    if damaged.is_empty() {
        return;
    }
    let given_up = loop {
        let state = shared.state();
        let known = |id: &PartitionId| {
            let topic = state.image.topic_by_id(id.topic)?;
            Some((*id, topic.partition(id.index)?.leader_epoch))
        };
        let known: Vec<_> = damaged.iter().filter_map(known).collect();
        match give_up(shared, link, &known).await {
            Some(given_up) => break given_up,
            None => shared.world.clock.sleep(PAUSE).await,
        }
    };
    for id in given_up {
        shared.shard(id.shard(shared.shards())).send(Box::new(move |shard| shard.begin_anew(id)));
    }
}

/// Replaces what reads have found damaged, for ever.
pub(crate) async fn replace_damaged(shard: Rc<Shard>) {
    let shared = Arc::clone(&shard.shared);
    let link = Link::new(&shared);
    loop {
        shard.damage_found.notified().await;
        loop {
            let damaged: Vec<PartitionRef> = shard
                .open_partitions()
                .into_iter()
                .filter(|partition| partition.borrow().is_damaged())
                .collect();
            if damaged.is_empty() {
                break;
            }
            let may = damaged.iter().filter(|partition| partition.borrow().may_give_up());
            let known = |partition: &PartitionRef| {
                let partition = partition.borrow();
                (partition.id, partition.settings.place.leader_epoch)
            };
            let may: Vec<_> = may.map(known).collect();
            if !may.is_empty() {
                // What came of it is told by the metadata.
                give_up(&shared, &link, &may).await;
            }
            let due = damaged.into_iter().filter(|partition| partition.borrow_mut().cut_damage());
            super::carry_out_cuts(&shard, due.collect()).await;
            shared.world.clock.sleep(PAUSE).await;
        }
    }
}
