//! The operator's loop: a task per Cluster, woken by the watches and by its own clock.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use crds::Key;
use kube::Client;
use tokio::task::{JoinHandle, spawn_local};
use world::World;

use super::cache::{Cache, Watched};
use super::http::{self, Shown};
use super::lease::{self, Tenure};
use super::watch::{self, Woken};
use super::{Events, Kubernetes, Writer};
use crate::Reconciler;
use crate::now::Now;
use crate::platform::Platform;

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespaces that it looks at; all if there are none.
    pub namespaces: Vec<String>,
    /// Its own namespace: the lease is there.
    pub namespace: String,
    /// The name of the lease.
    pub lease: String,
    /// Which operator of several this is: its pod's name.
    pub identity: String,
    /// The image of brokers whose Cluster names none.
    pub image: String,
    /// Where probes and metrics are served; nowhere if there is none.
    pub http: Option<std::net::SocketAddr>,
}

/// Why the operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no way to an API server.
    #[error("no way to a Kubernetes API server: {0}")]
    NoCluster(String),
    /// The address of probes and metrics cannot be had.
    #[error("cannot listen on {0}: {1}")]
    Listen(std::net::SocketAddr, std::io::Error),
}

/// Where it looks: at single namespaces, or once at all.
pub(super) fn scopes(options: &Options) -> Vec<Option<String>> {
    match options.namespaces.as_slice() {
        [] => vec![None],
        some => BTreeSet::from_iter(some).into_iter().cloned().map(Some).collect(),
    }
}

/// How often what is served is made anew.
const PAGE_EVERY: Duration = Duration::from_secs(1);
/// How often a Cluster's task looks whether it leads again.
const LOOK_FOR_LEASE: Duration = Duration::from_secs(1);

/// Reconciles until `stop` completes.
///
/// # Errors
/// When there is no way to an API server.
pub async fn run(
    world: World,
    options: Options,
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let client = Client::try_default().await.map_err(|e| RunError::NoCluster(e.to_string()))?;
    let tenure = Tenure::new(world.clone());
    let holds = tenure.clone();
    let kubernetes = Rc::new(Kubernetes {
        world: world.clone(),
        cache: RefCell::new(Cache::default()),
        writer: Writer::new(client.clone(), Rc::new(move || holds.holds())),
        events: Events::new(client.clone(), &options.identity),
        admins: RefCell::default(),
        image: options.image.clone(),
        namespace: options.namespace.clone(),
    });
    let woken = Rc::new(Woken::default());
    let mut tasks: Vec<JoinHandle<()>> = Vec::new();
    let namespaces = scopes(&options);
    let mut watches = 0;
    for namespace in &namespaces {
        for watched in Watched::ALL {
            let (kubernetes, woken) = (kubernetes.clone(), woken.clone());
            let follow =
                watch::follow(client.clone(), watched, namespace.clone(), kubernetes, woken);
            tasks.push(spawn_local(follow));
            watches += 1;
        }
    }
    tasks.push({
        let (client, options, tenure) = (client.clone(), options.clone(), tenure.clone());
        spawn_local(async move {
            lease::keep(client, &options.namespace, &options.lease, &options.identity, &tenure)
                .await;
        })
    });
    tasks.push({
        let (kubernetes, tenure) = (kubernetes.clone(), tenure.clone());
        spawn_local(async move { kubernetes.events.send(|| tenure.holds()).await })
    });
    if let Some(address) = options.http {
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.map_err(|error| RunError::Listen(address, error))?;
        let shown = Shown::default();
        tasks.push(spawn_local(http::serve(listener, shown.clone())));
        let (kubernetes, woken, tenure) = (kubernetes.clone(), woken.clone(), tenure.clone());
        let world = world.clone();
        tasks.push(spawn_local(async move {
            loop {
                shown.show(http::page(&kubernetes, &woken, watches, tenure.holds()));
                world.clock.sleep(PAGE_EVERY).await;
            }
        }));
    }
    tracing::info!(namespaces = ?options.namespaces, "the operator runs");
    let work = conduct(&world, &kubernetes, &woken, &tenure, watches);
    tokio::select! {
        biased;
        () = stop => {}
        () = work => {}
    }
    tasks.iter().for_each(JoinHandle::abort);
    lease::give_back(client, &options.namespace, &options.lease, &options.identity, &tenure).await;
    Ok(())
}

/// Gives each Cluster a task, and wakes it.
async fn conduct(
    world: &World,
    kubernetes: &Rc<Kubernetes>,
    woken: &Rc<Woken>,
    tenure: &Tenure,
    watches: usize,
) {
    // Who comes first of two that want the same is seen once all are.
    while woken.heard() < watches {
        woken.changed().await;
    }
    let mut tasks: BTreeMap<Key, Task> = BTreeMap::new();
    loop {
        let changed = woken.changed();
        let resources = kubernetes.resources();
        tasks.retain(|key, _| resources.of_cluster(key).next().is_some());
        for key in resources.clusters() {
            if !tasks.contains_key(key) {
                let task = attend(
                    world.clone(),
                    kubernetes.clone(),
                    woken.clone(),
                    tenure.clone(),
                    key.clone(),
                );
                tasks.insert(key.clone(), Task(spawn_local(task)));
            }
        }
        // Of Clusters that are gone nothing is to be looked at.
        woken.clusters().iter().filter(|key| !tasks.contains_key(*key)).for_each(|key| {
            woken.take(key);
        });
        changed.await;
    }
}

/// Ends with what it is for.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Reconciles what belongs to one Cluster, for ever.
async fn attend(
    world: World,
    kubernetes: Rc<Kubernetes>,
    woken: Rc<Woken>,
    tenure: Tenure,
    cluster: Key,
) {
    let platform: Rc<dyn Platform> = kubernetes.clone();
    // Of a Cluster whose volumes are not known it would look as if it had none. One that is only named has none.
    let is_known = || {
        woken.is_complete(&cluster.namespace) || kubernetes.resources().cluster(&cluster).is_none()
    };
    let mut reconciler = Reconciler::of_cluster(platform, cluster.clone());
    let mut is_first = true;
    loop {
        if !tenure.holds() || !is_known() {
            // Whoever leads next begins with a look at everything.
            is_first = true;
            world.clock.sleep(LOOK_FOR_LEASE).await;
            continue;
        }
        let changed = woken.changed();
        let now = Now::of(&*world.clock);
        let pass = match (is_first, woken.take(&cluster)) {
            (true, _) | (false, Some(None)) => reconciler.reconcile_all(now).await,
            (false, Some(Some(keys))) => reconciler.reconcile_some(&keys, now).await,
            (false, None) => reconciler.reconcile_due(now).await,
        };
        is_first = false;
        if pass.steps > 0 || pass.written > 0 {
            tracing::debug!(%cluster, ?pass, "reconciled");
        }
        tokio::select! {
            biased;
            () = changed => {}
            () = world.clock.sleep(pass.next) => {}
        }
    }
}
