//! Walks a Fetch request without materialising it.

use super::TopicRef;
use super::cursor::{Cursor, Known};
use crate::{ApiKey, DecodeError, Uuid};

/// The fewest bytes of a topic: what a count is checked against.
const TOPIC_MIN: usize = 3;

/// A Fetch request, versions 4 to 18, checked and ready to be walked.
#[derive(Clone, Copy, Debug)]
pub struct Fetch<'a> {
    /// The cluster that the client means; null if it does not say.
    pub cluster_id: Option<&'a str>,
    /// The follower that asks, or -1 for a consumer.
    pub replica_id: i32,
    /// The follower's epoch; -1 if it does not say.
    pub replica_epoch: i64,
    /// How long to wait for `min_bytes`, in milliseconds.
    pub max_wait_ms: i32,
    /// Bytes to wait for.
    pub min_bytes: i32,
    /// Bytes to answer with at most; one batch may exceed it.
    pub max_bytes: i32,
    /// 0: everything, 1: committed transactions only.
    pub isolation_level: i8,
    /// The fetch session; 0 for none (KIP-227).
    pub session_id: i32,
    /// The session's epoch; -1 for none, 0 to open one.
    pub session_epoch: i32,
    /// Where the consumer is, to read from a close replica (KIP-392); empty if it does not say.
    pub rack_id: &'a str,
    version: i16,
    topics: Cursor<'a>,
    topic_count: usize,
    forgotten: Cursor<'a>,
    forgotten_count: usize,
}

/// What is asked of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition<'a> {
    /// The topic.
    pub topic: TopicRef<'a>,
    /// The partition.
    pub index: i32,
    /// The leader epoch that the client knows; -1 if none.
    pub current_leader_epoch: i32,
    /// The offset to read from.
    pub fetch_offset: i64,
    /// The epoch of the follower's last record; -1 if none (KIP-595).
    pub last_fetched_epoch: i32,
    /// The follower's first offset; -1 from a consumer.
    pub log_start_offset: i64,
    /// Bytes to answer with at most for this partition.
    pub max_bytes: i32,
    /// The follower's directory.
    pub replica_directory_id: Uuid,
    /// The high watermark that the follower knows; `i64::MAX` if it does not say (KIP-1166).
    pub high_watermark: i64,
}

/// A partition that the session is to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForgottenPartition<'a> {
    /// The topic.
    pub topic: TopicRef<'a>,
    /// The partition.
    pub index: i32,
}

impl<'a> Fetch<'a> {
    /// Reads the body that starts at `at` in `frame` and takes all the rest of it.
    pub fn parse(frame: &'a [u8], at: usize, version: i16) -> Result<Self, DecodeError> {
        if !ApiKey::Fetch.versions().contains(&version) {
            let message = "FetchRequest";
            return Err(DecodeError::UnsupportedVersion { message, version });
        }
        let mut c = Cursor::new(frame, at, ApiKey::Fetch.is_flexible(version));
        let replica_id = if version <= 14 { c.i32()? } else { -1 };
        let (max_wait_ms, min_bytes, max_bytes) = (c.i32()?, c.i32()?, c.i32()?);
        let isolation_level = c.i8()?;
        let (session_id, session_epoch) = if version >= 7 { (c.i32()?, c.i32()?) } else { (0, -1) };
        let topic_count = c.count(TOPIC_MIN)?;
        let mut fetch = Self {
            cluster_id: None,
            replica_id,
            replica_epoch: -1,
            max_wait_ms,
            min_bytes,
            max_bytes,
            isolation_level,
            session_id,
            session_epoch,
            rack_id: "",
            version,
            topics: c,
            topic_count,
            forgotten: c,
            forgotten_count: 0,
        };
        fetch.parse_rest()?;
        Ok(fetch)
    }

    /// Checks the partitions, and reads what stands behind them.
    fn parse_rest(&mut self) -> Result<(), DecodeError> {
        let mut topics = self.walk(self.topics, self.topic_count);
        while topics.step(partition)?.is_some() {}
        let mut c = topics.at;
        if self.version >= 7 {
            self.forgotten_count = c.count(TOPIC_MIN)?;
            self.forgotten = c;
            let mut forgotten = self.walk(c, self.forgotten_count);
            while forgotten.step(forgotten_partition)?.is_some() {}
            c = forgotten.at;
        }
        if self.version >= 11 {
            self.rack_id = c.str()?;
        }
        let version = self.version;
        c.tags(|tag, field| {
            match tag {
                0 => self.cluster_id = field.str_opt()?,
                1 if version >= 15 => {
                    self.replica_id = field.i32()?;
                    self.replica_epoch = field.i64()?;
                    field.skip_tags()?;
                }
                _ => return Ok(Known::No),
            }
            Ok(Known::Yes)
        })?;
        c.finish()
    }

    fn walk(&self, at: Cursor<'a>, topics_left: usize) -> Walk<'a> {
        Walk { at, version: self.version, topics_left, topic: None }
    }

    /// The partitions asked for, in the order of the frame. In a session, only what changed.
    pub fn partitions(&self) -> impl Iterator<Item = FetchPartition<'a>> + use<'a> {
        let mut walk = self.walk(self.topics, self.topic_count);
        std::iter::from_fn(move || walk.step(partition).expect("parse has walked all of it"))
    }

    /// The partitions that the session is to forget.
    pub fn forgotten(&self) -> impl Iterator<Item = ForgottenPartition<'a>> + use<'a> {
        let mut walk = self.walk(self.forgotten, self.forgotten_count);
        std::iter::from_fn(move || {
            walk.step(forgotten_partition).expect("parse has walked all of it")
        })
    }
}

/// Reads a partition to fetch.
fn partition<'a>(
    c: &mut Cursor<'a>,
    topic: TopicRef<'a>,
    version: i16,
) -> Result<FetchPartition<'a>, DecodeError> {
    let mut partition = FetchPartition {
        topic,
        index: c.i32()?,
        current_leader_epoch: if version >= 9 { c.i32()? } else { -1 },
        fetch_offset: c.i64()?,
        last_fetched_epoch: if version >= 12 { c.i32()? } else { -1 },
        log_start_offset: if version >= 5 { c.i64()? } else { -1 },
        max_bytes: c.i32()?,
        replica_directory_id: Uuid::ZERO,
        high_watermark: i64::MAX,
    };
    c.tags(|tag, field| {
        match tag {
            0 if version >= 17 => partition.replica_directory_id = field.uuid()?,
            1 if version >= 18 => partition.high_watermark = field.i64()?,
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    })?;
    Ok(partition)
}

/// Reads a partition to forget, which is a number.
fn forgotten_partition<'a>(
    c: &mut Cursor<'a>,
    topic: TopicRef<'a>,
    _version: i16,
) -> Result<ForgottenPartition<'a>, DecodeError> {
    Ok(ForgottenPartition { topic, index: c.i32()? })
}

/// Topics that hold partitions: the shape of both lists.
struct Walk<'a> {
    at: Cursor<'a>,
    version: i16,
    topics_left: usize,
    /// The topic being walked, and how many of its partitions are left.
    topic: Option<(TopicRef<'a>, usize)>,
}

/// Reads one partition of a list.
type ReadPartition<'a, T> = fn(&mut Cursor<'a>, TopicRef<'a>, i16) -> Result<T, DecodeError>;

impl<'a> Walk<'a> {
    fn step<T>(&mut self, read: ReadPartition<'a, T>) -> Result<Option<T>, DecodeError> {
        loop {
            match self.topic {
                Some((topic, left)) if left > 0 => {
                    self.topic = Some((topic, left - 1));
                    return read(&mut self.at, topic, self.version).map(Some);
                }
                Some(_) => {
                    self.at.skip_tags()?;
                    self.topic = None;
                }
                None if self.topics_left > 0 => {
                    self.topics_left -= 1;
                    let topic = self.at.topic(self.version)?;
                    let partitions = self.at.count(size_of::<i32>())?;
                    self.topic = Some((topic, partitions));
                }
                None => return Ok(None),
            }
        }
    }
}
