//! Reads records of partitions that the caller chose, from offsets that the caller chose.
//!
//! One Fetch per leader and call of [`Consumer::poll`], without fetch sessions. What is damaged, or not
//! there, is an error that names the partition; the others' records are not lost with it, since
//! positions move only for what was handed out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use wire::fetch::request::{FetchPartition, FetchTopic};
use wire::fetch::response::{AbortedTransaction, PartitionData};
use wire::record::{Batch, Batches, ControlType, Limits};
use wire::{ErrorCode, FetchRequest, Str, Uuid};

use crate::TopicPartition;
use crate::cluster::Cluster;
use crate::error::Error;

/// The first version of Fetch that names topics by their id.
const FETCH_BY_ID: i16 = 13;
/// The first version of Fetch that says where the consumer is.
const RACKS_SINCE: i16 = 11;
/// After so long the leader is asked again which replica is the nearest.
const NEAREST_MAX: Duration = Duration::from_secs(300);

/// Which records of transactions are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All, also of transactions that are open or were aborted.
    Uncommitted,
    /// Only those of committed transactions.
    #[default]
    Committed,
}

/// How records are read.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// How long a broker may wait for records.
    pub max_wait: Duration,
    /// Fewer bytes than this are not worth an answer before `max_wait`.
    pub min_bytes: i32,
    /// The most bytes of one answer; a larger batch comes alone.
    pub max_bytes: i32,
    /// The most bytes of one partition in one answer.
    pub partition_max_bytes: i32,
    /// Which records of transactions are seen.
    pub isolation: Isolation,
    /// Where to go on when an offset is not there (any more); an error if `None`.
    pub on_out_of_range: Option<crate::admin::OffsetAt>,
    /// Where we are: the leader may send us to a replica there (KIP-392).
    pub rack: Option<String>,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            isolation: Isolation::Committed,
            on_out_of_range: None,
            rack: None,
        }
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumedRecord {
    /// The topic's name.
    pub topic: String,
    /// The partition's index.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Key; `None` is null.
    pub key: Option<Bytes>,
    /// Value; `None` is null.
    pub value: Option<Bytes>,
    /// Names and values.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// Where a partition is read.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    next: i64,
    /// Behind the last record that may be read; -1 before the first answer.
    end: i64,
    /// The follower to read from that the leader has named, and until when.
    nearest: Option<(i32, Duration)>,
}

impl Position {
    fn at(next: i64) -> Self {
        Self { next, end: -1, nearest: None }
    }
}

/// Reads records.
pub struct Consumer {
    cluster: Cluster,
    options: ConsumerOptions,
    positions: BTreeMap<TopicPartition, Position>,
    /// Which partition comes first in the next request: a full answer must not starve the last.
    turn: usize,
}

impl Consumer {
    /// A consumer without partitions.
    pub fn new(cluster: Cluster, options: ConsumerOptions) -> Self {
        Self { cluster, options, positions: BTreeMap::new(), turn: 0 }
    }

    /// Reads these partitions from these offsets on, and no others.
    pub fn assign(&mut self, offsets: BTreeMap<TopicPartition, i64>) {
        let at = |(partition, next)| (partition, Position::at(next));
        self.positions = offsets.into_iter().map(at).collect();
    }

    /// Reads `partition` from `offset` on; adds it if it was not there.
    pub fn seek(&mut self, partition: TopicPartition, offset: i64) {
        self.positions.entry(partition).or_insert(Position::at(0)).next = offset;
    }

    /// The partitions with the offsets at which they are read next.
    pub fn positions(&self) -> BTreeMap<TopicPartition, i64> {
        self.positions.iter().map(|(partition, at)| (partition.clone(), at.next)).collect()
    }

    /// Behind the last record that may be read, as of the last answer.
    pub fn end(&self, partition: &TopicPartition) -> Option<i64> {
        self.positions.get(partition).map(|at| at.end).filter(|end| *end >= 0)
    }

    /// The follower that `partition` is read from, if it is not its leader.
    pub fn nearest(&self, partition: &TopicPartition) -> Option<i32> {
        self.positions.get(partition)?.nearest.map(|(id, _)| id)
    }

    /// Asks once; empty if nothing came within `max_wait`. Retriable refusals are waited out, for as
    /// long as the cluster's `retry_for`.
    ///
    /// # Errors
    /// When the brokers cannot be reached, or refuse, or a batch is damaged.
    pub async fn poll(&mut self) -> Result<Vec<ConsumedRecord>, Error> {
        if self.positions.is_empty() {
            self.cluster.world().clock.sleep(self.options.max_wait).await;
            return Ok(Vec::new());
        }
        let cluster = self.cluster.clone();
        self.turn = self.turn.wrapping_add(1);
        cluster.retry(async || self.poll_once().await).await
    }

    async fn poll_once(&mut self) -> Result<Vec<ConsumedRecord>, Error> {
        let (by_leader, ids) = self.by_leader().await?;
        let asked = by_leader.into_iter().map(|(broker, partitions)| {
            let answer = self.fetch(broker, partitions, &ids);
            async move { (broker, answer.await) }
        });
        let answers = join_all(asked).await;
        let mut answered = Vec::new();
        let mut failure = None;
        for (broker, answer) in answers {
            match answer {
                Ok(answer) => answered.extend(answer),
                Err(error) => {
                    self.leave(broker);
                    failure = failure.or(Some(error));
                }
            }
        }
        answered.retain(|(partition, data)| !self.goes_elsewhere(partition, data));
        // First what waits: a caller that gives up meanwhile has lost no record.
        for (partition, data) in &answered {
            if data.error_code == ErrorCode::OffsetOutOfRange.number() {
                failure = failure.or(self.go_back_in_range(partition).await.err());
            }
        }
        let mut records = Vec::new();
        for (partition, data) in &answered {
            if data.error_code != ErrorCode::OffsetOutOfRange.number() {
                failure = failure.or(self.take(partition, data, &mut records).err());
            }
        }
        match failure {
            // What was read goes out first; the failure comes again with the next call.
            Some(error) if records.is_empty() => Err(error),
            Some(error) => {
                tracing::debug!(%error, "a partition could not be read");
                self.cluster.forget();
                Ok(records)
            }
            None => Ok(records),
        }
    }

    /// Has the leader asked again for what was read from this broker.
    fn leave(&mut self, broker: i32) {
        for at in self.positions.values_mut() {
            at.nearest = at.nearest.filter(|(nearest, _)| *nearest != broker);
        }
    }

    /// Whether the next answer is to come from another replica: from one that is nearer, or from the leader
    /// because the nearer one refuses.
    fn goes_elsewhere(&mut self, partition: &TopicPartition, data: &PartitionData) -> bool {
        let now = self.cluster.world().clock.tick();
        let Some(at) = self.positions.get_mut(partition) else { return false };
        if data.preferred_read_replica >= 0 {
            at.nearest = Some((data.preferred_read_replica, now + NEAREST_MAX));
            return true;
        }
        data.error_code != 0 && at.nearest.take().is_some()
    }

    async fn by_leader(
        &self,
    ) -> Result<(BTreeMap<i32, Vec<TopicPartition>>, BTreeMap<String, Uuid>), Error> {
        let mut by_leader: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
        let mut ids = BTreeMap::new();
        let now = self.cluster.world().clock.tick();
        let from = self.turn % self.positions.len();
        for partition in self.positions.keys().cycle().skip(from).take(self.positions.len()) {
            let topic = self.cluster.topic(&partition.topic, false).await?;
            let found = topic.partitions.get(&partition.partition).ok_or_else(|| {
                Error::refused(partition.to_string(), ErrorCode::UnknownTopicOrPartition)
            })?;
            let leader = found.leader.ok_or_else(|| {
                Error::refused(partition.to_string(), ErrorCode::LeaderNotAvailable)
            })?;
            ids.insert(partition.topic.clone(), topic.id);
            let nearest = self.positions[partition].nearest.filter(|(_, until)| now < *until);
            let leader = nearest.map_or(leader, |(id, _)| id);
            by_leader.entry(leader).or_default().push(partition.clone());
        }
        Ok((by_leader, ids))
    }

    async fn fetch(
        &self,
        leader: i32,
        partitions: Vec<TopicPartition>,
        ids: &BTreeMap<String, Uuid>,
    ) -> Result<Vec<(TopicPartition, PartitionData)>, Error> {
        let connection = self.cluster.broker(leader).await?;
        let has_ids = ids.values().all(|id| !id.is_zero());
        let newest = if has_ids { i16::MAX } else { FETCH_BY_ID - 1 };
        let version = connection.version::<FetchRequest>(newest)?;
        // A topic's partitions may stand apart because of the turn; each run is an entry of its own.
        let mut topics: Vec<FetchTopic> = Vec::new();
        for partition in &partitions {
            let at = self.positions[partition];
            let entry = FetchPartition {
                partition: partition.partition,
                fetch_offset: at.next,
                partition_max_bytes: self.options.partition_max_bytes,
                ..Default::default()
            };
            match topics.iter_mut().find(|topic| topic.topic == partition.topic.as_str()) {
                Some(topic) => topic.partitions.push(entry),
                None => topics.push(FetchTopic {
                    topic: Str::from(&partition.topic),
                    topic_id: ids[&partition.topic],
                    partitions: vec![entry],
                    ..Default::default()
                }),
            }
        }
        let body = FetchRequest {
            max_wait_ms: i32::try_from(self.options.max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.options.min_bytes,
            max_bytes: self.options.max_bytes,
            isolation_level: i8::from(self.options.isolation == Isolation::Committed),
            session_epoch: -1,
            rack_id: match &self.options.rack {
                Some(rack) if version >= RACKS_SINCE => Str::from(rack),
                _ => Str::default(),
            },
            topics,
            ..Default::default()
        };
        let timeout = self.cluster.options().request_timeout.saturating_add(self.options.max_wait);
        let answer = connection.ask_at(&body, version, timeout).await?;
        Error::check(answer.error_code, || format!("a fetch from broker {leader}"), None)?;
        let mut found = Vec::new();
        for topic in answer.responses {
            let name = if version >= FETCH_BY_ID {
                ids.iter().find(|(_, id)| **id == topic.topic_id).map(|(name, _)| name.clone())
            } else {
                Some(topic.topic.to_string())
            };
            let Some(name) = name else { continue };
            for data in topic.partitions {
                let partition = TopicPartition::new(&name, data.partition_index);
                if partitions.contains(&partition) {
                    found.push((partition, data));
                }
            }
        }
        Ok(found)
    }

    /// Moves the position of a partition whose offset is not there, if that is wanted.
    async fn go_back_in_range(&mut self, partition: &TopicPartition) -> Result<(), Error> {
        let next = self.positions[partition].next;
        let Some(at) = self.options.on_out_of_range else {
            let about = format!("{partition} at offset {next}");
            return Err(Error::refused(about, ErrorCode::OffsetOutOfRange));
        };
        let admin = crate::Admin::new(self.cluster.clone());
        let of = BTreeSet::from([partition.clone()]);
        let found = admin.offsets_or_end(at, &of, self.options.isolation).await?;
        if let Some(offset) = found.get(partition) {
            tracing::warn!("{partition}: offset {next} is not there; going on at {offset}");
            self.seek(partition.clone(), *offset);
        }
        Ok(())
    }

    /// Takes the records of one partition and moves its position behind them.
    fn take(
        &mut self,
        partition: &TopicPartition,
        data: &PartitionData,
        records: &mut Vec<ConsumedRecord>,
    ) -> Result<(), Error> {
        let next = self.positions[partition].next;
        Error::check(data.error_code, || format!("{partition} at offset {next}"), None)?;
        let position = self.positions.get_mut(partition).expect("only what is assigned is taken");
        position.end = match self.options.isolation {
            Isolation::Uncommitted => data.high_watermark,
            Isolation::Committed if data.last_stable_offset >= 0 => data.last_stable_offset,
            Isolation::Committed => data.high_watermark,
        };
        let Some(bytes) = data.records.clone().map(wire::Records::into_bytes) else {
            return Ok(());
        };
        let aborted = match self.options.isolation {
            Isolation::Committed => data.aborted_transactions.as_deref().unwrap_or(&[]),
            Isolation::Uncommitted => &[],
        };
        let unpacked = unpack(partition, position.next, &bytes, aborted, records);
        position.next = unpacked?;
        Ok(())
    }
}

/// Unpacks batches from `next` on into `records`; gives back the offset to read next. The last batch of
/// an answer may be cut: it comes whole with the next. Nothing is handed out if a batch is damaged.
fn unpack(
    partition: &TopicPartition,
    next: i64,
    bytes: &Bytes,
    aborted: &[AbortedTransaction],
    records: &mut Vec<ConsumedRecord>,
) -> Result<i64, Error> {
    let had = records.len();
    let mut walk = Walk { partition, next, aborted: Aborted::new(aborted), records };
    for batch in Batches::new(bytes) {
        let taken = match batch {
            Ok(batch) => walk.batch(bytes, batch),
            Err(wire::record::BatchError::Cut { .. }) => break,
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = taken {
            let (partition, offset) = (partition.to_string(), walk.next);
            if walk.records.len() > had {
                // Hand out what came before it; the damage comes first the next time.
                break;
            }
            return Err(Error::BadBatch { partition, offset, reason });
        }
    }
    Ok(walk.next)
}

struct Walk<'a> {
    partition: &'a TopicPartition,
    next: i64,
    aborted: Aborted<'a>,
    records: &'a mut Vec<ConsumedRecord>,
}

impl Walk<'_> {
    fn batch(&mut self, answer: &Bytes, batch: Batch<'_>) -> Result<(), String> {
        batch.verify().map_err(|error| error.to_string())?;
        let header = *batch.header();
        let unpacked = batch.records(Limits::default()).map_err(|error| error.to_string())?;
        let is_aborted = header.is_transactional() && self.aborted.covers(&header);
        if header.is_control() {
            let first = unpacked.iter().next().transpose().map_err(|error| error.to_string())?;
            let kind = first.and_then(|record| record.key).and_then(ControlType::from_key);
            if kind == Some(ControlType::Abort) {
                self.aborted.end(header.producer_id);
            }
        } else if !is_aborted {
            // An unpacked batch is a buffer of its own: its records share one copy of it.
            let whole = if unpacked.bytes().as_ptr() == batch.payload().as_ptr() {
                answer.slice_ref(batch.payload())
            } else {
                Bytes::copy_from_slice(unpacked.bytes())
            };
            let mark = self.records.len();
            for record in &unpacked {
                let record = record.inspect_err(|_| self.records.truncate(mark));
                let record = record.map_err(|error| error.to_string())?;
                if record.offset < self.next {
                    continue;
                }
                let part = |slice: &[u8]| part_of(&whole, unpacked.bytes(), slice);
                self.records.push(ConsumedRecord {
                    topic: self.partition.topic.clone(),
                    partition: self.partition.partition,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(part),
                    value: record.value.map(part),
                    headers: record.headers().map(|h| (part(h.key), h.value.map(part))).collect(),
                });
            }
        }
        self.next = self.next.max(header.next_offset());
        Ok(())
    }
}

/// `slice`, which lies within `bytes`, as a part of `whole`, which holds the same bytes.
fn part_of(whole: &Bytes, bytes: &[u8], slice: &[u8]) -> Bytes {
    if slice.is_empty() {
        return Bytes::new();
    }
    let from = slice.as_ptr() as usize - bytes.as_ptr() as usize;
    whole.slice(from..from + slice.len())
}

/// Which producers' transactions are aborted where the walk stands.
struct Aborted<'a> {
    /// Not begun yet, by first offset.
    ahead: std::collections::VecDeque<&'a AbortedTransaction>,
    open: BTreeSet<i64>,
}

impl<'a> Aborted<'a> {
    fn new(aborted: &'a [AbortedTransaction]) -> Self {
        let mut ahead: Vec<_> = aborted.iter().collect();
        ahead.sort_by_key(|transaction| transaction.first_offset);
        Self { ahead: ahead.into(), open: BTreeSet::new() }
    }

    fn covers(&mut self, header: &wire::record::Header) -> bool {
        while let Some(next) = self.ahead.front() {
            if next.first_offset > header.last_offset() {
                break;
            }
            self.open.insert(next.producer_id);
            self.ahead.pop_front();
        }
        self.open.contains(&header.producer_id)
    }

    fn end(&mut self, producer_id: i64) {
        self.open.remove(&producer_id);
    }
}

#[cfg(test)]
mod tests {
    use wire::record::{BatchBuilder, Codec, EndMarker, NewRecord};

    use super::*;

    fn batch(base: i64, codec: Codec, values: &[&str]) -> BatchBuilder {
        let mut builder = BatchBuilder::new(codec);
        builder.base_offset = base;
        for value in values {
            builder.push(&NewRecord::new("k", value.as_bytes().to_vec(), 7));
        }
        builder
    }

    fn read(next: i64, bytes: Vec<u8>, aborted: &[AbortedTransaction]) -> (i64, Vec<String>) {
        let mut records = Vec::new();
        let partition = TopicPartition::new("t", 0);
        let next = unpack(&partition, next, &bytes.into(), aborted, &mut records).unwrap();
        let show = |record: &ConsumedRecord| {
            let value = record.value.as_ref().map(|v| String::from_utf8_lossy(v).into_owned());
            format!("{}={}", record.offset, value.unwrap_or_default())
        };
        (next, records.iter().map(show).collect())
    }

    #[test]
    fn records_before_the_position_are_not_handed_out_again() {
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let bytes = batch(10, codec, &["a", "b", "c"]).finish().to_vec();
            assert_eq!(read(11, bytes, &[]), (13, vec!["11=b".to_owned(), "12=c".to_owned()]));
        }
    }

    #[test]
    fn a_cut_batch_waits_for_the_next_answer() {
        let mut bytes = batch(0, Codec::None, &["a"]).finish().to_vec();
        let second = batch(1, Codec::None, &["b"]).finish();
        bytes.extend_from_slice(&second[..second.len() - 1]);
        assert_eq!(read(0, bytes, &[]), (1, vec!["0=a".to_owned()]));
    }

    #[test]
    fn a_damaged_batch_is_an_error_that_names_the_partition() {
        let mut bytes = batch(0, Codec::None, &["a"]).finish().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let partition = TopicPartition::new("t", 0);
        let error = unpack(&partition, 0, &bytes.into(), &[], &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("t-0: a batch at offset 0"), "{error}");
    }

    #[test]
    fn records_of_an_aborted_transaction_are_skipped_until_its_marker() {
        let mut bytes = Vec::new();
        let transaction = |base, value| {
            let mut builder = batch(base, Codec::None, &[value]).producer(5, 0, 0);
            builder.transactional = true;
            builder.finish()
        };
        bytes.extend_from_slice(&transaction(0, "gone"));
        bytes.extend_from_slice(&batch(1, Codec::None, &["other"]).finish());
        let marker = EndMarker { kind: ControlType::Abort, coordinator_epoch: 0 };
        let mut end = BatchBuilder::end_marker(5, 0, marker, 7);
        wire::record::batch::stamp(&mut end, 2, 0);
        bytes.extend_from_slice(&end);
        bytes.extend_from_slice(&transaction(3, "kept"));
        let aborted =
            [AbortedTransaction { producer_id: 5, first_offset: 0, ..Default::default() }];
        let expected = vec!["1=other".to_owned(), "3=kept".to_owned()];
        assert_eq!(read(0, bytes.clone(), &aborted), (4, expected));
        assert_eq!(read(0, bytes, &[]).1.len(), 3);
    }
}
