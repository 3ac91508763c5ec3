//! What differs between Kubernetes and a laptop, and nothing else.
//!
//! On Kubernetes resources come from watches, brokers run in StatefulSets, a status is a patch. On a
//! laptop (`cli/src/up`) resources come from files, brokers run in this process, a status is a line on
//! the screen and a file in the data directory. The planners do not know which.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use crds::{Key, Resource};

use crate::kafka::{Admin, AdminError};

/// What [`Platform`] gives back for work that takes time.
pub type Working<'a, T> = Pin<Box<dyn Future<Output = Result<T, PlatformError>> + 'a>>;

/// Where resources come from, where brokers run, and where a status goes.
pub trait Platform {
    /// How far this place can go.
    fn limits(&self) -> Limits;

    /// All resources, as they are declared now, with the status that was written last. Those being
    /// deleted carry a `deletionTimestamp`. A resource that is not listed is left alone: what vanished
    /// from a file is not deleted. `metadata.generation` grows with each change of the spec, and the
    /// status outlives a restart: it holds the id of the topic that is ours, and when a reset was seen.
    fn resources(&self) -> Vec<Resource>;

    /// The brokers of `cluster` as they run now; `None` if none were ever asked for.
    fn brokers(&self, cluster: &Key) -> Option<Running>;

    /// Makes the brokers of `cluster` run as wanted, or restarts them so. Settings are
    /// checked before anything is stopped. May be repeated.
    fn run_brokers<'a>(&'a self, cluster: &'a Key, wanted: &'a Brokers) -> Working<'a, ()>;

    /// Stops the brokers of `cluster`. What they stored stays. May be repeated.
    fn stop_brokers<'a>(&'a self, cluster: &'a Key) -> Working<'a, ()>;

    /// The way to the brokers of `cluster`.
    ///
    /// # Errors
    /// [`AdminError::Unreachable`] if no broker can be asked at present.
    fn admin(&self, cluster: &Key) -> Result<Rc<dyn Admin>, AdminError>;

    /// Writes the status that `resource` carries.
    fn write_status<'a>(&'a self, resource: &'a Resource) -> Working<'a, ()>;

    /// Lets a resource that is being deleted go: everything that its policy asked for is done.
    fn release<'a>(&'a self, key: &'a Key) -> Working<'a, ()>;

    /// Tells a person what happened. Repeats are the platform's to fold.
    fn emit(&self, event: Event);
}

/// How far a place can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many brokers it can run for one cluster.
    pub max_brokers: i32,
    /// How long a ConsumerGroup's figures may be old before they are written again. What is important
    /// (conditions, state, members) is always written at once.
    pub group_figures_every: Duration,
    /// How often everything is looked at although nothing changed.
    pub resync_every: Duration,
}

/// The brokers of one cluster, as they should run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brokers {
    /// How many.
    pub count: i32,
    /// How much each may store, in bytes.
    pub storage_bytes: i64,
    /// Their settings, by Kafka's names.
    pub config: BTreeMap<String, String>,
}

/// The brokers of one cluster, as they run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// What was asked for last.
    pub asked: Brokers,
    /// Why the last start failed, if it did.
    pub failure: Option<BrokerFailure>,
    /// `host:port` for clients, separated by commas; empty while there is none.
    pub bootstrap: String,
}

/// Why brokers do not run as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerFailure {
    /// They refused a setting.
    InvalidConfig(String),
    /// Fewer are wanted, and those that are to go are not empty yet.
    Draining(String),
    /// Anything else: a port in use, a full disk, a locked directory, a crash.
    Down(String),
}

/// Why the platform did not do what was asked. It is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlatformError(pub String);

/// Something that a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// About which resource.
    pub about: Key,
    /// Whether a person should look.
    pub is_warning: bool,
    /// In one word, of the kind's closed set of reasons.
    pub reason: String,
    /// In a sentence.
    pub message: String,
}
