//! Frames that no client would send, over real connections to a real broker: it lives on, keeps its
//! memory, and serves who comes next.
//!
//! `KLAMM_E2E_FRAMES` says how many (20,000 by default), `KLAMM_E2E_SEED` which.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "real processes run in real time, beside real files"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use e2e::frames::broker::{Broker, Counted};
use e2e::frames::captured::Captured;
use e2e::frames::mutate::Mutator;
use e2e::frames::{Frame, samples, send};
use wire::create_partitions::request::CreatePartitionsTopic;
use wire::create_topics::request::CreatableTopic;
use wire::fetch::request::{FetchPartition, FetchTopic};
use wire::produce::request::{PartitionProduceData, TopicProduceData};
use wire::record::{BatchBuilder, Batches, Codec, Limits, NewRecord};
use wire::{
    ApiKey, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, ErrorCode,
    FetchRequest, ProduceRequest, Str, Uuid,
};

/// All as it comes, but that groups gather at once: else most joins would do nothing but wait.
const SETTINGS: [&str; 1] = ["group.initial.rebalance.delay.ms=0"];
/// How much more memory the broker may ever have taken than when it was ready.
const MEMORY_MORE: u64 = 64 << 20;
/// Of all frames that name an API, so many of a hundred must have been read to the end of their body.
const REACHED_LEAST: u64 = 30;

#[test]
fn no_frame_ends_a_broker_or_fills_its_memory() -> Result<()> {
    let count = number("KLAMM_E2E_FRAMES", 20_000);
    let seed = number("KLAMM_E2E_SEED", 1);
    let mut broker = Broker::start(None, &SETTINGS)?;
    let id = broker.create("orders", 3)?;
    let witness = broker.create("witness", 1)?;
    let mut frames = Captured::load()?.about(id);
    frames.extend(samples::all(id)?);
    every_version_has_a_frame(&broker, &frames)?;
    serves(&broker, witness, 0)?;
    let before = broker.counted()?;
    let memory = broker.memory("VmRSS")?;
    let (begun, port) = (Instant::now(), broker.port());
    let mut descriptors = 0;
    let mutator = Mutator::new(seed, &frames);
    let sent = send::all(port, &mutator, count, |_| {
        ensure!(broker.is_running()?, "the broker has ended");
        descriptors = descriptors.max(broker.descriptors()?);
        Ok(())
    });
    let sent = sent.with_context(|| broker.log().unwrap_or_default())?;
    let took = begun.elapsed();
    serves(&broker, witness, 1)?;
    refuses_too_many_partitions(&broker)?;
    let peak = broker.memory("VmHWM")?;
    let counted = broker.counted()?;
    println!(
        "{count} frames (seed {seed}) from {} valid ones in {took:.0?}: {} answered, {} ended their \
         connection, {} silent; at most {descriptors} descriptors",
        frames.len(),
        sent.answered,
        sent.closed,
        sent.silent
    );
    println!("memory: {} KiB when ready, {} KiB at most", memory >> 10, peak >> 10);
    let shallow = table(&sent, &before, &counted);
    let log = broker.log()?;

    let panics: Vec<&str> = log.lines().filter(|line| line.contains("panicked")).collect();
    ensure!(panics.is_empty(), "{} panics:\n{}", panics.len(), panics.join("\n"));
    ensure!(shallow.is_empty(), "less than {REACHED_LEAST} % were read: {shallow:?}");
    ensure!(peak <= memory + MEMORY_MORE, "{} MiB more memory", (peak - memory) >> 20);
    broker.stop()
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// What ApiVersions tells is what is mutated; but for Produce below 3, which no broker of today reads.
fn every_version_has_a_frame(broker: &Broker, frames: &[Frame]) -> Result<()> {
    let there: BTreeSet<(i16, i16)> =
        frames.iter().map(|frame| (frame.key.number(), frame.version)).collect();
    let told = broker.ask(&ApiVersionsRequest {
        client_software_name: "frames".into(),
        client_software_version: "1".into(),
        ..Default::default()
    })?;
    ensure!(!told.api_keys.is_empty(), "nothing is served");
    for one in &told.api_keys {
        let is_old_produce = |version: &i16| one.api_key == 0 && *version < 3;
        for version in (one.min_version..=one.max_version).filter(|it| !is_old_produce(it)) {
            ensure!(
                there.contains(&(one.api_key, version)),
                "no frame for {} v{version}",
                one.api_key
            );
        }
    }
    Ok(())
}

/// Prints a row per API; gives those of which too few were read.
fn table(
    sent: &send::Sent,
    before: &BTreeMap<ApiKey, Counted>,
    after: &BTreeMap<ApiKey, Counted>,
) -> Vec<&'static str> {
    let mut shallow = Vec::new();
    println!("| API | sent | at a version that is served | header read | body read | % of sent |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (key, after) in after {
        let before = before.get(key).copied().unwrap_or_default();
        let of = |is_counted: &dyn Fn(i16) -> bool| -> u64 {
            let named = sent.named.iter();
            let mine = named.filter(|((api, v), _)| *api == key.number() && is_counted(*v));
            mine.map(|(_, count)| count).sum()
        };
        let (all, served) = (of(&|_| true), of(&|version| key.versions().contains(&version)));
        let (headers, bodies) = (after.headers - before.headers, after.bodies - before.bodies);
        let percent = 100 * bodies / all.max(1);
        println!("| {key} | {all} | {served} | {headers} | {bodies} | {percent} |");
        if percent < REACHED_LEAST {
            shallow.push(key.name());
        }
    }
    let known = |api: &i16| after.keys().any(|key| key.number() == *api);
    let other: u64 = sent.named.iter().filter(|((api, _), _)| !known(api)).map(|(_, n)| n).sum();
    println!("| none of them | {other} | | | | |");
    shallow
}

/// 2^31-1 partitions are refused with a reason, at once.
fn refuses_too_many_partitions(broker: &Broker) -> Result<()> {
    let refused = |code: i16, message: Option<Str>| {
        ensure!(code == ErrorCode::PolicyViolation.number(), "{code} {message:?}");
        let message = message.context("no reason")?;
        ensure!(message.contains("partitions exceed the limit"), "{message}");
        Ok(())
    };
    let topic = CreatableTopic {
        name: "absurd".into(),
        num_partitions: i32::MAX,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let answer = broker.ask(&request)?.topics.remove(0);
    refused(answer.error_code, answer.error_message)?;
    let topic = CreatePartitionsTopic {
        name: "witness".into(),
        count: i32::MAX,
        assignments: None,
        ..Default::default()
    };
    let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
    let answer = broker.ask(&request)?.results.remove(0);
    refused(answer.error_code, answer.error_message)
}

/// A record is taken, and comes back as it was.
fn serves(broker: &Broker, topic_id: Uuid, offset: i64) -> Result<()> {
    let value = Bytes::from(format!("order {offset}"));
    let mut batch = BatchBuilder::new(Codec::None);
    batch.push(&NewRecord::new("key", value.clone(), 1_700_000_000_000));
    let partition = PartitionProduceData {
        records: Some(batch.finish().freeze().into()),
        ..Default::default()
    };
    let topic =
        TopicProduceData { topic_id, partition_data: vec![partition], ..Default::default() };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 5000,
        topic_data: vec![topic],
        ..Default::default()
    };
    let answer = broker.ask(&request)?;
    let produced = &answer.responses[0].partition_responses[0];
    ensure!((produced.error_code, produced.base_offset) == (0, offset), "{produced:?}");
    let partition =
        FetchPartition { fetch_offset: offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic_id, partitions: vec![partition], ..Default::default() };
    let request = FetchRequest { max_wait_ms: 5000, topics: vec![topic], ..Default::default() };
    let answer = broker.ask(&request)?;
    let fetched = &answer.responses[0].partitions[0];
    ensure!(fetched.error_code == 0, "{fetched:?}");
    let bytes = fetched.records.clone().context("no records")?.into_bytes();
    let batch = Batches::new(&bytes).next().context("no batch")??;
    let records = batch.records(Limits::default())?;
    let record = records.iter().next().context("no record")??;
    ensure!(record.value == Some(&*value) && record.offset == offset, "{record:?}");
    Ok(())
}
