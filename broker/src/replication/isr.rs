//! Proposes to the controller who is in sync, for the partitions that this shard leads.
//!
//! Who should be is decided by [`engine::replication::leader`]; the controller compares and sets, and the
//! metadata log tells everybody, also us, what became of it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use wire::alter_partition::request::{BrokerState, PartitionData, TopicData};
use wire::{AlterPartitionRequest, AlterPartitionResponse, ErrorCode};

use crate::controller::Link;
use crate::partition::PartitionId;
use crate::shard::Shard;

/// How often partitions are looked at.
const INTERVAL: Duration = Duration::from_millis(50);
/// How long the controller may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// For ever.
pub(crate) async fn propose_changes(shard: Rc<Shard>) {
    // A connection of its own: answers come in order, and a client's request that is passed on may take long.
    let link = Link::new(&shard.shared);
    loop {
        shard.shared.world.clock.sleep(INTERVAL).await;
        let Some(request) = gather(&shard) else { continue };
        let asked = ids(&request);
        match link.ask(request, TIMEOUT).await {
            Ok(answer) => settle(&shard, &asked, &answer),
            Err(error) => {
                // Whether it was done is told by the metadata log; until then both sets count.
                tracing::debug!(%error, "the in-sync replicas cannot be changed now");
                for id in asked {
                    with_partition(&shard, id, crate::partition::Partition::proposal_unanswered);
                }
            }
        }
    }
}

fn gather(shard: &Rc<Shard>) -> Option<AlterPartitionRequest> {
    let now = shard.now();
    let state = shard.shared.state();
    let lag_max = Duration::from_millis(
        u64::try_from(state.settings.broker.replica_lag_time_max_ms).unwrap_or(0),
    );
    let may_join = |id| state.image.is_active(id);
    let mut topics: BTreeMap<_, Vec<PartitionData>> = BTreeMap::new();
    for partition in shard.open_partitions() {
        let mut partition = partition.borrow_mut();
        let Some(proposal) = partition.proposal(now, lag_max, &may_join) else { continue };
        let PartitionId { topic, index } = partition.id;
        let isr = proposal.isr.into_iter().map(|(broker, epoch)| BrokerState {
            broker_id: broker.0,
            broker_epoch: epoch,
            ..Default::default()
        });
        topics.entry(topic).or_default().push(PartitionData {
            partition_index: index,
            leader_epoch: proposal.leader_epoch.0,
            new_isr_with_epochs: isr.collect(),
            partition_epoch: proposal.partition_epoch,
            ..Default::default()
        });
    }
    if topics.is_empty() {
        return None;
    }
    let topics = topics.into_iter().map(|(topic_id, partitions)| TopicData {
        topic_id,
        partitions,
        ..Default::default()
    });
    Some(AlterPartitionRequest {
        broker_id: shard.shared.node.0,
        broker_epoch: shard.shared.membership.epoch(),
        topics: topics.collect(),
        ..Default::default()
    })
}

fn ids(request: &AlterPartitionRequest) -> Vec<PartitionId> {
    let of = |topic: &TopicData| {
        let id = topic.topic_id;
        let index =
            |partition: &PartitionData| PartitionId { topic: id, index: partition.partition_index };
        topic.partitions.iter().map(index).collect::<Vec<_>>()
    };
    request.topics.iter().flat_map(of).collect()
}

fn settle(shard: &Rc<Shard>, asked: &[PartitionId], answer: &AlterPartitionResponse) {
    if answer.error_code != 0 {
        for id in asked {
            with_partition(shard, *id, crate::partition::Partition::proposal_unanswered);
        }
        return;
    }
    for topic in &answer.topics {
        for data in &topic.partitions {
            let id = PartitionId { topic: topic.topic_id, index: data.partition_index };
            let code = ErrorCode::from_number(data.error_code);
            tracing::debug!(?id, code = code.map_or("unknown", ErrorCode::name), "who is in sync");
            with_partition(shard, id, |partition| match is_taken(code) {
                Some(taken) => partition.proposal_answered(taken),
                None => partition.proposal_unanswered(),
            });
        }
    }
}

/// Whether a proposal that was answered like this is taken; none if that is not known.
fn is_taken(code: Option<ErrorCode>) -> Option<bool> {
    match code? {
        // It was taken, and somebody else leads: who joined by it counts until the metadata say so here too.
        ErrorCode::None | ErrorCode::NewLeaderElected => Some(true),
        ErrorCode::UnknownTopicId
        | ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotController
        | ErrorCode::FencedLeaderEpoch
        | ErrorCode::InvalidUpdateVersion
        | ErrorCode::InvalidRequest
        | ErrorCode::IneligibleReplica => Some(false),
        _ => None,
    }
}

fn with_partition(
    shard: &Rc<Shard>,
    id: PartitionId,
    act: impl FnOnce(&mut crate::partition::Partition),
) {
    // A partition that is gone has no in-sync replicas either.
    if let Ok(partition) = shard.partition(id) {
        act(&mut partition.borrow_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_was_refused_counts_as_refused() {
        assert_eq!(is_taken(Some(ErrorCode::None)), Some(true));
        assert_eq!(is_taken(Some(ErrorCode::NewLeaderElected)), Some(true));
        assert_eq!(is_taken(Some(ErrorCode::InvalidUpdateVersion)), Some(false));
        assert_eq!(is_taken(Some(ErrorCode::UnknownServerError)), None);
        assert_eq!(is_taken(None), None, "a code of a newer version");
    }
}
