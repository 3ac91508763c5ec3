//! The port to the brokers over Kafka requests: [`Admin`] for [`client::Admin`].
//!
//! Nothing is decided here; each method translates one request and its refusal.

use std::collections::{BTreeMap, BTreeSet};

use client::TopicPartition;
use client::admin::{ConfigResource, ConfigSource, placement};
use crds::consumer_group::GroupState;

use super::{
    Admin, AdminError, Asked, ClusterFacts, GroupFacts, GroupReset, NewTopic, OffsetAt, Partition,
    Refusal, ResetDone, Setting, TopicFacts,
};

impl Admin for client::Admin {
    fn describe_cluster(&self) -> Asked<'_, ClusterFacts> {
        Box::pin(async move {
            let facts = match client::Admin::describe_cluster(self).await {
                Ok(facts) => facts,
                Err(error) => {
                    return Err(lost_quorum(self).await.unwrap_or_else(|| refused(error)));
                }
            };
            let brokers = facts.brokers.into_iter().map(|it| it.id).collect();
            Ok(ClusterFacts { cluster_id: facts.cluster_id, brokers })
        })
    }

    fn describe_topics(&self, names: BTreeSet<String>) -> Asked<'_, BTreeMap<String, TopicFacts>> {
        Box::pin(async move {
            let names: Vec<String> = names.into_iter().collect();
            let found = self.topics(Some(&names)).await.map_err(refused)?;
            let facts = |topic: client::TopicMetadata| {
                let counts = || topic.partitions.values().map(|it| count(it.replicas.len()));
                TopicFacts {
                    id: topic.id.to_string(),
                    partitions: count(topic.partitions.len()),
                    replicas: counts().min().unwrap_or(0),
                    replicas_max: counts().max().unwrap_or(0),
                }
            };
            Ok(found.topics.into_iter().map(|(name, topic)| (name, facts(topic))).collect())
        })
    }

    fn topic_config(&self, topic: String) -> Asked<'_, BTreeMap<String, Setting>> {
        Box::pin(async move {
            let resource = ConfigResource::Topic(topic);
            let found = self.describe_configs(&resource, false).await.map_err(refused)?;
            let setting = |entry: client::admin::ConfigEntry| Setting {
                is_own: entry.source == ConfigSource::Topic,
                value: entry.value.unwrap_or_default(),
            };
            Ok(found.into_iter().map(|(key, entry)| (key, setting(entry))).collect())
        })
    }

    fn create_topic(&self, new: NewTopic) -> Asked<'_, ()> {
        Box::pin(async move {
            let new = client::admin::NewTopic {
                name: new.name,
                partitions: new.partitions,
                // The schema allows at most 15; what does not fit cannot be had either.
                replicas: new.replicas.map(|it| i16::try_from(it).unwrap_or(i16::MAX)),
                configs: new.config,
            };
            client::Admin::create_topic(self, &new, false).await.map(|_| ()).map_err(refused)
        })
    }

    fn create_partitions(&self, topic: String, to: i32) -> Asked<'_, ()> {
        Box::pin(async move {
            client::Admin::create_partitions(self, &topic, to, false).await.map_err(refused)
        })
    }

    fn moving_partitions(&self, topic: String) -> Asked<'_, i32> {
        Box::pin(async move {
            let moves = self.list_moves().await.map_err(refused)?;
            Ok(count(moves.keys().filter(|it| it.topic == topic).count()))
        })
    }

    fn set_replicas(&self, topic: String, to: i32) -> Asked<'_, ()> {
        Box::pin(async move {
            let names = [topic.clone()];
            let mut found = self.topics(Some(&names)).await.map_err(refused)?;
            let Some(metadata) = found.topics.remove(&topic) else {
                let message = format!("there is no topic {topic}");
                return Err(AdminError::refused(Refusal::UnknownTopic, message));
            };
            let brokers = self.describe_brokers().await.map_err(refused)?;
            let moves = self.list_moves().await.map_err(refused)?;
            let to = usize::try_from(to).unwrap_or(0);
            let placed = placement::place(&topic, &metadata, &moves, &brokers, to);
            let placed = placed.map_err(|error| {
                AdminError::refused(Refusal::InvalidReplicas, error.to_string())
            })?;
            if placed.is_empty() {
                return Ok(());
            }
            let moves = placed.into_iter().map(|(partition, to)| (partition, Some(to))).collect();
            let results = self.move_replicas(&moves).await.map_err(refused)?;
            results.into_values().try_for_each(|result| result.map_err(refused))
        })
    }

    fn alter_topic_config(
        &self,
        topic: String,
        changes: BTreeMap<String, Option<String>>,
    ) -> Asked<'_, ()> {
        Box::pin(async move {
            let resource = ConfigResource::Topic(topic);
            self.alter_configs(&resource, &changes, false).await.map_err(refused)
        })
    }

    fn delete_topic(&self, topic_id: String) -> Asked<'_, ()> {
        Box::pin(async move {
            let Ok(id) = topic_id.parse() else {
                let message = format!("{topic_id:?} is not a topic id");
                return Err(AdminError::refused(Refusal::UnknownTopic, message));
            };
            absent_is_done(
                self.delete_topic_by_id(id).await.map_err(refused),
                Refusal::UnknownTopic,
            )
        })
    }

    fn describe_group(&self, group: String) -> Asked<'_, Option<GroupFacts>> {
        Box::pin(async move {
            let found = client::Admin::describe_group(self, &group).await.map_err(refused)?;
            Ok(found.map(|found| GroupFacts {
                state: group_state(&found.state),
                members: count(found.members.len()),
                protocol_type: found.protocol_type,
                coordinator: Some(found.coordinator),
            }))
        })
    }

    fn committed_offsets(&self, group: String) -> Asked<'_, BTreeMap<Partition, i64>> {
        Box::pin(async move {
            let found = self.fetch_offsets(&group).await.map_err(refused)?;
            Ok(found.into_iter().map(|(at, it)| (partition(at), it.offset)).collect())
        })
    }

    fn offsets(
        &self,
        at: OffsetAt,
        of: BTreeSet<Partition>,
    ) -> Asked<'_, BTreeMap<Partition, i64>> {
        Box::pin(async move {
            let at = match at {
                OffsetAt::Start => client::admin::OffsetAt::Earliest,
                OffsetAt::End => client::admin::OffsetAt::Latest,
                OffsetAt::Time(ms) => client::admin::OffsetAt::Time(ms),
            };
            let of = of.into_iter().map(topic_partition).collect();
            let found = self
                .offsets_or_end(at, &of, client::Isolation::Uncommitted)
                .await
                .map_err(refused)?;
            Ok(found.into_iter().map(|(at, offset)| (partition(at), offset)).collect())
        })
    }

    fn timestamps(&self, of: BTreeMap<Partition, i64>) -> Asked<'_, BTreeMap<Partition, i64>> {
        Box::pin(async move {
            let of = of.into_iter().map(|(at, offset)| (topic_partition(at), offset)).collect();
            let found = self.list_timestamps(&of).await.map_err(refused)?;
            Ok(found.into_iter().map(|(at, timestamp)| (partition(at), timestamp)).collect())
        })
    }

    fn reset_group_offsets(&self, reset: GroupReset) -> Asked<'_, ResetDone> {
        Box::pin(async move {
            let reset = client::admin::GroupReset {
                group: reset.group,
                token: reset.token,
                fence: reset.fence,
                to: reset.to.into_iter().map(|(at, to)| (topic_partition(at), to)).collect(),
            };
            client::Admin::reset_group_offsets(self, &reset).await.map(done).map_err(refused)
        })
    }

    fn find_group_reset(&self, group: String, token: String) -> Asked<'_, Option<ResetDone>> {
        Box::pin(async move {
            let found = client::Admin::find_group_reset(self, &group, &token).await;
            found.map(|it| it.map(done)).map_err(refused)
        })
    }

    fn delete_group(&self, group: String) -> Asked<'_, ()> {
        Box::pin(async move {
            let deleted = client::Admin::delete_group(self, &group).await.map_err(refused);
            absent_is_done(deleted, Refusal::GroupNotFound)
        })
    }
}

/// Why a broker that runs serves nothing, if it says so: only this request is answered then.
async fn lost_quorum(admin: &client::Admin) -> Option<AdminError> {
    let error = admin.describe_brokers().await.err()?;
    let is_said = error.code().is_some_and(|code| code.name() == "BROKER_NOT_AVAILABLE");
    is_said.then(|| AdminError::refused(Refusal::QuorumLost, error.to_string()))
}

fn partition(at: TopicPartition) -> Partition {
    Partition { topic: at.topic, index: at.partition }
}

fn topic_partition(at: Partition) -> TopicPartition {
    TopicPartition { topic: at.topic, partition: at.index }
}

fn done(done: client::admin::ResetDone) -> ResetDone {
    ResetDone {
        already_done: done.already_done,
        is_overwritten: !done.overwritten.is_empty(),
        previous: done.previous.into_iter().map(|(at, from)| (partition(at), from)).collect(),
    }
}

fn count(of: usize) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

fn absent_is_done(result: Result<(), AdminError>, absent: Refusal) -> Result<(), AdminError> {
    match result {
        Err(error) if error.is(absent) => Ok(()),
        other => other,
    }
}

/// A state that we do not know is that of a newer protocol, whose groups have members.
fn group_state(name: &str) -> GroupState {
    match name {
        "Empty" => GroupState::Empty,
        "PreparingRebalance" => GroupState::PreparingRebalance,
        "CompletingRebalance" => GroupState::CompletingRebalance,
        "Dead" => GroupState::Dead,
        _ => GroupState::Stable,
    }
}

/// What the operator makes of a client's error.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn refused(error: client::Error) -> AdminError {
    let Some(code) = error.code() else { return AdminError::Unreachable(error.to_string()) };
    let why = match code.name() {
        "TOPIC_ALREADY_EXISTS" => Refusal::TopicExists,
        "UNKNOWN_TOPIC_OR_PARTITION" | "UNKNOWN_TOPIC_ID" => Refusal::UnknownTopic,
        "INVALID_TOPIC_EXCEPTION" => Refusal::InvalidTopic,
        "INVALID_PARTITIONS" => Refusal::InvalidPartitions,
        "INVALID_REPLICATION_FACTOR" => Refusal::InvalidReplicas,
        "INVALID_CONFIG" => Refusal::InvalidConfig,
        "NON_EMPTY_GROUP" => Refusal::GroupNotEmpty,
        "GROUP_ID_NOT_FOUND" => Refusal::GroupNotFound,
        name if name.ends_with("_AUTHORIZATION_FAILED") => Refusal::Forbidden,
        _ if code.is_retriable() => return AdminError::Unreachable(error.to_string()),
        _ => Refusal::Other(code.number()),
    };
    AdminError::refused(why, error.to_string())
}
