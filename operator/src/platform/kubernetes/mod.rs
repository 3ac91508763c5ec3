//! Kubernetes as a place to run brokers: resources from watches, brokers in StatefulSets, a status as a patch.
//!
//! ```text
//! API server ─ watch.rs ─▶ cache.rs ──▶ resources(), brokers()        what is, without asking
//!                   │         │
//!                   ▼         └─ pods.rs                              what pods, claims and sets say together
//!              wake: which Cluster, what of it
//!                   ▼
//! run.rs  a task per Cluster ─▶ Reconciler ─▶ write.rs ─▶ API server  server-side apply, by the lease's holder only
//!                                              │
//! lease.rs  who of several operators writes ───┘      events.rs  what happened, for people
//! ```
//!
//! Beside that, once and by hand or by Helm: check.rs, whether an operator does its work, and release.rs, which lets all
//! resources go before nobody does it any more.
//!
//! What is decided is decided in the rooms of the kinds; what is rendered is [`crate::cluster::render`]. Nothing here
//! restarts a broker: a pod that ends is its StatefulSet's to make again, one that is outdated is told of.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use client::{ClusterOptions, admin};
use crds::{Cluster, Key, Kind, Resource};
use world::World;

use super::{BrokerFailure, Event, Limits, Platform, PlatformError, Resources, Running, Working};
use crate::cluster::render::{self, Known};
use crate::kafka::{Admin, AdminError};

mod cache;
mod check;
mod events;
#[cfg(test)]
mod fake;
mod http;
mod lease;
mod pods;
mod release;
mod run;
mod subset;
#[cfg(test)]
mod tests;
mod watch;
mod write;

pub use check::check;
pub use release::release;
pub use run::{Options, run};

use cache::Cache;
use events::Events;
use write::Writer;

/// How long the planners wait for one answer of the brokers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long they try again within one pass.
const RETRY_FOR: Duration = Duration::from_secs(2);
/// Nobody has tried more brokers than that in one cluster.
const BROKERS_MAX: i32 = 256;
/// How many resources of a Cluster are looked at side by side.
const SIDE_BY_SIDE: usize = 16;
/// How often a group's figures are written at most, and everything is looked at: also what somebody changed behind our
/// back in the brokers.
const FIGURES_EVERY: Duration = Duration::from_secs(30);
/// See [`FIGURES_EVERY`]; a topic that somebody changed with a Kafka client is put right within five seconds, what a look
/// takes among them.
const RESYNC_EVERY: Duration = Duration::from_secs(4);
/// What holds a resource until its deletion policy was followed.
const FINALIZER: &str = "klamm.io/policy";

/// One API server, as the operator sees it.
pub(crate) struct Kubernetes {
    world: World,
    cache: RefCell<Cache>,
    writer: Writer,
    events: Events,
    admins: RefCell<BTreeMap<Key, Way>>,
    image: String,
    namespace: String,
}

/// The way to a Cluster's brokers, with the addresses by which it begins.
type Way = (Vec<String>, Rc<admin::Admin>);

impl Kubernetes {
    /// What rendering needs to know of `cluster`.
    fn known(&self, cluster: &Cluster) -> Known {
        let cache = self.cache.borrow();
        let mut known = pods::known(cluster, &cache);
        // What runs is upgraded when a person says so, and not because an operator was.
        known.image = pods::image(cluster, &cache).unwrap_or_else(|| self.image.clone());
        known.operator_namespace.clone_from(&self.namespace);
        known
    }

    /// What the Cluster's objects should be, and those of them that are not.
    fn wanted(&self, cluster: &Cluster) -> (render::Rendered, Vec<serde_json::Value>) {
        let known = self.known(cluster);
        let cache = self.cache.borrow();
        let (cluster, _) = pods::as_it_may_be(cluster, &cache);
        let rendered = render::render(&cluster, &known);
        let is_there = |object: &serde_json::Value| {
            cache.object(object).is_some_and(|live| subset::holds(object, &live))
        };
        let missing = rendered.objects.iter().filter(|object| !is_there(object)).cloned().collect();
        (rendered, missing)
    }

    async fn run_brokers(&self, cluster: &Cluster) -> Result<(), PlatformError> {
        if let Some(why) = refused(cluster) {
            return Err(PlatformError::Taken(why));
        }
        let (rendered, missing) = self.wanted(cluster);
        for object in &missing {
            let live = self.cache.borrow().object(object);
            self.writer.apply(object, live.as_deref()).await?;
        }
        let claims = pods::unmarked_claims(cluster, &self.cache.borrow());
        for claim in claims {
            self.writer.mark_formed(&claim).await?;
        }
        // What is no longer rendered: the Services of a listener that went, the budget of one who wants none.
        let superfluous = self.cache.borrow().superfluous(cluster, &rendered);
        for object in superfluous {
            self.writer.delete(&object).await?;
        }
        Ok(())
    }

    async fn stop_brokers(&self, cluster: &Cluster) -> Result<(), PlatformError> {
        // What the Cluster owns goes with it; volumes are owned by nobody.
        if cluster.spec.storage.on_delete == crds::cluster::VolumePolicy::Delete {
            let sets = self.cache.borrow().sets_of(cluster);
            for set in &sets {
                self.writer.delete(set).await?;
            }
            let claims = self.cache.borrow().claims_of(cluster);
            for claim in &claims {
                self.writer.delete(claim).await?;
            }
        }
        Ok(())
    }
}

/// Which addresses outside are not known yet.
fn awaited(rendered: &render::Rendered) -> Option<String> {
    let names = rendered.missing.join(", ");
    (!names.is_empty())
        .then(|| format!("the address of listener {names} is awaited: it is Kubernetes' to give"))
}

/// Why nothing can be made of this Cluster's name.
fn refused(cluster: &Cluster) -> Option<String> {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let is_label = name.len() <= render::NAME_MAX && !name.contains('.');
    (!is_label).then(|| {
        format!(
            "the name {name} cannot be that of pods: it may have {} letters, digits and hyphens; hint: make \
             a Cluster with a shorter name",
            render::NAME_MAX
        )
    })
}

impl Platform for Kubernetes {
    fn limits(&self) -> Limits {
        Limits {
            max_brokers: BROKERS_MAX,
            side_by_side: SIDE_BY_SIDE,
            group_figures_every: FIGURES_EVERY,
            resync_every: RESYNC_EVERY,
        }
    }

    fn resources(&self) -> Rc<Resources> {
        self.cache.borrow().resources()
    }

    fn brokers(&self, cluster: &Cluster) -> Option<Running> {
        if let Some(why) = refused(cluster) {
            let failure = Some(BrokerFailure::InvalidSpec(why));
            return Some(Running { is_as_wanted: true, failure, ..Running::default() });
        }
        let (rendered, missing) = self.wanted(cluster);
        let cache = self.cache.borrow();
        let superfluous = cache.superfluous(cluster, &rendered);
        let unmarked = pods::unmarked_claims(cluster, &cache);
        let (may_be, held_back) = pods::as_it_may_be(cluster, &cache);
        let waits = self.known(cluster).obstacle.or_else(|| awaited(&rendered));
        let mut running = match (pods::running(&may_be, &cache), &waits) {
            (None, None) => return None,
            (running, _) => running.unwrap_or_default(),
        };
        let has_another = |image: &String| cluster.spec.image.is_none() && *image != self.image;
        let image = pods::image(cluster, &cache);
        running.upgrade = image.filter(has_another).map(|_| self.image.clone());
        running.smaller = pods::smaller_than_declared(&may_be, &cache);
        let failure = running.failure.or(held_back.map(BrokerFailure::InvalidSpec));
        running.failure = failure.or(waits.map(BrokerFailure::Starting));
        running.is_as_wanted = missing.is_empty() && superfluous.is_empty() && unmarked.is_empty();
        Some(running)
    }

    fn run_brokers<'a>(&'a self, cluster: &'a Cluster, _: i32) -> Working<'a, ()> {
        Box::pin(self.run_brokers(cluster))
    }

    fn stop_brokers<'a>(&'a self, cluster: &'a Cluster) -> Working<'a, ()> {
        Box::pin(self.stop_brokers(cluster))
    }

    fn cluster_id(&self, cluster: &Cluster) -> Option<String> {
        Some(self.known(cluster).cluster_id)
    }

    fn admin(&self, cluster: &Key) -> Result<Rc<dyn Admin>, AdminError> {
        let addresses = pods::addresses(cluster, &self.cache.borrow());
        if addresses.is_empty() {
            return Err(AdminError::Unreachable("no broker's pod has an address yet".to_owned()));
        }
        let mut admins = self.admins.borrow_mut();
        if let Some((known, admin)) = admins.get(cluster)
            && *known == addresses
        {
            return Ok(admin.clone());
        }
        let options = ClusterOptions {
            bootstrap: addresses.clone(),
            client_id: "klamm-operator".to_owned(),
            request_timeout: REQUEST_TIMEOUT,
            retry_for: RETRY_FOR,
            only_bootstrap: false,
        };
        let admin = admin::Admin::new(client::Cluster::new(self.world.clone(), options));
        let admin = Rc::new(admin);
        admins.insert(cluster.clone(), (addresses, admin.clone()));
        Ok(admin)
    }

    fn hold<'a>(&'a self, resource: &'a Resource) -> Working<'a, ()> {
        Box::pin(async move {
            if needs_finalizer(resource) == has_finalizer(resource) {
                return Ok(());
            }
            self.writer.set_finalizer(resource, needs_finalizer(resource)).await
        })
    }

    fn write_status<'a>(&'a self, resource: &'a Resource) -> Working<'a, ()> {
        Box::pin(async move {
            let written = self.writer.status(resource).await?;
            // The watch tells it too, later; until then the next pass would write it again.
            self.cache.borrow_mut().written(written);
            Ok(())
        })
    }

    fn release<'a>(&'a self, key: &'a Key) -> Working<'a, ()> {
        Box::pin(async move {
            let resource = self.cache.borrow().resources().get(key).cloned();
            match resource {
                Some(resource) if has_finalizer(&resource) => {
                    self.writer.set_finalizer(&resource, false).await
                }
                Some(_) | None => Ok(()),
            }
        })
    }

    fn emit(&self, event: Event) {
        let about = self.cache.borrow().resources().get(&event.about).cloned();
        if let Some(about) = about {
            self.events.tell(&about, event);
        }
    }
}

/// Resources of one kind, of a namespace or of all.
fn api_of<K>(client: &kube::Client, namespace: Option<&str>) -> kube::Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => kube::Api::namespaced(client.clone(), namespace),
        None => kube::Api::all(client.clone()),
    }
}

fn has_finalizer(resource: &Resource) -> bool {
    resource.meta().finalizers.iter().flatten().any(|it| it == FINALIZER)
}

/// Whether something has to be done before a resource goes. Where nothing has to, nothing can wedge.
fn needs_finalizer(resource: &Resource) -> bool {
    match resource {
        Resource::Cluster(it) => it.spec.storage.on_delete == crds::cluster::VolumePolicy::Delete,
        Resource::Topic(it) => it.spec.deletion_policy == crds::topic::TopicDeletionPolicy::Delete,
        Resource::ConsumerGroup(it) => {
            it.spec.deletion_policy == crds::consumer_group::GroupDeletionPolicy::DeleteGroup
        }
    }
}

/// The key of the Cluster that an object of ours belongs to, by its labels.
fn cluster_of(
    labels: Option<&BTreeMap<String, String>>,
    namespace: Option<&String>,
) -> Option<Key> {
    let name = labels?.get(render::CLUSTER_LABEL)?.clone();
    Some(Key { kind: Kind::Cluster, namespace: namespace?.clone(), name })
}
