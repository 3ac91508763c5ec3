//! The end of offsets and groups: retention (KIP-211), deleted topics, DeleteGroups.

use std::sync::Arc;

use super::offsets::CommittedOffset;
use super::records::GroupRecord;
use super::state::Group;
use super::{GroupConfig, GroupError, GroupState};
use crate::{Now, TopicPartition};

/// Tombstones, up to what one batch holds.
pub(super) struct Tombstones {
    pub(super) records: Vec<GroupRecord>,
    room: usize,
    /// Something did not fit any more.
    pub(super) full: bool,
}

impl Tombstones {
    pub(super) fn new(config: &GroupConfig) -> Self {
        Self { records: Vec::new(), room: config.max_batch_bytes, full: false }
    }

    fn push(&mut self, record: GroupRecord) {
        let size = record.size();
        // At least one goes through: else a tiny limit would stop expiry for ever.
        if size > self.room && !self.records.is_empty() {
            self.full = true;
        }
        if !self.full {
            self.room = self.room.saturating_sub(size);
            self.records.push(record);
        }
    }
}

impl Group {
    /// Tombstones for what has outlived its retention. While members read, an offset lives on; a
    /// group without offsets and members goes too.
    pub(super) fn expire(&self, now: Now, config: &GroupConfig, out: &mut Tombstones) {
        let mut all = true;
        for (partition, offset) in &self.offsets {
            if self.is_expired(partition, offset, now, config) {
                out.push(GroupRecord::offset_tombstone(&self.id, partition));
            } else {
                all = false;
            }
        }
        if all && self.state == GroupState::Empty && self.pending.is_empty() {
            self.tombstones_of_group(out);
        }
    }

    fn is_expired(
        &self,
        partition: &TopicPartition,
        offset: &CommittedOffset,
        now: Now,
        config: &GroupConfig,
    ) -> bool {
        let since = match (&self.protocol_type, self.state) {
            // Only stores offsets: each counts from its commit.
            (None, _) => offset.committed_at_ms,
            // All count from when the last member left.
            (Some(_), GroupState::Empty) => self.state_since_ms.unwrap_or(offset.committed_at_ms),
            // Offsets of topics that the group no longer reads.
            (Some(_), GroupState::Stable)
                if self.uses_consumer_protocol() && self.subscribed.is_some() =>
            {
                offset.committed_at_ms
            }
            (Some(_), _) => return false,
        };
        if self.reads(&partition.topic) {
            return false;
        }
        match offset.expires_at_ms {
            Some(at) => now.wall_ms >= at,
            None => {
                let age = u128::try_from(now.wall_ms.saturating_sub(since)).unwrap_or_default();
                age >= config.offsets_retention.as_millis()
            }
        }
    }

    fn tombstones_of_group(&self, out: &mut Tombstones) {
        for reset in &self.resets {
            out.push(GroupRecord::reset_tombstone(&self.id, &reset.token));
        }
        out.push(GroupRecord::group_tombstone(&self.id));
    }

    /// Tombstones for the offsets of `topic`.
    pub(super) fn forget_topic(&self, topic: &Arc<str>, out: &mut Tombstones) {
        let from = TopicPartition::new(Arc::clone(topic), i32::MIN);
        let to = TopicPartition::new(Arc::clone(topic), i32::MAX);
        for (partition, _) in self.offsets.range(from..=to) {
            out.push(GroupRecord::offset_tombstone(&self.id, partition));
        }
    }

    /// Tombstones for all of it.
    pub(super) fn delete(&self) -> Result<Vec<GroupRecord>, GroupError> {
        if self.state != GroupState::Empty {
            return Err(GroupError::NonEmptyGroup);
        }
        let mut out = Tombstones { records: Vec::new(), room: usize::MAX, full: false };
        for partition in self.offsets.keys() {
            out.push(GroupRecord::offset_tombstone(&self.id, partition));
        }
        self.tombstones_of_group(&mut out);
        Ok(out.records)
    }
}
