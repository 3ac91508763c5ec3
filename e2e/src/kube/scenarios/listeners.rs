//! How clients outside of Kubernetes reach brokers, and where those stand.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::super::{Scenario, Stage};
use crate::cache::run;

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        number: 52,
        name: "clients outside reach each broker on a port of its node, and brokers know their racks",
        limit: Duration::from_secs(120),
        is_smoke: false,
        needs_testbed: true,
        run: node_ports,
    },
    Scenario {
        number: 53,
        name: "brokers wait for the addresses of their load balancers, and tell them",
        limit: Duration::from_secs(120),
        is_smoke: false,
        needs_testbed: false,
        run: load_balancers,
    },
];

const KIND: &str = "cluster.klamm.io";
const READY: Duration = Duration::from_secs(60);
const INTERNAL_PORT: u16 = 9090;

fn cluster(replicas: u8, more: &str) -> String {
    super::cluster("demo", replicas).replace("spec: {", &format!("spec: {{{more}, "))
}

/// Where clients of a listener begin, by the Cluster's status.
fn bootstrap(stage: &Stage<'_>, listener: &str) -> Result<String> {
    let found = stage.get(KIND, "demo")?;
    let listeners = found["status"]["listeners"].as_array().cloned().unwrap_or_default();
    let of = listeners.iter().find(|it| it["name"] == listener);
    let address = of.and_then(|it| it["bootstrap"].as_str()).unwrap_or_default().to_owned();
    ensure!(!address.is_empty(), "no address of {listener}: {listeners:?}");
    Ok(address)
}

fn node_ports(stage: &mut Stage<'_>) -> Result<()> {
    let more = "rack: {}, listeners: [{name: client, port: 9092}, {name: far, port: 9094, type: NodePort}]";
    stage.apply(&cluster(3, more))?;
    let took = stage.until_ready(KIND, "demo", "True", READY)?;
    stage.figure("ready_s", took.as_secs_f64());
    let outside = bootstrap(stage, "far")?;
    ensure!(outside.split(',').count() == 3, "an address for each broker: {outside}");
    let klamm = |arguments: &[&str]| run(stage.klamm()?.args(arguments).args(["-b", &outside]));
    klamm(&["topic", "create", "tried", "--partitions", "6", "--replicas", "1"])?;
    let input: String = (0..60).map(|n| format!("{n}\n")).collect();
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &input)?;
    // Records go to the leaders of all partitions, on all brokers.
    klamm(&["produce", "tried", "--file", &file.path().display().to_string()])?;
    let read = klamm(&["consume", "tried", "--exit-at-end"])?;
    ensure!(read.lines().count() == 60, "{read:?}");
    let internal = stage.addresses("demo", INTERNAL_PORT)?;
    let shown = run(stage.klamm()?.args(["cluster", "brokers", "-b", &internal, "-o", "json"]))?;
    let brokers: Vec<Value> = serde_json::from_str(&shown).context("klamm cluster brokers")?;
    let racks: BTreeSet<&str> = brokers.iter().filter_map(|it| it["rack"].as_str()).collect();
    ensure!(racks.len() == 3, "three brokers in three zones: {shown}");
    Ok(())
}

fn load_balancers(stage: &mut Stage<'_>) -> Result<()> {
    let more = "listeners: [{name: client, port: 9092}, {name: cloud, port: 9094, type: LoadBalancer, \
                annotations: {example.com/made-by: somebody}}]";
    stage.apply(&cluster(1, more))?;
    stage.until_ready(KIND, "demo", "False Creating", READY)?;
    let said = stage.get(KIND, "demo")?["status"]["conditions"].to_string();
    ensure!(said.contains("the address of listener cloud is awaited"), "{said}");
    // Whoever makes load balancers writes this.
    for (service, ip) in [("demo-cloud", "192.0.2.1"), ("demo-cloud-0", "192.0.2.2")] {
        let found = stage.get("service", service)?;
        let annotation = &found["metadata"]["annotations"]["example.com/made-by"];
        ensure!(found["spec"]["type"] == "LoadBalancer" && annotation == "somebody", "{found}");
        let status =
            json!({ "status": { "loadBalancer": { "ingress": [{ "ip": ip }] } } }).to_string();
        let patch =
            ["patch", "service", service, "--subresource=status", "--type=merge", "-p", &status];
        stage.kubectl(&patch)?;
    }
    stage.until_ready(KIND, "demo", "True", READY)?;
    let outside = bootstrap(stage, "cloud")?;
    ensure!(outside == "192.0.2.2:9094", "{outside}");
    let files = stage.get("configmap", "demo-brokers")?["data"].to_string();
    ensure!(files.contains("CLOUD://192.0.2.2:9094"), "{files}");
    Ok(())
}
