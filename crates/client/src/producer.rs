//! Sends records: a queue per partition, one request under way for each, tried again until delivered.
//!
//! ```text
//! send → partition chosen → queue ─ drain (one task while there is something) → Produce → Delivered
//! ```
//!
//! One request per partition at a time keeps the order through every retry; batches grow while a
//! request is under way, and partitions do not wait for each other. With `idempotent` a batch that was
//! written and whose answer was lost is not written twice (KIP-98).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use wire::produce::request::{PartitionProduceData, TopicProduceData};
use wire::record::{BatchBuilder, Codec, NewRecord};
use wire::{ErrorCode, InitProducerIdRequest, ProduceRequest, Records, Str};

use crate::TopicPartition;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::metadata::TopicMetadata;
use crate::partitioner::{Sticky, partition_for_key};

/// The first version of Produce that names topics by their id.
const PRODUCE_BY_ID: i16 = 13;
/// Bytes that a record takes in a batch beside key, value and headers, at most.
const RECORD_OVERHEAD: usize = 32;

/// How many replicas must hold a batch before it counts as delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// Nobody answers.
    None,
    /// The leader.
    Leader,
    /// All that are in sync.
    #[default]
    All,
}

impl Acks {
    fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How records are sent.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// How many replicas must hold a batch.
    pub acks: Acks,
    /// How batches are packed.
    pub codec: Codec,
    /// Whether a batch is never written twice; needs [`Acks::All`].
    pub idempotent: bool,
    /// The largest batch in bytes before it is packed; a larger record gets a batch of its own.
    pub batch_bytes: usize,
    /// How long a batch waits for more records.
    pub linger: Duration,
    /// Records that wait or are under way, in bytes; beyond it [`Producer::send`] waits.
    pub buffer_bytes: usize,
    /// How long a record is tried, since it was sent. Those that wait for others before them wait no longer than that.
    pub delivery_timeout: Duration,
    /// Whether the brokers may create a topic that does not exist, if their settings allow it.
    pub may_create_topics: bool,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            codec: Codec::None,
            idempotent: true,
            batch_bytes: 512 * 1024,
            linger: Duration::ZERO,
            buffer_bytes: 32 << 20,
            delivery_timeout: Duration::from_secs(120),
            may_create_topics: true,
        }
    }
}

/// A record to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerRecord {
    /// Where to.
    pub topic: String,
    /// Which partition; chosen by the key, or by chance, if `None`.
    pub partition: Option<i32>,
    /// Key; `None` is null.
    pub key: Option<Bytes>,
    /// Value; `None` is null.
    pub value: Option<Bytes>,
    /// Names and values.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    /// Milliseconds since the Unix epoch; now if `None`.
    pub timestamp: Option<i64>,
}

impl ProducerRecord {
    fn bytes(&self) -> usize {
        let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|(k, v)| k.len() + length(v) + 4).sum();
        length(&self.key) + length(&self.value) + headers + RECORD_OVERHEAD
    }
}

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The offset; `None` with [`Acks::None`], and if only an earlier try's success is known.
    pub offset: Option<i64>,
    /// The timestamp that the record has in the log.
    pub timestamp: i64,
}

/// The outcome of one record, once it is known.
#[derive(Debug)]
pub struct Delivery {
    told: oneshot::Receiver<Result<Delivered, Error>>,
    partition: TopicPartition,
}

impl Delivery {
    /// Waits for the outcome.
    ///
    /// # Errors
    /// Why the record was not delivered. After a time-out it may have been all the same.
    pub async fn wait(self) -> Result<Delivered, Error> {
        let dropped = || Error::NotDelivered {
            partition: self.partition.to_string(),
            after: Duration::ZERO,
            last: "the producer was dropped".to_owned(),
        };
        self.told.await.unwrap_or_else(|_| Err(dropped()))
    }
}

struct Pending {
    record: NewRecord,
    bytes: usize,
    /// Monotonic time.
    queued_at: Duration,
    tell: oneshot::Sender<Result<Delivered, Error>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Pending>,
    is_draining: bool,
    /// The sequence of the next batch, under [`Identity::turn`].
    sequence: i32,
    turn: u64,
}

/// Who an idempotent producer is.
#[derive(Clone, Copy, Debug)]
struct Identity {
    id: i64,
    epoch: i16,
    /// How often a new identity was taken: sequences begin again at 0 with each.
    turn: u64,
}

/// Sends records. Cheap to clone; what was not flushed when the last clone is dropped may be lost.
#[derive(Clone)]
pub struct Producer {
    inner: Rc<Inner>,
}

struct Inner {
    cluster: Cluster,
    options: ProducerOptions,
    queues: RefCell<BTreeMap<TopicPartition, Queue>>,
    sticky: RefCell<BTreeMap<String, Sticky>>,
    identity: Cell<Option<Identity>>,
    turns: Cell<u64>,
    buffered: Cell<usize>,
    /// Rung when a batch is done.
    progress: Notify,
}

impl Producer {
    /// A producer; nothing is asked yet.
    ///
    /// # Panics
    /// When it is idempotent without [`Acks::All`].
    pub fn new(cluster: Cluster, options: ProducerOptions) -> Self {
        assert!(
            !options.idempotent || options.acks == Acks::All,
            "an idempotent producer waits for all replicas"
        );
        let inner = Inner {
            cluster,
            options,
            queues: RefCell::default(),
            sticky: RefCell::default(),
            identity: Cell::new(None),
            turns: Cell::new(0),
            buffered: Cell::new(0),
            progress: Notify::new(),
        };
        Self { inner: Rc::new(inner) }
    }

    /// Queues a record; waits while the buffer is full. The outcome comes through the [`Delivery`].
    ///
    /// # Errors
    /// When the topic or partition does not exist.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, Error> {
        let inner = &self.inner;
        let options = &inner.options;
        let topic = inner.topic(&record.topic).await?;
        let bytes = record.bytes();
        while inner.buffered.get() > 0 && inner.buffered.get() + bytes > options.buffer_bytes {
            inner.progress.notified().await;
        }
        let partition = inner.partition(&topic, &record, bytes)?;
        let timestamp = record.timestamp.unwrap_or_else(|| inner.cluster.world().clock.wall_ms());
        let (tell, told) = oneshot::channel();
        let record =
            NewRecord { timestamp, key: record.key, value: record.value, headers: record.headers };
        inner.buffered.set(inner.buffered.get() + bytes);
        let mut queues = inner.queues.borrow_mut();
        let queue = queues.entry(partition.clone()).or_default();
        let queued_at = inner.cluster.world().clock.tick();
        queue.waiting.push_back(Pending { record, bytes, queued_at, tell });
        if !queue.is_draining {
            queue.is_draining = true;
            let (inner, partition) = (Rc::clone(inner), partition.clone());
            world::tasks::spawn_local(async move { inner.drain(partition).await });
        }
        Ok(Delivery { told, partition })
    }

    /// Waits until everything that was queued is delivered or given up.
    pub async fn flush(&self) {
        while self.inner.buffered.get() > 0 {
            self.inner.progress.notified().await;
        }
    }
}

impl Inner {
    async fn topic(&self, name: &str) -> Result<TopicMetadata, Error> {
        let may_create = self.options.may_create_topics;
        self.cluster
            .retry(async || match self.cluster.topic(name, may_create).await {
                // Nobody will create it: asking again does not help.
                Err(error @ Error::Refused { code: ErrorCode::UnknownTopicOrPartition, .. })
                    if !may_create =>
                {
                    Ok(Err(error))
                }
                other => other.map(Ok),
            })
            .await?
    }

    fn partition(
        &self,
        topic: &TopicMetadata,
        record: &ProducerRecord,
        bytes: usize,
    ) -> Result<TopicPartition, Error> {
        let count = u32::try_from(topic.partitions.len()).unwrap_or(0);
        let unknown = |partition: i32| {
            let about = TopicPartition::new(&record.topic, partition).to_string();
            Error::refused(about, ErrorCode::UnknownTopicOrPartition)
        };
        if count == 0 {
            return Err(unknown(0));
        }
        let index = match (record.partition, &record.key) {
            (Some(partition), _) if topic.partitions.contains_key(&partition) => partition,
            (Some(partition), _) => return Err(unknown(partition)),
            (None, Some(key)) => partition_for_key(key, count) as i32,
            (None, None) => {
                let dice = &self.cluster.world().dice;
                let mut sticky = self.sticky.borrow_mut();
                let sticky = sticky.entry(record.topic.clone()).or_default();
                sticky.next(bytes, count, || dice.next_u64("client-partition")) as i32
            }
        };
        Ok(TopicPartition::new(&record.topic, index))
    }

    /// Sends batch after batch until the partition's queue is empty.
    async fn drain(&self, partition: TopicPartition) {
        if !self.options.linger.is_zero() {
            self.cluster.world().clock.sleep(self.options.linger).await;
        }
        loop {
            let batch = self.take_batch(&partition);
            if batch.is_empty() {
                return;
            }
            let bytes: usize = batch.iter().map(|pending| pending.bytes).sum();
            let outcome = self.deliver(&partition, &batch).await;
            for (at, pending) in (0i64..).zip(batch) {
                let told = outcome.clone().map(|(base, append_time)| Delivered {
                    partition: partition.partition,
                    offset: base.map(|base| base + at),
                    timestamp: append_time.unwrap_or(pending.record.timestamp),
                });
                // Who sent it may not care.
                let _ = pending.tell.send(told);
            }
            self.buffered.set(self.buffered.get() - bytes);
            self.progress.notify_waiters();
        }
    }

    /// Takes the next batch off the queue; an empty one marks the queue as not being drained.
    fn take_batch(&self, partition: &TopicPartition) -> Vec<Pending> {
        let mut queues = self.queues.borrow_mut();
        let queue = queues.get_mut(partition).expect("a queue is made before it is drained");
        let mut batch: Vec<Pending> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = queue.waiting.front() {
            if !batch.is_empty() && bytes + next.bytes > self.options.batch_bytes {
                break;
            }
            bytes += next.bytes;
            batch.extend(queue.waiting.pop_front());
        }
        queue.is_draining = !batch.is_empty();
        batch
    }

    /// Delivers one batch; gives back its base offset and append time where they are known.
    async fn deliver(
        &self,
        partition: &TopicPartition,
        batch: &[Pending],
    ) -> Result<(Option<i64>, Option<i64>), Error> {
        let oldest = batch.iter().map(|pending| pending.queued_at).min().unwrap_or_default();
        let waited = self.cluster.world().clock.tick().saturating_sub(oldest);
        let left = self.options.delivery_timeout.saturating_sub(waited);
        if left.is_zero() {
            return Err(Error::NotDelivered {
                partition: partition.to_string(),
                after: waited,
                last: "those before it were not delivered".to_owned(),
            });
        }
        let mut sealed: Option<(Bytes, Option<Identity>)> = None;
        let outcome = self
            .cluster
            .retry_within(left, async || {
                let (bytes, _) = match &sealed {
                    Some(sealed) => sealed,
                    None => sealed.insert(self.seal(partition, batch).await?),
                };
                self.produce(partition, bytes.clone()).await
            })
            .await;
        let count = i32::try_from(batch.len()).expect("a batch is bounded by batch_bytes");
        let identity = sealed.and_then(|(_, identity)| identity);
        let outcome = match outcome {
            // Written by an earlier try, longer ago than the broker remembers offsets for.
            Err(Error::Refused { code: ErrorCode::DuplicateSequenceNumber, .. }) => {
                Ok((None, None))
            }
            Err(error) if error.is_retriable() => Err(Error::NotDelivered {
                partition: partition.to_string(),
                after: self.options.delivery_timeout,
                last: error.to_string(),
            }),
            other => other,
        };
        if let Some(identity) = identity {
            self.settle(partition, identity, count, outcome.is_ok());
        }
        outcome
    }

    /// After a success the sequence goes on. After a failure nobody knows whether the batch was written:
    /// a new identity is taken, so that later batches are not refused for the gap.
    fn settle(&self, partition: &TopicPartition, used: Identity, count: i32, is_delivered: bool) {
        if is_delivered {
            let mut queues = self.queues.borrow_mut();
            let queue = queues.get_mut(partition).expect("a queue stays");
            // Sequences wrap at 2^31, as in Kafka.
            queue.sequence = queue.sequence.wrapping_add(count) & i32::MAX;
        } else if self.identity.get().is_some_and(|now| now.turn == used.turn) {
            self.identity.set(None);
        }
    }

    async fn seal(
        &self,
        partition: &TopicPartition,
        batch: &[Pending],
    ) -> Result<(Bytes, Option<Identity>), Error> {
        let mut builder = BatchBuilder::new(self.options.codec);
        let mut identity = None;
        if self.options.idempotent {
            let now = self.identity().await?;
            let mut queues = self.queues.borrow_mut();
            let queue = queues.get_mut(partition).expect("a queue stays");
            if queue.turn != now.turn {
                (queue.turn, queue.sequence) = (now.turn, 0);
            }
            builder = builder.producer(now.id, now.epoch, queue.sequence);
            identity = Some(now);
        }
        for pending in batch {
            builder.push(&pending.record);
        }
        Ok((builder.finish().freeze(), identity))
    }

    async fn identity(&self) -> Result<Identity, Error> {
        if let Some(identity) = self.identity.get() {
            return Ok(identity);
        }
        let body = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        let answer = self.cluster.ask_any(&body).await?;
        Error::check(answer.error_code, || "the idempotent producer".to_owned(), None)?;
        // Partitions that asked at the same time share the first answer.
        if let Some(identity) = self.identity.get() {
            return Ok(identity);
        }
        let turn = self.turns.get() + 1;
        self.turns.set(turn);
        let identity = Identity { id: answer.producer_id, epoch: answer.producer_epoch, turn };
        self.identity.set(Some(identity));
        Ok(identity)
    }

    async fn produce(
        &self,
        partition: &TopicPartition,
        batch: Bytes,
    ) -> Result<(Option<i64>, Option<i64>), Error> {
        let topic = self.cluster.topic(&partition.topic, false).await?;
        let leader = topic.partitions.get(&partition.partition).and_then(|found| found.leader);
        let leader = leader
            .ok_or_else(|| Error::refused(partition.to_string(), ErrorCode::LeaderNotAvailable))?;
        let connection = self.cluster.broker(leader).await?;
        let newest = if topic.id.is_zero() { PRODUCE_BY_ID - 1 } else { i16::MAX };
        let version = connection.version::<ProduceRequest>(newest)?;
        let timeout = self.cluster.options().request_timeout;
        let data = PartitionProduceData {
            index: partition.partition,
            records: Some(Records::from(batch)),
            ..Default::default()
        };
        let body = ProduceRequest {
            acks: self.options.acks.number(),
            timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
            topic_data: vec![TopicProduceData {
                name: Str::from(&partition.topic),
                topic_id: topic.id,
                partition_data: vec![data],
                ..Default::default()
            }],
            ..Default::default()
        };
        if self.options.acks == Acks::None {
            connection.tell(&body, version, timeout).await?;
            return Ok((None, None));
        }
        // The broker waits that long for its replicas; give the answer time to come back.
        let patience = timeout.saturating_add(Duration::from_secs(5));
        let answer = connection.ask_at(&body, version, patience).await?;
        let answered = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
        let answered = answered.into_iter().find(|found| found.index == partition.partition);
        let found = answered
            .ok_or_else(|| Error::refused(partition.to_string(), ErrorCode::UnknownServerError))?;
        Error::check(found.error_code, || partition.to_string(), found.error_message.as_ref())?;
        let append_time = Some(found.log_append_time_ms).filter(|time| *time >= 0);
        Ok((Some(found.base_offset).filter(|base| *base >= 0), append_time))
    }
}
