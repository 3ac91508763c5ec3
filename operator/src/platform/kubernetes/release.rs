//! An uninstall: every resource is let go, so that nothing waits for an operator that is no more.

use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

use crds::{Cluster, ConsumerGroup, Resource, Topic};
use kube::Client;
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use serde::de::DeserializeOwned;
use world::World;

use super::lease::{self, DURATION, EVERY, Seen, Tenure};
use super::{Options, Writer, has_finalizer};

/// Resources of one page of a list: that many are held at once.
const PAGE: u32 = 100;
/// How long the lease is waited for: an operator that was stopped is over by then.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a resource that others change meanwhile is tried.
const TRIES: u32 = 10;
/// The pause between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// Takes the finalizers of all resources off, under the lease: an operator that still runs does not put them back
/// meanwhile. Clusters run on and keep their data; an operator that is installed later takes everything up again.
/// Says how many were let go.
///
/// # Errors
/// No way to the API server, a right that is missing, or an operator that still runs.
pub async fn release(world: &World, options: &Options) -> Result<usize, String> {
    let client = Client::try_default().await;
    let client = client.map_err(|error| format!("no way to a Kubernetes API server: {error}"))?;
    let tenure = Tenure::new(world.clone());
    let Options { namespace, lease, identity, .. } = options;
    let may_write: Rc<dyn Fn() -> bool> = match take_lease(&client, options, &tenure).await? {
        Lease::Ours => {
            let tenure = tenure.clone();
            Rc::new(move || tenure.holds())
        }
        Lease::Nobodys => return release_all(&client, world, options, Rc::new(|| true)).await,
    };
    let released = tokio::select! {
        biased;
        released = release_all(&client, world, options, may_write) => released,
        () = lease::keep(client.clone(), namespace, lease, identity, &tenure) => unreachable!("it is kept for ever"),
    };
    lease::give_back(client, namespace, lease, identity, &tenure).await;
    released
}

/// Whose the lease is.
enum Lease {
    /// Ours, from now on.
    Ours,
    /// Its namespace is gone, or goes: nobody can have it.
    Nobodys,
}

async fn take_lease(client: &Client, options: &Options, tenure: &Tenure) -> Result<Lease, String> {
    let Options { namespace, lease, identity, .. } = options;
    let (mut seen, mut waited) = (Seen::default(), Duration::ZERO);
    loop {
        match lease::turn(client.clone(), namespace, lease, identity, &mut seen, tenure).await {
            Ok(()) if tenure.holds() => return Ok(Lease::Ours),
            // Of two who write it at once one is refused.
            Ok(()) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(kube::Error::Api(status)) if is_without_namespace(&status) => {
                return Ok(Lease::Nobodys);
            }
            Err(error) => return Err(format!("lease {namespace}/{lease}: {error}")),
        }
        if waited > PATIENCE.max(DURATION) {
            let holder = seen.holder.unwrap_or_default();
            return Err(format!(
                "{holder} holds the lease {namespace}/{lease} and works; hint: stop it first, for example with \
                 kubectl -n {namespace} scale deployment --all --replicas=0"
            ));
        }
        tenure.world().clock.sleep(EVERY).await;
        waited += EVERY;
    }
}

/// Whether a lease could not be made because there is no place for one.
fn is_without_namespace(status: &kube::core::Status) -> bool {
    let is_terminating = || {
        let causes = status.details.as_ref().map(|it| it.causes.as_slice()).unwrap_or_default();
        causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
    };
    status.code == 404 || status.code == 403 && is_terminating()
}

pub(super) async fn release_all(
    client: &Client,
    world: &World,
    options: &Options,
    may_write: Rc<dyn Fn() -> bool>,
) -> Result<usize, String> {
    let writer = Writer::new(client.clone(), may_write);
    let mut released = 0;
    for namespace in super::run::scopes(options) {
        let of = Of { client, world, writer: &writer, namespace: namespace.as_deref() };
        released += of.release::<Topic>(|it| Resource::Topic(Box::new(it))).await?;
        released += of.release::<ConsumerGroup>(|it| Resource::ConsumerGroup(Box::new(it))).await?;
        released += of.release::<Cluster>(|it| Resource::Cluster(Box::new(it))).await?;
    }
    Ok(released)
}

/// Resources of one namespace, or of all.
struct Of<'a> {
    client: &'a Client,
    world: &'a World,
    writer: &'a Writer,
    namespace: Option<&'a str>,
}

impl Of<'_> {
    /// Lets all of one kind go, page by page.
    async fn release<K>(&self, resource: impl Fn(K) -> Resource) -> Result<usize, String>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        let api: Api<K> = super::api_of(self.client, self.namespace);
        let cannot = |error| format!("{} cannot be listed: {error}", K::plural(&()));
        let (mut released, mut page) = (0, ListParams::default().limit(PAGE));
        loop {
            let listed = match api.list(&page).await {
                // The pages took longer than the API server keeps them: those that are left, from the first.
                Err(kube::Error::Api(status)) if status.code == 410 => {
                    page = ListParams::default().limit(PAGE);
                    continue;
                }
                // Without the kind there is nothing of it.
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(released),
                listed => listed.map_err(cannot)?,
            };
            for held in listed.items.into_iter().map(&resource).filter(has_finalizer) {
                self.release_one(held, &resource).await?;
                released += 1;
            }
            match listed.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(released),
            }
        }
    }

    /// Others may change it meanwhile: then it is read again.
    async fn release_one<K>(
        &self,
        mut held: Resource,
        resource: impl Fn(K) -> Resource,
    ) -> Result<(), String>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        let key = held.key();
        let api: Api<K> = Api::namespaced(self.client.clone(), &key.namespace);
        let mut tried = 0;
        loop {
            let Err(error) = self.writer.set_finalizer(&held, false).await else { return Ok(()) };
            tried += 1;
            if tried == TRIES {
                return Err(error.to_string());
            }
            self.world.clock.sleep(BETWEEN_TRIES).await;
            match api.get_opt(&key.name).await.map_err(|error| format!("{key}: {error}"))? {
                Some(found) => held = resource(found),
                None => return Ok(()),
            }
            if !has_finalizer(&held) {
                return Ok(());
            }
        }
    }
}
