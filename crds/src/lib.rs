//! Cluster, Topic and ConsumerGroup as Rust types: the two bytes of truth for Kubernetes.
//!
//! The same structs make the CRD YAML (`manifests/crds`), are read by the operator, and are parsed from
//! files by `klamm up`. What the API server checks on Kubernetes is checked here for a laptop:
//! [`parse()`] walks the generated schema, and [`validate`] evaluates the rules that the CRD carries as CEL.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`cluster`], [`topic`], [`consumer_group`] | the three kinds: spec, status, reasons |
//! | [`template`] | what a person adds to the brokers' pods |
//! | [`conditions`] | conditions in the standard form, shared by all |
//! | [`quantity`], [`duration`] | `10Gi` and `1h30m` |
//! | [`rules`] | each cross-field rule once, as CEL and as Rust |
//! | [`schema`] | the structural half: types, bounds, patterns, unknown fields |
//! | [`parse`](mod@parse) | YAML text → resources, with file, line, column and hint in errors |
//! | [`yaml`](mod@yaml) | the CRDs and their reference page as text |
//!
//! What it is not: it talks to no API server and no broker, and it decides nothing.

pub mod cluster;
pub mod cluster_ref;
pub mod conditions;
pub mod consumer_group;
pub mod duration;
pub mod parse;
pub mod quantity;
pub mod resource;
pub mod rules;
pub mod schema;
pub mod template;
pub mod topic;
pub mod yaml;

pub use cluster::{Cluster, ClusterSpec, ClusterStatus};
pub use cluster_ref::ClusterRef;
pub use conditions::{Condition, ConditionStatus};
pub use consumer_group::{ConsumerGroup, ConsumerGroupSpec, ConsumerGroupStatus};
pub use duration::Span;
pub use parse::{ParseError, parse};
pub use quantity::Quantity;
pub use resource::{Key, Kind, Resource};
pub use rules::{FieldError, validate};
pub use topic::{Topic, TopicSpec, TopicStatus};

/// The API group of all kinds.
pub const GROUP: &str = "klamm.io";
/// The only served version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` in a document.
pub const API_VERSION: &str = "klamm.io/v1alpha1";
