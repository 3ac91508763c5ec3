//! The operator itself: it dies, is paused, has few rights, is removed, comes back; and what goes without it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::evidence::OPERATOR;
use super::super::site::OPERATOR_RELEASE;
use super::super::stage::{OPERATORS, until};
use super::super::{Scenario, Stage};
use super::{cluster, klamm, topic};
use crate::cache::run;

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        number: 11,
        name: "a namespace goes with the operator there, uninstalled, and removed",
        limit: Duration::from_secs(400),
        is_smoke: false,
        needs_testbed: false,
        run: namespaces,
    },
    Scenario {
        number: 41,
        name: "another operator takes over from one that is killed or paused, and one that wakes writes nothing",
        limit: Duration::from_secs(240),
        is_smoke: false,
        needs_testbed: true,
        run: takes_over,
    },
    Scenario {
        number: 43,
        name: "an operator of one namespace has no right outside of it, and does its work",
        limit: Duration::from_secs(180),
        is_smoke: false,
        needs_testbed: false,
        run: few_rights,
    },
    Scenario {
        number: 46,
        name: "an uninstalled operator leaves brokers at work, and a new one takes them up without a restart",
        limit: Duration::from_secs(180),
        is_smoke: false,
        needs_testbed: false,
        run: comes_back,
    },
    Scenario {
        number: 47,
        name: "a Cluster that is protected from deletion says so, and so do the kinds",
        limit: Duration::from_secs(60),
        is_smoke: true,
        needs_testbed: false,
        run: protected,
    },
    Scenario {
        number: 54,
        name: "an operator by kubectl, by Helm over that, and by a release of another name: no broker restarts",
        limit: Duration::from_secs(240),
        is_smoke: false,
        needs_testbed: false,
        run: by_other_ways,
    },
];

/// A release of the operator that is not called like its chart.
const OTHER_RELEASE: &str = "events";
const READY: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(10);
/// How long another operator may wait before it takes over.
const TAKES_OVER: Duration = Duration::from_secs(20);
/// How long a namespace may take to go.
const GOES: &str = "--timeout=60s";

/// Three brokers and a topic, and both are ready.
fn begin(stage: &Stage<'_>) -> Result<()> {
    stage.apply(&(cluster("demo", 3) + &topic("orders", "partitions: 3, replicas: 3")))?;
    stage.until_ready("cluster.klamm.io", "demo", "True", READY)?;
    stage.until_ready("topic.klamm.io", "orders", "True", SOON)?;
    Ok(())
}

fn namespaces(stage: &mut Stage<'_>) -> Result<()> {
    let site = stage.site();
    let result = namespaces_go(stage);
    // Others need an operator, whatever became of this.
    site.install_operator(&[]).and(result)
}

fn namespaces_go(stage: &mut Stage<'_>) -> Result<()> {
    let site = stage.site();
    let mut goes = |what: &str, before: &dyn Fn(&str) -> Result<()>| -> Result<()> {
        let beside = stage.beside(what)?;
        begin(&beside)?;
        before(beside.namespace())?;
        let begun = Instant::now();
        site.kubectl(&["delete", "namespace", beside.namespace(), GOES])?;
        stage.figure(&format!("{what}_s"), begun.elapsed().as_secs_f64());
        Ok(())
    };
    goes("running", &|_| Ok(()))?;
    goes("uninstalled", &|_| site.uninstall_operator())?;
    site.install_operator(&[])?;
    goes("removed", &|_| {
        let gone = ["-n", OPERATOR, "delete", "deployment", OPERATOR_RELEASE, "--timeout=30s"];
        site.kubectl(&gone)?;
        // What is documented for that.
        let let_go = ["operator", "--release", "--namespace", OPERATOR];
        run(site.command(crate::server::klamm_binary()?).args(let_go)).map(drop)
    })
}

/// Waits until somebody else than `before` holds the lease; says who.
fn next_holder(stage: &Stage<'_>, before: &str) -> Result<String> {
    until("another operator takes over", TAKES_OVER, || {
        let now = stage.holder()?;
        Ok((!now.is_empty() && now != before).then_some(now))
    })
}

/// What an operator says of its writes.
fn writes(stage: &Stage<'_>, pod: &str) -> Result<String> {
    let path = format!("/api/v1/namespaces/{OPERATOR}/pods/{pod}:9644/proxy/metrics");
    let metrics = stage.site().kubectl(&["get", "--raw", &path])?;
    let ours = metrics.lines().filter(|line| line.starts_with("klamm_operator_writes"));
    Ok(ours.collect::<Vec<_>>().join("\n"))
}

fn takes_over(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage)?;
    // A kubelet that asks whether it lives would end the one that is paused, before it wakes.
    let unasked = "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"operator\",\"livenessProbe\":null}]}}}}";
    let deployment = format!("deployment/{OPERATOR_RELEASE}");
    stage.site().kubectl(&["-n", OPERATOR, "patch", &deployment, "-p", unasked])?;
    let result = one_of_two_leads(stage);
    // One, as it was, whatever became of this.
    stage.scale_operator(1)?;
    stage.site().install_operator(&[]).and(result)
}

fn one_of_two_leads(stage: &mut Stage<'_>) -> Result<()> {
    stage.scale_operator(2)?;
    let first = until("somebody holds the lease", TAKES_OVER, || {
        Ok(Some(stage.holder()?).filter(|it| !it.is_empty()))
    })?;
    // It gives nothing back; its pod goes too, else it would come back as the same.
    signal(stage, &first, "KILL")?;
    let kill = ["-n", OPERATOR, "delete", "pod", &first, "--force", "--grace-period=0"];
    stage.site().kubectl(&kill)?;
    let begun = Instant::now();
    let second = next_holder(stage, &first)?;
    stage.figure("after_a_kill_s", begun.elapsed().as_secs_f64());
    stage.scale_operator(2)?;
    let before = writes(stage, &second)?;
    signal(stage, &second, "STOP")?;
    let begun = Instant::now();
    let third = next_holder(stage, &second)?;
    stage.figure("after_a_pause_s", begun.elapsed().as_secs_f64());
    stage.apply(&topic("meanwhile", "partitions: 1"))?;
    stage.until_ready("topic.klamm.io", "meanwhile", "True", SOON)?;
    std::thread::sleep(Duration::from_secs(60).saturating_sub(begun.elapsed()));
    signal(stage, &second, "CONT")?;
    until("the one that was paused answers", SOON, || Ok(writes(stage, &second).ok()))?;
    stage.apply(&topic("later", "partitions: 1"))?;
    stage.until_ready("topic.klamm.io", "later", "True", SOON)?;
    std::thread::sleep(SOON);
    let (now, leads) = (writes(stage, &second)?, stage.holder()?);
    ensure!(now == before, "the one that was paused wrote:\n{before}\nand then\n{now}");
    ensure!(leads == third, "{leads} leads, and not {third}");
    let paused = stage.site().json(&["-n", OPERATOR, "get", "pod", &second])?;
    let restarts = &paused["status"]["containerStatuses"][0]["restartCount"];
    ensure!(*restarts == 0, "it was restarted, and not paused: {restarts}");
    Ok(())
}

/// Sends a signal to the process of an operator's pod, on its node.
fn signal(stage: &Stage<'_>, pod: &str, signal: &str) -> Result<()> {
    stage.at_process(OPERATOR, pod, &format!("kill -{signal} $1")).map(drop)
}

fn few_rights(stage: &mut Stage<'_>) -> Result<()> {
    let site = stage.site();
    let only = format!("watchNamespaces={{{}}}", stage.namespace());
    site.install_operator(&["--set", &only])?;
    let result = works_with_few_rights(stage);
    // Others need the operator of all namespaces, whatever became of this.
    site.install_operator(&[]).and(result)
}

fn works_with_few_rights(stage: &mut Stage<'_>) -> Result<()> {
    let site = stage.site();
    let who = format!("--as=system:serviceaccount:{OPERATOR}:{OPERATOR_RELEASE}");
    let may = |verb: &str, what: &str, namespace: &str| {
        let said = site.kubectl(&["auth", "can-i", verb, what, "-n", namespace, &who]);
        said.is_ok_and(|said| said.trim() == "yes")
    };
    ensure!(may("patch", "topics.klamm.io", stage.namespace()), "it may not do its work");
    for (verb, what) in [
        ("list", "topics.klamm.io"),
        ("get", "pods"),
        ("create", "statefulsets.apps"),
        ("get", "secrets"),
        ("list", "nodes"),
        ("list", "namespaces"),
    ] {
        ensure!(!may(verb, what, "default"), "it may {verb} {what} elsewhere");
    }
    let roles = site.json(&["get", "clusterrolebindings", "-l", "app.kubernetes.io/name=klamm"])?;
    let none = roles["items"].as_array().is_some_and(Vec::is_empty);
    ensure!(none, "it has rights in the whole cluster: {roles}");
    begin(stage)
}

fn comes_back(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage)?;
    let before = stage.pod_uids("demo")?;
    let site = stage.site();
    site.uninstall_operator()?;
    let result = is_left_alone(stage, &before);
    site.install_operator(&[]).and(result)?;
    stage.apply(&topic("later", "partitions: 1"))?;
    stage.until_ready("topic.klamm.io", "later", "True", READY)?;
    stage.until_ready("cluster.klamm.io", "demo", "True", SOON)?;
    let after = stage.pod_uids("demo")?;
    ensure!(after == before, "brokers were restarted: {before:?}, {after:?}");
    until("the topic is held again", SOON, || {
        let orders = stage.get("topic.klamm.io", "orders")?;
        Ok(orders["metadata"]["finalizers"].as_array().filter(|it| !it.is_empty()).map(drop))
    })
}

fn is_left_alone(stage: &Stage<'_>, before: &[(String, String)]) -> Result<()> {
    for kind in ["clusters", "topics", "consumergroups"] {
        stage.site().kubectl(&["get", "crd", &format!("{kind}.klamm.io")])?;
    }
    let operators = stage.site().json(&["-n", OPERATOR, "get", "pods", "-l", OPERATORS])?;
    ensure!(operators["items"].as_array().is_some_and(Vec::is_empty), "it still runs: {operators}");
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), "without an operator\n")?;
    klamm(stage, &["produce", "orders", "--file", &file.path().display().to_string()])?;
    let read = klamm(stage, &["consume", "orders", "--exit-at-end"])?;
    ensure!(read == "without an operator\n", "{read:?}");
    let orders = stage.get("topic.klamm.io", "orders")?;
    let held = orders["metadata"]["finalizers"].as_array().is_some_and(|it| !it.is_empty());
    ensure!(!held, "nobody is left who lets the topic go: {}", orders["metadata"]);
    let now = stage.pod_uids("demo")?;
    ensure!(now == before, "brokers were restarted: {before:?}, {now:?}");
    Ok(())
}

fn by_other_ways(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage)?;
    let before = stage.pod_uids("demo")?;
    let site = stage.site();
    site.uninstall_operator()?;
    let result = is_installed_by_other_ways(stage, &before);
    // As others expect it, whatever became of this.
    let gone =
        ["uninstall", OTHER_RELEASE, "--namespace", OPERATOR, "--wait", "--ignore-not-found"];
    site.helm(&gone)?;
    site.install_operator(&["--take-ownership"]).and(result)
}

fn is_installed_by_other_ways(stage: &Stage<'_>, before: &[(String, String)]) -> Result<()> {
    let site = stage.site();
    let works = |name: &str| -> Result<()> {
        stage.apply(&topic(name, "partitions: 1"))?;
        stage.until_ready("topic.klamm.io", name, "True", READY)?;
        stage.until_ready("cluster.klamm.io", "demo", "True", SOON)?;
        let now = stage.pod_uids("demo")?;
        ensure!(now == before, "{name}: brokers were restarted: {before:?}, {now:?}");
        Ok(())
    };
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests");
    site.kubectl(&["apply", "--server-side", "--force-conflicts", "-k", manifests])?;
    works("by-kubectl").context("installed by kubectl")?;
    site.install_operator(&["--take-ownership"])?;
    works("by-helm").context("installed by Helm, over kubectl's")?;
    site.uninstall_operator()?;
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/klamm-operator");
    let other =
        ["install", OTHER_RELEASE, chart, "--namespace", OPERATOR, "--wait", "--timeout=60s"];
    site.helm(&other)?;
    works("by-another").context("installed by a release of another name")
}

fn protected(stage: &mut Stage<'_>) -> Result<()> {
    let is_protected = |value: bool| {
        let spec = format!("spec: {{deletionProtection: {value}, ");
        cluster("demo", 1).replace("spec: {", &spec)
    };
    stage.apply(&is_protected(true))?;
    let said = stage.kubectl(&["delete", "cluster.klamm.io", "demo", "--timeout=10s"]);
    let why = said.err().map(|error| format!("{error:#}")).unwrap_or_default();
    let is_told = why.contains("protected from deletion") && why.contains("deletionProtection");
    ensure!(is_told, "it was deleted, or nothing was said: {why:?}");
    stage.apply(&is_protected(false))?;
    stage.kubectl(&["delete", "cluster.klamm.io", "demo", "--timeout=30s"])?;
    let said = stage.site().kubectl(&["delete", "crd", "topics.klamm.io", "--dry-run=server"]);
    let why = said.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(
        why.contains("klamm.io/deletion=allowed"),
        "it was deleted, or nothing was said: {why:?}"
    );
    Ok(())
}
