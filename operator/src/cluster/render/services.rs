//! How pods and clients are reached. Pure.

use std::collections::BTreeMap;

use crds::cluster::{Listener, ListenerType};
use serde_json::{Value, json};

use super::settings::listeners;
use super::{HTTP_PORT, INTERNAL_PORT, Of, merge};

/// Which broker a Service leads to.
const POD_LABEL: &str = "statefulset.kubernetes.io/pod-name";

pub(super) fn render(of: &Of<'_>) -> Vec<Value> {
    let listeners = listeners(of);
    let inside: Vec<&Listener> = listeners.iter().collect();
    let mut objects = vec![headless(of, &inside)];
    objects.push(of.object(
        "v1",
        "Service",
        &of.name("bootstrap"),
        json!({ "spec": {
            "type": "ClusterIP",
            "selector": of.selector(),
            "ports": inside.iter().map(|it| port(&it.name, it.port)).collect::<Vec<_>>(),
        }}),
    ));
    for listener in listeners.iter().filter(|it| it.type_ != ListenerType::Internal) {
        objects.extend(outside(of, listener));
    }
    objects.push(of.object(
        "v1",
        "ConfigMap",
        &of.name("connection"),
        json!({ "data": connection(of, &listeners) }),
    ));
    objects
}

/// The listeners that lead outside and whose addresses are not known yet.
pub(super) fn missing_addresses(of: &Of<'_>) -> Vec<String> {
    let is_known =
        |listener: &Listener, id: i32| of.known.outside.contains_key(&(listener.name.clone(), id));
    let listeners = listeners(of);
    let outside = listeners.iter().filter(|it| it.type_ != ListenerType::Internal);
    outside
        .filter(|it| of.nodes.iter().any(|node| node.is_broker() && !is_known(it, node.id)))
        .map(|it| it.name.clone())
        .collect()
}

/// Where clients inside begin.
pub(super) fn bootstrap(of: &Of<'_>, listener: &Listener) -> String {
    format!("{}.{}.svc:{}", of.name("bootstrap"), of.namespace(), listener.port)
}

/// What applications put into their client's configuration, one key for each listener and the first one's as
/// `bootstrap.servers`.
fn connection(of: &Of<'_>, listeners: &[Listener]) -> BTreeMap<String, String> {
    let mut data = BTreeMap::new();
    for listener in listeners.iter().filter(|it| it.type_ == ListenerType::Internal) {
        let address = bootstrap(of, listener);
        data.entry("bootstrap.servers".to_owned()).or_insert_with(|| address.clone());
        data.insert(format!("bootstrap.servers.{}", listener.name), address);
    }
    data.insert("security.protocol".to_owned(), "PLAINTEXT".to_owned());
    data
}

/// Gives each pod a name, before it is ready too: brokers form a cluster by these names.
fn headless(of: &Of<'_>, listeners: &[&Listener]) -> Value {
    let mut ports =
        vec![port("internal", i32::from(INTERNAL_PORT)), port("http", i32::from(HTTP_PORT))];
    ports.extend(listeners.iter().map(|it| port(&it.name, it.port)));
    of.object(
        "v1",
        "Service",
        &of.name("brokers"),
        json!({ "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": of.selector(),
            "ports": ports,
        }}),
    )
}

/// A Service for the way in, and one for each broker.
fn outside(of: &Of<'_>, listener: &Listener) -> Vec<Value> {
    let kind = match listener.type_ {
        ListenerType::LoadBalancer => "LoadBalancer",
        ListenerType::NodePort | ListenerType::Internal => "NodePort",
    };
    let service = |name: &str, selector: Value, is_one: bool| {
        of.object(
            "v1",
            "Service",
            name,
            json!({
                "metadata": { "annotations": listener.annotations },
                "spec": {
                    "type": kind,
                    "selector": selector,
                    // A broker that is not ready is reached all the same: it tells its clients where to go.
                    "publishNotReadyAddresses": is_one,
                    "ports": [port(&listener.name, listener.port)],
                },
            }),
        )
    };
    let name = of.name(&listener.name);
    let mut services = vec![service(&name, of.selector(), false)];
    for node in of.nodes.iter().filter(|node| node.is_broker()) {
        let mut selector = of.selector();
        merge(&mut selector, json!({ POD_LABEL: node.pod(of.cluster_name()) }));
        services.push(service(&format!("{name}-{}", node.id), selector, true));
    }
    services
}

fn port(name: &str, port: i32) -> Value {
    json!({ "name": name, "port": port, "targetPort": name, "protocol": "TCP", "appProtocol": "tcp" })
}
