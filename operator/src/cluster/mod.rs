//! The Cluster: makes brokers run as declared, and says whether they serve.
//!
//! Where the brokers run is the platform's: this room decides how many and with which settings.

use crds::cluster::ClusterReason;
use crds::{ClusterRef, Key, Kind};
use kube::core::ObjectMeta;

use crate::kafka::{AdminError, ClusterFacts};
use crate::platform::{Limits, Running};

mod apply;
mod observe;
mod plan;
pub mod render;
mod status;

pub use apply::apply;
pub use observe::{not_allowed, observe, see};
pub use plan::plan;
pub use status::status;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// How far the place can go.
    pub limits: Limits,
    /// The brokers as they run, if any were ever asked for.
    pub running: Option<Running>,
    /// What the brokers say of themselves, or why they say nothing.
    pub facts: Result<ClusterFacts, AdminError>,
}

/// Whether a Cluster can be asked, for the rooms of its Topics and ConsumerGroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterSeen {
    /// There is no such Cluster, or it is being deleted.
    NotFound,
    /// It is not to be named from this namespace.
    NotAllowed(String),
    /// Its brokers do not answer.
    NotReady(String),
    /// Its brokers answer.
    Ready {
        /// The ids of those that serve.
        brokers: Vec<i32>,
    },
}

/// What to do, and what not to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// What was declared and is not done.
    pub refusals: Vec<Refused>,
}

/// One step. Each may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make so many brokers run, as declared.
    Run(i32),
    /// Stop the brokers; what they stored stays, unless the Cluster says otherwise.
    Stop,
    /// Let the resource go.
    Release,
}

/// Something that was declared and is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// In one word.
    pub reason: ClusterReason,
    /// In a sentence, with a hint.
    pub message: String,
}

/// How far [`apply()`] came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The steps that were done.
    pub done: Vec<Step>,
    /// Why the next one was not.
    pub failure: Option<Refused>,
}

/// The key of the Cluster that `reference` names in a resource with this metadata.
pub fn cluster_key(reference: &ClusterRef, meta: &ObjectMeta) -> Key {
    let own = crds::resource::key(Kind::Cluster, meta).namespace;
    Key {
        kind: Kind::Cluster,
        namespace: reference.namespace.clone().unwrap_or(own),
        name: reference.name.clone(),
    }
}
