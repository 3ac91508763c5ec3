//! Whether an operator does its work: what `helm test` asks, with the operator's own rights.

use crds::{Cluster, ConsumerGroup, Topic};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use world::World;

use super::Options;
use super::lease::{DURATION, EVERY};

/// Asks once; says who leads.
///
/// # Errors
/// What is missing: the way to the API server, a kind, a right, or somebody who holds the lease and renews it.
pub async fn check(world: &World, options: &Options) -> Result<String, String> {
    let client = Client::try_default().await;
    let client = client.map_err(|error| format!("no way to a Kubernetes API server: {error}"))?;
    for namespace in super::run::scopes(options) {
        let namespace = namespace.as_deref();
        is_served::<Cluster>(&client, namespace).await?;
        is_served::<Topic>(&client, namespace).await?;
        is_served::<ConsumerGroup>(&client, namespace).await?;
    }
    let leases: Api<Lease> = Api::namespaced(client, &options.namespace);
    let version = |lease: &Lease| lease.metadata.resource_version.clone();
    let get = async || {
        let found = leases.get_opt(&options.lease).await;
        let found = found.map_err(|error| format!("lease {}: {error}", options.lease))?;
        found.ok_or_else(|| format!("nobody has ever held the lease {}", options.lease))
    };
    // Whether it is renewed is seen by its change: clocks of two machines may differ.
    let first = get().await?;
    let mut waited = std::time::Duration::ZERO;
    while waited <= DURATION {
        world.clock.sleep(EVERY).await;
        waited += EVERY;
        let lease = get().await?;
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
        if let Some(holder) = holder.filter(|_| version(&lease) != version(&first)) {
            return Ok(format!("{holder} leads"));
        }
    }
    Err(format!("nobody renews the lease {}", options.lease))
}

async fn is_served<K>(client: &Client, namespace: Option<&str>) -> Result<(), String>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = super::api_of(client, namespace);
    let listed = api.list(&ListParams::default().limit(1)).await;
    listed.map(drop).map_err(|error| format!("{} cannot be listed: {error}", K::plural(&())))
}
