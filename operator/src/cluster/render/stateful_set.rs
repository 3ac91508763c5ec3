//! The StatefulSets: pods and their volumes. Pure.
//!
//! A StatefulSet only makes pods (design decision 11): it restarts none by itself (`OnDelete`), starts them together,
//! and keeps volumes whatever happens.

use std::collections::BTreeMap;

use crds::cluster::{PoolRoles, Rack};
use crds::template::Template;
use serde_json::{Value, json};

use super::settings::{DATA, fingerprint, listeners};
use super::{
    CLUSTER_ID_LABEL, FORWARD_PORT, HTTP_PORT, INTERNAL_PORT, NODE_ADDRESS, Node, Of, POOL_LABEL,
    SETTINGS_ANNOTATION, merge,
};

/// The user of the image, which is nobody's on any node.
const USER: i64 = 65_532;
/// Where a pod finds its properties file.
const SETTINGS: &str = "/etc/klamm";
/// How long a broker may open its logs before it counts as hung: this many looks, a second apart.
const STARTUP_LOOKS: i32 = 3600;
/// What a broker waits for lease and restart check at most, before the end of its grace period.
const STOP_RESERVE_S: i64 = 60;

pub(super) fn render(of: &Of<'_>) -> Vec<Value> {
    let mut sets: BTreeMap<String, Vec<&Node>> = BTreeMap::new();
    for node in &of.nodes {
        sets.entry(node.set(of.cluster_name())).or_default().push(node);
    }
    sets.into_iter().map(|(name, nodes)| set(of, &name, &nodes)).collect()
}

fn set(of: &Of<'_>, name: &str, nodes: &[&Node]) -> Value {
    let pool = nodes.first().and_then(|node| node.pool.as_deref());
    let declared = of.cluster.spec.node_pools.iter().find(|it| Some(it.name.as_str()) == pool);
    let template =
        declared.and_then(|it| it.template.as_ref()).or(of.cluster.spec.template.as_ref());
    let template = template.cloned().unwrap_or_default();
    let roles = nodes.first().map(|node| node.roles).unwrap_or_default();
    let mut selector = of.selector();
    if let Some(pool) = pool {
        merge(&mut selector, json!({ POOL_LABEL: pool }));
    }
    let claims =
        of.known.claims.get(name).cloned().unwrap_or_else(|| json!([claim(of, &selector)]));
    let body = json!({
        "spec": {
            "serviceName": of.name("brokers"),
            "replicas": nodes.len(),
            "podManagementPolicy": "Parallel",
            "updateStrategy": { "type": "OnDelete" },
            "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain", "whenScaled": "Retain" },
            "selector": { "matchLabels": selector },
            "template": pod(of, &template, &selector, roles),
            "volumeClaimTemplates": claims,
        },
    });
    of.object("apps/v1", "StatefulSet", name, body)
}

fn claim(of: &Of<'_>, selector: &Value) -> Value {
    let storage = &of.cluster.spec.storage;
    let mut labels = of.labels();
    merge(&mut labels, selector.clone());
    merge(&mut labels, json!({ CLUSTER_ID_LABEL: of.known.cluster_id }));
    let mut claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": { "name": "data", "labels": labels },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": storage.size.0 } },
        },
    });
    if let Some(class) = &storage.storage_class_name {
        claim["spec"]["storageClassName"] = json!(class);
    }
    claim
}

fn pod(of: &Of<'_>, template: &Template, selector: &Value, roles: PoolRoles) -> Value {
    let mut labels = json!(template.labels);
    merge(&mut labels, of.labels());
    merge(&mut labels, selector.clone());
    let mut annotations = json!(template.annotations);
    merge(&mut annotations, json!({ SETTINGS_ANNOTATION: fingerprint(of) }));
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": template.termination_grace_period_seconds,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "affinity": template.affinity.clone().unwrap_or_else(|| apart(of)),
        "containers": [container(of, template, roles)],
        "volumes": [{ "name": "settings", "configMap": { "name": of.name("brokers") } }],
    });
    let mut add = |key: &str, value: Value| spec[key] = value;
    if !template.node_selector.is_empty() {
        add("nodeSelector", json!(template.node_selector));
    }
    if !template.tolerations.is_empty() {
        add("tolerations", json!(template.tolerations));
    }
    if !template.topology_spread_constraints.is_empty() {
        add("topologySpreadConstraints", json!(template.topology_spread_constraints));
    } else if let Some(rack) = &of.cluster.spec.rack {
        add("topologySpreadConstraints", json!([spread(of, rack)]));
    }
    if let Some(class) = &template.priority_class_name {
        add("priorityClassName", json!(class));
    }
    if !template.image_pull_secrets.is_empty() {
        let names = template.image_pull_secrets.iter().map(|name| json!({ "name": name }));
        add("imagePullSecrets", names.collect());
    }
    json!({ "metadata": { "labels": labels, "annotations": annotations }, "spec": spec })
}

/// As many brokers in each rack, where there is room.
fn spread(of: &Of<'_>, rack: &Rack) -> Value {
    json!({
        "maxSkew": 1,
        "topologyKey": rack.topology_key.label(),
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": { "matchLabels": of.selector() },
    })
}

/// What only the pod knows, as variables.
fn environment(of: &Of<'_>) -> Value {
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let mut variables =
        vec![field("POD_NAME", "metadata.name"), field(NODE_ADDRESS, "status.hostIP")];
    if let Some(rack) = &of.cluster.spec.rack {
        // `broker.rack`; nothing where Kubernetes does not tell it.
        let label = format!("metadata.labels['{}']", rack.topology_key.label());
        variables.push(field("KLAMM_BROKER_RACK", &label));
    }
    json!(variables)
}

/// Two brokers on one node are one failure; better that than none.
fn apart(of: &Of<'_>) -> Value {
    json!({
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 100,
                "podAffinityTerm": {
                    "labelSelector": { "matchLabels": of.selector() },
                    "topologyKey": "kubernetes.io/hostname",
                },
            }],
        },
    })
}

fn container(of: &Of<'_>, template: &Template, roles: PoolRoles) -> Value {
    let image = of.cluster.spec.image.as_ref().unwrap_or(&of.known.image);
    let mut ports = vec![json!({ "name": "internal", "containerPort": INTERNAL_PORT })];
    if roles != PoolRoles::Controller {
        let declared = listeners(of).into_iter();
        ports.extend(declared.map(|it| json!({ "name": it.name, "containerPort": it.port })));
        ports.push(json!({ "name": "forward", "containerPort": FORWARD_PORT }));
    }
    ports.push(json!({ "name": "http", "containerPort": HTTP_PORT }));
    let probe = |path: &str, every: i32, failures: i32| {
        json!({
            "httpGet": { "path": path, "port": "http" },
            "periodSeconds": every,
            "timeoutSeconds": 5,
            "failureThreshold": failures,
        })
    };
    let grace = template.termination_grace_period_seconds;
    let wait_ms = (grace - STOP_RESERVE_S).max(grace / 2) * 1000;
    json!({
        "name": "broker",
        "image": image,
        "args": [
            "broker",
            "--config", format!("{SETTINGS}/$(POD_NAME).properties"),
            "--set", format!("klamm.stop.wait.ms={wait_ms}"),
            "--log-format", "json",
        ],
        "env": environment(of),
        "ports": ports,
        "resources": resources(template),
        "startupProbe": probe("/startupz", 1, STARTUP_LOOKS),
        "livenessProbe": probe("/livez", 10, 6),
        "readinessProbe": probe("/readyz", 2, 2),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
        "volumeMounts": [
            { "name": "data", "mountPath": DATA },
            { "name": "settings", "mountPath": SETTINGS, "readOnly": true },
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    })
}

fn resources(template: &Template) -> Value {
    match &template.resources {
        Some(declared) => {
            let mut resources = json!({});
            if !declared.requests.is_empty() {
                resources["requests"] = json!(declared.requests);
            }
            if !declared.limits.is_empty() {
                resources["limits"] = json!(declared.limits);
            }
            resources
        }
        // No limit on CPU: a throttled leader is a slow partition.
        None => json!({
            "requests": { "cpu": "250m", "memory": "512Mi" },
            "limits": { "memory": "2Gi" },
        }),
    }
}
