//! Committed offsets: who may commit, fetch and delete them.

use std::sync::Arc;

use super::records::GroupRecord;
use super::state::{Group, Step};
use super::{
    CommitReply, CommitRequest, DeleteOffsetsRequest, DeletedOffsets, FetchedOffset, GroupConfig,
    GroupError, GroupState, MemberRef, OffsetToCommit, OffsetsWanted,
};
use crate::{Now, Offset, TopicId, TopicPartition};

/// An offset as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommittedOffset {
    pub(super) offset: Offset,
    pub(super) leader_epoch: i32,
    pub(super) metadata: Arc<str>,
    pub(super) committed_at_ms: i64,
    /// Set by clients that choose the retention themselves (OffsetCommit 2 to 4).
    pub(super) expires_at_ms: Option<i64>,
    pub(super) topic_id: TopicId,
}

impl CommittedOffset {
    fn from_request(asked: &OffsetToCommit, expires_at_ms: Option<i64>, now: Now) -> Self {
        // The record version that holds an expiry has no room for epoch and id.
        let plain = expires_at_ms.is_none();
        Self {
            offset: asked.offset,
            leader_epoch: if plain { asked.leader_epoch } else { -1 },
            metadata: Arc::clone(&asked.metadata),
            committed_at_ms: now.wall_ms,
            expires_at_ms,
            topic_id: if plain { asked.topic_id } else { TopicId::ZERO },
        }
    }

    fn fetched(&self, partition: TopicPartition) -> FetchedOffset {
        FetchedOffset {
            partition,
            topic_id: self.topic_id,
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: Arc::clone(&self.metadata),
            committed_at_ms: self.committed_at_ms,
        }
    }
}

impl CommitReply {
    /// The same error for every partition.
    pub(super) fn refused(request: &CommitRequest, error: GroupError) -> Self {
        let partitions =
            request.offsets.iter().map(|asked| (asked.partition.clone(), Some(error))).collect();
        Self { partitions }
    }
}

/// Lengths are counted as Java counts them.
pub(super) fn too_long(metadata: &str, config: &GroupConfig) -> bool {
    metadata.len() > config.offset_metadata_max_bytes
        && metadata.encode_utf16().count() > config.offset_metadata_max_bytes
}

impl Group {
    /// Whether this member may commit now; commits of members are a sign of life.
    pub(super) fn admit_commit(&mut self, member: &MemberRef, now: Now) -> Result<(), GroupError> {
        let (id, instance_id) = (&member.member_id, member.instance_id.as_deref());
        if member.generation < 0 && self.state == GroupState::Empty {
            return Ok(());
        }
        if member.generation < 0 && id.is_empty() && instance_id.is_none() {
            // Without a membership only an empty group takes offsets.
            return Err(GroupError::UnknownMemberId);
        }
        self.check_member(id, instance_id, Some(member.generation))?;
        if member.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        if self.state == GroupState::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        self.renew_session(id, now);
        Ok(())
    }

    /// Writes the offsets of an admitted commit: all that are acceptable, or none if they do not fit.
    pub(super) fn commit(&mut self, request: &CommitRequest, step: &mut Step<'_>) -> CommitReply {
        let expires = request.retention_ms.map(|ms| step.now.wall_ms.saturating_add(ms));
        let mut partitions = Vec::with_capacity(request.offsets.len());
        let mut records = Vec::with_capacity(request.offsets.len());
        for asked in &request.offsets {
            let error = too_long(&asked.metadata, step.config)
                .then_some(GroupError::OffsetMetadataTooLarge);
            partitions.push((asked.partition.clone(), error));
            if error.is_none() {
                records.push(GroupRecord::Offset {
                    group: Arc::clone(&self.id),
                    partition: asked.partition.clone(),
                    committed: Some(CommittedOffset::from_request(asked, expires, step.now)),
                });
            }
        }
        if request.member.generation >= 0 {
            records.extend(self.note_overwritten(request));
        }
        if !GroupRecord::fit(&records, step.config) {
            return CommitReply::refused(request, GroupError::InvalidCommitOffsetSize);
        }
        step.records.append(&mut records);
        CommitReply { partitions }
    }

    pub(super) fn fetch_offsets(&mut self, wanted: &OffsetsWanted) -> Vec<FetchedOffset> {
        match wanted {
            OffsetsWanted::All => {
                self.note_all_fetched();
                let all = self.offsets.iter();
                all.map(|(partition, offset)| offset.fetched(partition.clone())).collect()
            }
            OffsetsWanted::These(these) => {
                let mut found = Vec::with_capacity(these.len());
                for (partition, topic_id) in these {
                    self.note_fetched(partition);
                    let offset = self.offsets.get(partition).filter(|offset| {
                        topic_id.is_zero()
                            || offset.topic_id.is_zero()
                            || offset.topic_id == *topic_id
                    });
                    found.push(match offset {
                        Some(offset) => offset.fetched(partition.clone()),
                        None => FetchedOffset::none(partition.clone(), *topic_id),
                    });
                }
                found
            }
        }
    }

    pub(super) fn delete_offsets(
        &self,
        request: &DeleteOffsetsRequest,
        step: &mut Step<'_>,
    ) -> Result<DeletedOffsets, GroupError> {
        if self.state != GroupState::Empty && !self.uses_consumer_protocol() {
            return Err(GroupError::NonEmptyGroup);
        }
        let mut partitions = Vec::with_capacity(request.partitions.len());
        for partition in &request.partitions {
            if self.reads(&partition.topic) {
                let error = GroupError::GroupSubscribedToTopic;
                partitions.push((partition.clone(), Some(error)));
                continue;
            }
            if self.offsets.contains_key(partition) {
                step.records.push(GroupRecord::offset_tombstone(&self.id, partition));
            }
            partitions.push((partition.clone(), None));
        }
        Ok(DeletedOffsets { partitions })
    }
}

impl FetchedOffset {
    /// There is no commit.
    pub(super) fn none(partition: TopicPartition, topic_id: TopicId) -> Self {
        Self {
            partition,
            topic_id,
            offset: -1,
            leader_epoch: -1,
            metadata: Arc::from(""),
            committed_at_ms: -1,
        }
    }
}
