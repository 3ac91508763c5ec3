//! Bulk: a topic, so many bytes in, and all of them out again.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use wire::create_topics::request::{CreatableTopic, CreatableTopicConfig};
use wire::fetch::request::{FetchPartition, FetchTopic};
use wire::metadata::request::MetadataRequestTopic;
use wire::produce::request::{PartitionProduceData, TopicProduceData};
use wire::{
    CreateTopicsRequest, DeleteTopicsRequest, ErrorCode, FetchRequest, MetadataRequest,
    ProduceRequest, ProduceResponse, Records, Str, frame,
};

use crate::connection::Connection;
use crate::payload::{self, Template};
use crate::server::{Cost, Meter};

/// Versions that every broker of the comparison speaks.
pub(crate) const PRODUCE_VERSION: i16 = 9;
pub(crate) const FETCH_VERSION: i16 = 12;
const METADATA_VERSION: i16 = 9;
/// How often a broker is asked, a hundred times a second, until it serves.
const ANSWERS_ASKED_FOR: usize = 3_000;

/// Where, and of whom the cost is taken.
#[derive(Clone, clap::Args)]
pub(crate) struct Target {
    /// The broker, `HOST:PORT`.
    #[arg(long, default_value = "127.0.0.1:9092")]
    pub(crate) broker: String,
    /// The topic.
    #[arg(long, default_value = "bench")]
    pub(crate) topic: String,
    /// How many partitions it has.
    #[arg(long, default_value_t = 12)]
    pub(crate) partitions: i32,
    /// How many replicas each of them has.
    #[arg(long, default_value_t = 1)]
    pub(crate) replicas: i16,
    /// The brokers' processes, to measure what they use.
    #[arg(long = "pid", value_delimiter = ',')]
    pub(crate) pids: Vec<u32>,
}

/// Partitions of one leader, as `HOST:PORT`.
#[derive(Clone, Debug)]
pub(crate) struct Led {
    pub(crate) broker: String,
    pub(crate) partitions: Vec<i32>,
}

impl Target {
    /// Who leads what, as the broker says.
    pub(crate) fn leaders(&self) -> Result<Vec<Led>> {
        // The floor knows one request only, and leads everything.
        if self.replicas == 1 {
            let partitions = (0..self.partitions).collect();
            return Ok(vec![Led { broker: self.broker.clone(), partitions }]);
        }
        let topic = MetadataRequestTopic {
            name: Some(Str::from(self.topic.as_str())),
            ..Default::default()
        };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        let response = Connection::open(&self.broker)?.ask(&request, METADATA_VERSION)?;
        let mut led: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
            led.entry(partition.leader_id).or_default().push(partition.partition_index);
        }
        let address = |id: i32| {
            let broker = response.brokers.iter().find(|broker| broker.node_id == id);
            broker.map(|broker| format!("{}:{}", &*broker.host, broker.port))
        };
        led.into_iter()
            .map(|(leader, partitions)| {
                let broker =
                    address(leader).with_context(|| format!("nobody leads {partitions:?}"))?;
                Ok(Led { broker, partitions })
            })
            .collect()
    }

    /// Waits until each partition has a leader and all its replicas in sync.
    fn wait_until_in_sync(&self) -> Result<()> {
        let topic = MetadataRequestTopic {
            name: Some(Str::from(self.topic.as_str())),
            ..Default::default()
        };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        let mut connection = Connection::open(&self.broker)?;
        for _ in 0..ANSWERS_ASKED_FOR {
            let response = connection.ask(&request, METADATA_VERSION)?;
            let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            let is_whole = |isr: &[i32]| isr.len() == usize::from(self.replicas.unsigned_abs());
            let whole =
                partitions.filter(|it| it.leader_id >= 0 && is_whole(&it.isr_nodes)).count();
            if whole == usize::try_from(self.partitions)? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("the replicas of {} are not in sync", self.topic)
    }
}

#[derive(clap::Args)]
pub(crate) struct TopicArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Settings of the topic, `key=value`.
    settings: Vec<String>,
}

impl TopicArgs {
    pub(crate) fn run(&self) -> Result<()> {
        prepare_topic(&self.target, &self.settings)
    }
}

/// Creates the topic, with settings as `key=value`, and waits until every partition answers.
pub(crate) fn prepare_topic(target: &Target, settings: &[String]) -> Result<()> {
    create_topic(target, settings)?;
    target.wait_until_in_sync()?;
    target.leaders()?.iter().try_for_each(|led| wait_until_served(target, led))
}

fn wait_until_served(target: &Target, led: &Led) -> Result<()> {
    let mut connection = Connection::open(&led.broker)?;
    let from = led.partitions.iter().map(|partition| (*partition, 0)).collect();
    let request = FetchRequest { max_wait_ms: 0, ..fetch_request(&target.topic, &from, 1) };
    for _ in 0..ANSWERS_ASKED_FOR {
        let response = connection.ask(&request, FETCH_VERSION)?;
        let mut partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
        if partitions.all(|partition| partition.error_code == 0) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("{} does not answer for all that it leads of {}", led.broker, target.topic)
}

fn create_topic(target: &Target, settings: &[String]) -> Result<()> {
    let configs = settings
        .iter()
        .map(|setting| {
            let (name, value) = setting.split_once('=').context("a setting is key=value")?;
            Ok(CreatableTopicConfig {
                name: Str::from(name),
                value: Some(Str::from(value)),
                ..Default::default()
            })
        })
        .collect::<Result<_>>()?;
    let topic = CreatableTopic {
        name: Str::from(target.topic.as_str()),
        num_partitions: target.partitions,
        replication_factor: target.replicas,
        configs,
        ..Default::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    let response = Connection::open(&target.broker)?.ask(&request, 5)?;
    for topic in response.topics {
        let code = ErrorCode::from_number(topic.error_code);
        ensure!(topic.error_code == 0, "create {}: {code:?}", &*topic.name);
    }
    Ok(())
}

/// Writes one record to every partition from `written` on, and creates the topic if need be.
pub(crate) fn write_singly(target: &Target, written: &mut i32) -> Result<()> {
    let mut connection = Connection::open(&target.broker)?;
    // It may be there, or not yet be possible: the first record tells.
    let created = create_topic(target, &[]);
    let mut template = Template::new(1, payload::HEADER_BYTES);
    while *written < target.partitions {
        let batch = Bytes::copy_from_slice(template.stamp(u32::MAX, 0, 0, 0));
        connection.send(&produce_frame(&target.topic, *written, batch)?)?;
        let produced = check_produced(connection.receive()?);
        if let (Err(produced), Err(created)) = (&produced, &created) {
            bail!("{produced}; {created}");
        }
        produced?;
        *written += 1;
    }
    Ok(())
}

/// Waits until somebody listens there.
pub(crate) fn wait_until_open(target: &Target) -> Result<()> {
    for _ in 0..ANSWERS_ASKED_FOR {
        if Connection::open(&target.broker).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("nobody listens on {}", target.broker)
}

pub(crate) fn delete_topic(target: &Target) -> Result<()> {
    let topic_names = vec![Str::from(target.topic.as_str())];
    let request = DeleteTopicsRequest { topic_names, timeout_ms: 30_000, ..Default::default() };
    let response = Connection::open(&target.broker)?.ask(&request, 5)?;
    for topic in response.responses {
        let code = ErrorCode::from_number(topic.error_code);
        ensure!(topic.error_code == 0, "delete {}: {code:?}", target.topic);
    }
    Ok(())
}

#[derive(clap::Args)]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Bytes of values to send in all.
    #[arg(long)]
    pub(crate) bytes: u64,
    /// Records of one batch.
    #[arg(long, default_value_t = 64)]
    pub(crate) batch_records: usize,
    /// Bytes of one value.
    #[arg(long, default_value_t = 1024)]
    pub(crate) record_bytes: usize,
    /// Requests on their way per connection.
    #[arg(long, default_value_t = 5)]
    pub(crate) inflight: usize,
    /// Connections; partitions are dealt out to them.
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: u32,
    /// Records per second in all; as fast as it goes without.
    #[arg(long)]
    pub(crate) rate: Option<u64>,
}

#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Produced {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    #[serde(flatten)]
    pub(crate) cost: Cost,
}

/// Sends, and tells what it cost once the last acknowledgement is here.
pub(crate) fn produce(args: &ProduceArgs) -> Result<Produced> {
    let per_batch = (args.batch_records * args.record_bytes) as u64;
    let lanes = lanes(&args.target.leaders()?, args.connections)?;
    let count = lanes.len() as u64;
    let per_lane = args.bytes.div_ceil(per_batch * count);
    let meter = Meter::start(&args.target.pids)?;
    std::thread::scope(|scope| -> Result<()> {
        let lanes: Vec<_> = (0..)
            .zip(&lanes)
            .map(|(number, lane)| {
                let share = Share { number, count, batches: per_lane };
                scope.spawn(move || produce_lane(args, lane, share))
            })
            .collect();
        lanes.into_iter().try_for_each(|lane| lane.join().expect("a lane does not panic"))
    })?;
    let cost = meter.stop()?;
    let batches = per_lane * count;
    let records = batches * args.batch_records as u64;
    Ok(Produced { records, bytes: batches * per_batch, cost })
}

/// Deals the partitions out to `connections`, or to one connection per leader if those are more.
fn lanes(leaders: &[Led], connections: u32) -> Result<Vec<Led>> {
    let each = usize::try_from(connections)?.div_ceil(leaders.len().max(1));
    let mut lanes = Vec::new();
    for led in leaders {
        let mut dealt = vec![Vec::new(); each];
        for (place, partition) in led.partitions.iter().enumerate() {
            dealt[place % each].push(*partition);
        }
        ensure!(dealt.iter().all(|lane| !lane.is_empty()), "more connections than partitions");
        let lane = |partitions| Led { broker: led.broker.clone(), partitions };
        lanes.extend(dealt.into_iter().map(lane));
    }
    Ok(lanes)
}

/// What a lane has to send, and as which of how many.
#[derive(Clone, Copy)]
struct Share {
    number: u32,
    count: u64,
    batches: u64,
}

fn produce_lane(args: &ProduceArgs, lane: &Led, share: Share) -> Result<()> {
    let (mut receiver, mut sender) = Connection::open(&lane.broker)?.split();
    let mut template = Template::new(args.batch_records, args.record_bytes);
    let partitions = &lane.partitions;
    let Share { number: lane, count, batches } = share;
    let (slot, slots) = mpsc::sync_channel::<()>(args.inflight);
    std::thread::scope(|scope| -> Result<()> {
        let acknowledged = scope.spawn(move || -> Result<()> {
            for _ in 0..batches {
                check_produced(receiver.receive()?)?;
                slots.recv().context("the sender has ended")?;
            }
            Ok(())
        });
        let begun = Instant::now();
        for number in 0..batches {
            if let Some(rate) = args.rate {
                let before = number * template.records() as u64 * count;
                let due = Duration::from_nanos(before * 1_000_000_000 / rate);
                if let Some(early) = due.checked_sub(begun.elapsed()) {
                    std::thread::sleep(early);
                }
            }
            let partition = partitions[usize::try_from(number)? % partitions.len()];
            let first = number * template.records() as u64;
            let batch = Bytes::copy_from_slice(template.stamp(lane, first, 0, 0));
            let frame = produce_frame(&args.target.topic, partition, batch)?;
            // Full: wait for an answer, or learn from the receiver why there is none.
            if slot.send(()).is_err() {
                break;
            }
            sender.write_all(&frame)?;
        }
        acknowledged.join().expect("a receiver does not panic")
    })
}

/// A Produce request with acks=all, as bytes.
pub(crate) fn produce_frame(topic: &str, partition: i32, batch: Bytes) -> Result<Bytes> {
    let data = PartitionProduceData {
        index: partition,
        records: Some(Records::from(batch)),
        ..Default::default()
    };
    let topic = TopicProduceData {
        name: Str::from(topic),
        partition_data: vec![data],
        ..Default::default()
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..Default::default()
    };
    Ok(frame::request(&request, PRODUCE_VERSION, 0, None)?.into_bytes())
}

pub(crate) fn check_produced(frame: Bytes) -> Result<()> {
    let (_, response) = frame::decode_response::<ProduceResponse>(frame, PRODUCE_VERSION)?;
    for partition in response.responses.iter().flat_map(|topic| &topic.partition_responses) {
        if partition.error_code != 0 {
            let code = ErrorCode::from_number(partition.error_code);
            bail!("produce to partition {}: {code:?}", partition.index);
        }
    }
    Ok(())
}

#[derive(clap::Args)]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How many records there must be.
    #[arg(long)]
    pub(crate) records: u64,
    /// Check every byte, that nothing is missing, doubled or out of order.
    #[arg(long)]
    pub(crate) verify: bool,
    /// Bytes asked for at a time.
    #[arg(long, default_value_t = 16 << 20)]
    pub(crate) max_bytes: i32,
}

#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Fetched {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) verified: bool,
    #[serde(flatten)]
    pub(crate) cost: Cost,
}

/// Reads every partition from its start, and tells what it cost.
pub(crate) fn fetch(args: &FetchArgs) -> Result<Fetched> {
    let mut sources = Vec::new();
    for led in args.target.leaders()? {
        let next: BTreeMap<i32, i64> = led.partitions.iter().map(|at| (*at, 0)).collect();
        sources.push((Connection::open(&led.broker)?, next));
    }
    let meter = Meter::start(&args.target.pids)?;
    let mut last: BTreeMap<(i32, u32), u64> = BTreeMap::new();
    let (mut records, mut bytes) = (0, 0);
    let (mut turn, mut idle) = (0, 0);
    while records < args.records {
        let before = records;
        let of = turn % sources.len();
        let count = sources.len();
        let (connection, next) = &mut sources[of];
        turn += 1;
        let response = connection
            .ask(&fetch_request(&args.target.topic, next, args.max_bytes), FETCH_VERSION)?;
        for partition in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            ensure!(partition.error_code == 0, "fetch: error {}", partition.error_code);
            let index = partition.partition_index;
            let chunk = partition.records.unwrap_or_default().into_bytes();
            bytes += chunk.len() as u64;
            let from = next[&index];
            let mut problem = None;
            let end = if args.verify {
                payload::read(&chunk, true, |seen| {
                    if seen.offset < from {
                        return;
                    }
                    records += 1;
                    let newer = last.insert((index, seen.lane), seen.sequence);
                    if let Some(newer) = newer.filter(|newer| *newer >= seen.sequence) {
                        problem = Some((seen.offset, seen.sequence, newer));
                    }
                })?
            } else {
                let (end, count) = skim(&chunk)?;
                records += count;
                end
            };
            if let Some((offset, sequence, newer)) = problem {
                bail!("partition {index}: record {sequence} at offset {offset} after {newer}");
            }
            if end >= 0 {
                next.insert(index, end);
            }
        }
        idle = if records > before { 0 } else { idle + 1 };
        ensure!(idle < count, "only {records} of {} records are there", args.records);
    }
    ensure!(records == args.records, "{records} records, expected {}", args.records);
    Ok(Fetched { records, bytes, verified: args.verify, cost: meter.stop()? })
}

/// Counts the records of whole batches by their headers alone.
fn skim(chunk: &[u8]) -> Result<(i64, u64)> {
    let (mut end, mut count) = (-1, 0);
    for batch in wire::record::Batches::new(chunk) {
        let Ok(batch) = batch else { break };
        end = batch.header().next_offset();
        count += u64::try_from(batch.header().last_offset_delta + 1)?;
    }
    Ok((end, count))
}

/// Asks for everything from these offsets on.
pub(crate) fn fetch_request(
    topic: &str,
    from: &BTreeMap<i32, i64>,
    max_bytes: i32,
) -> FetchRequest {
    let partitions = from
        .iter()
        .map(|(index, offset)| FetchPartition {
            partition: *index,
            fetch_offset: *offset,
            partition_max_bytes: max_bytes,
            ..Default::default()
        })
        .collect();
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes,
        topics: vec![FetchTopic { topic: Str::from(topic), partitions, ..Default::default() }],
        ..Default::default()
    }
}
