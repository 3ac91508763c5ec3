//! The properties file of each node. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crds::Quantity;
use crds::cluster::{Listener, ListenerType, PoolRoles};
use serde_json::{Value, json};

use super::fnv::Fnv;
use super::{FORWARD_PORT, HTTP_PORT, INTERNAL_PORT, NODE_ADDRESS, Node, Of};

/// Where a pod's volume is mounted; the data lie one below, beside what a file system puts at its root.
pub(super) const DATA: &str = "/data";
/// What clients that come through `kubectl klamm forward` are told: a port on their own machine for each broker.
pub(super) const FORWARDED_FIRST: i32 = 9092;
/// Kafka's defaults are for one broker; what nobody says otherwise survives the loss of one of three.
const REPLICATED: &[(&str, &str)] =
    &[("default.replication.factor", "3"), ("min.insync.replicas", "2")];

/// The listeners of a Cluster that names none.
pub(super) fn listeners(of: &Of<'_>) -> Vec<Listener> {
    match of.cluster.spec.listeners.as_slice() {
        [] => vec![Listener {
            name: "client".to_owned(),
            port: 9092,
            type_: ListenerType::Internal,
            advertised_host: None,
            annotations: BTreeMap::new(),
        }],
        declared => declared.to_vec(),
    }
}

/// What a pod of the Cluster is called in DNS.
pub(super) fn host(of: &Of<'_>, node: &Node) -> String {
    let (pod, service) = (node.pod(of.cluster_name()), of.name("brokers"));
    format!("{pod}.{service}.{}.svc", of.namespace())
}

/// The properties files, by `POD.properties`.
pub(super) fn files(of: &Of<'_>) -> Value {
    let file = |node: &Node| {
        let mut text = "# Made by Klamm from the Cluster; changes are undone.\n".to_owned();
        for (key, value) in lines(of, node) {
            let value = value.replace('\\', "\\\\").replace('\n', "\\n");
            // Writing to a text does not fail.
            let _ = writeln!(text, "{key}={value}");
        }
        (format!("{}.properties", node.pod(of.cluster_name())), json!(text))
    };
    Value::Object(of.nodes.iter().map(file).collect())
}

/// What needs a restart if it changes: what is the same for all nodes, but for what is read once only.
pub(super) fn fingerprint(of: &Of<'_>) -> String {
    let mut hash = Fnv::default();
    for (key, value) in common(of) {
        hash.write(key.as_bytes());
        hash.write(b"=");
        hash.write(value.as_bytes());
        hash.write(b"\n");
    }
    hash.to_string()
}

fn common(of: &Of<'_>) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let brokers = of.nodes.iter().filter(|node| node.is_broker()).count();
    if brokers >= 3 {
        settings
            .extend(REPLICATED.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    }
    settings.extend(of.cluster.spec.config.clone());
    let listeners = listeners(of);
    let names = listeners.iter().map(|it| it.name.to_uppercase());
    let map = ["INTERNAL".to_owned(), "FORWARD".to_owned()].into_iter().chain(names);
    let map: Vec<String> = map.map(|name| format!("{name}:PLAINTEXT")).collect();
    let mut set = |key: &str, value: String| settings.insert(key.to_owned(), value);
    set("listener.security.protocol.map", map.join(","));
    set("inter.broker.listener.name", "INTERNAL".to_owned());
    set("klamm.http.listener", format!("0.0.0.0:{HTTP_PORT}"));
    set("log.dirs", format!("{DATA}/klamm"));
    settings
}

fn lines(of: &Of<'_>, node: &Node) -> BTreeMap<String, String> {
    let mut settings = common(of);
    let mut set = |key: &str, value: String| settings.insert(key.to_owned(), value);
    set("node.id", node.id.to_string());
    set("klamm.cluster.id", of.known.cluster_id.clone());
    let formation = if of.known.is_formed { "join" } else { "initial" };
    set("klamm.formation", formation.to_owned());
    if let Ok(bytes) = capacity(of, node).bytes() {
        set("klamm.storage.limit.bytes", storage_limit(bytes).to_string());
    }
    let voters = of.nodes.iter().filter(|node| node.is_voter);
    let voters = voters.map(|it| format!("{}@{}:{INTERNAL_PORT}", it.id, host(of, it)));
    set("controller.quorum.voters", voters.collect::<Vec<_>>().join(","));
    let roles = match node.roles {
        PoolRoles::Combined => "broker,controller",
        PoolRoles::Broker => "broker",
        PoolRoles::Controller => "controller",
    };
    set("process.roles", roles.to_owned());
    let mut bound = vec![format!("INTERNAL://0.0.0.0:{INTERNAL_PORT}")];
    let mut advertised = vec![format!("INTERNAL://{}:{INTERNAL_PORT}", host(of, node))];
    if node.is_broker() {
        for listener in listeners(of) {
            let name = listener.name.to_uppercase();
            bound.push(format!("{name}://0.0.0.0:{}", listener.port));
            let (host, port) = address(of, node, &listener);
            advertised.push(format!("{name}://{host}:{port}"));
        }
        bound.push(format!("FORWARD://127.0.0.1:{FORWARD_PORT}"));
        advertised.push(format!("FORWARD://127.0.0.1:{}", FORWARDED_FIRST + node.id));
    } else {
        set("controller.listener.names", "INTERNAL".to_owned());
    }
    set("listeners", bound.join(","));
    set("advertised.listeners", advertised.join(","));
    settings
}

/// What clients of `listener` are told of this broker.
fn address(of: &Of<'_>, node: &Node, listener: &Listener) -> (String, u16) {
    let port = u16::try_from(listener.port).unwrap_or_default();
    let told = listener.advertised_host.as_ref();
    let told = told.map(|host| host.replace("{id}", &node.id.to_string()));
    match listener.type_ {
        ListenerType::Internal => (told.unwrap_or_else(|| host(of, node)), port),
        ListenerType::NodePort | ListenerType::LoadBalancer => {
            // `render` does not come here before they are known.
            let found = of.known.outside.get(&(listener.name.clone(), node.id)).cloned();
            let (host, port) = found.unwrap_or_default();
            // In brackets it may be one of IPv6.
            let host = || host.unwrap_or_else(|| format!("[${{env:{NODE_ADDRESS}}}]"));
            (told.unwrap_or_else(host), port)
        }
    }
}

/// How large the volume of a node is, or is going to be: what was declared when its StatefulSet was made.
fn capacity(of: &Of<'_>, node: &Node) -> Quantity {
    let name = of.cluster_name();
    let made = || {
        let claims = of.known.claims.get(&node.set(name))?;
        Some(Quantity(claims[0]["spec"]["resources"]["requests"]["storage"].as_str()?.to_owned()))
    };
    // What does not read as an amount must not lift the limit.
    let reads = |it: &Quantity| it.bytes().is_ok();
    let known = of.known.capacities.get(&node.pod(name)).cloned().filter(reads);
    known.or_else(|| made().filter(reads)).unwrap_or_else(|| of.cluster.spec.storage.size.clone())
}

/// A volume is never all ours: a file system keeps a twentieth for itself.
fn storage_limit(bytes: i64) -> i64 {
    bytes - bytes / 20
}
