//! Who may disturb brokers, and who may connect to them. Pure.

use serde_json::{Value, json};

use super::settings::listeners;
use super::{HTTP_PORT, INTERNAL_PORT, Of};

/// The label by which Kubernetes tells a namespace's name.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn render(of: &Of<'_>) -> Vec<Value> {
    let mut objects = Vec::new();
    if of.cluster.spec.disruption.pdb {
        objects.push(of.object(
            "policy/v1",
            "PodDisruptionBudget",
            of.cluster_name(),
            json!({ "spec": {
                "maxUnavailable": 1,
                "unhealthyPodEvictionPolicy": "IfHealthyBudget",
                "selector": { "matchLabels": of.selector() },
            }}),
        ));
    }
    objects.push(of.object(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        of.cluster_name(),
        connections(of),
    ));
    objects
}

/// Clients reach the listeners, anybody the metrics; what brokers say among themselves, and what operates them, is for
/// brokers and the operator. `forward` binds the loopback and needs no rule.
fn connections(of: &Of<'_>) -> Value {
    let ports = |ports: Vec<i32>| -> Value {
        ports.into_iter().map(|port| json!({ "protocol": "TCP", "port": port })).collect()
    };
    let clients = listeners(of).iter().map(|it| it.port).chain([i32::from(HTTP_PORT)]).collect();
    json!({ "spec": {
        "podSelector": { "matchLabels": of.selector() },
        "policyTypes": ["Ingress"],
        "ingress": [
            { "ports": ports(clients) },
            {
                "ports": ports(vec![i32::from(INTERNAL_PORT)]),
                "from": [
                    { "podSelector": { "matchLabels": of.selector() } },
                    {
                        "namespaceSelector": {
                            "matchLabels": { NAMESPACE_LABEL: of.known.operator_namespace },
                        },
                        "podSelector": { "matchLabels": {
                            "app.kubernetes.io/name": "klamm",
                            "app.kubernetes.io/component": "operator",
                        }},
                    },
                ],
            },
        ],
    }})
}
