//! Volumes are lost, and Clusters deleted and applied again: there is never a second, empty cluster.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::stage::until;
use super::super::{Scenario, Stage};
use super::{cluster, klamm, topic};

pub(super) const ALL: &[Scenario] = &[Scenario {
    number: 51,
    name: "a cluster forms once: with one volume lost it heals, with two or three it says so, applied again it is the same",
    limit: Duration::from_secs(400),
    is_smoke: false,
    needs_testbed: false,
    run: forms_once,
}];

const KIND: &str = "cluster.klamm.io";
const READY: Duration = Duration::from_secs(60);
/// How long a new volume may take to be made, and its broker to be in sync.
const HEALS: Duration = Duration::from_secs(120);
/// How long it is watched that nothing forms.
const WATCHED: Duration = Duration::from_secs(20);
const RECORD: &str = "written before\n";

fn forms_once(stage: &mut Stage<'_>) -> Result<()> {
    stage.apply(&(cluster("demo", 3) + &topic("orders", "partitions: 3, replicas: 3")))?;
    stage.until_ready(KIND, "demo", "True", READY)?;
    stage.until_ready("topic.klamm.io", "orders", "True", READY)?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), RECORD)?;
    klamm(stage, &["produce", "orders", "--file", &file.path().display().to_string()])?;
    let formed = cluster_id(stage)?;

    applied_again(stage).context("deleted and applied again")?;
    is_the_same(stage, &formed).context("deleted and applied again")?;

    let begun = std::time::Instant::now();
    wipe(stage, &[2])?;
    until("the broker with the new volume is in sync", HEALS, || Ok(in_sync(stage, 3).ok()))?;
    stage.figure("one_volume_healed_s", begun.elapsed().as_secs_f64());
    stage.until_ready(KIND, "demo", "True", READY)?;
    is_the_same(stage, &formed).context("one volume lost")?;

    for (ordinals, how_many) in [(&[1, 2][..], "two"), (&[0], "three")] {
        wipe(stage, ordinals)?;
        stage
            .until_ready(KIND, "demo", "False QuorumLost", HEALS)
            .with_context(|| format!("{how_many} volumes lost"))?;
        stays_lost(stage, &formed).with_context(|| format!("{how_many} volumes lost"))?;
    }
    Ok(())
}

fn cluster_id(stage: &Stage<'_>) -> Result<String> {
    let found = stage.get(KIND, "demo")?;
    let id = found["status"]["clusterId"].as_str().context("the Cluster has an id")?;
    Ok(id.to_owned())
}

/// Deletes the Cluster, which leaves its volumes, and applies it once more.
fn applied_again(stage: &Stage<'_>) -> Result<()> {
    stage.kubectl(&["delete", KIND, "demo", "--timeout=60s"])?;
    until("its pods are gone", READY, || Ok(stage.pod_uids("demo")?.is_empty().then_some(())))?;
    stage.apply(&cluster("demo", 3))?;
    stage.until_ready(KIND, "demo", "True", READY).map(drop)
}

/// The cluster is the one that was formed, and has what was written.
fn is_the_same(stage: &Stage<'_>, formed: &str) -> Result<()> {
    let now = cluster_id(stage)?;
    ensure!(now == formed, "the cluster was {formed} and is {now}");
    let read = klamm(stage, &["consume", "orders", "--exit-at-end"])?;
    ensure!(read == RECORD, "{read:?}");
    Ok(())
}

/// So many brokers hold the topic's partitions in sync.
fn in_sync(stage: &Stage<'_>, count: usize) -> Result<()> {
    let said = klamm(stage, &["topic", "describe", "orders", "-o", "json"])?;
    let topic: serde_json::Value = serde_json::from_str(&said)?;
    let partitions = topic["partitions"].as_array().context("it has partitions")?;
    let all = partitions.iter().all(|it| it["isr"].as_array().map(Vec::len) == Some(count));
    ensure!(all && !partitions.is_empty(), "{said}");
    Ok(())
}

/// Deletes brokers' volumes with their pods, at once; other volumes come, and they are empty.
fn wipe(stage: &Stage<'_>, ordinals: &[u8]) -> Result<()> {
    let uid = |ordinal: &u8| {
        let claim = stage.get("pvc", &format!("data-demo-{ordinal}"))?;
        Ok::<_, anyhow::Error>(claim["metadata"]["uid"].clone())
    };
    let before = ordinals.iter().map(uid).collect::<Result<Vec<_>>>()?;
    let claims: Vec<String> = ordinals.iter().map(|it| format!("pvc/data-demo-{it}")).collect();
    let claims: Vec<&str> = claims.iter().map(String::as_str).collect();
    stage.kubectl(&[&["delete", "--wait=false"], &claims[..]].concat())?;
    until("other volumes are there", HEALS, || {
        let old = ordinals.iter().zip(&before);
        let old = old.filter(|(ordinal, before)| uid(ordinal).ok().is_none_or(|it| it == **before));
        let pods: Vec<String> = old.map(|(ordinal, _)| format!("pod/demo-{ordinal}")).collect();
        if pods.is_empty() {
            return Ok(Some(()));
        }
        // A pod that was made before the old claim was gone waits for that one, for ever.
        let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
        let _ = stage.kubectl(&[&["delete", "--force", "--grace-period=0"], &pods[..]].concat());
        std::thread::sleep(Duration::from_secs(1));
        Ok(None)
    })
}

/// It goes on to be said that the quorum is lost, and nothing is served.
fn stays_lost(stage: &Stage<'_>, formed: &str) -> Result<()> {
    std::thread::sleep(WATCHED);
    let (ready, stalled) =
        (stage.condition(KIND, "demo", "Ready")?, stage.condition(KIND, "demo", "Stalled")?);
    ensure!(ready == "False QuorumLost" && stalled == "True QuorumLost", "{ready}, {stalled}");
    let now = cluster_id(stage)?;
    ensure!(now == formed, "the cluster was {formed} and is {now}");
    let created = klamm(stage, &["topic", "create", "another", "--timeout", "5s"]);
    ensure!(created.is_err(), "a topic was created without the quorum");
    Ok(())
}
