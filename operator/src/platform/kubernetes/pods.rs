//! What pods, volume claims and StatefulSets of a Cluster say together. Pure.

use std::collections::BTreeMap;
use std::rc::Rc;

use crds::cluster::{ListenerStatus, ListenerType};
use crds::{Cluster, Key, Kind, Quantity};
use serde_json::Value;

use super::cache::{Cache, Watched, is_ready};
use super::render::{self, INTERNAL_PORT, Known};
use crate::platform::{BrokerFailure, Running};

/// Why a container waits that will not end by itself.
const STUCK: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
];
/// Its process ends again and again.
const CRASHING: &str = "CrashLoopBackOff";
/// How a broker begins what it says of a setting that it refuses.
const REFUSES: &str = "error: ";

/// What rendering needs to know, as far as objects tell.
pub(super) fn known(cluster: &Cluster, cache: &Cache) -> Known {
    let key = crds::resource::key(Kind::Cluster, &cluster.metadata);
    let (claims, going): (Vec<_>, Vec<_>) = cache
        .of_cluster(Watched::Claim, &key)
        .into_iter()
        .partition(|claim| claim["metadata"]["deletionTimestamp"].is_null());
    // A pod that was made now would take up a volume that vanishes under it, or wait for it.
    let obstacle = (!going.is_empty() && nothing_runs(&key, cache)).then(|| {
        format!("{} volumes of an earlier Cluster of this name are being removed", going.len())
    });
    let label = |name: &str| {
        claims.iter().find_map(|it| Some(it["metadata"]["labels"][name].as_str()?.to_owned()))
    };
    let said = cluster.status.as_ref().and_then(|status| status.cluster_id.clone());
    let of_claims = label(render::CLUSTER_ID_LABEL);
    let is_formed = said.is_some() || label(render::FORMED_LABEL).is_some();
    let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
    let sets = cache.of_cluster(Watched::StatefulSet, &key);
    let templates = sets.iter().filter_map(|set| {
        let name = set["metadata"]["name"].as_str()?.to_owned();
        Some((name, claim_templates(set)))
    });
    Known {
        // Volumes know best whose they are: they may be older than this Cluster.
        cluster_id: of_claims.or(said).unwrap_or_else(|| id_of(uid)),
        is_formed,
        outside: outside(cluster, &key, cache),
        claims: templates.collect(),
        capacities: claims.iter().filter_map(|it| capacity(it)).collect(),
        obstacle,
        ..Known::default()
    }
}

/// Which pod has a claim, and how large its volume is.
fn capacity(claim: &Value) -> Option<(String, Quantity)> {
    let pod = claim["metadata"]["name"].as_str()?.strip_prefix("data-")?;
    let capacity = claim["status"]["capacity"]["storage"].as_str()?;
    Some((pod.to_owned(), Quantity(capacity.to_owned())))
}

/// The smallest volume that was asked for, if more is declared by now.
pub(super) fn smaller_than_declared(cluster: &Cluster, cache: &Cache) -> Option<String> {
    let declared = cluster.spec.storage.size.bytes().ok()?;
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let nodes = render::nodes(&cluster.spec);
    // Claims of brokers that are no more, and those that go, are not theirs.
    let is_used = |claim: &&Rc<Value>| {
        let of =
            |node: &render::Node| claim["metadata"]["name"] == *format!("data-{}", node.pod(name));
        claim["metadata"]["deletionTimestamp"].is_null() && nodes.iter().any(of)
    };
    let asked = |claim: &Rc<Value>| {
        let asked = claim["spec"]["resources"]["requests"]["storage"].as_str()?;
        let quantity = Quantity(asked.to_owned());
        let name = claim["metadata"]["name"].as_str()?;
        Some((quantity.bytes().ok()?, asked.to_owned(), name.to_owned()))
    };
    let smallest = cache.claims_of(cluster).iter().filter(is_used).filter_map(asked).min()?;
    let (bytes, asked, name) = smallest;
    (bytes < declared).then(|| {
        format!(
            "storage.size: {} is declared and the claim {name} asks for {asked}; volumes are not grown yet; hint: \
             raise what each claim asks for, if its StorageClass allows that",
            cluster.spec.storage.size.0
        )
    })
}

/// Whether there is neither a StatefulSet nor a pod that stays.
fn nothing_runs(cluster: &Key, cache: &Cache) -> bool {
    let stays = |pod: &Rc<Value>| pod["metadata"]["deletionTimestamp"].is_null();
    cache.of_cluster(Watched::StatefulSet, cluster).is_empty()
        && !cache.of_cluster(Watched::Pod, cluster).iter().any(stays)
}

/// The image that the Cluster's brokers were made with, if there are any.
pub(super) fn image(cluster: &Cluster, cache: &Cache) -> Option<String> {
    let sets = cache.sets_of(cluster);
    let image = |set: &Rc<Value>| {
        let container = &set["spec"]["template"]["spec"]["containers"][0];
        Some(container["image"].as_str()?.to_owned())
    };
    sets.iter().find_map(image)
}

/// The templates without what the API server adds, so that they compare as equal.
fn claim_templates(set: &Value) -> Value {
    let mut templates = set["spec"]["volumeClaimTemplates"].clone();
    for template in templates.as_array_mut().into_iter().flatten() {
        if let Some(template) = template.as_object_mut() {
            template.remove("status");
        }
    }
    templates
}

/// The id that a Cluster's resource gives to the cluster that it forms: its uid, in Kafka's letters.
fn id_of(uid: &str) -> String {
    let digits: Vec<u8> =
        uid.bytes().filter_map(|byte| char::from(byte).to_digit(16)).map(|it| it as u8).collect();
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = pair[0] << 4 | pair.get(1).copied().unwrap_or(0);
    }
    // In Kafka's letters it begins with none that a label's value may not.
    bytes[0] &= 0x7f;
    client::Uuid(bytes).to_string()
}

/// Where each broker is reached through the listeners that lead outside.
fn outside(
    cluster: &Cluster,
    key: &Key,
    cache: &Cache,
) -> BTreeMap<(String, i32), (Option<String>, u16)> {
    let mut found = BTreeMap::new();
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let services = cache.of_cluster(Watched::Service, key);
    let nodes = render::nodes(&cluster.spec);
    for listener in &cluster.spec.listeners {
        for node in nodes.iter().filter(|node| node.is_broker()) {
            let wanted = format!("{name}-{}-{}", listener.name, node.id);
            let Some(service) = services.iter().find(|it| it["metadata"]["name"] == *wanted) else {
                continue;
            };
            let address = match listener.type_ {
                ListenerType::Internal => None,
                ListenerType::NodePort => node_port(service).map(|port| (None, port)),
                ListenerType::LoadBalancer => {
                    balancer(service, listener.port).map(|(host, port)| (Some(host), port))
                }
            };
            if let Some(address) = address {
                found.insert((listener.name.clone(), node.id), address);
            }
        }
    }
    found
}

fn node_port(service: &Value) -> Option<u16> {
    u16::try_from(service["spec"]["ports"][0]["nodePort"].as_u64()?).ok()
}

fn balancer(service: &Value, port: i32) -> Option<(String, u16)> {
    let ingress = &service["status"]["loadBalancer"]["ingress"][0];
    let host = ingress["hostname"].as_str().or(ingress["ip"].as_str())?;
    Some((host.to_owned(), u16::try_from(port).ok()?))
}

/// The claims that do not say yet that their cluster was formed.
pub(super) fn unmarked_claims(cluster: &Cluster, cache: &Cache) -> Vec<Rc<Value>> {
    let is_formed = cluster.status.as_ref().is_some_and(|it| it.cluster_id.is_some());
    let is_unmarked = |claim: &Rc<Value>| {
        is_formed && claim["metadata"]["labels"][render::FORMED_LABEL].as_str().is_none()
    };
    cache.claims_of(cluster).into_iter().filter(is_unmarked).collect()
}

/// The Cluster as it may be carried out: with at least as many brokers as there are, since what those hold would go with
/// them. And why that is not what is declared, if it is not.
pub(super) fn as_it_may_be(cluster: &Cluster, cache: &Cache) -> (Cluster, Option<String>) {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let sets = cache.sets_of(cluster);
    let running = |set: &str| {
        let live = sets.iter().find(|it| it["metadata"]["name"] == *set)?;
        i32::try_from(live["spec"]["replicas"].as_i64()?).ok()
    };
    let (mut may_be, mut why) = (cluster.clone(), None);
    let mut keep = |set: &str, declared: &mut i32| {
        let Some(live) = running(set).filter(|live| *live > *declared) else { return };
        why = Some(format!(
            "{set}: {declared} are declared and {live} run; brokers that hold data are not taken away; hint: \
             declare {live} again"
        ));
        *declared = live;
    };
    if may_be.spec.node_pools.is_empty() {
        let mut declared = cluster.spec.node_count();
        keep(name, &mut declared);
        if declared > cluster.spec.node_count() {
            may_be.spec.replicas = Some(declared);
        }
    } else {
        for pool in &mut may_be.spec.node_pools {
            keep(&format!("{name}-{}", pool.name), &mut pool.replicas);
        }
    }
    (may_be, why)
}

/// How the brokers run; `None` if there is nothing of them.
pub(super) fn running(cluster: &Cluster, cache: &Cache) -> Option<Running> {
    let key = crds::resource::key(Kind::Cluster, &cluster.metadata);
    let sets = cache.of_cluster(Watched::StatefulSet, &key);
    if sets.is_empty() {
        return None;
    }
    let pods = cache.of_cluster(Watched::Pod, &key);
    let pod = |name: &str| pods.iter().find(|pod| pod["metadata"]["name"] == *name);
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let nodes = render::nodes(&cluster.spec);
    let revision = |node: &render::Node| {
        let set = sets.iter().find(|set| set["metadata"]["name"] == *node.set(name))?;
        set["status"]["updateRevision"].as_str()
    };
    let is_outdated = |node: &&render::Node| {
        let Some(pod) = pod(&node.pod(name)) else { return false };
        let runs = pod["metadata"]["labels"]["controller-revision-hash"].as_str();
        revision(node).zip(runs).is_some_and(|(wanted, runs)| wanted != runs)
    };
    let is_unready = |node: &&render::Node| !pod(&node.pod(name)).is_some_and(|pod| is_ready(pod));
    let failures = nodes.iter().filter_map(|node| failure(pod(&node.pod(name))?));
    let worst = failures.max_by_key(|(weight, _)| *weight).map(|(_, failure)| failure);
    Some(Running {
        count: i32::try_from(nodes.iter().filter(|it| it.is_broker()).count()).unwrap_or(i32::MAX),
        is_as_wanted: false,
        outdated: nodes.iter().filter(is_outdated).map(|node| node.id).collect(),
        unready: nodes.iter().filter(is_unready).map(|node| node.id).collect(),
        upgrade: None,
        smaller: None,
        pods: nodes.iter().map(|node| (node.id, node.pod(name))).collect(),
        failure: worst,
        listeners: listeners(cluster, cache),
        selector: Some(format!(
            "{}={name},app.kubernetes.io/component=broker",
            render::CLUSTER_LABEL
        )),
    })
}

/// Why a pod does not do what it should, and how much that matters.
fn failure(pod: &Value) -> Option<(u8, BrokerFailure)> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let status = &pod["status"];
    let container = &status["containerStatuses"][0];
    let waiting = &container["state"]["waiting"];
    let reason = waiting["reason"].as_str().unwrap_or_default();
    let message = waiting["message"].as_str().unwrap_or_default();
    if STUCK.contains(&reason) {
        return Some((3, BrokerFailure::Down(format!("{name}: {reason}: {message}"))));
    }
    if reason == CRASHING {
        let last = &container["lastState"]["terminated"];
        let said = last["message"].as_str().unwrap_or_default().trim();
        // A hint may follow it.
        let error = said.lines().rev().find(|line| line.starts_with(REFUSES));
        let said = error.or(said.lines().last()).unwrap_or_default();
        let why = format!("{name} ends again and again: {said}");
        // What a broker refuses it says before it ends; that is the person's to mend.
        return Some(match said.strip_prefix(REFUSES) {
            Some(refused) => (4, BrokerFailure::InvalidConfig(format!("{name}: {refused}"))),
            None => (3, BrokerFailure::Down(why)),
        });
    }
    let conditions = status["conditions"].as_array();
    let unscheduled = conditions
        .into_iter()
        .flatten()
        .find(|it| it["type"] == "PodScheduled" && it["status"] == "False");
    if let Some(unscheduled) = unscheduled {
        let why = unscheduled["message"].as_str().unwrap_or_default();
        return Some((1, BrokerFailure::Starting(format!("{name} has no node yet: {why}"))));
    }
    None
}

/// Where clients connect.
fn listeners(cluster: &Cluster, cache: &Cache) -> Vec<ListenerStatus> {
    let (name, namespace) = (
        cluster.metadata.name.as_deref().unwrap_or_default(),
        cluster.metadata.namespace.as_deref().unwrap_or_default(),
    );
    let key = crds::resource::key(Kind::Cluster, &cluster.metadata);
    let outside = outside(cluster, &key, cache);
    let (nodes, pods) = (render::nodes(&cluster.spec), cache.of_cluster(Watched::Pod, &key));
    let node_address = |id: i32| {
        let pod = nodes.iter().find(|node| node.id == id)?.pod(name);
        let pod = pods.iter().find(|it| it["metadata"]["name"] == *pod)?;
        Some(bracketed(pod["status"]["hostIP"].as_str()?))
    };
    let inside = |listener: &str, port: i32| ListenerStatus {
        name: listener.to_owned(),
        bootstrap: format!("{name}-bootstrap.{namespace}.svc:{port}"),
    };
    if cluster.spec.listeners.is_empty() {
        return vec![inside("client", 9092)];
    }
    let of = |listener: &crds::cluster::Listener| match listener.type_ {
        ListenerType::Internal => inside(&listener.name, listener.port),
        ListenerType::NodePort | ListenerType::LoadBalancer => {
            let brokers = outside.iter().filter(|((name, _), _)| *name == listener.name);
            let address = |((_, id), (host, port)): (&(String, i32), &(Option<String>, u16))| {
                let named = listener.advertised_host.as_ref();
                let named = named.map(|it| it.replace("{id}", &id.to_string()));
                let host = named.or_else(|| host.clone()).or_else(|| node_address(*id))?;
                Some(format!("{host}:{port}"))
            };
            let bootstrap: Vec<String> = brokers.filter_map(address).take(16).collect();
            ListenerStatus { name: listener.name.clone(), bootstrap: bootstrap.join(",") }
        }
    };
    cluster.spec.listeners.iter().map(of).collect()
}

/// The addresses of pods at which brokers can be asked: of those that are ready, else of all.
pub(super) fn addresses(cluster: &Key, cache: &Cache) -> Vec<String> {
    let mut pods = cache.of_cluster(Watched::Pod, cluster);
    // The address of one that is lost may be somebody else's by now.
    if pods.iter().any(|pod| is_ready(pod)) {
        pods.retain(|pod| is_ready(pod));
    }
    let address = |pod: &Rc<Value>| {
        let host = bracketed(pod["status"]["podIP"].as_str()?);
        Some(format!("{host}:{INTERNAL_PORT}"))
    };
    let mut addresses: Vec<String> = pods.iter().filter_map(address).take(16).collect();
    addresses.sort();
    addresses
}

/// An address as it stands before a port.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
