//! What brokers ask of the active controller, answered where that is. Each is a decision of the engine;
//! here are only the names on the wire.

use std::sync::Arc;

use engine::metadata::{
    AlterPartition, AlterPartitionError, Heartbeat, RegisterBrokerError, Registration,
    SupportedFeature,
};
use engine::sessions::Event;
use engine::{BrokerId, LeaderEpoch};
use wire::alter_partition::response::{PartitionData, TopicData};
use wire::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, AlterPartitionRequest,
    AlterPartitionResponse, BrokerHeartbeatRequest, BrokerHeartbeatResponse,
    BrokerRegistrationRequest, BrokerRegistrationResponse, CreateTopicsRequest,
    CreateTopicsResponse, ErrorCode, Uuid,
};

use super::departures;
use super::link::Ask;
use super::sessions::hear;
use crate::api::KafkaCode;
use crate::shared::Shared;

impl Ask for BrokerRegistrationRequest {
    async fn answer(self, shared: &Arc<Shared>) -> BrokerRegistrationResponse {
        let refused = |code: ErrorCode| BrokerRegistrationResponse {
            error_code: code.number(),
            broker_epoch: -1,
            ..Default::default()
        };
        if *self.cluster_id != *shared.cluster_id {
            return refused(ErrorCode::InconsistentClusterId);
        }
        let id = BrokerId(self.broker_id);
        let listeners = self.listeners.iter().map(|listener| config::Listener {
            name: listener.name.to_string(),
            host: listener.host.to_string(),
            port: listener.port,
        });
        let settings = &shared.state().settings;
        let mut names = self.listeners.iter().map(|listener| &*listener.name);
        let is_controller_only = names.all(|name| settings.broker.is_controllers(name));
        let features = self.features.iter().map(|feature| SupportedFeature {
            name: (*feature.name).into(),
            min: feature.min_supported_version,
            max: feature.max_supported_version,
        });
        let registration = Registration {
            id,
            incarnation: self.incarnation_id,
            directory: self.log_dirs.first().copied().unwrap_or(Uuid::ZERO),
            listeners: listeners.collect(),
            rack: self.rack.as_deref().map(Into::into),
            features: features.collect(),
            previous_epoch: self.previous_broker_epoch,
            predecessor_is_alive: false,
            is_controller_only,
        };
        let cluster_id = Arc::clone(&shared.cluster_id);
        let decided = shared.control.decide(move |controller| {
            let known = controller.image.broker(registration.id);
            // Whoever is not fenced was heard of within its session.
            let predecessor_is_alive = known.is_some_and(|known| !known.fenced);
            let registration = Registration { predecessor_is_alive, ..registration };
            controller.register_in(&cluster_id, registration)
        });
        match decided.await {
            Ok(Ok(broker_epoch)) => {
                hear(shared, Event::Heartbeat { id, epoch: broker_epoch });
                BrokerRegistrationResponse { broker_epoch, ..Default::default() }
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "a broker is not registered");
                refused(match error {
                    RegisterBrokerError::Duplicate { .. } => ErrorCode::DuplicateBrokerRegistration,
                    RegisterBrokerError::Feature { .. } => ErrorCode::UnsupportedVersion,
                    RegisterBrokerError::NoListeners { .. }
                    | RegisterBrokerError::HoldsReplicas { .. } => ErrorCode::InvalidRegistration,
                })
            }
            Err(error) => refused(error.code()),
        }
    }
}

impl Ask for BrokerHeartbeatRequest {
    async fn answer(self, shared: &Arc<Shared>) -> BrokerHeartbeatResponse {
        let (id, epoch) = (BrokerId(self.broker_id), self.broker_epoch);
        let is_caught_up = knows_why_fenced(shared, id, self.current_metadata_offset);
        let heartbeat = Heartbeat {
            id,
            epoch,
            want_fence: self.want_fence,
            want_shut_down: self.want_shut_down,
            is_caught_up,
        };
        let refused = |code: ErrorCode| BrokerHeartbeatResponse {
            error_code: code.number(),
            is_fenced: true,
            ..Default::default()
        };
        let state = shared.state();
        let is_known = state.image.broker(id).is_some_and(|broker| broker.epoch == epoch);
        let obeyed = u64::try_from(self.current_metadata_offset).unwrap_or(0);
        let asked = is_known.then(|| Asked::begin(shared, id, epoch));
        if is_known {
            departures::let_go(shared, id, obeyed).await;
        }
        let decided =
            shared.control.decide(move |controller| controller.heartbeat(heartbeat)).await;
        if asked.is_none() && matches!(decided, Ok(Ok(_))) {
            hear(shared, Event::Heartbeat { id, epoch });
        }
        drop(asked);
        match decided {
            Ok(Ok(reply)) => {
                departures::look(shared);
                BrokerHeartbeatResponse {
                    is_caught_up,
                    is_fenced: reply.is_fenced,
                    should_shut_down: reply.should_shut_down,
                    ..Default::default()
                }
            }
            Ok(Err(_)) => refused(ErrorCode::StaleBrokerEpoch),
            Err(error) => refused(error.code()),
        }
    }
}

/// A broker that waits for the answer to its heartbeat is not silent. Whatever the answer is, and if the connection ends
/// before there is any, the next word is the broker's.
struct Asked<'a> {
    shared: &'a Shared,
    id: BrokerId,
    epoch: i64,
}

impl<'a> Asked<'a> {
    fn begin(shared: &'a Shared, id: BrokerId, epoch: i64) -> Self {
        hear(shared, Event::Asked { id, epoch });
        Self { shared, id, epoch }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        hear(self.shared, Event::Heartbeat { id: self.id, epoch: self.epoch });
    }
}

/// Whether a broker that is fenced has applied the metadata that fenced it, and gave what it led to others: one
/// that was cut off may still take itself for a leader. What is decided now is not known to anybody yet.
fn knows_why_fenced(shared: &Shared, id: BrokerId, applied: i64) -> bool {
    let state = shared.state();
    let is_fenced = state.image.broker(id).is_some_and(|broker| broker.fenced);
    is_fenced && u64::try_from(applied).is_ok_and(|applied| applied >= state.version)
}

impl Ask for AlterPartitionRequest {
    async fn answer(self, shared: &Arc<Shared>) -> AlterPartitionResponse {
        let (leader, epoch) = (BrokerId(self.broker_id), self.broker_epoch);
        let asked = self.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| AlterPartition {
                topic_id: topic.topic_id,
                index: partition.partition_index,
                leader_epoch: LeaderEpoch(partition.leader_epoch),
                partition_epoch: partition.partition_epoch,
                isr: partition
                    .new_isr_with_epochs
                    .iter()
                    .map(|broker| (BrokerId(broker.broker_id), broker.broker_epoch))
                    .collect(),
            })
        });
        let asked: Vec<AlterPartition> = asked.collect();
        let refused = |code: ErrorCode| AlterPartitionResponse {
            error_code: code.number(),
            ..Default::default()
        };
        let decided = shared
            .control
            .decide(move |controller| controller.alter_partitions(leader, epoch, asked));
        let results = match decided.await {
            Ok(Ok(results)) => results,
            Ok(Err(_)) => return refused(ErrorCode::StaleBrokerEpoch),
            Err(error) => return refused(error.code()),
        };
        let mut topics: Vec<TopicData> = Vec::new();
        for ((topic_id, partition_index), result) in results {
            let data = match result {
                Ok(partition) => PartitionData {
                    partition_index,
                    leader_id: partition.leader.map_or(-1, |leader| leader.0),
                    leader_epoch: partition.leader_epoch.0,
                    isr: partition.isr.iter().map(|id| id.0).collect(),
                    partition_epoch: partition.partition_epoch,
                    ..Default::default()
                },
                Err(error) => PartitionData {
                    partition_index,
                    error_code: error.code().number(),
                    ..Default::default()
                },
            };
            match topics.last_mut() {
                Some(topic) if topic.topic_id == topic_id => topic.partitions.push(data),
                _ => topics.push(TopicData {
                    topic_id,
                    partitions: vec![data],
                    ..Default::default()
                }),
            }
        }
        AlterPartitionResponse { topics, ..Default::default() }
    }
}

impl Ask for AllocateProducerIdsRequest {
    async fn answer(self, shared: &Arc<Shared>) -> AllocateProducerIdsResponse {
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method alone is not general enough over the controller's lifetime"
        )]
        let decided = shared.control.decide(|controller| controller.allocate_producer_ids()).await;
        match decided {
            Ok(block) => AllocateProducerIdsResponse {
                producer_id_start: block.first,
                producer_id_len: i32::try_from(block.len).expect("a block is small"),
                ..Default::default()
            },
            Err(error) => AllocateProducerIdsResponse {
                error_code: error.code().number(),
                ..Default::default()
            },
        }
    }
}

impl Ask for CreateTopicsRequest {
    async fn answer(self, shared: &Arc<Shared>) -> CreateTopicsResponse {
        crate::api::create_topics(shared, self).await
    }
}

impl KafkaCode for AlterPartitionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopicId => ErrorCode::UnknownTopicId,
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::NotController => ErrorCode::NotController,
            Self::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            Self::InvalidUpdateVersion { .. } => ErrorCode::InvalidUpdateVersion,
            Self::Request(_) => ErrorCode::InvalidRequest,
            Self::IneligibleReplica { .. } => ErrorCode::IneligibleReplica,
            Self::NewLeaderElected => ErrorCode::NewLeaderElected,
        }
    }
}
