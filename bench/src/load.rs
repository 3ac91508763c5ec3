//! Bulk: a topic, so many bytes in, and all of them out again.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use wire::create_topics::request::{CreatableTopic, CreatableTopicConfig};
use wire::fetch::request::{FetchPartition, FetchTopic};
use wire::produce::request::{PartitionProduceData, TopicProduceData};
use wire::{
    CreateTopicsRequest, ErrorCode, FetchRequest, ProduceRequest, ProduceResponse, Records, Str,
    frame,
};

use crate::connection::Connection;
use crate::payload::{self, Template};
use crate::server::{Cost, Meter};

/// Versions that every broker of the comparison speaks.
pub(crate) const PRODUCE_VERSION: i16 = 9;
pub(crate) const FETCH_VERSION: i16 = 12;

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
    /// The broker's process, to measure what it uses.
    #[arg(long)]
    pub(crate) pid: Option<u32>,
}

#[derive(clap::Args)]
pub(crate) struct TopicArgs {
    #[command(flatten)]
    target: Target,
    /// Settings of the topic, `key=value`.
    settings: Vec<String>,
}

/// Creates the topic and waits until it can be written to.
pub(crate) fn create_topic(args: &TopicArgs) -> Result<()> {
    let configs = args
        .settings
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
        name: Str::from(args.target.topic.as_str()),
        num_partitions: args.target.partitions,
        replication_factor: 1,
        configs,
        ..Default::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    let response = Connection::open(&args.target.broker)?.ask(&request, 5)?;
    for topic in response.topics {
        let code = ErrorCode::from_number(topic.error_code);
        ensure!(topic.error_code == 0, "create {}: {code:?}", &*topic.name);
    }
    Ok(())
}

#[derive(clap::Args)]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    target: Target,
    /// Bytes of values to send in all.
    #[arg(long)]
    bytes: u64,
    /// Records of one batch.
    #[arg(long, default_value_t = 64)]
    batch_records: usize,
    /// Bytes of one value.
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Requests on their way per connection.
    #[arg(long, default_value_t = 5)]
    inflight: usize,
    /// Connections; partitions are dealt out to them.
    #[arg(long, default_value_t = 4)]
    connections: u32,
}

#[derive(serde::Serialize)]
struct Produced {
    records: u64,
    bytes: u64,
    #[serde(flatten)]
    cost: Cost,
}

/// Sends, and prints what it cost once the last acknowledgement is here.
pub(crate) fn produce(args: &ProduceArgs) -> Result<()> {
    let per_batch = (args.batch_records * args.record_bytes) as u64;
    let per_lane = args.bytes.div_ceil(per_batch * u64::from(args.connections));
    let meter = Meter::start(args.target.pid)?;
    std::thread::scope(|scope| -> Result<()> {
        let lanes: Vec<_> = (0..args.connections)
            .map(|lane| scope.spawn(move || produce_lane(args, lane, per_lane)))
            .collect();
        lanes.into_iter().try_for_each(|lane| lane.join().expect("a lane does not panic"))
    })?;
    let cost = meter.stop()?;
    let batches = per_lane * u64::from(args.connections);
    let records = batches * args.batch_records as u64;
    print(&Produced { records, bytes: batches * per_batch, cost })
}

fn produce_lane(args: &ProduceArgs, lane: u32, batches: u64) -> Result<()> {
    let (mut receiver, mut sender) = Connection::open(&args.target.broker)?.split();
    let mut template = Template::new(args.batch_records, args.record_bytes);
    let partitions: Vec<i32> = (0..args.target.partitions)
        .filter(|index| index.unsigned_abs() % args.connections == lane % args.connections)
        .collect();
    ensure!(!partitions.is_empty(), "more connections than partitions");
    let (slot, slots) = mpsc::sync_channel::<()>(args.inflight);
    std::thread::scope(|scope| -> Result<()> {
        let acknowledged = scope.spawn(move || -> Result<()> {
            for _ in 0..batches {
                check_produced(receiver.receive()?)?;
                slots.recv().context("the sender has ended")?;
            }
            Ok(())
        });
        for number in 0..batches {
            let partition = partitions[usize::try_from(number)? % partitions.len()];
            let first = number * template.records() as u64;
            let batch = Bytes::copy_from_slice(template.stamp(lane, first, 0));
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
    target: Target,
    /// How many records there must be.
    #[arg(long)]
    records: u64,
    /// Check every byte, that nothing is missing, doubled or out of order.
    #[arg(long)]
    verify: bool,
    /// Bytes asked for at a time.
    #[arg(long, default_value_t = 16 << 20)]
    max_bytes: i32,
}

#[derive(serde::Serialize)]
struct Fetched {
    records: u64,
    bytes: u64,
    verified: bool,
    #[serde(flatten)]
    cost: Cost,
}

/// Reads every partition from its start, and prints what it cost.
pub(crate) fn fetch(args: &FetchArgs) -> Result<()> {
    let mut connection = Connection::open(&args.target.broker)?;
    let meter = Meter::start(args.target.pid)?;
    let mut next: BTreeMap<i32, i64> = (0..args.target.partitions).map(|at| (at, 0)).collect();
    let mut last: BTreeMap<(i32, u32), u64> = BTreeMap::new();
    let (mut records, mut bytes) = (0, 0);
    while records < args.records {
        let before = records;
        let response = connection
            .ask(&fetch_request(&args.target.topic, &next, args.max_bytes), FETCH_VERSION)?;
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
                    if newer.is_some_and(|newer| newer >= seen.sequence) {
                        problem = Some(seen.sequence);
                    }
                })?
            } else {
                let (end, count) = skim(&chunk)?;
                records += count;
                end
            };
            if let Some(sequence) = problem {
                bail!("partition {index}: record {sequence} came twice or too late");
            }
            if end >= 0 {
                next.insert(index, end);
            }
        }
        ensure!(records > before, "only {records} of {} records are there", args.records);
    }
    ensure!(records == args.records, "{records} records, expected {}", args.records);
    print(&Fetched { records, bytes, verified: args.verify, cost: meter.stop()? })
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

pub(crate) fn print(result: &impl serde::Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}
