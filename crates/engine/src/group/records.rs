//! The records of `__consumer_offsets`: Kafka's schemas, and one of our own for reset journals.
//!
//! | key version | key | value | written as |
//! | --- | --- | --- | --- |
//! | 0, 1 | group, topic, partition | offset, epoch, metadata, times | 3; 4 with a topic id; 1 with an expiry |
//! | 2 | group | generation, protocol, leader, members | 3, which every Kafka since 2.3 reads |
//! | 10000 | group, token | generation, time, moved offsets | 0, ours; Kafka's tools skip it |
//!
//! Keys of other versions (KIP-848 groups) are skipped on load.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wire::consumer_offsets::{
    GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue,
    group_metadata::value::MemberMetadata,
};
use wire::{DecodeError, EncodeError, Message, Reader, Str, TaggedFields, Writer};

use super::offsets::CommittedOffset;
use super::reset::Reset;
use super::state::Group;
use super::{GroupConfig, OffsetMove};
use crate::TopicPartition;

const OFFSET_KEYS: std::ops::RangeInclusive<i16> = 0..=1;
const GROUP_KEY: i16 = 2;
/// Far above all that Kafka may come to use.
const RESET_KEY: i16 = 10_000;
const RESET_VALUE: i16 = 0;
/// What a record costs in its batch beside key and value, at most.
const FRAMING: usize = 24;

/// One record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRecord {
    /// The key, beginning with its version.
    pub key: Bytes,
    /// The value; `None` for a tombstone.
    pub value: Option<Bytes>,
}

/// A record of `__consumer_offsets` that does not decode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of __consumer_offsets does not decode: {0}")]
pub struct RecordError(pub String);

impl From<DecodeError> for RecordError {
    fn from(error: DecodeError) -> Self {
        Self(error.to_string())
    }
}

/// A group as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupSnapshot {
    /// Empty for none.
    pub(super) protocol_type: Arc<str>,
    pub(super) generation: i32,
    pub(super) protocol: Option<Arc<str>>,
    pub(super) leader: Option<Arc<str>>,
    /// Wall clock; -1 if unknown.
    pub(super) state_since_ms: i64,
    pub(super) members: Vec<MemberSnapshot>,
}

/// A member as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberSnapshot {
    pub(super) id: Arc<str>,
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) rebalance_timeout: Duration,
    pub(super) session_timeout: Duration,
    pub(super) subscription: Bytes,
    pub(super) assignment: Bytes,
}

/// A record with its meaning. A `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GroupRecord {
    Offset { group: Arc<str>, partition: TopicPartition, committed: Option<CommittedOffset> },
    Group { group: Arc<str>, value: Option<GroupSnapshot> },
    Reset { group: Arc<str>, token: Arc<str>, value: Option<Reset> },
}

impl GroupRecord {
    pub(super) fn offset_tombstone(group: &Arc<str>, partition: &TopicPartition) -> Self {
        let partition = partition.clone();
        Self::Offset { group: Arc::clone(group), partition, committed: None }
    }

    pub(super) fn of_group(group: &Group) -> Self {
        Self::Group { group: Arc::clone(&group.id), value: Some(group.snapshot()) }
    }

    /// A group that nobody has joined yet.
    pub(super) fn empty_group(group: &Arc<str>) -> Self {
        let value = Group::new(Arc::clone(group)).snapshot();
        Self::Group { group: Arc::clone(group), value: Some(value) }
    }

    pub(super) fn group_tombstone(group: &Arc<str>) -> Self {
        Self::Group { group: Arc::clone(group), value: None }
    }

    pub(super) fn reset(group: &Arc<str>, reset: &Reset) -> Self {
        Self::Reset {
            group: Arc::clone(group),
            token: Arc::clone(&reset.token),
            value: Some(reset.clone()),
        }
    }

    pub(super) fn reset_tombstone(group: &Arc<str>, token: &Arc<str>) -> Self {
        Self::Reset { group: Arc::clone(group), token: Arc::clone(token), value: None }
    }

    /// Its bytes, at most; `usize::MAX` if it has a string that no record can hold.
    pub(super) fn size(&self) -> usize {
        let mut sum = Sum(FRAMING + 2);
        match self {
            Self::Offset { group, partition, committed } => {
                sum.text(group).text(&partition.topic).fixed(4);
                if let Some(committed) = committed {
                    sum.text(&committed.metadata).fixed(60);
                }
            }
            Self::Group { group, value } => {
                sum.text(group);
                if let Some(value) = value {
                    sum.text(&value.protocol_type).fixed(20);
                    sum.text_opt(value.protocol.as_ref()).text_opt(value.leader.as_ref());
                    for member in &value.members {
                        sum.text(&member.id).text_opt(member.instance_id.as_ref());
                        sum.text(&member.client_id).text(&member.client_host);
                        sum.fixed(16 + member.subscription.len() + member.assignment.len());
                    }
                }
            }
            Self::Reset { group, token, value } => {
                sum.text(group).text(token);
                if let Some(value) = value {
                    sum.fixed(20);
                    for moved in &value.moves {
                        sum.text(&moved.partition.topic).fixed(25);
                    }
                }
            }
        }
        sum.0
    }

    pub(super) fn fits(&self, config: &GroupConfig) -> bool {
        self.size() <= config.max_batch_bytes
    }

    /// Whether these fit one batch.
    pub(super) fn fit(records: &[Self], config: &GroupConfig) -> bool {
        Self::sizes(records) <= config.max_batch_bytes
    }

    pub(super) fn sizes(records: &[Self]) -> usize {
        records.iter().fold(0usize, |sum, record| sum.saturating_add(record.size()))
    }

    pub(super) fn encode(&self) -> EncodedRecord {
        self.try_encode().expect("the sizes of its strings were checked")
    }

    fn try_encode(&self) -> Result<EncodedRecord, EncodeError> {
        match self {
            Self::Offset { group, partition, committed } => {
                let key = OffsetCommitKey {
                    group: Str::from(&**group),
                    topic: Str::from(&*partition.topic),
                    partition: partition.partition,
                    unknown: TaggedFields::EMPTY,
                };
                let value = committed.as_ref().map(encode_offset).transpose()?;
                Ok(EncodedRecord { key: versioned(*OFFSET_KEYS.end(), &key, 0)?, value })
            }
            Self::Group { group, value } => {
                let key = GroupMetadataKey { group: Str::from(&**group), ..Default::default() };
                let value = value.as_ref().map(encode_group).transpose()?;
                Ok(EncodedRecord { key: versioned(GROUP_KEY, &key, 0)?, value })
            }
            Self::Reset { group, token, value } => {
                let mut key = Writer::new();
                key.i16(RESET_KEY);
                key.str(false, group)?;
                key.str(false, token)?;
                let value = value.as_ref().map(encode_reset).transpose()?;
                Ok(EncodedRecord { key: key.into_bytes(), value })
            }
        }
    }

    /// Reads a record; `None` if its kind is not ours.
    pub(super) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self>, RecordError> {
        let mut key = Reader::new(Bytes::copy_from_slice(key));
        let value = value.map(|value| Reader::new(Bytes::copy_from_slice(value)));
        let version = key.i16()?;
        if OFFSET_KEYS.contains(&version) {
            let key = OffsetCommitKey::decode_exact(key.take_rest(), 0)?;
            let committed = value.map(decode_offset).transpose()?;
            let partition = TopicPartition::new(shared(&key.topic), key.partition);
            return Ok(Some(Self::Offset { group: shared(&key.group), partition, committed }));
        }
        if version == GROUP_KEY {
            let key = GroupMetadataKey::decode_exact(key.take_rest(), 0)?;
            let value = value.map(decode_group).transpose()?;
            return Ok(Some(Self::Group { group: shared(&key.group), value }));
        }
        if version == RESET_KEY {
            let (group, token) = (shared(&key.str(false)?), shared(&key.str(false)?));
            key.finish()?;
            let value = value.map(|value| decode_reset(&token, value)).transpose()?;
            return Ok(Some(Self::Reset { group, token, value }));
        }
        Ok(None)
    }
}

/// Adds up sizes.
struct Sum(usize);

impl Sum {
    fn fixed(&mut self, bytes: usize) -> &mut Self {
        self.0 = self.0.saturating_add(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.fixed(if text.len() > i16::MAX as usize { usize::MAX } else { text.len() + 3 })
    }

    fn text_opt(&mut self, text: Option<&Arc<str>>) -> &mut Self {
        self.text(text.map_or("", |text| text))
    }
}

fn shared(text: &Str) -> Arc<str> {
    Arc::from(text.as_str())
}

fn versioned(version: i16, message: &impl Message, at: i16) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i16(version);
    message.encode(&mut w, at)?;
    Ok(w.into_bytes())
}

fn encode_offset(committed: &CommittedOffset) -> Result<Bytes, EncodeError> {
    let version = match (committed.expires_at_ms, committed.topic_id.is_zero()) {
        (Some(_), _) => 1,
        (None, true) => 3,
        (None, false) => 4,
    };
    let value = OffsetCommitValue {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: Str::from(&*committed.metadata),
        commit_timestamp: committed.committed_at_ms,
        expire_timestamp: committed.expires_at_ms.unwrap_or(-1),
        topic_id: committed.topic_id,
        unknown: TaggedFields::EMPTY,
    };
    versioned(version, &value, version)
}

fn decode_offset(mut value: Reader) -> Result<CommittedOffset, RecordError> {
    let version = value.i16()?;
    let value = OffsetCommitValue::decode_exact(value.take_rest(), version)?;
    Ok(CommittedOffset {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: shared(&value.metadata),
        committed_at_ms: value.commit_timestamp,
        expires_at_ms: Some(value.expire_timestamp).filter(|at| *at >= 0),
        topic_id: value.topic_id,
    })
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn duration(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

fn encode_group(group: &GroupSnapshot) -> Result<Bytes, EncodeError> {
    const VERSION: i16 = 3;
    let members = group.members.iter().map(|member| MemberMetadata {
        member_id: Str::from(&*member.id),
        group_instance_id: member.instance_id.as_deref().map(Str::from),
        client_id: Str::from(&*member.client_id),
        client_host: Str::from(&*member.client_host),
        rebalance_timeout: millis(member.rebalance_timeout),
        session_timeout: millis(member.session_timeout),
        subscription: member.subscription.clone(),
        assignment: member.assignment.clone(),
        unknown: TaggedFields::EMPTY,
    });
    let value = GroupMetadataValue {
        protocol_type: Str::from(&*group.protocol_type),
        generation: group.generation,
        protocol: group.protocol.as_deref().map(Str::from),
        leader: group.leader.as_deref().map(Str::from),
        current_state_timestamp: group.state_since_ms,
        members: members.collect(),
        unknown: TaggedFields::EMPTY,
    };
    versioned(VERSION, &value, VERSION)
}

fn decode_group(mut value: Reader) -> Result<GroupSnapshot, RecordError> {
    let version = value.i16()?;
    let value = GroupMetadataValue::decode_exact(value.take_rest(), version)?;
    let mut ids = BTreeSet::new();
    let mut members = Vec::with_capacity(value.members.len());
    for member in &value.members {
        // Version 0 has no rebalance timeout of its own.
        let rebalance = if version == 0 || member.rebalance_timeout < 0 {
            member.session_timeout
        } else {
            member.rebalance_timeout
        };
        let instance = member.group_instance_id.as_ref();
        if !ids.insert((false, &member.member_id))
            || instance.is_some_and(|instance| !ids.insert((true, instance)))
        {
            return Err(RecordError(format!("two members named {}", member.member_id)));
        }
        members.push(MemberSnapshot {
            id: shared(&member.member_id),
            instance_id: instance.map(shared),
            client_id: shared(&member.client_id),
            client_host: shared(&member.client_host),
            rebalance_timeout: duration(rebalance),
            session_timeout: duration(member.session_timeout),
            subscription: member.subscription.clone(),
            assignment: member.assignment.clone(),
        });
    }
    Ok(GroupSnapshot {
        protocol_type: shared(&value.protocol_type),
        generation: value.generation,
        protocol: value.protocol.as_ref().map(shared),
        leader: value.leader.as_ref().map(shared),
        state_since_ms: value.current_state_timestamp,
        members,
    })
}

/// The least bytes of one move: an empty topic name and the numbers.
const MOVE_MIN_BYTES: usize = 2 + 4 + 8 + 4 + 8 + 1;

fn encode_reset(reset: &Reset) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i16(RESET_VALUE);
    w.i32(reset.generation);
    w.i64(reset.at_ms);
    w.array(false, &reset.moves, |w, moved| {
        w.str(false, &moved.partition.topic)?;
        w.i32(moved.partition.partition);
        w.i64(moved.from);
        w.i32(moved.from_leader_epoch);
        w.i64(moved.to);
        w.bool(reset.overwritten.contains(&moved.partition));
        Ok(())
    })?;
    Ok(w.into_bytes())
}

fn decode_reset(token: &Arc<str>, mut r: Reader) -> Result<Reset, RecordError> {
    let version = r.i16()?;
    if version != RESET_VALUE {
        return Err(RecordError(format!("a reset journal of version {version}")));
    }
    let (generation, at_ms) = (r.i32()?, r.i64()?);
    let mut overwritten = BTreeSet::new();
    let moves = r.array(false, MOVE_MIN_BYTES, |r| {
        let partition = TopicPartition::new(shared(&r.str(false)?), r.i32()?);
        let moved = OffsetMove {
            partition: partition.clone(),
            from: r.i64()?,
            from_leader_epoch: r.i32()?,
            to: r.i64()?,
        };
        if r.bool()? {
            overwritten.insert(partition);
        }
        Ok(moved)
    })?;
    r.finish()?;
    Ok(Reset::restored(Arc::clone(token), generation, at_ms, moves, overwritten))
}

/// The topics of a consumer's subscription. Version 0 begins every version, so the rest is not read.
pub(super) fn subscribed_topics(metadata: &Bytes) -> Option<BTreeSet<Arc<str>>> {
    let mut r = Reader::new(metadata.clone());
    r.i16().ok()?;
    let topics = r.array(false, 2, |r| r.str(false)).ok()?;
    Some(topics.iter().map(shared).collect())
}
