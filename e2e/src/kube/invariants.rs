//! What holds whatever a scenario did: specs are their owner's, volumes stay, and an operator with nothing to do
//! writes nothing, also one that has just been started.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Stage;
use super::evidence::OPERATOR;
use super::site::OPERATOR_RELEASE;
use super::stage::until;

/// How long nothing may be written.
const QUIET: Duration = Duration::from_secs(60);
/// How long an operator that takes over may take for its first looks, and what they find.
const FIRST_LOOKS: Duration = Duration::from_secs(12);
/// How long what the scenario did may take to be carried out, and another operator to take over.
const SETTLES: Duration = Duration::from_secs(60);
/// The kinds of ours.
const KINDS: &str = "clusters.klamm.io,topics.klamm.io,consumergroups.klamm.io";

/// Kills the operator and watches what the next one does in a stage that is quiet.
///
/// # Errors
/// With what does not hold.
pub fn check(stage: &Stage<'_>) -> Result<()> {
    specs_are_their_owners(stage)?;
    let before = until("no pod is on its way out", SETTLES, || stage.pods_at_rest())?;
    let holder = stage.holder()?;
    stage.kill_operator()?;
    until("another operator holds the lease", SETTLES, || {
        let now = stage.holder()?;
        Ok((!now.is_empty() && now != holder).then_some(()))
    })?;
    // What was written before it begins is the last one's: it looks at all once more first.
    sleep(FIRST_LOOKS);
    until("all is observed", SETTLES, || Ok(unsettled(stage)?.is_empty().then_some(())))
        .with_context(|| format!("{:?}", unsettled(stage).unwrap_or_default()))?;
    if stage.site().is_testbed() {
        let begun = writes(stage)?.len();
        sleep(QUIET);
        let more: Vec<String> = writes(stage)?.split_off(begun);
        ensure!(more.is_empty(), "an operator with nothing to do wrote: {more:#?}");
        volumes_stay(stage)?;
    }
    let after = stage.pods_at_rest()?.unwrap_or_default();
    ensure!(before == after, "a new operator changed pods: {before:?}, {after:?}");
    Ok(())
}

/// The operator owns no field of a resource's spec.
fn specs_are_their_owners(stage: &Stage<'_>) -> Result<()> {
    for object in resources(stage)? {
        let fields = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        for entry in &fields {
            let manager = entry["manager"].as_str().unwrap_or_default();
            let owns_spec = manager.starts_with("klamm") && !entry["fieldsV1"]["f:spec"].is_null();
            ensure!(!owns_spec, "{} owns the spec of {}", manager, object["metadata"]["name"]);
        }
    }
    Ok(())
}

/// Resources whose `Ready` is not about what they are now, or that are still worked on.
fn unsettled(stage: &Stage<'_>) -> Result<BTreeSet<String>> {
    let all = resources(stage)?;
    let is_stalled = |object: &Value| {
        let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|it| it["type"] == "Stalled" && it["status"] == "True")
    };
    let is_any_cluster_stalled = all.iter().any(|it| it["kind"] == "Cluster" && is_stalled(it));
    let is_unsettled = |object: &Value| {
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let of = |type_: &str| conditions.iter().find(|it| it["type"] == type_);
        let is_observed = of("Ready").is_some_and(|it| {
            it["observedGeneration"] == object["metadata"]["generation"]
                && it["status"] != "Unknown"
        });
        // What waits for a Cluster that a person has to mend is not worked on.
        let waits = is_any_cluster_stalled
            && of("Ready").is_some_and(|it| it["reason"] == "ClusterNotReady");
        let is_worked_on = of("Reconciling").is_some_and(|it| it["status"] == "True");
        !is_observed || is_worked_on && !waits
    };
    let name = |it: &Value| format!("{} {}", it["kind"], it["metadata"]["name"]);
    Ok(all.iter().filter(|it| is_unsettled(it)).map(name).collect())
}

fn resources(stage: &Stage<'_>) -> Result<Vec<Value>> {
    let said = stage.kubectl(&["get", KINDS, "--show-managed-fields", "-o", "json"])?;
    let all: Value = serde_json::from_str(&said)?;
    Ok(all["items"].as_array().cloned().unwrap_or_default())
}

/// The operator's writes in the scenario's namespaces, of all time, as `verb kind/name`. Leases are not among them.
pub fn writes(stage: &Stage<'_>) -> Result<Vec<String>> {
    let who = format!("system:serviceaccount:{OPERATOR}:{OPERATOR_RELEASE}");
    let log = stage.site().harm(&["logs", "cp.audit"])?;
    let mut found = Vec::new();
    for line in log.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        let of = &event["objectRef"];
        let namespace = of["namespace"].as_str().unwrap_or_default();
        let is_ours = event["user"]["username"] == *who && of["resource"] != "leases";
        // Also in those that it has beside it, as `scenario-11-running`.
        let beside = namespace.strip_prefix(stage.namespace());
        if is_ours && beside.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
            let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
            found.push(format!(
                "{} {}/{} {}",
                text(&event["verb"]),
                text(&of["resource"]),
                text(&of["name"]),
                text(&of["subresource"])
            ));
        }
    }
    Ok(found)
}

/// The operator has deleted no volume: nobody asked it to.
fn volumes_stay(stage: &Stage<'_>) -> Result<()> {
    let deleted: Vec<String> = writes(stage)?
        .into_iter()
        .filter(|it| it.starts_with("delete persistentvolumeclaims"))
        .collect();
    ensure!(deleted.is_empty(), "the operator deleted volumes: {deleted:?}");
    Ok(())
}
