//! Topics: created, grown, refused, put right, adopted, contested, deleted by policy.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::super::stage::until;
use super::super::{Scenario, Stage};
use super::{cluster, klamm, topic};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        number: 5,
        name: "a topic is created, grows, and is not let shrink",
        limit: Duration::from_secs(60),
        is_smoke: true,
        needs_testbed: false,
        run: grows,
    },
    Scenario {
        number: 6,
        name: "a setting that somebody else changes is put right, and told",
        limit: Duration::from_secs(60),
        is_smoke: false,
        needs_testbed: false,
        run: drifts,
    },
    Scenario {
        number: 8,
        name: "a topic that exists is adopted, and one with more partitions is left alone",
        limit: Duration::from_secs(60),
        is_smoke: false,
        needs_testbed: false,
        run: adopts,
    },
    Scenario {
        number: 9,
        name: "of two resources that want one topic the older has it, and the other deletes nothing",
        limit: Duration::from_secs(60),
        is_smoke: false,
        needs_testbed: false,
        run: contested,
    },
    Scenario {
        number: 10,
        name: "a topic goes by its policy, and never waits for a Cluster that is gone",
        limit: Duration::from_secs(120),
        is_smoke: true,
        needs_testbed: false,
        run: deleted,
    },
];

const KIND: &str = "topic.klamm.io";
const SOON: Duration = Duration::from_secs(10);
/// How long what somebody else changed may stay so.
const PUT_RIGHT: Duration = Duration::from_secs(5);

fn begin(stage: &Stage<'_>, more: &str) -> Result<()> {
    stage.apply(&(cluster("demo", 1) + more))?;
    stage.until_ready("cluster.klamm.io", "demo", "True", Duration::from_secs(30))?;
    Ok(())
}

/// What `klamm topic describe` says of a topic, as JSON; nothing if there is none.
fn describe(stage: &Stage<'_>, name: &str) -> Result<Option<serde_json::Value>> {
    let bootstrap = stage.bootstrap("demo")?;
    let said = stage
        .klamm()?
        .args(["topic", "describe", name, "-b", &bootstrap, "-o", "json"])
        .output()?;
    if !said.status.success() {
        let why = String::from_utf8_lossy(&said.stderr);
        ensure!(why.contains("no topic"), "topic describe {name}: {why}");
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&said.stdout).context("topic describe")?))
}

fn grows(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage, "")?;
    stage.apply(&topic("orders", "partitions: 3"))?;
    let took = stage.until_ready(KIND, "orders", "True", SOON)?;
    stage.figure("created_s", took.as_secs_f64());
    stage.apply(&topic("orders", "partitions: 12"))?;
    until("it has grown", SOON, || {
        let found = stage.get(KIND, "orders")?;
        Ok((found["status"]["partitions"] == 12).then_some(()))
    })?;
    let why = stage.refused(&topic("orders", "partitions: 3"))?;
    ensure!(why.contains("cannot shrink"), "{why}");
    Ok(())
}

fn drifts(stage: &mut Stage<'_>) -> Result<()> {
    begin(
        stage,
        &topic(
            "orders",
            "partitions: 3, config: {segment.bytes: \"1048576\"}, unmanagedConfig: [retention.ms]",
        ),
    )?;
    stage.until_ready(KIND, "orders", "True", SOON)?;
    klamm(
        stage,
        &[
            "topic",
            "alter",
            "orders",
            "--config",
            "segment.bytes=2097152",
            "--config",
            "retention.ms=1000000",
        ],
    )?;
    let begun = Instant::now();
    until("it is put right", PUT_RIGHT, || {
        let found = stage.get(KIND, "orders")?;
        Ok((found["status"]["drift"]["count"] == 1).then_some(()))
    })?;
    stage.figure("put_right_s", begun.elapsed().as_secs_f64());
    let events = stage.events("orders")?;
    ensure!(events.iter().any(|it| it.starts_with("DriftCorrected")), "{events:?}");
    let found = describe(stage, "orders")?.context("the topic is there")?.to_string();
    ensure!(found.contains("1048576") && found.contains("1000000"), "{found}");
    Ok(())
}

fn adopts(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage, "")?;
    klamm(stage, &["topic", "create", "orders", "--partitions", "6"])?;
    klamm(stage, &["topic", "create", "wide", "--partitions", "6"])?;
    let declared = topic("orders", "partitions: 6") + &topic("wide", "partitions: 3");
    stage.apply(&declared)?;
    stage.until_ready(KIND, "orders", "True Adopted", SOON)?;
    stage.until_ready(KIND, "wide", "False PartitionsLower", SOON)?;
    Ok(())
}

fn contested(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage, &topic("first", "topicName: orders, partitions: 3"))?;
    stage.until_ready(KIND, "first", "True", SOON)?;
    stage.apply(&topic("second", "topicName: orders, partitions: 3"))?;
    stage.until_ready(KIND, "second", "False Conflict", SOON)?;
    stage.kubectl(&["delete", KIND, "second", "--timeout=10s"])?;
    ensure!(describe(stage, "orders")?.is_some(), "the loser deleted the topic");
    Ok(())
}

fn deleted(stage: &mut Stage<'_>) -> Result<()> {
    let both =
        topic("goes", "partitions: 1") + &topic("stays", "partitions: 1, deletionPolicy: Retain");
    begin(stage, &both)?;
    for name in ["goes", "stays"] {
        stage.until_ready(KIND, name, "True", SOON)?;
        stage.kubectl(&["delete", KIND, name, "--timeout=10s"])?;
    }
    if describe(stage, "goes")?.is_some() || describe(stage, "stays")?.is_none() {
        bail!("the policy was not followed");
    }
    let two = topic("late", "partitions: 1") + &topic("waits", "partitions: 1");
    stage.apply(&two)?;
    stage.until_ready(KIND, "late", "True", SOON)?;
    stage.until_ready(KIND, "waits", "True", SOON)?;
    if stage.site().is_testbed() {
        waits_for_brokers(stage)?;
    }
    stage.kubectl(&["delete", "cluster.klamm.io", "demo", "--timeout=30s"])?;
    let begun = Instant::now();
    stage.kubectl(&["delete", KIND, "late", "--timeout=10s"])?;
    stage.figure("released_s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Whose brokers do not answer at present is not let go: its policy says that its topic is to be deleted.
fn waits_for_brokers(stage: &Stage<'_>) -> Result<()> {
    let broker = |signal: &str| {
        stage.at_process(stage.namespace(), "demo-0", &format!("kill -{signal} $1")).map(drop)
    };
    broker("STOP")?;
    let waited = (|| {
        stage.kubectl(&["delete", KIND, "waits", "--wait=false"])?;
        std::thread::sleep(SOON);
        let held = stage.get(KIND, "waits").context("it was let go, and its topic is there")?;
        ensure!(held["metadata"]["deletionTimestamp"].is_string(), "it is not being deleted");
        Ok(())
    })();
    broker("CONT")?;
    waited?;
    stage.kubectl(&["wait", "--for=delete", &format!("{KIND}/waits"), "--timeout=45s"])?;
    ensure!(describe(stage, "waits")?.is_none(), "it was let go, and its topic is there");
    Ok(())
}
