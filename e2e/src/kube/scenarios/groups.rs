//! Consumer groups: offsets moved once per token, whoever reads meanwhile, and a lag that is true.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::stage::until;
use super::super::{Scenario, Stage};
use super::{cluster, klamm, topic};
use crate::event::Event;
use crate::library::{Library, Timeouts};
use crate::process::{Heard, Process};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        number: 37,
        name: "the offsets of an empty group go to an end, an offset, a time and by a shift, once each",
        limit: Duration::from_secs(120),
        is_smoke: true,
        needs_testbed: false,
        run: empty,
    },
    Scenario {
        number: 38,
        name: "a reset waits for members, is refused by them, or fences them, with three clients",
        limit: Duration::from_secs(300),
        is_smoke: false,
        needs_testbed: false,
        run: with_members,
    },
    Scenario {
        number: 39,
        name: "a reset is applied again, its operator killed and a second one started: offsets move once",
        limit: Duration::from_secs(180),
        is_smoke: false,
        needs_testbed: false,
        run: once,
    },
    Scenario {
        number: 40,
        name: "the lag is true without commits, after retention, and of a topic that is gone",
        limit: Duration::from_secs(180),
        is_smoke: false,
        needs_testbed: false,
        run: lag,
    },
];

const KIND: &str = "consumergroup.klamm.io";
const GROUP: &str = "inventory";
const TOPIC: &str = "orders";
const PARTITIONS: u64 = 3;
const RECORDS: u64 = 30;
const SOON: Duration = Duration::from_secs(15);
/// A client finds its group, its members and its offsets.
const JOINS: Duration = Duration::from_secs(40);
const TIMEOUTS: Timeouts = Timeouts { session_ms: 10_000, heartbeat_ms: 500 };

/// A ConsumerGroup, with what stands behind its Cluster.
fn group(more: &str) -> String {
    format!(
        "---\napiVersion: klamm.io/v1alpha1\nkind: ConsumerGroup\nmetadata: {{name: {GROUP}}}\nspec: {{clusterRef: \
         {{name: demo}}{more}}}\n"
    )
}

/// The same, with a reset.
fn reset(token: &str, rest: &str) -> String {
    group(&format!(", reset: {{token: {token}, {rest}}}"))
}

/// A Cluster with a topic, and in each partition as many records as in the others.
fn begin(stage: &Stage<'_>) -> Result<()> {
    let quick = "config: {log.retention.check.interval.ms: \"1000\", ";
    stage.apply(
        &(cluster("demo", 1).replace("config: {", quick)
            + &topic(TOPIC, &format!("partitions: {PARTITIONS}"))),
    )?;
    stage.until_ready("cluster.klamm.io", "demo", "True", Duration::from_secs(30))?;
    stage.until_ready("topic.klamm.io", TOPIC, "True", SOON)?;
    produce(stage)
}

fn produce(stage: &Stage<'_>) -> Result<()> {
    let records: String = (0..RECORDS / PARTITIONS).map(|n| format!("order {n}\n")).collect();
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), records)?;
    let path = file.path().display().to_string();
    for partition in 0..PARTITIONS {
        let partition = partition.to_string();
        klamm(stage, &["produce", TOPIC, "--partition", &partition, "--file", &path])?;
    }
    Ok(())
}

/// Reads to the end as a member that then leaves; says how many records that were.
fn consume(stage: &Stage<'_>) -> Result<u64> {
    let read = klamm(stage, &["consume", TOPIC, "--group", GROUP, "--exit-at-end"])?;
    Ok(u64::try_from(read.lines().count())?)
}

/// What the status says of the last reset.
fn last_reset(stage: &Stage<'_>) -> Result<Value> {
    Ok(stage.get(KIND, GROUP)?["status"]["lastReset"].clone())
}

/// Waits until the reset of `token` is in `phase`; gives what the status says of it.
fn until_reset(stage: &Stage<'_>, token: &str, phase: &str, limit: Duration) -> Result<Value> {
    let mut last = Value::Null;
    let waited = until(&format!("the reset {token} is {phase}"), limit, || {
        last = last_reset(stage)?;
        Ok((last["token"] == token && last["phase"] == phase).then(|| last.clone()))
    });
    waited.with_context(|| format!("it is {last}"))
}

fn lag_is(stage: &Stage<'_>, wanted: u64) -> Result<()> {
    let mut last = Value::Null;
    until(&format!("the lag is {wanted}"), Duration::from_secs(45), || {
        last = stage.get(KIND, GROUP)?["status"]["lag"].clone();
        Ok((last["total"] == wanted).then_some(()))
    })
    .with_context(|| format!("it is {last}"))
}

fn empty(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage)?;
    ensure!(consume(stage)? == RECORDS, "the group did not read everything");
    stage.apply(&group(""))?;
    stage.until_ready(KIND, GROUP, "True", SOON)?;
    lag_is(stage, 0)?;
    let all = RECORDS;
    for (token, to, left) in [
        ("earliest", "position: Earliest", all),
        ("latest", "position: Latest", 0),
        ("back", "shiftBy: -2", 2 * PARTITIONS),
        ("offset", "offset: 4", all - 4 * PARTITIONS),
        ("long-ago", "timestamp: \"2001-01-01T00:00:00Z\"", all),
        // Behind the last record: there is nothing as late.
        ("latest-again", "ago: 0s", 0),
        ("undo", "snapshot: latest-again", all),
    ] {
        let before: u64 = last_reset(stage)?["plan"].as_array().map_or(0, |it| it.len() as u64);
        ensure!(before == 0 || before == PARTITIONS, "{before} moves");
        stage.apply(&reset(token, &format!("to: {{{to}}}")))?;
        let done = until_reset(stage, token, "Complete", SOON)?;
        let moves = done["plan"].as_array().cloned().unwrap_or_default();
        let knows_before = moves.iter().all(|it| it["from"].is_u64());
        ensure!(moves.len() as u64 == PARTITIONS && knows_before, "{token}: {done}");
        let left_now: u64 = described_lag(stage)?;
        ensure!(left_now == left, "{token}: the group has {left_now} records to read, not {left}");
    }
    ensure!(consume(stage)? == all, "the consumer did not go on from the target");
    ensure!(consume(stage)? == 0, "the reset was done twice");
    Ok(())
}

/// The group's lag, as the brokers have it.
fn described_lag(stage: &Stage<'_>) -> Result<u64> {
    let said = klamm(stage, &["group", "describe", GROUP, "-o", "json"])?;
    let said: Value = serde_json::from_str(&said).context("klamm group describe")?;
    let offsets = said["offsets"].as_array().cloned().unwrap_or_default();
    // Of a partition without a committed offset nothing is behind.
    ensure!(offsets.len() as u64 == PARTITIONS, "offsets of {} partitions", offsets.len());
    Ok(offsets.iter().filter_map(|it| it["lag"].as_u64()).sum())
}

fn with_members(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage)?;
    stage.apply(&group(""))?;
    for library in [Library::Java, Library::Python, Library::KafkaGo] {
        fence(stage, library)
            .with_context(|| format!("a group with members of {}", library.name()))?;
    }
    let program = Library::FranzGo.build()?.within(stage.site().prefix())?;
    let mut member = program.consume(&stage.bootstrap("demo")?, TOPIC, GROUP, TIMEOUTS)?;
    owns_all(&member)?;
    stage.apply(&reset("refused", "to: {position: Earliest}, whenActive: Fail"))?;
    let refused = until_reset(stage, "refused", "Rejected", SOON)?;
    ensure!(refused["message"].as_str().is_some_and(|it| it.contains("member")), "{refused}");
    stage.apply(&reset("waits", "to: {position: Earliest}, whenActive: Wait"))?;
    until_reset(stage, "waits", "Pending", SOON)?;
    member.stop()?;
    until_reset(stage, "waits", "Complete", Duration::from_secs(30))?;
    ensure!(described_lag(stage)? > 0, "the reset moved nothing");
    Ok(())
}

/// Moves a group whose member is at work to the beginning; it reads all again, and commits nothing old.
fn fence(stage: &mut Stage<'_>, library: Library) -> Result<()> {
    let program = library.build()?.within(stage.site().prefix())?;
    let mut member = program.consume(&stage.bootstrap("demo")?, TOPIC, GROUP, TIMEOUTS)?;
    owns_all(&member)?;
    let all = described_end(stage)?;
    let read = || {
        let is_record = |it: &&Heard<Event>| matches!(it.event, Event::Record(_));
        member.look(|heard| heard.iter().filter(is_record).count() as u64)
    };
    until("the member has committed all", JOINS, || {
        Ok(described_lag(stage).is_ok_and(|lag| lag == 0).then_some(()))
    })?;
    let before = read();
    let token = format!("fence-{}", library.name());
    stage.apply(&reset(&token, "to: {position: Earliest}, whenActive: Fence"))?;
    let begun = std::time::Instant::now();
    let mut phase = String::new();
    until("the reset is done", SOON, || {
        let last = last_reset(stage)?;
        phase = last["phase"].as_str().unwrap_or_default().to_owned();
        let is_done = ["Complete", "Overwritten"].contains(&phase.as_str());
        Ok((last["token"] == *token && is_done).then_some(()))
    })?;
    // kafka-go may commit an old position when it joins anew: that has to be seen (D13), and is done once more.
    if phase == "Overwritten" {
        ensure!(library == Library::KafkaGo, "an old position was committed over the target");
        stage.figure("kafka-go_overwrote", 1.0);
        stage.apply(&reset(
            &format!("{token}-again"),
            "to: {position: Earliest}, whenActive: Fence",
        ))?;
    }
    until("the member reads everything again", JOINS, || {
        Ok((read() >= before + all).then_some(()))
    })?;
    stage.figure(&format!("{}_reads_again_s", library.name()), begun.elapsed().as_secs_f64());
    until("the member has committed all again", JOINS, || {
        Ok((described_lag(stage)? == 0).then_some(()))
    })?;
    member.stop()?;
    until("the group is empty", JOINS, || {
        let found = stage.get(KIND, GROUP)?;
        Ok((found["status"]["members"] == 0).then_some(()))
    })
}

/// Waits until a member has all partitions.
fn owns_all(member: &Process) -> Result<()> {
    until("the member has all partitions", JOINS, || {
        let owns = |event: &Event| matches!(event, Event::Owns { partitions } if partitions.len() as u64 == PARTITIONS);
        Ok(member.look(|heard| heard.iter().any(|it| owns(&it.event))).then_some(()))
    })
}

/// How many records the topic has.
fn described_end(stage: &Stage<'_>) -> Result<u64> {
    let read = klamm(stage, &["consume", TOPIC, "--exit-at-end"])?;
    Ok(u64::try_from(read.lines().count())?)
}

fn once(stage: &mut Stage<'_>) -> Result<()> {
    let result = moves_once(stage);
    // One, as it was, whatever became of this.
    stage.scale_operator(1).and(result)
}

/// From where a reset moved each partition. Where to, only who has done it tells.
fn moved_from(reset: &Value) -> Vec<(String, String, String)> {
    let moves = reset["plan"].as_array().cloned().unwrap_or_default();
    let text = |it: &Value, key: &str| it[key].to_string();
    moves.iter().map(|it| (text(it, "topic"), text(it, "partition"), text(it, "from"))).collect()
}

fn moves_once(stage: &Stage<'_>) -> Result<()> {
    begin(stage)?;
    consume(stage)?;
    stage.apply(&group(""))?;
    stage.until_ready(KIND, GROUP, "True", SOON)?;
    let again = reset("again", "to: {position: Earliest}");
    stage.apply(&again)?;
    stage.kill_operator()?;
    until_reset(stage, "again", "Complete", Duration::from_secs(60))?;
    ensure!(consume(stage)? == RECORDS, "the reset moved nothing");
    // The same again, by another operator, and by two.
    stage.scale_operator(2)?;
    stage.apply(&again)?;
    stage.kubectl(&["annotate", KIND, GROUP, "touched=yes"])?;
    stage.kill_operator()?;
    std::thread::sleep(Duration::from_secs(20));
    ensure!(consume(stage)? == 0, "the token moved the group once more");
    let done = last_reset(stage)?;
    ensure!(done["token"] == "again" && done["phase"] == "Complete", "{done}");
    // Whoever loses the status finds in the coordinator's journal what was done.
    let nothing =
        ["--subresource=status", "--type=merge", "-p", "{\"status\":{\"lastReset\":null}}"];
    stage.kubectl(&[&["patch", KIND, GROUP], &nothing[..]].concat())?;
    stage.kubectl(&["annotate", KIND, GROUP, "touched=again", "--overwrite"])?;
    let found = until_reset(stage, "again", "Complete", Duration::from_secs(60))?;
    ensure!(moved_from(&found) == moved_from(&done), "{found}, and before {done}");
    ensure!(consume(stage)? == 0, "the token moved the group once more");
    Ok(())
}

fn lag(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage)?;
    consume(stage)?;
    stage.apply(&group(""))?;
    stage.until_ready(KIND, GROUP, "True", SOON)?;
    lag_is(stage, 0)?;
    produce(stage)?;
    lag_is(stage, RECORDS)?;
    // What is deleted cannot be read any more: it does not count, and nothing is below zero.
    klamm(stage, &["topic", "alter", TOPIC, "--config", "retention.ms=1"])?;
    lag_is(stage, 0)?;
    // A group that never committed has no lag, and says of how many partitions.
    let fresh = group(", groupId: fresh").replace(GROUP, "fresh");
    stage.apply(&fresh)?;
    stage.until_ready(KIND, "fresh", "True GroupNotFound", SOON)?;
    stage.kubectl(&["delete", "topic.klamm.io", TOPIC, "--timeout=20s"])?;
    until("nothing is said of the topic that is gone", Duration::from_secs(45), || {
        let status = stage.get(KIND, GROUP)?["status"].clone();
        let topics = status["topics"].as_array().map_or(0, Vec::len);
        Ok((topics == 0 && status["lag"]["total"].as_i64().unwrap_or(0) == 0).then_some(()))
    })
}
