//! Walks a Produce request without materialising it.

use std::ops::Range;

use super::TopicRef;
use super::cursor::Cursor;
use crate::{ApiKey, DecodeError};

/// The fewest bytes of a topic or partition: what a count is checked against.
const ELEMENT_MIN: usize = 3;

/// A Produce request, versions 3 to 13, checked and ready to be walked.
#[derive(Clone, Copy, Debug)]
pub struct Produce<'a> {
    /// Who writes in a transaction; null outside of one.
    pub transactional_id: Option<&'a str>,
    /// 0: do not answer, 1: the leader has it, -1: every replica in sync has it.
    pub acks: i16,
    /// How long the client waits, in milliseconds.
    pub timeout_ms: i32,
    version: i16,
    topics: Cursor<'a>,
    topic_count: usize,
}

/// What one partition is to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducePartition<'a> {
    /// The topic.
    pub topic: TopicRef<'a>,
    /// The partition.
    pub index: i32,
    /// Where its batches lie in the frame; null if there are none.
    pub records: Option<Range<usize>>,
}

impl<'a> Produce<'a> {
    /// Reads the body that starts at `at` in `frame` and takes all the rest of it.
    pub fn parse(frame: &'a [u8], at: usize, version: i16) -> Result<Self, DecodeError> {
        if !ApiKey::Produce.versions().contains(&version) {
            let message = "ProduceRequest";
            return Err(DecodeError::UnsupportedVersion { message, version });
        }
        let mut c = Cursor::new(frame, at, ApiKey::Produce.is_flexible(version));
        let transactional_id = c.str_opt()?;
        let (acks, timeout_ms) = (c.i16()?, c.i32()?);
        let topic_count = c.count(ELEMENT_MIN)?;
        let produce = Self { transactional_id, acks, timeout_ms, version, topics: c, topic_count };
        let mut walk = produce.walk();
        while walk.step()?.is_some() {}
        walk.at.skip_tags()?;
        walk.at.finish()?;
        Ok(produce)
    }

    fn walk(&self) -> Walk<'a> {
        Walk { at: self.topics, version: self.version, topics_left: self.topic_count, topic: None }
    }

    /// The partitions, in the order of the frame.
    pub fn partitions(&self) -> impl Iterator<Item = ProducePartition<'a>> + use<'a> {
        let mut walk = self.walk();
        std::iter::from_fn(move || walk.step().expect("parse has walked the whole body"))
    }
}

struct Walk<'a> {
    at: Cursor<'a>,
    version: i16,
    topics_left: usize,
    /// The topic being walked, and how many of its partitions are left.
    topic: Option<(TopicRef<'a>, usize)>,
}

impl<'a> Walk<'a> {
    fn step(&mut self) -> Result<Option<ProducePartition<'a>>, DecodeError> {
        loop {
            match self.topic {
                Some((topic, left)) if left > 0 => {
                    let index = self.at.i32()?;
                    let records = self.at.bytes_opt()?;
                    self.at.skip_tags()?;
                    self.topic = Some((topic, left - 1));
                    return Ok(Some(ProducePartition { topic, index, records }));
                }
                Some(_) => {
                    self.at.skip_tags()?;
                    self.topic = None;
                }
                None if self.topics_left > 0 => {
                    self.topics_left -= 1;
                    let topic = self.at.topic(self.version)?;
                    self.topic = Some((topic, self.at.count(ELEMENT_MIN)?));
                }
                None => return Ok(None),
            }
        }
    }
}
