//! `kubectl klamm status`: a Cluster and what belongs to it, on one screen.

use serde_json::Value;

use super::program::{Kubectl, name_of};
use crate::failure::Failure;
use crate::output::{self, Table};

/// Shows it.
pub(super) fn show(kubectl: &Kubectl, cluster: &Value) -> Result<(), Failure> {
    let name = name_of(cluster);
    let status = &cluster["status"];
    let (reason, message) = ready(cluster);
    output::line(format_args!("Cluster {name}: {reason}"))?;
    if !message.is_empty() {
        output::line(format_args!("  {message}"))?;
    }
    for condition in status["conditions"].as_array().into_iter().flatten() {
        if !["Ready", "Reconciling", "Stalled"].contains(&text(&condition["type"])) {
            let said = text(&condition["message"]);
            output::line(format_args!("  {}: {said}", text(&condition["type"])))?;
        }
    }
    for listener in status["listeners"].as_array().into_iter().flatten() {
        let (name, bootstrap) = (text(&listener["name"]), text(&listener["bootstrap"]));
        output::line(format_args!("  {name}: {bootstrap}"))?;
    }
    let mut brokers = Table::new(&["BROKER", "POD", "STATE"]);
    for broker in status["brokers"].as_array().into_iter().flatten() {
        brokers.row([
            broker["id"].to_string(),
            text(&broker["pod"]).to_owned(),
            text(&broker["state"]).to_owned(),
        ]);
    }
    brokers.print()?;
    for (kind, head) in [("topics.klamm.io", "TOPIC"), ("consumergroups.klamm.io", "GROUP")] {
        let all = kubectl.get(&[kind])?;
        let of_cluster = |it: &&Value| text(&it["spec"]["clusterRef"]["name"]) == name;
        let mut table = Table::new(&[head, "READY", "WHY"]);
        for resource in all.iter().filter(of_cluster) {
            let (reason, message) = ready(resource);
            table.row([name_of(resource), reason, message]);
        }
        if !table.is_empty() {
            output::line("")?;
            table.print()?;
        }
    }
    Ok(())
}

/// The reason and the message of `Ready`.
fn ready(resource: &Value) -> (String, String) {
    let conditions = resource["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|it| it["type"] == "Ready");
    match ready {
        Some(it) => (text(&it["reason"]).to_owned(), text(&it["message"]).to_owned()),
        None => ("unknown".to_owned(), "the operator has not looked at it yet".to_owned()),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
