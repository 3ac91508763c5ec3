//! Groups: list, describe, delete, and move their committed offsets exactly once per token.

use std::collections::{BTreeMap, BTreeSet};

use wire::embedded::ConsumerProtocolAssignment;
use wire::reset_group_offsets::request::{ResetPartition, ResetTopic};
use wire::{
    DeleteGroupsRequest, DescribeGroupsRequest, ErrorCode, ListGroupsRequest, Message, Reader,
    ResetGroupOffsetsRequest, ResetGroupOffsetsResponse,
};

use super::Admin;
use super::topics::no_answer;
use crate::TopicPartition;
use crate::error::Error;

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// The group's id.
    pub id: String,
    /// What it is doing, as Kafka names it; empty from old brokers.
    pub state: String,
    /// The protocol type that the members gave, for example `consumer`.
    pub protocol_type: String,
    /// The broker that coordinates it.
    pub coordinator: i32,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// What it is doing, as Kafka names it.
    pub state: String,
    /// The protocol type that the members gave, for example `consumer`.
    pub protocol_type: String,
    /// How partitions are assigned, for example `range`.
    pub protocol: String,
    /// The broker that coordinates it.
    pub coordinator: i32,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDescription {
    /// The id that the coordinator gave it.
    pub id: String,
    /// The id that it gave itself, if it is a static member.
    pub instance_id: Option<String>,
    /// What it says it is.
    pub client_id: String,
    /// Where it comes from.
    pub host: String,
    /// Its partitions; empty if the group does not speak the consumer protocol.
    pub partitions: Vec<TopicPartition>,
}

/// A reset of committed offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReset {
    /// The group's id.
    pub group: String,
    /// Names the reset: it is carried out once.
    pub token: String,
    /// Drop the members first, instead of refusing while there are any.
    pub fence: bool,
    /// The new committed offsets.
    pub to: BTreeMap<TopicPartition, i64>,
}

/// What a reset did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResetDone {
    /// The token had been carried out before; nothing was done now.
    pub already_done: bool,
    /// The group's generation after it.
    pub generation: i32,
    /// The committed offset of each partition before it; `None` if there was none.
    pub previous: BTreeMap<TopicPartition, Option<i64>>,
    /// Partitions for which a member has since committed the position of before the reset again.
    pub overwritten: BTreeSet<TopicPartition>,
}

impl Admin {
    /// All groups of all brokers, by id.
    ///
    /// # Errors
    /// When a broker does not answer.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, Error> {
        self.cluster
            .retry(async || {
                let brokers = self.cluster.metadata(Some(&[])).await?.brokers;
                let mut groups = Vec::new();
                for id in brokers.into_keys() {
                    let answer = self.cluster.ask_broker(id, &ListGroupsRequest::default()).await?;
                    Error::check(answer.error_code, || format!("groups of broker {id}"), None)?;
                    groups.extend(answer.groups.into_iter().map(|group| GroupListing {
                        id: group.group_id.to_string(),
                        state: group.group_state.to_string(),
                        protocol_type: group.protocol_type.to_string(),
                        coordinator: id,
                    }));
                }
                groups.sort_by(|a, b| a.id.cmp(&b.id));
                Ok(groups)
            })
            .await
    }

    /// The group, if it exists.
    ///
    /// # Errors
    /// When its coordinator does not answer, or refuses.
    pub async fn describe_group(&self, group: &str) -> Result<Option<GroupDescription>, Error> {
        let body = DescribeGroupsRequest { groups: vec![group.into()], ..Default::default() };
        let timeout = self.cluster.options().request_timeout;
        let about = || format!("group {group}");
        self.cluster
            .retry(async || {
                let coordinator = self.cluster.coordinator(group).await?;
                let answer = self.cluster.ask_coordinator(group, &body, timeout).await?;
                let found = answer.groups.into_iter().next().ok_or_else(|| no_answer(&about()))?;
                if found.error_code == ErrorCode::GroupIdNotFound.number() {
                    return Ok(None);
                }
                Error::check(found.error_code, about, found.error_message.as_ref())?;
                // Before version 6, a group that does not exist is dead.
                if found.group_state == "Dead" {
                    return Ok(None);
                }
                let is_consumer = found.protocol_type == "consumer";
                let members = found.members.iter().map(|member| MemberDescription {
                    id: member.member_id.to_string(),
                    instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
                    client_id: member.client_id.to_string(),
                    host: member.client_host.to_string(),
                    partitions: match is_consumer {
                        true => assignment(member.member_assignment.clone()).unwrap_or_default(),
                        false => Vec::new(),
                    },
                });
                Ok(Some(GroupDescription {
                    state: found.group_state.to_string(),
                    protocol_type: found.protocol_type.to_string(),
                    protocol: found.protocol_data.to_string(),
                    coordinator,
                    members: members.collect(),
                }))
            })
            .await
    }

    /// Deletes the group and its offsets.
    ///
    /// # Errors
    /// When its coordinator refuses, among others with [`ErrorCode::NonEmptyGroup`] or
    /// [`ErrorCode::GroupIdNotFound`].
    pub async fn delete_group(&self, group: &str) -> Result<(), Error> {
        let body = DeleteGroupsRequest { groups_names: vec![group.into()], ..Default::default() };
        let timeout = self.cluster.options().request_timeout;
        let about = || format!("group {group}");
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_coordinator(group, &body, timeout).await?;
                let found = answer.results.first().ok_or_else(|| no_answer(&about()))?;
                Error::check(found.error_code, about, found.error_message.as_ref())
            })
            .await
    }

    /// Moves committed offsets, exactly once per token: Klamm's own request, which may be repeated.
    /// Makes the group if there is none.
    ///
    /// # Errors
    /// When the coordinator refuses, among others with [`ErrorCode::NonEmptyGroup`], or is no Klamm.
    pub async fn reset_group_offsets(&self, reset: &GroupReset) -> Result<ResetDone, Error> {
        let mut topics: BTreeMap<&str, Vec<ResetPartition>> = BTreeMap::new();
        for (partition, offset) in &reset.to {
            topics.entry(&partition.topic).or_default().push(ResetPartition {
                index: partition.partition,
                offset: *offset,
                ..Default::default()
            });
        }
        let topics = topics.into_iter().map(|(name, partitions)| ResetTopic {
            name: name.into(),
            partitions,
            ..Default::default()
        });
        let body = ResetGroupOffsetsRequest {
            group_id: (&reset.group).into(),
            token: (&reset.token).into(),
            expected_generation: -1,
            mode: i8::from(reset.fence),
            must_exist: false,
            topics: topics.collect(),
            ..Default::default()
        };
        self.reset(&reset.group, &body).await
    }

    /// What the reset with this token did, if it was carried out and is still remembered.
    ///
    /// # Errors
    /// When the coordinator cannot be asked, or is no Klamm.
    pub async fn find_group_reset(
        &self,
        group: &str,
        token: &str,
    ) -> Result<Option<ResetDone>, Error> {
        // A known token is answered before anything else is looked at; an unknown one fails, because no
        // group can be at this generation. So the question changes nothing.
        let nowhere = ResetTopic {
            name: "-".into(),
            partitions: vec![ResetPartition::default()],
            ..Default::default()
        };
        let body = ResetGroupOffsetsRequest {
            group_id: group.into(),
            token: token.into(),
            expected_generation: i32::MAX,
            mode: 0,
            topics: vec![nowhere],
            ..Default::default()
        };
        match self.reset(group, &body).await {
            Ok(done) => Ok(Some(done)),
            Err(Error::Refused {
                code:
                    ErrorCode::IllegalGeneration
                    | ErrorCode::GroupIdNotFound
                    | ErrorCode::NonEmptyGroup
                    | ErrorCode::UnknownTopicOrPartition,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn reset(
        &self,
        group: &str,
        body: &ResetGroupOffsetsRequest,
    ) -> Result<ResetDone, Error> {
        let timeout = self.cluster.options().request_timeout;
        let about = || format!("group {group}");
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_coordinator(group, body, timeout).await?;
                let refused = Error::check(answer.error_code, about, answer.error_message.as_ref());
                match refused {
                    // Waiting makes no partitions.
                    Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                        Ok(Err(error))
                    }
                    other => other.map(|()| reset_done(&answer)),
                }
            })
            .await?
    }
}

fn reset_done(answer: &ResetGroupOffsetsResponse) -> Result<ResetDone, Error> {
    let (mut previous, mut overwritten) = (BTreeMap::new(), BTreeSet::new());
    for topic in &answer.topics {
        for found in &topic.partitions {
            let partition = TopicPartition::new(&*topic.name, found.index);
            Error::check(found.error_code, || partition.to_string(), None)?;
            if found.overwritten {
                overwritten.insert(partition.clone());
            }
            previous.insert(partition, Some(found.previous_offset).filter(|at| *at >= 0));
        }
    }
    let ResetGroupOffsetsResponse { already_done, generation, .. } = *answer;
    Ok(ResetDone { already_done, generation, previous, overwritten })
}

/// The partitions in a member's assignment: a version, then the message at that version.
pub(crate) fn assignment(bytes: bytes::Bytes) -> Option<Vec<TopicPartition>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let mut reader = Reader::new(bytes);
    // A newer version begins like the newest that we know.
    let version = reader.i16().ok()?.min(*ConsumerProtocolAssignment::VERSIONS.end());
    let assigned = ConsumerProtocolAssignment::decode(&mut reader, version).ok()?;
    let partitions = assigned.assigned_partitions.iter().flat_map(|topic| {
        topic.partitions.iter().map(|index| TopicPartition::new(&*topic.topic, *index))
    });
    Some(partitions.collect())
}
