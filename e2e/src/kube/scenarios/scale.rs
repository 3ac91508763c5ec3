//! Many resources at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::evidence::OPERATOR;
use super::super::invariants::writes;
use super::super::{Scenario, Stage};
use super::{cluster, topic};
use crate::process::until_each;

pub(super) const ALL: &[Scenario] = &[Scenario {
    number: 12,
    name: "a thousand topics that thirty-two apply at once are ready in twenty seconds",
    limit: Duration::from_secs(240),
    is_smoke: false,
    needs_testbed: true,
    run: thousand,
}];

const TOPICS: usize = 1000;
const AT_ONCE: usize = 32;
const READY: Duration = Duration::from_secs(20);
/// How much of a machine's memory the operator may ever have taken.
const OPERATOR_BYTES: u64 = 64 << 20;
/// After which time it is given up; the figure is more telling than a wait that ends at the limit.
const GIVEN_UP: Duration = Duration::from_secs(120);

fn thousand(stage: &mut Stage<'_>) -> Result<()> {
    stage.apply(&cluster("demo", 3))?;
    stage.until_ready("cluster.klamm.io", "demo", "True", Duration::from_secs(60))?;
    let names: Vec<String> = (0..TOPICS).map(|it| format!("topic-{it:04}")).collect();
    let before = writes(stage)?.len();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let applied: Vec<_> = names
            .chunks(TOPICS.div_ceil(AT_ONCE))
            .map(|chunk| {
                let yaml: String =
                    chunk.iter().map(|name| topic(name, "partitions: 1, replicas: 3")).collect();
                let stage = &*stage;
                scope.spawn(move || {
                    let create = ["-n", stage.namespace(), "create", "-f", "-"];
                    stage.site().kubectl_with(&create, &yaml)
                })
            })
            .collect();
        applied.into_iter().try_for_each(|it| it.join().expect("kubectl is waited for").map(drop))
    })?;
    stage.figure("created_s", begun.elapsed().as_secs_f64());
    let path = format!("/apis/klamm.io/v1alpha1/namespaces/{}/topics", stage.namespace());
    until_each(Duration::from_secs(1), "all topics are ready", GIVEN_UP, || {
        let said = stage.site().kubectl(&["get", "--raw", &path])?;
        let all: serde_json::Value = serde_json::from_str(&said)?;
        let items = all["items"].as_array().context("a list has items")?;
        let is_ready = |it: &&serde_json::Value| {
            let conditions = it["status"]["conditions"].as_array();
            let found = conditions.and_then(|all| all.iter().find(|it| it["type"] == "Ready"));
            found.is_some_and(|it| it["status"] == "True")
        };
        Ok((items.iter().filter(is_ready).count() == TOPICS).then_some(()))
    })?;
    let took = begun.elapsed();
    stage.figure("ready_s", took.as_secs_f64());
    let wrote = writes(stage)?.len() - before;
    stage.figure("writes_per_topic", wrote as f64 / TOPICS as f64);
    let most = "grep VmHWM /proc/$1/status";
    let said = stage.at_process(OPERATOR, &stage.holder()?, most)?;
    let kib: u64 = said
        .split_whitespace()
        .nth(1)
        .and_then(|it| it.parse().ok())
        .with_context(|| format!("no size in {said:?}"))?;
    stage.figure("operator_bytes", (kib * 1024) as f64);
    ensure!(took <= READY, "it took {took:?}");
    ensure!(kib * 1024 <= OPERATOR_BYTES, "the operator took {kib} KiB");
    Ok(())
}
