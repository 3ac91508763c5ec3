//! Three brokers, each in a rack of its own, under the load of a real client; another one says in which rack it is
//! (`client.rack`, KIP-392). It reads from the broker there, goes on elsewhere while that broker is away, comes back
//! to it, and gets every record.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "real processes run in real time, beside real files"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use e2e::cache;
use e2e::cluster::Cluster;
use e2e::event::{Event, Read};
use e2e::judge;
use e2e::library::{Library, Timeouts};
use e2e::load::Load;
use e2e::order::Order;
use e2e::process::{Process, until};

const TOPIC: &str = "order-placed";
const PARTITIONS: i32 = 12;
const SETTINGS: [&str; 3] = [
    "broker.rack=rack-{id}",
    "replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector",
    "offsets.topic.num.partitions=3",
];
/// The broker in the consumer's rack.
const NEAR: i32 = 2;
const MEMBER: Timeouts = Timeouts { session_ms: 30_000, heartbeat_ms: 500 };
const LIMIT: Duration = Duration::from_secs(60);
const STRETCH: Duration = Duration::from_secs(2);
/// A duplicate may come last.
const SILENCE: Duration = Duration::from_millis(500);

/// How many records of each partition came from each broker since.
fn fetched(reader: &Process, since: Instant) -> BTreeMap<(i32, i32), usize> {
    let mut counts = BTreeMap::new();
    reader.look(|events| {
        for heard in events.iter().filter(|heard| heard.at > since) {
            if let Event::Fetched { broker, partition, records } = heard.event {
                *counts.entry((partition, broker)).or_insert(0) += records;
            }
        }
    });
    counts
}

/// Sends on until records of every partition came from a broker that is as asked.
fn until_all_from(
    what: &str,
    load: &mut Load,
    reader: &Process,
    is_fine: impl Fn(i32) -> bool,
) -> Result<()> {
    let since = Instant::now();
    let seen = until(what, LIMIT, || {
        load.go_on_for(Duration::from_millis(100))?;
        let counts = fetched(reader, since);
        let from: BTreeSet<i32> =
            counts.keys().filter(|(_, broker)| is_fine(*broker)).map(|(it, _)| *it).collect();
        Ok((from.len() == usize::try_from(PARTITIONS)?).then_some(()))
    });
    seen.with_context(|| format!("{:?}\n{}", fetched(reader, since), reader.notes()))
}

fn records(reader: &Process) -> Vec<Read> {
    reader.look(|events| {
        let records = events.iter().filter_map(|heard| match &heard.event {
            Event::Record(read) => Some(read.clone()),
            _ => None,
        });
        records.collect()
    })
}

#[test]
fn a_consumer_reads_from_its_rack_and_misses_nothing_while_the_broker_there_is_away() -> Result<()>
{
    if cache::is_skipped("racks", Library::FranzGo.tools())? {
        return Ok(());
    }
    let mut cluster = Cluster::start(3, &SETTINGS)?;
    cluster.create_topic(TOPIC, PARTITIONS)?;
    cluster.settle(TOPIC)?;
    let program = Library::FranzGo.build()?;
    let rack = format!("rack-{NEAR}");
    let mut reader = program.consume_in_rack(&cluster.bootstrap(), TOPIC, "near", MEMBER, &rack)?;
    let mut load = Load::begin(program, &cluster.bootstrap(), TOPIC, Order::page_view)?;

    until_all_from("all comes from the rack", &mut load, &reader, |broker| broker == NEAR)?;
    let settled = Instant::now();
    load.go_on_for(STRETCH)?;
    let far = fetched(&reader, settled);
    let far: Vec<_> = far.iter().filter(|((_, broker), _)| *broker != NEAR).collect();
    ensure!(far.is_empty(), "partition, broker and records: {far:?}");

    cluster.kill(NEAR)?;
    until_all_from("all comes from elsewhere", &mut load, &reader, |broker| broker != NEAR)
        .with_context(|| cluster.notes())?;
    load.go_on_for(STRETCH)?;
    cluster.start_broker(NEAR)?;
    cluster.wait_until_ready(NEAR)?;
    cluster.settle(TOPIC)?;
    until_all_from("all comes from the rack again", &mut load, &reader, |broker| broker == NEAR)
        .with_context(|| cluster.notes())?;

    let sent = load.sent();
    let counted = load.end().with_context(|| cluster.notes())?;
    let all = || Ok((records(&reader).len() >= sent).then_some(()));
    until("all is read", LIMIT, all).with_context(|| reader.notes())?;
    std::thread::sleep(SILENCE);
    let read = records(&reader);
    ensure!(read.len() == sent, "{} of {sent} were read", read.len());
    judge::unbroken_partitions(&read).map_err(|wrong| anyhow!(wrong))?;
    let near: usize = reader.look(|events| {
        let near = events.iter().filter_map(|heard| match heard.event {
            Event::Fetched { broker: NEAR, records, .. } => Some(records),
            _ => None,
        });
        near.sum()
    });
    println!("{counted} orders, {near} of them from the rack, none lost, duplicated or reordered");
    reader.stop().map(drop)
}
