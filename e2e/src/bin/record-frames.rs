//! Takes the frames anew that mutations start from: real clients and tools talk to a broker through a
//! recorder. `cargo xtask frames --record` runs it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "real processes run in real time, beside real files"
)]

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cache;
use e2e::frames::broker::Broker;
use e2e::frames::captured::Captured;
use e2e::frames::record::Recorder;
use e2e::kafka::Kafka;
use e2e::library::{Library, Timeouts};
use e2e::order::Order;
use e2e::process::until;
use e2e::server::klamm_binary;

const TOPIC: &str = "orders";
const ORDERS: u64 = 12;
const TIMEOUTS: Timeouts = Timeouts { session_ms: 6000, heartbeat_ms: 200 };
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let recorder = Recorder::listen()?;
    let settings = ["group.initial.rebalance.delay.ms=0", "offsets.topic.num.partitions=3"];
    let broker = Broker::start(Some(recorder.port()), &settings)?;
    recorder.lead_to(broker.port());
    let topic_id = broker.create(TOPIC, 3)?;
    let address = format!("127.0.0.1:{}", recorder.port());
    // kafkajs goes before franz-go: it cannot read the Snappy that franz-go writes.
    for library in Library::ALL.into_iter().rev() {
        println!("recording {}", library.name());
        recorder.listen_to(library.name());
        client(library, &address).with_context(|| library.name())?;
    }
    println!("recording klamm");
    recorder.listen_to("klamm");
    klamm(&address)?;
    println!("recording kafka-tools");
    recorder.listen_to("kafka-tools");
    kafka_tools(&address)?;
    let captured = Captured { topic_id, frames: recorder.heard() };
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/frames.txt");
    std::fs::write(fixture, captured.print())?;
    println!("{} frames in {fixture}", captured.frames.len());
    broker.stop()
}

/// Sends orders, reads them as a group of two, and rewinds that.
fn client(library: Library, address: &str) -> Result<()> {
    let program = library.build()?;
    let group = format!("{}-readers", library.name());
    let orders: Vec<Order> =
        (0..ORDERS).map(|n| Order::placed(n, ORDERS, Order::yesterday())).collect();
    let mut producer = program.produce(address, TOPIC, &orders[0])?;
    for order in &orders {
        program.feed(&mut producer, order)?;
    }
    producer.close_input();
    producer.wait(LIMIT)?;
    let mut first = program.consume(address, TOPIC, &group, TIMEOUTS)?;
    let read = until("orders are read", LIMIT, || {
        let heard = first.look(<[_]>::len);
        Ok((heard > 10).then_some(()))
    });
    read.with_context(|| first.notes())?;
    let mut second = program.consume(address, TOPIC, &group, TIMEOUTS)?;
    // Both are told, and go on: heartbeats, commits, another join.
    until("the second one is in", LIMIT, || Ok((second.look(<[_]>::len) > 0).then_some(())))?;
    std::thread::sleep(Duration::from_secs(6));
    second.stop()?;
    first.stop()?;
    if library.cannot_rewind().is_none() {
        let status = program.rewind(address, TOPIC, &group)?.wait(LIMIT)?;
        ensure!(status.success(), "the rewind ended with {status}");
    }
    Ok(())
}

fn klamm(address: &str) -> Result<()> {
    let binary = klamm_binary()?;
    let lines = [
        "topic create scratch --partitions 2 --config retention.ms=100000",
        "topic list",
        "topic describe scratch",
        "topic alter scratch --config retention.ms=200000",
        "topic add-partitions scratch --to 3",
        "topic trim orders --partition 0 --before 2",
        "topic delete scratch",
        "consume orders --group klamm-readers --from beginning --exit-at-end",
        "consume orders --from beginning --exit-at-end",
        "group list",
        "group describe java-readers",
        "group reset java-readers --to beginning --topic orders",
        "group delete node-readers",
    ];
    for line in lines {
        let mut command = Command::new(&binary);
        command.args(line.split(' ')).args(["--bootstrap", address]);
        cache::run(&mut command)?;
    }
    Ok(())
}

fn kafka_tools(address: &str) -> Result<()> {
    let tools = Kafka::find()?.context("recording needs java and mvn")?;
    let scratch = tempfile::tempdir()?;
    let offsets = scratch.path().join("offsets.json");
    std::fs::write(
        &offsets,
        r#"{"version":1,"partitions":[{"topic":"orders","partition":0,"offset":1}]}"#,
    )?;
    let offsets = offsets.to_str().context("its path is not UTF-8")?;
    let delete = format!("--offset-json-file {offsets}");
    let lines = [
        ("TopicCommand", "--create --topic scratch --partitions 2 --config retention.ms=100000"),
        ("TopicCommand", "--describe"),
        ("TopicCommand", "--alter --topic scratch --partitions 4"),
        ("TopicCommand", "--delete --topic scratch"),
        ("GetOffsetShell", "--topic orders --time -1"),
        ("LogDirsCommand", "--describe --topic-list orders"),
        ("ClusterTool", "cluster-id"),
        ("DeleteRecordsCommand", delete.as_str()),
        ("consumer.group.ConsumerGroupCommand", "--list --state"),
        ("consumer.group.ConsumerGroupCommand", "--describe --group java-readers"),
        ("consumer.group.ConsumerGroupCommand", "--describe --all-groups --members"),
        (
            "consumer.group.ConsumerGroupCommand",
            "--reset-offsets --group java-readers --topic orders --to-earliest --execute",
        ),
        (
            "consumer.group.ConsumerGroupCommand",
            "--delete-offsets --group java-readers --topic orders",
        ),
        ("consumer.group.ConsumerGroupCommand", "--delete --group python-readers"),
    ];
    for (class, line) in lines {
        let arguments: Vec<&str> =
            ["--bootstrap-server", address].into_iter().chain(line.split(' ')).collect();
        tools.tool(&format!("org.apache.kafka.tools.{class}"), &arguments)?;
    }
    let alter = ["--alter", "--entity-type", "topics", "--entity-name", "orders"];
    for more in [
        [alter.as_slice(), &["--add-config", "retention.ms=600000000"]].concat(),
        vec!["--describe", "--entity-type", "topics", "--entity-name", "orders", "--all"],
        vec!["--describe", "--entity-type", "brokers", "--entity-name", "1"],
    ] {
        let arguments = [["--bootstrap-server", address].as_slice(), &more].concat();
        tools.tool("kafka.admin.ConfigCommand", &arguments)?;
    }
    Ok(())
}
