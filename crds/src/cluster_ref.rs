//! Which Cluster a Topic or a ConsumerGroup belongs to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names the Cluster that a resource belongs to.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct ClusterRef {
    /// The Cluster's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The Cluster's namespace; the resource's own if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}
