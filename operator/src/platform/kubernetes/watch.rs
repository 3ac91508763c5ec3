//! The watches: what the API server holds, into the cache, and whom that wakes.
//!
//! One watch per kind and namespace (or one for all namespaces). A watch that breaks begins anew by itself, with pauses
//! that grow; a missing right is told once and tried again.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crds::Key;
use futures_util::{StreamExt as _, TryStreamExt as _};
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::Notify;

use super::Kubernetes;
use super::cache::{Wakes, Watched, name_of};

/// The label of everything that we make.
const MANAGED: &str = "app.kubernetes.io/managed-by=klamm";
/// Objects of one page of a list: a page is what is held twice.
const PAGE: u32 = 100;

/// Which Clusters are to be looked at, and what of them.
#[derive(Default)]
pub(super) struct Woken {
    /// By Cluster; `None` is all of it.
    who: RefCell<BTreeMap<Key, Option<BTreeSet<Key>>>>,
    notify: Notify,
    /// Watches that have shown all that there is, by their namespace.
    complete: RefCell<BTreeMap<Option<String>, usize>>,
    /// Watches that have shown all that there is, or that they cannot.
    heard: Cell<usize>,
}

impl Woken {
    /// Notes what a change wakes.
    pub(super) fn note(&self, wakes: Wakes) {
        let mut who = self.who.borrow_mut();
        match wakes {
            Wakes::Nobody => return,
            Wakes::All { cluster } => {
                who.insert(cluster, None);
            }
            Wakes::One { cluster, key } => {
                if let Some(some) = who.entry(cluster).or_insert_with(|| Some(BTreeSet::new())) {
                    some.insert(key);
                }
            }
        }
        drop(who);
        self.notify.notify_waiters();
    }

    /// What is to be looked at of a Cluster, which is then not noted any more; `Some(None)` is all of it.
    pub(super) fn take(&self, cluster: &Key) -> Option<Option<BTreeSet<Key>>> {
        self.who.borrow_mut().remove(cluster)
    }

    /// The Clusters of which something is noted.
    pub(super) fn clusters(&self) -> Vec<Key> {
        self.who.borrow().keys().cloned().collect()
    }

    /// Waits until something is noted. What was noted since the future was made counts.
    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }

    /// Whether all that there is in a namespace has been shown.
    pub(super) fn is_complete(&self, namespace: &str) -> bool {
        let complete = self.complete.borrow();
        let has_all = |scope: Option<String>| complete.get(&scope) == Some(&Watched::ALL.len());
        has_all(None) || has_all(Some(namespace.to_owned()))
    }

    /// Whether there is a namespace that can be worked in.
    pub(super) fn is_any_complete(&self) -> bool {
        self.complete.borrow().values().any(|count| *count == Watched::ALL.len())
    }

    /// How many watches have shown all that there is.
    pub(super) fn complete(&self) -> usize {
        self.complete.borrow().values().sum()
    }

    /// How many watches have been heard of.
    pub(super) fn heard(&self) -> usize {
        self.heard.get()
    }

    fn hear(&self) {
        self.heard.set(self.heard.get() + 1);
        self.notify.notify_waiters();
    }
}

/// Watches one kind, in one namespace or in all, for ever.
pub(super) async fn follow(
    client: Client,
    watched: Watched,
    namespace: Option<String>,
    kubernetes: Rc<Kubernetes>,
    woken: Rc<Woken>,
) {
    let resource = resource(watched);
    let api: Api<DynamicObject> = match &namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let mut config = watcher::Config::default().page_size(PAGE);
    if watched.kind().is_none() {
        config = config.labels(MANAGED);
    }
    let mut events = watch(api, config).default_backoff().boxed_local();
    let mut listed = Vec::new();
    let (mut is_first, mut is_heard) = (true, false);
    let mut told = String::new();
    loop {
        match events.try_next().await {
            Ok(Some(Event::Init)) => listed.clear(),
            Ok(Some(Event::InitApply(object))) => {
                let object = value(watched, object);
                listed.extend(name_of(&object));
                woken.note(kubernetes.cache.borrow_mut().applied(watched, object));
            }
            Ok(Some(Event::InitDone)) => {
                let of = |(namespace_of, _): &(String, String)| {
                    namespace.as_ref().is_none_or(|it| it == namespace_of)
                };
                let gone = kubernetes.cache.borrow_mut().keep_only(watched, &listed, of);
                gone.into_iter().for_each(|wakes| woken.note(wakes));
                if std::mem::take(&mut is_first) {
                    *woken.complete.borrow_mut().entry(namespace.clone()).or_default() += 1;
                    woken.notify.notify_waiters();
                }
                if !std::mem::replace(&mut is_heard, true) {
                    woken.hear();
                }
                told.clear();
            }
            Ok(Some(Event::Apply(object))) => {
                let object = value(watched, object);
                woken.note(kubernetes.cache.borrow_mut().applied(watched, object));
            }
            Ok(Some(Event::Delete(object))) => {
                let object = value(watched, object);
                woken.note(kubernetes.cache.borrow_mut().deleted(watched, &object));
            }
            Ok(None) => return,
            Err(error) => {
                // The others are not held up by what will not come.
                if is_lasting(&error) && !std::mem::replace(&mut is_heard, true) {
                    woken.hear();
                }
                // The stream waits before it tries again; what it says each time is worth one line.
                let error = error.to_string();
                if error != told {
                    tracing::warn!(
                        kind = watched.names().2,
                        namespace,
                        error,
                        "a watch has broken off"
                    );
                    told = error;
                }
            }
        }
    }
}

/// Whether a watch broke off for a reason that a person has to mend: a right, or the kind, is missing.
fn is_lasting(error: &watcher::Error) -> bool {
    let of = match error {
        watcher::Error::InitialListFailed(of) | watcher::Error::WatchStartFailed(of) => of,
        _ => return false,
    };
    matches!(of, kube::Error::Api(status) if status.code == 403 || status.code == 404)
}

/// What the API server calls a kind.
pub(super) fn resource(watched: Watched) -> ApiResource {
    let (group, version, kind, plural) = watched.names();
    let api_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// As JSON, without what nobody reads; a list does not say of its items what they are.
fn value(watched: Watched, mut object: DynamicObject) -> Value {
    object.metadata.managed_fields = None;
    let (group, version, kind, _) = watched.names();
    let mut value = serde_json::to_value(object).unwrap_or_default();
    value["kind"] = kind.into();
    value["apiVersion"] =
        if group.is_empty() { version.into() } else { format!("{group}/{version}").into() };
    if watched == Watched::ConfigMap {
        // Others may write anything into a ConfigMap with our label: what we look at is what we wrote.
        if let Some(value) = value.as_object_mut() {
            value.remove("binaryData");
        }
    }
    value
}
