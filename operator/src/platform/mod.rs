//! What differs between Kubernetes and a laptop, and nothing else.
//!
//! On Kubernetes ([`kubernetes`]) resources come from watches, brokers run in StatefulSets, a status is a patch. On a
//! laptop (`cli/src/up`) resources come from files, brokers run in this process, a status is a line on
//! the screen and a file in the data directory. The planners do not know which.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use crds::cluster::ListenerStatus;
use crds::{Cluster, Key, Resource};

use crate::kafka::{Admin, AdminError};

pub mod kubernetes;
mod resources;

pub use resources::Resources;
pub(crate) use resources::cluster_of;

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
    fn resources(&self) -> Rc<Resources>;

    /// The brokers of `cluster` as they run now; `None` if none were ever asked for.
    fn brokers(&self, cluster: &Cluster) -> Option<Running>;

    /// Makes so many brokers of `cluster` run as it declares, as far as that can be had without a restart of
    /// those that run ([`Running::outdated`]) or, on a laptop, with one. Settings are checked before anything is
    /// stopped. May be repeated.
    fn run_brokers<'a>(&'a self, cluster: &'a Cluster, count: i32) -> Working<'a, ()>;

    /// Stops the brokers of `cluster`. What they stored stays, unless the Cluster says otherwise. May be repeated.
    fn stop_brokers<'a>(&'a self, cluster: &'a Cluster) -> Working<'a, ()>;

    /// The id that the brokers of `cluster` have, as far as it is known before they are asked: whoever answers with
    /// another one at one of their addresses is somebody else.
    fn cluster_id(&self, cluster: &Cluster) -> Option<String> {
        cluster.status.as_ref().and_then(|status| status.cluster_id.clone())
    }

    /// The way to the brokers of `cluster`.
    ///
    /// # Errors
    /// [`AdminError::Unreachable`] if no broker can be asked at present.
    fn admin(&self, cluster: &Key) -> Result<Rc<dyn Admin>, AdminError>;

    /// Makes sure that a resource is not gone before [`Self::release`]: what its deletion asks for is done first. May
    /// be repeated.
    fn hold<'a>(&'a self, resource: &'a Resource) -> Working<'a, ()>;

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
    /// How many resources of a cluster are looked at side by side.
    pub side_by_side: usize,
    /// How long a ConsumerGroup's figures may be old before they are written again. What is important
    /// (conditions, state, members) is always written at once.
    pub group_figures_every: Duration,
    /// How often everything is looked at although nothing changed.
    pub resync_every: Duration,
}

/// The brokers of one cluster, as they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// How many there are, or are about to be.
    pub count: i32,
    /// Whether all that can be done without a restart is done.
    pub is_as_wanted: bool,
    /// Those that run with what was declared before, by id.
    pub outdated: Vec<i32>,
    /// Those whose pods are not ready, by id: no Service leads to them.
    pub unready: Vec<i32>,
    /// The image that brokers would run if they were made now, if those that run have another one and none is declared.
    pub upgrade: Option<String>,
    /// In which way their volumes are smaller than declared, if so.
    pub smaller: Option<String>,
    /// The name of each one's pod, by id, where there are pods.
    pub pods: Vec<(i32, String)>,
    /// Why they do not run as wanted, if so.
    pub failure: Option<BrokerFailure>,
    /// Where clients connect; empty while there is nothing.
    pub listeners: Vec<ListenerStatus>,
    /// Selects the pods, where there are pods.
    pub selector: Option<String>,
}

/// Why brokers do not run as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerFailure {
    /// They refused a setting.
    InvalidConfig(String),
    /// What is declared cannot be had here.
    InvalidSpec(String),
    /// Fewer are wanted, and those that are to go are not empty yet.
    Draining(String),
    /// A right is missing.
    Forbidden(String),
    /// The disks of a majority of the voters are gone.
    QuorumLost(String),
    /// They are on their way, and something is worth telling: an image that is pulled, a volume that is awaited.
    Starting(String),
    /// Anything else: a port in use, a full disk, a locked directory, a crash.
    Down(String),
}

impl BrokerFailure {
    /// Whether brokers do not run, or not for long.
    pub(crate) fn is_down(&self) -> bool {
        match self {
            Self::Draining(_) | Self::Starting(_) | Self::Forbidden(_) | Self::InvalidSpec(_) => {
                false
            }
            Self::InvalidConfig(_) | Self::QuorumLost(_) | Self::Down(_) => true,
        }
    }
}

/// Why the platform did not do what was asked. It is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// A right is missing.
    #[error("{0}")]
    Forbidden(String),
    /// A name is taken by what is not ours.
    #[error("{0}")]
    Taken(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

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
