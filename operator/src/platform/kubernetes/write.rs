//! Writes to the API server: server-side apply of what is ours, a status, a finalizer.
//!
//! Only the holder of the lease writes: each write asks whether it holds it still. An object of ours is applied with
//! force, since nobody else has a say in it; a person's resource gets its status and its finalizer, and nothing else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crds::{Cluster, ConsumerGroup, Key, Kind, Resource, Topic};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cache::Watched;
use super::watch::resource;
use super::{FINALIZER, PlatformError, render};

/// Who wrote a field, by Kubernetes' books.
const MANAGER: &str = "klamm";
/// The same of statuses.
const STATUS_MANAGER: &str = "klamm-status";

/// The way to write.
pub(super) struct Writer {
    client: Client,
    /// Whether we hold the lease.
    may_write: Rc<dyn Fn() -> bool>,
    /// How many writes there were, by verb and kind; for the metrics.
    pub(super) counts: RefCell<BTreeMap<(&'static str, String), u64>>,
}

impl Writer {
    pub(super) fn new(client: Client, may_write: Rc<dyn Fn() -> bool>) -> Self {
        Self { client, may_write, counts: RefCell::default() }
    }

    /// Makes an object of ours as it should be; `live` is what is known to be there. Watches show only what has our
    /// label, so that before anything is made under a name it is asked whose that is.
    pub(super) async fn apply(
        &self,
        object: &Value,
        live: Option<&Value>,
    ) -> Result<(), PlatformError> {
        let kind = object["kind"].as_str().unwrap_or_default();
        let api = self.api(object)?;
        let parameters = PatchParams::apply(MANAGER).force();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let found = match live {
            Some(_) => None,
            None => api.get_opt(name).await.map_err(|error| told(kind, name, &error))?,
        };
        let found = found.and_then(|found| serde_json::to_value(found).ok());
        if let Some(found) = live.or(found.as_ref()).filter(|found| !is_ours(object, found)) {
            return Err(taken(object, found));
        }
        self.ask("apply", kind)?;
        api.patch(name, &parameters, &Patch::Apply(object))
            .await
            .map_err(|e| told(kind, name, &e))?;
        tracing::info!(kind, name, "applied");
        Ok(())
    }

    /// Says on a volume claim that its cluster was formed.
    pub(super) async fn mark_formed(&self, claim: &Value) -> Result<(), PlatformError> {
        self.ask("patch", "PersistentVolumeClaim")?;
        let name = claim["metadata"]["name"].as_str().unwrap_or_default();
        let patch = json!({ "metadata": { "labels": { render::FORMED_LABEL: "true" } } });
        let api = self.api(claim)?;
        let parameters =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        api.patch(name, &parameters, &Patch::Merge(patch))
            .await
            .map_err(|error| told("PersistentVolumeClaim", name, &error))?;
        Ok(())
    }

    /// Deletes an object of ours, and no other that came in its place.
    pub(super) async fn delete(&self, object: &Value) -> Result<(), PlatformError> {
        let kind = object["kind"].as_str().unwrap_or_default();
        self.ask("delete", kind)?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let uid = object["metadata"]["uid"].as_str().map(str::to_owned);
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid, resource_version: None }),
            ..DeleteParams::background()
        };
        match self.api(object)?.delete(name, &parameters).await {
            Ok(_) => {
                tracing::info!(kind, name, "deleted");
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(error) => Err(told(kind, name, &error)),
        }
    }

    /// Writes the status that `resource` carries; gives the resource as it is then.
    pub(super) async fn status(&self, resource: &Resource) -> Result<Resource, PlatformError> {
        let key = resource.key();
        self.ask("status", key.kind.as_str())?;
        match resource {
            Resource::Cluster(it) => {
                let written = self.patch_status::<Cluster>(&key, &it.status).await?;
                Ok(Resource::Cluster(Box::new(written)))
            }
            Resource::Topic(it) => {
                let written = self.patch_status::<Topic>(&key, &it.status).await?;
                Ok(Resource::Topic(Box::new(written)))
            }
            Resource::ConsumerGroup(it) => {
                let written = self.patch_status::<ConsumerGroup>(&key, &it.status).await?;
                Ok(Resource::ConsumerGroup(Box::new(written)))
            }
        }
    }

    async fn patch_status<K>(&self, key: &Key, status: &impl Serialize) -> Result<K, PlatformError>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &key.namespace);
        let patch = json!({
            "apiVersion": crds::API_VERSION,
            "kind": key.kind.as_str(),
            "metadata": { "name": key.name },
            "status": status,
        });
        let parameters = PatchParams::apply(STATUS_MANAGER).force();
        let written = api.patch_status(&key.name, &parameters, &Patch::Apply(patch)).await;
        written.map_err(|error| told(key.kind.as_str(), &key.name, &error))
    }

    /// Puts our finalizer on a resource, or takes it off. One that is gone needs none.
    pub(super) async fn set_finalizer(
        &self,
        resource: &Resource,
        is_wanted: bool,
    ) -> Result<(), PlatformError> {
        let key = resource.key();
        self.ask("finalizer", key.kind.as_str())?;
        let others = resource.meta().finalizers.iter().flatten().filter(|it| *it != FINALIZER);
        let mut finalizers: Vec<String> = others.cloned().collect();
        if is_wanted {
            finalizers.push(FINALIZER.to_owned());
        }
        // With the version: somebody else may have put one there meanwhile.
        let patch = json!({ "metadata": {
            "finalizers": finalizers,
            "resourceVersion": resource.meta().resource_version,
        }});
        let watched = match key.kind {
            Kind::Cluster => Watched::Cluster,
            Kind::Topic => Watched::Topic,
            Kind::ConsumerGroup => Watched::ConsumerGroup,
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &key.namespace, &self::resource(watched));
        let parameters =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        match api.patch(&key.name, &parameters, &Patch::Merge(patch)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(told(key.kind.as_str(), &key.name, &error)),
        }
    }

    /// Whether a write may be made; it is counted.
    fn ask(&self, verb: &'static str, kind: &str) -> Result<(), PlatformError> {
        if !(self.may_write)() {
            return Err(PlatformError::Failed("another operator holds the lease".to_owned()));
        }
        *self.counts.borrow_mut().entry((verb, kind.to_owned())).or_default() += 1;
        Ok(())
    }

    fn api(&self, object: &Value) -> Result<Api<DynamicObject>, PlatformError> {
        let kind = object["kind"].as_str().unwrap_or_default();
        let watched = Watched::ALL.into_iter().find(|it| it.names().2 == kind);
        let watched =
            watched.ok_or_else(|| PlatformError::Failed(format!("{kind} is none of our kinds")))?;
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        Ok(Api::namespaced_with(self.client.clone(), namespace, &resource(watched)))
    }
}

/// Whether `found` is controlled by whom `object` is, or by nobody since its Cluster was deleted without it
/// (`--cascade=orphan`).
fn is_ours(object: &Value, found: &Value) -> bool {
    match controller(found) {
        Some(owner) => controller(object) == Some(owner),
        None => cluster(found).is_some_and(|of| cluster(object) == Some(of)),
    }
}

fn cluster(object: &Value) -> Option<&str> {
    object["metadata"]["labels"][render::CLUSTER_LABEL].as_str()
}

/// The uid of who controls an object.
fn controller(object: &Value) -> Option<&str> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)?["uid"].as_str()
}

/// What was of an earlier Cluster of the same name is on its way out; anything else is somebody's.
fn taken(object: &Value, found: &Value) -> PlatformError {
    let kind = object["kind"].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    match cluster(found) {
        Some(of) if cluster(object) == Some(of) => PlatformError::Failed(format!(
            "{kind} {name} is of an earlier Cluster of this name, and is being removed"
        )),
        Some(of) => PlatformError::Taken(format!(
            "{kind} {name} is the Cluster {of}'s; hint: give this one another name, or its pool"
        )),
        None => PlatformError::Taken(format!(
            "there is a {kind} {name} that Klamm did not make; hint: remove it, or give the Cluster another name"
        )),
    }
}

/// What a person reads of an error of the API server's.
fn told(kind: &str, name: &str, error: &kube::Error) -> PlatformError {
    match error {
        kube::Error::Api(status) if status.code == 403 => PlatformError::Forbidden(format!(
            "{kind} {name}: {}; hint: the operator's Role lacks a right, or a quota is spent",
            status.message
        )),
        kube::Error::Api(status) => {
            PlatformError::Failed(format!("{kind} {name}: {}", status.message))
        }
        other => PlatformError::Failed(format!("{kind} {name}: {other}")),
    }
}
