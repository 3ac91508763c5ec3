//! Offsets: where records are, and what groups have committed.

use std::collections::{BTreeMap, BTreeSet};

use wire::list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic};
use wire::list_timestamps::request::{ListTimestampsPartition, ListTimestampsTopic};
use wire::offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::offset_delete::request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use wire::offset_fetch::request::OffsetFetchRequestGroup;
use wire::{
    ErrorCode, ListOffsetsRequest, ListTimestampsRequest, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest, Str,
};

use super::Admin;
use crate::TopicPartition;
use crate::consumer::Isolation;
use crate::error::Error;

/// The newest version of OffsetCommit and OffsetFetch that names topics by name.
pub(crate) const OFFSETS_BY_NAME: i16 = 9;
/// The first version of OffsetFetch that asks for several groups.
const FETCH_GROUPS: i16 = 8;

/// Where in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OffsetAt {
    /// The first record that is still there.
    Earliest,
    /// Behind the last record.
    Latest,
    /// The first record at or after this time, milliseconds since the Unix epoch.
    Time(i64),
    /// The record with the largest timestamp.
    MaxTimestamp,
}

impl OffsetAt {
    fn number(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            // Below lie Kafka's special values.
            Self::Time(at) => at.max(0),
        }
    }
}

/// An offset that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset.
    pub offset: i64,
    /// The record's timestamp; -1 if it was not looked at.
    pub timestamp: i64,
    /// The epoch of the leader that wrote it; -1 if not known.
    pub leader_epoch: i32,
}

/// An offset that a group has committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Where the group goes on.
    pub offset: i64,
    /// The epoch of the leader that wrote the record before it; -1 if not known.
    pub leader_epoch: i32,
    /// A note that was kept with it.
    pub metadata: String,
}

impl Admin {
    /// The offset of each partition at `at`. Left out: partitions that do not exist, and those that
    /// have no record for [`OffsetAt::Time`] and [`OffsetAt::MaxTimestamp`].
    ///
    /// # Errors
    /// When a leader cannot be asked, or refuses.
    pub async fn list_offsets(
        &self,
        at: OffsetAt,
        of: &BTreeSet<TopicPartition>,
        isolation: Isolation,
    ) -> Result<BTreeMap<TopicPartition, FoundOffset>, Error> {
        self.cluster.retry(async || self.list_offsets_once(at, of, isolation).await).await
    }

    /// As [`Admin::list_offsets`], where a partition without a record for the time stands at its end.
    ///
    /// # Errors
    /// As [`Admin::list_offsets`].
    pub async fn offsets_or_end(
        &self,
        at: OffsetAt,
        of: &BTreeSet<TopicPartition>,
        isolation: Isolation,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        let mut found = self.list_offsets(at, of, isolation).await?;
        let missing: BTreeSet<_> = of.iter().filter(|p| !found.contains_key(*p)).cloned().collect();
        if !missing.is_empty() && !matches!(at, OffsetAt::Earliest | OffsetAt::Latest) {
            found.extend(self.list_offsets(OffsetAt::Latest, &missing, isolation).await?);
        }
        Ok(found.into_iter().map(|(partition, found)| (partition, found.offset)).collect())
    }

    async fn list_offsets_once(
        &self,
        at: OffsetAt,
        of: &BTreeSet<TopicPartition>,
        isolation: Isolation,
    ) -> Result<BTreeMap<TopicPartition, FoundOffset>, Error> {
        let mut offsets = BTreeMap::new();
        for (leader, partitions) in self.by_leader(of).await? {
            let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
            for partition in &partitions {
                topics.entry(&partition.topic).or_default().push(ListOffsetsPartition {
                    partition_index: partition.partition,
                    timestamp: at.number(),
                    ..Default::default()
                });
            }
            let topics = topics.into_iter().map(|(name, partitions)| ListOffsetsTopic {
                name: name.into(),
                partitions,
                ..Default::default()
            });
            let body = ListOffsetsRequest {
                replica_id: -1,
                isolation_level: i8::from(isolation == Isolation::Committed),
                topics: topics.collect(),
                ..Default::default()
            };
            let answer = self.cluster.ask_broker(leader, &body).await?;
            for topic in &answer.topics {
                for found in &topic.partitions {
                    let partition = TopicPartition::new(&*topic.name, found.partition_index);
                    Error::check(found.error_code, || partition.to_string(), None)?;
                    if found.offset >= 0 {
                        let (offset, timestamp) = (found.offset, found.timestamp);
                        let leader_epoch = found.leader_epoch;
                        offsets.insert(partition, FoundOffset { offset, timestamp, leader_epoch });
                    }
                }
            }
        }
        Ok(offsets)
    }

    /// When the first committed record at each offset or behind it was written, in milliseconds since the Unix epoch
    /// (private key 10012). Left out: partitions that do not exist or have no such record.
    ///
    /// # Errors
    /// When a leader cannot be asked, or refuses.
    pub async fn list_timestamps(
        &self,
        of: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        self.cluster.retry(async || self.list_timestamps_once(of).await).await
    }

    async fn list_timestamps_once(
        &self,
        of: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        let mut timestamps = BTreeMap::new();
        for (leader, partitions) in self.by_leader(of.keys()).await? {
            let mut topics: BTreeMap<&str, Vec<ListTimestampsPartition>> = BTreeMap::new();
            for partition in &partitions {
                topics.entry(&partition.topic).or_default().push(ListTimestampsPartition {
                    index: partition.partition,
                    offset: of[partition],
                    ..Default::default()
                });
            }
            let topics = topics.into_iter().map(|(name, partitions)| ListTimestampsTopic {
                name: name.into(),
                partitions,
                ..Default::default()
            });
            let body = ListTimestampsRequest { topics: topics.collect(), ..Default::default() };
            let answer = self.cluster.ask_broker(leader, &body).await?;
            for topic in &answer.topics {
                for found in &topic.partitions {
                    let partition = TopicPartition::new(&*topic.name, found.index);
                    Error::check(found.error_code, || partition.to_string(), None)?;
                    if found.timestamp >= 0 {
                        timestamps.insert(partition, found.timestamp);
                    }
                }
            }
        }
        Ok(timestamps)
    }

    /// Who leads the partitions. Those that do not exist are left out.
    pub(super) async fn by_leader<'p>(
        &self,
        partitions: impl IntoIterator<Item = &'p TopicPartition>,
    ) -> Result<BTreeMap<i32, Vec<TopicPartition>>, Error> {
        let mut by_leader: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        for partition in partitions {
            if missing.contains(partition.topic.as_str()) {
                continue;
            }
            let topic = match self.cluster.topic(&partition.topic, false).await {
                Ok(topic) => topic,
                Err(Error::Refused { code: ErrorCode::UnknownTopicOrPartition, .. }) => {
                    missing.insert(&partition.topic);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(found) = topic.partitions.get(&partition.partition) else { continue };
            let leader = found.leader.ok_or_else(|| {
                Error::refused(partition.to_string(), ErrorCode::LeaderNotAvailable)
            })?;
            by_leader.entry(leader).or_default().push(partition.clone());
        }
        Ok(by_leader)
    }

    /// All offsets that `group` has committed; empty if the group does not exist.
    ///
    /// # Errors
    /// When the coordinator cannot be asked, or refuses.
    pub async fn fetch_offsets(
        &self,
        group: &str,
    ) -> Result<BTreeMap<TopicPartition, Committed>, Error> {
        let fetched = self.cluster.retry(async || self.fetch_offsets_once(group).await).await;
        match fetched {
            Err(Error::Refused { code: ErrorCode::GroupIdNotFound, .. }) => Ok(BTreeMap::new()),
            other => other,
        }
    }

    async fn fetch_offsets_once(
        &self,
        group: &str,
    ) -> Result<BTreeMap<TopicPartition, Committed>, Error> {
        let coordinator = self.cluster.coordinator(group).await?;
        let connection = self.cluster.broker(coordinator).await?;
        let version = connection.version::<OffsetFetchRequest>(OFFSETS_BY_NAME)?;
        let about = || format!("group {group}");
        let body = if version >= FETCH_GROUPS {
            OffsetFetchRequest {
                groups: vec![OffsetFetchRequestGroup {
                    group_id: group.into(),
                    topics: None,
                    ..Default::default()
                }],
                ..Default::default()
            }
        } else {
            OffsetFetchRequest { group_id: group.into(), topics: None, ..Default::default() }
        };
        let timeout = self.cluster.options().request_timeout;
        let answer = connection.ask_at(&body, version, timeout).await?;
        let mut offsets = BTreeMap::new();
        let mut keep = |topic: &Str, index, code, offset, leader_epoch, note: Option<&Str>| {
            let partition = TopicPartition::new(&**topic, index);
            Error::check(code, || partition.to_string(), None)?;
            if offset >= 0 {
                let metadata = note.map(ToString::to_string).unwrap_or_default();
                offsets.insert(partition, Committed { offset, leader_epoch, metadata });
            }
            Ok::<(), Error>(())
        };
        Error::check(answer.error_code, about, None)?;
        for topic in &answer.topics {
            for p in &topic.partitions {
                let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
                let note = p.metadata.as_ref();
                keep(&topic.name, p.partition_index, p.error_code, offset, epoch, note)?;
            }
        }
        for found in &answer.groups {
            Error::check(found.error_code, about, None)?;
            for topic in &found.topics {
                for p in &topic.partitions {
                    let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
                    let note = p.metadata.as_ref();
                    keep(&topic.name, p.partition_index, p.error_code, offset, epoch, note)?;
                }
            }
        }
        Ok(offsets)
    }

    /// Commits offsets for a group without members.
    ///
    /// # Errors
    /// When the coordinator refuses, among others with [`ErrorCode::UnknownMemberId`] because the group
    /// has members.
    pub async fn commit_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, Committed>,
    ) -> Result<(), Error> {
        let body = OffsetCommitRequest {
            group_id: group.into(),
            generation_id_or_member_epoch: -1,
            topics: commit_topics(offsets),
            ..Default::default()
        };
        self.cluster.retry(async || self.commit_once(group, &body).await).await
    }

    /// Sends one OffsetCommit to the coordinator.
    pub(crate) async fn commit_once(
        &self,
        group: &str,
        body: &OffsetCommitRequest,
    ) -> Result<(), Error> {
        let coordinator = self.cluster.coordinator(group).await?;
        let connection = self.cluster.broker(coordinator).await?;
        let version = connection.version::<OffsetCommitRequest>(OFFSETS_BY_NAME)?;
        let timeout = self.cluster.options().request_timeout;
        let answer = connection.ask_at(body, version, timeout).await?;
        for topic in &answer.topics {
            for p in &topic.partitions {
                let about = || format!("group {group}, {}-{}", topic.name, p.partition_index);
                Error::check(p.error_code, about, None)?;
            }
        }
        Ok(())
    }

    /// Forgets offsets that `group` has committed.
    ///
    /// # Errors
    /// When the coordinator refuses, among others because the group reads one of the topics.
    pub async fn delete_offsets(
        &self,
        group: &str,
        of: &BTreeSet<TopicPartition>,
    ) -> Result<(), Error> {
        let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for partition in of {
            topics.entry(&partition.topic).or_default().push(OffsetDeleteRequestPartition {
                partition_index: partition.partition,
                ..Default::default()
            });
        }
        let topics = topics.into_iter().map(|(name, partitions)| OffsetDeleteRequestTopic {
            name: name.into(),
            partitions,
            ..Default::default()
        });
        let body = OffsetDeleteRequest {
            group_id: group.into(),
            topics: topics.collect(),
            ..Default::default()
        };
        let timeout = self.cluster.options().request_timeout;
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_coordinator(group, &body, timeout).await?;
                Error::check(answer.error_code, || format!("group {group}"), None)?;
                for topic in &answer.topics {
                    for p in &topic.partitions {
                        let about =
                            || format!("group {group}, {}-{}", topic.name, p.partition_index);
                        Error::check(p.error_code, about, None)?;
                    }
                }
                Ok(())
            })
            .await
    }
}

/// The body of an OffsetCommit.
pub(crate) fn commit_topics(
    offsets: &BTreeMap<TopicPartition, Committed>,
) -> Vec<OffsetCommitRequestTopic> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for (partition, committed) in offsets {
        topics.entry(&partition.topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch,
            committed_metadata: Some(Str::from(&committed.metadata)),
            ..Default::default()
        });
    }
    let topics = topics.into_iter().map(|(name, partitions)| OffsetCommitRequestTopic {
        name: name.into(),
        partitions,
        ..Default::default()
    });
    topics.collect()
}
