//! An uninstall: every resource is let go, so that nothing waits for an operator that is no more.

use crds::{Cluster, ConsumerGroup, Resource, Topic};
use kube::Client;
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use serde::de::DeserializeOwned;
use world::World;

use super::lease::{self, EVERY, Tenure};
use super::{Options, Writer, has_finalizer};

/// Resources of one page of a list.
const PAGE: u32 = 100;

/// Takes the finalizers of all resources off, under the lease: an operator that still runs does not put them back
/// meanwhile. Clusters run on and keep their data; an operator that is installed later takes everything up again.
/// Says how many were let go.
///
/// # Errors
/// No way to the API server, or a right that is missing.
pub async fn release(world: &World, options: &Options) -> Result<usize, String> {
    let client = Client::try_default().await;
    let client = client.map_err(|error| format!("no way to a Kubernetes API server: {error}"))?;
    let tenure = Tenure::new(world.clone());
    let Options { namespace, lease, identity, .. } = options;
    let released = tokio::select! {
        biased;
        released = release_all(&client, options, &tenure) => released,
        () = lease::keep(client.clone(), namespace, lease, identity, &tenure) => unreachable!("it is kept for ever"),
    };
    lease::give_back(client, namespace, lease, identity, &tenure).await;
    released
}

async fn release_all(client: &Client, options: &Options, tenure: &Tenure) -> Result<usize, String> {
    while !tenure.holds() {
        tenure.world().clock.sleep(EVERY).await;
    }
    let may_write = tenure.clone();
    let writer = Writer::new(client.clone(), std::rc::Rc::new(move || may_write.holds()));
    let mut released = 0;
    for namespace in super::run::scopes(options) {
        let namespace = namespace.as_deref();
        let topics = held::<Topic>(client, namespace, |it| Resource::Topic(Box::new(it)));
        let groups =
            held::<ConsumerGroup>(client, namespace, |it| Resource::ConsumerGroup(Box::new(it)));
        let clusters = held::<Cluster>(client, namespace, |it| Resource::Cluster(Box::new(it)));
        let all = [topics.await?, groups.await?, clusters.await?];
        for resource in all.into_iter().flatten() {
            writer.set_finalizer(&resource, false).await.map_err(|error| error.to_string())?;
            released += 1;
        }
    }
    Ok(released)
}

/// Those that we hold.
async fn held<K>(
    client: &Client,
    namespace: Option<&str>,
    resource: impl Fn(K) -> Resource,
) -> Result<Vec<Resource>, String>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = super::api_of(client, namespace);
    let (mut held, mut page) = (Vec::new(), ListParams::default().limit(PAGE));
    loop {
        let listed = api.list(&page).await;
        let listed =
            listed.map_err(|error| format!("{} cannot be listed: {error}", K::plural(&())))?;
        held.extend(listed.items.into_iter().map(&resource).filter(has_finalizer));
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(held),
        }
    }
}
