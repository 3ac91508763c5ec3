//! Answers ApiKey 2, ListOffsets: where a partition begins, ends, and was at a given time.
//!
//! Negative timestamps are questions of their own, each known from some version on. Tiered storage is
//! off: nothing is tiered (-5) and nothing waits to be (-6), which is told as Kafka tells it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use engine::LeaderEpoch;
use storage::{TimestampQuery, TimestampSearch};
use wire::list_offsets::response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use wire::{ErrorCode, ListOffsetsRequest, ListOffsetsResponse};
use world::tasks::{Pool, blocking};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use super::owners::ask_owners;
use super::reader::refusal;
use crate::partition::PartitionId;
use crate::shard::Shard;

/// What a timestamp asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Latest,
    Earliest,
    /// What only tiered storage could answer.
    Tiered,
    Time(TimestampQuery),
}

impl Question {
    /// `None` if this version does not know the question.
    fn read(timestamp: i64, version: i16) -> Option<Self> {
        let (question, since) = match timestamp {
            -1 => (Self::Latest, 1),
            -2 => (Self::Earliest, 1),
            -3 => (Self::Time(TimestampQuery::Max), 7),
            // Without tiers, all is local.
            -4 => (Self::Earliest, 8),
            -5 => (Self::Tiered, 9),
            -6 => (Self::Tiered, 11),
            0.. => (Self::Time(TimestampQuery::AtOrAfter(timestamp)), 1),
            _ => return None,
        };
        (version >= since).then_some(question)
    }
}

/// What one partition is asked.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    pub(super) question: Question,
    pub(super) current_leader_epoch: i32,
    pub(super) visible: Visible,
}

/// How far the asker may see.
#[derive(Clone, Copy)]
pub(super) enum Visible {
    Watermark,
    Stable,
    End,
}

impl Visible {
    fn of(request: &ListOffsetsRequest) -> Self {
        match (request.replica_id, request.isolation_level) {
            (-1, 1) => Self::Stable,
            (-1, _) => Self::Watermark,
            _ => Self::End,
        }
    }
}

/// What the partition's owner knows, or what has to be looked up on disk.
pub(super) enum Found {
    Here(Offset),
    Search { id: PartitionId, search: TimestampSearch, visible_end: i64 },
}

/// An answer; -1 is "none" in all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offset {
    pub(super) timestamp: i64,
    offset: i64,
    leader_epoch: i32,
}

impl Offset {
    const NONE: Self = Self { timestamp: -1, offset: -1, leader_epoch: -1 };
}

pub(crate) async fn handle(call: Call, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let state = call.state();
    let visible = Visible::of(&request);
    let mut times: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            *times.entry((&topic.name, partition.partition_index)).or_default() += 1;
        }
    }
    let mut asks = Vec::new();
    let mut refused = Vec::new();
    for topic in &request.topics {
        let known = state.image.topic(&topic.name);
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let question = Question::read(partition.timestamp, call.version);
            let target = known.filter(|topic| topic.partition(index).is_some());
            let checked = match (question, target) {
                _ if times[&(topic.name.as_str(), index)] > 1 => Err(ErrorCode::InvalidRequest),
                (_, None) => Err(ErrorCode::UnknownTopicOrPartition),
                (None, _) => Err(ErrorCode::UnsupportedVersion),
                (Some(question), Some(topic)) => {
                    let current_leader_epoch = partition.current_leader_epoch;
                    let ask = Ask { question, current_leader_epoch, visible };
                    asks.push((PartitionId { topic: topic.id, index }, ask));
                    Ok(())
                }
            };
            refused.push(checked.err());
        }
    }
    let mut found = ask_owners(&call, asks, ask_here).await.into_iter();
    let mut refused = refused.into_iter();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let answer = match refused.next().flatten() {
                Some(code) => Err(code),
                None => match found.next().flatten() {
                    Some(Ok(found)) => settle(&call, found).await,
                    Some(Err(code)) => Err(code),
                    None => Err(ErrorCode::NotLeaderOrFollower),
                },
            };
            partitions.push(describe(partition.partition_index, answer, call.version));
        }
        let name = topic.name.clone();
        topics.push(ListOffsetsTopicResponse { name, partitions, ..Default::default() });
    }
    ListOffsetsResponse { topics, ..Default::default() }
}

/// Runs on the owner.
pub(super) fn ask_here(shard: &Rc<Shard>, id: PartitionId, ask: Ask) -> Result<Found, ErrorCode> {
    let partition = shard.partition(id).map_err(|missing| missing.code())?;
    let partition = partition.borrow();
    if let Some(code) = refusal(shard, &partition, ask.current_leader_epoch) {
        return Err(code);
    }
    if !matches!(ask.visible, Visible::End) && !partition.is_serving() {
        // The watermark of an earlier leader may be ahead of what is known here (KIP-207).
        return Err(ErrorCode::OffsetNotAvailable);
    }
    let epoch = partition.settings.place.leader_epoch;
    let (log, state) = (&partition.log, partition.log.state());
    let visible_end = match ask.visible {
        Visible::Watermark => state.high_watermark(),
        Visible::Stable => log.last_stable_offset(),
        Visible::End => state.end(),
    };
    Ok(match ask.question {
        Question::Latest => {
            Found::Here(Offset { offset: visible_end, leader_epoch: epoch.0, ..Offset::NONE })
        }
        Question::Earliest => {
            let offset = state.start();
            let LeaderEpoch(leader_epoch) = log.epochs().epoch_of(offset).unwrap_or(epoch);
            Found::Here(Offset { offset, leader_epoch, ..Offset::NONE })
        }
        Question::Tiered => Found::Here(Offset::NONE),
        Question::Time(query) => {
            Found::Search { id, search: log.search_timestamp(query), visible_end }
        }
    })
}

pub(super) async fn settle(call: &Call, found: Found) -> Result<Offset, ErrorCode> {
    let (id, search, visible_end) = match found {
        Found::Here(offset) => return Ok(offset),
        Found::Search { id, search, visible_end } => (id, search, visible_end),
    };
    let tasks = Arc::clone(&call.shared().world.tasks);
    let found = blocking(&*tasks, Pool::Read, move || search.run()).await.map_err(|error| {
        if call.shared().read_failed(id, &error) {
            tracing::error!(%error, "cannot search a partition by time");
        }
        error.code()
    })?;
    // What the asker may not see yet is not there.
    Ok(found.filter(|found| found.offset < visible_end).map_or(Offset::NONE, |found| Offset {
        timestamp: found.timestamp,
        offset: found.offset,
        leader_epoch: found.leader_epoch,
    }))
}

fn describe(
    partition_index: i32,
    answer: Result<Offset, ErrorCode>,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let error_code = number(match answer.err() {
        // Clients of these versions do not know it (KIP-207).
        Some(ErrorCode::OffsetNotAvailable) if version < 5 => ErrorCode::LeaderNotAvailable,
        code => code.unwrap_or(ErrorCode::None),
    });
    let Offset { timestamp, offset, leader_epoch } = answer.unwrap_or(Offset::NONE);
    let leader_epoch = if version >= 4 { leader_epoch } else { -1 };
    ListOffsetsPartitionResponse {
        partition_index,
        error_code,
        timestamp,
        offset,
        leader_epoch,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use wire::ErrorCode;

    use super::{Question, TimestampQuery, describe};

    #[test]
    fn a_client_is_told_an_error_that_its_version_knows() {
        let told = |version| describe(0, Err(ErrorCode::OffsetNotAvailable), version).error_code;
        assert_eq!(told(4), i16::from(ErrorCode::LeaderNotAvailable));
        assert_eq!(told(5), i16::from(ErrorCode::OffsetNotAvailable));
    }

    #[test]
    fn a_question_is_known_from_its_version_on() {
        for (timestamp, since, question) in [
            (-1, 1, Question::Latest),
            (-2, 1, Question::Earliest),
            (-3, 7, Question::Time(TimestampQuery::Max)),
            (-4, 8, Question::Earliest),
            (-5, 9, Question::Tiered),
            (-6, 11, Question::Tiered),
            (0, 1, Question::Time(TimestampQuery::AtOrAfter(0))),
        ] {
            for version in 1..=11 {
                let expected = (version >= since).then_some(question);
                assert_eq!(Question::read(timestamp, version), expected, "{timestamp} v{version}");
            }
        }
        for unknown in [-7, i64::MIN] {
            assert_eq!(Question::read(unknown, 11), None);
        }
    }
}
