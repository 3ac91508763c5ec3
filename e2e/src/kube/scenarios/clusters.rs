//! Clusters come up, and say so.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::stage::until;
use super::super::{Scenario, Stage};
use super::{cluster, topic};
use crate::cache::run;
use crate::event::Event;
use crate::library::{Library, Timeouts};
use crate::order::Order;

/// How many orders each client sends.
const ORDERS: u64 = 120;
/// How long a client may take for them.
const CLIENT: Duration = Duration::from_secs(45);
/// Where brokers answer those who operate them.
const INTERNAL_PORT: u16 = 9090;

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        number: 3,
        name: "one broker is ready in ten seconds and talks to librdkafka, Java and franz-go",
        limit: Duration::from_secs(240),
        is_smoke: false,
        needs_testbed: false,
        run: one,
    },
    Scenario {
        number: 4,
        name: "three brokers are ready in twenty seconds, vote, and keep a topic three times",
        limit: Duration::from_secs(90),
        is_smoke: true,
        needs_testbed: false,
        run: three,
    },
];

fn one(stage: &mut Stage<'_>) -> Result<()> {
    stage.apply(&cluster("demo", 1))?;
    let took = stage.until_ready("cluster.klamm.io", "demo", "True", Duration::from_secs(30))?;
    stage.figure("ready_s", took.as_secs_f64());
    ensure!(took <= Duration::from_secs(10), "it took {took:?}");
    for library in [Library::Python, Library::Java, Library::FranzGo] {
        talks(stage, library).with_context(|| library.name())?;
    }
    Ok(())
}

/// A client sends orders and reads them.
fn talks(stage: &Stage<'_>, library: Library) -> Result<()> {
    let program = library.build()?.within(stage.site().prefix())?;
    let (bootstrap, topic) = (stage.bootstrap("demo")?, library.name());
    run(stage.klamm()?.args(["topic", "create", topic, "-p", "3", "-b", &bootstrap]))?;
    let orders: Vec<Order> =
        (0..ORDERS).map(|n| Order::placed(n, ORDERS, Order::yesterday())).collect();
    let mut producer = program.produce(&bootstrap, topic, &orders[0])?;
    orders.iter().try_for_each(|order| program.feed(&mut producer, order))?;
    producer.close_input();
    let status = producer.wait(CLIENT)?;
    ensure!(status.success(), "the producer ended with {status}\n{}", producer.notes());
    let timeouts = Timeouts { session_ms: 10_000, heartbeat_ms: 500 };
    let mut consumer = program.consume(&bootstrap, topic, "tried", timeouts)?;
    let read = || {
        consumer.look(|heard| {
            let numbers = heard.iter().filter_map(|it| match &it.event {
                Event::Record(read) => Order::number(&read.value),
                _ => None,
            });
            numbers.collect::<BTreeSet<_>>().len() as u64
        })
    };
    until("the consumer has every order", CLIENT, || Ok((read() == ORDERS).then_some(())))?;
    consumer.stop().map(drop)
}

fn three(stage: &mut Stage<'_>) -> Result<()> {
    stage.apply(&(cluster("demo", 3) + &topic("orders", "partitions: 12, replicas: 3")))?;
    let took = stage.until_ready("cluster.klamm.io", "demo", "True", Duration::from_secs(60))?;
    stage.figure("ready_s", took.as_secs_f64());
    ensure!(took <= Duration::from_secs(20), "it took {took:?}");
    stage.until_ready("topic.klamm.io", "orders", "True", Duration::from_secs(10))?;
    let internal = stage.addresses("demo", INTERNAL_PORT)?;
    let shown = run(stage.klamm()?.args(["cluster", "brokers", "-b", &internal, "-o", "json"]))?;
    let brokers: Vec<serde_json::Value> =
        serde_json::from_str(&shown).context("klamm cluster brokers")?;
    let voters = brokers.iter().filter(|it| it["voter"] == true && it["state"] == "up").count();
    ensure!(voters == 3, "{voters} voters: {shown}");
    let reasons = stage.events("demo")?;
    for reason in ["Creating", "Available"] {
        let count = reasons.iter().filter(|it| it.starts_with(reason)).count();
        ensure!(count == 1, "{count} Events of {reason}: {reasons:?}");
    }
    produce_and_consume(stage)
}

fn produce_and_consume(stage: &Stage<'_>) -> Result<()> {
    let bootstrap = stage.bootstrap("demo")?;
    let input = "a teapot\na kettle\n";
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), input)?;
    let path = file.path().display().to_string();
    run(stage.klamm()?.args(["produce", "tried", "-b", &bootstrap, "--file", &path]))?;
    let read = run(stage.klamm()?.args(["consume", "tried", "-b", &bootstrap, "--exit-at-end"]))?;
    ensure!(read == input, "{read:?}");
    Ok(())
}
