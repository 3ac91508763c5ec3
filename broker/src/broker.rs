//! The assembly: the only file that knows all rooms.
//!
//! Start: take the data directory, bind the listeners, join the quorum, start the shards, accept: until
//! the state is known, other voters are answered and nobody else. Then the shards open their logs, and the
//! broker registers. Stop: accept nothing more, answer what runs, leave the quorum, close the logs cleanly.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::{BrokerConfig, Listener, Settings};
use engine::BrokerId;
use engine::metadata::Image;
use storage::{Checkpoint, LogDir};
use tokio::sync::{mpsc, oneshot};
use world::clock::LocalFuture;
use world::tasks::{ShardHandle, spawn_local};
use world::{World, watch};

use crate::accept::accept_on;
use crate::controller::{
    Introduction, Link, carry_on_balance, carry_on_drains, give_lease_back, join, return_leaders,
    settle_as_controller, stay, wait_until_safe, watch_lease, watch_sessions,
};
use crate::data_dir::{DataDir, DataDirError};
use crate::hindrance::Hindrance;
use crate::metadata::{CommitError, Control, Publisher, State};
use crate::net::until_true;
use crate::quorum::{Identity, Leadership, OpenQuorumError, Quorum};
use crate::shard::{Job, Shard, ShardRef};
use crate::shared::{Parts, Shared};
use crate::{admin_http, proof, replication};

/// How often checkpoint files are brought up to date.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);
/// How long a graceful stop waits until the controller has given the broker's leaderships away, and nobody waits for it.
const HAND_OVER_MAX: Duration = Duration::from_secs(10);

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The metadata log.
    #[error("{0}")]
    Metadata(String),
    /// The logs.
    #[error("cannot open the logs: {0}")]
    Logs(#[from] storage::OpenError),
    /// A listener cannot be bound.
    #[error("cannot listen on {address}: {source}{}", listen_hint(source))]
    Listen {
        /// Where.
        address: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A listener's address is no address.
    #[error(
        "cannot listen on {0}: not an address of this machine; hint: bind an IP address or nothing, \
         and tell clients the name with advertised.listeners"
    )]
    NotAnAddress(String),
    /// Each would make its own.
    #[error(
        "controller.quorum.voters names other nodes, and klamm.cluster.id is not set; hint: give all of \
         them the same id, 22 characters of URL-safe base64"
    )]
    ClusterId,
    /// The epoch of the registration cannot be kept.
    #[error("cannot keep the registration: {0}")]
    Proof(io::Error),
    /// A shard ended while starting.
    #[error("a shard ended while it started")]
    Shard,
}

fn listen_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; hint: another process listens there, perhaps another klamm; choose another port"
        }
        io::ErrorKind::PermissionDenied => "; hint: ports below 1024 need a privilege",
        io::ErrorKind::AddrNotAvailable => "; hint: this machine does not have that address",
        _ => "",
    }
}

impl From<OpenQuorumError> for StartError {
    fn from(error: OpenQuorumError) -> Self {
        Self::Metadata(error.to_string())
    }
}

impl From<CommitError> for StartError {
    fn from(error: CommitError) -> Self {
        Self::Metadata(error.to_string())
    }
}

/// A broker that is to be started.
pub struct Broker;

/// A broker that serves clients. Dropping it ends its tasks without closing its logs: as a crash would.
pub struct Running {
    shared: Arc<Shared>,
    data_dir: DataDir,
    addresses: Vec<(String, SocketAddr)>,
    http_address: Option<SocketAddr>,
    shards: Vec<(ShardHandle, oneshot::Receiver<Vec<Checkpoint>>)>,
}

impl Broker {
    /// Starts a broker. Must be called within a `LocalSet`, whose thread becomes the control thread.
    ///
    /// # Errors
    /// When its directory, its settings or its ports cannot be used; nothing is left running then.
    pub async fn start(world: World, settings: Settings) -> Result<Running, StartError> {
        let broker = settings.broker.clone();
        let node = BrokerId(broker.node_id);
        let path = Path::new(&broker.log_dir);
        let votes_elsewhere = |voter: &config::QuorumVoter| voter.id != broker.node_id;
        if broker.controller_quorum_voters.iter().any(votes_elsewhere)
            && broker.cluster_id.is_none()
        {
            return Err(StartError::ClusterId);
        }
        let data_dir = DataDir::open(&world, path, node, broker.cluster_id.as_deref())?;
        let log_dir = LogDir::open(Arc::clone(&world.disk), &data_dir.path)?;
        let listeners = bind(&world, &broker)?;
        let http = bind_http(&world, &broker)?;
        let shard_count = match usize::try_from(broker.num_shards) {
            Ok(0) | Err(_) => world.tasks.cores().div_ceil(2),
            Ok(count) => count,
        };
        let cluster_id: Arc<str> = data_dir.cluster_id.as_str().into();
        let (publisher, states, recent) = Publisher::new(State::new(&settings));
        let identity =
            Identity { cluster_id: Arc::clone(&cluster_id), node, directory: data_dir.directory };
        let hindrance = Hindrance::default();
        let (quorum, quorum_ref) = Quorum::open(
            world.clone(),
            identity,
            &data_dir.metadata(),
            publisher,
            hindrance.clone(),
        )
        .await?;
        let (control, control_ref) = Control::new(quorum.clone(), states.clone());
        let shared = Shared::new(Parts {
            world,
            cluster_id,
            log_dir,
            control: control_ref,
            quorum: quorum_ref,
            leaderships: quorum.leaderships(),
            hindrance,
            states,
            recent,
            shard_count,
        });
        spawn_local(control.run());
        spawn_local(watch_sessions(Arc::clone(&shared)));
        spawn_local(watch_lease(Arc::clone(&shared)));
        spawn_local(settle_as_controller(Arc::clone(&shared)));
        spawn_local(carry_on_drains(Arc::clone(&shared)));
        spawn_local(carry_on_balance(Arc::clone(&shared)));
        spawn_local(return_leaders(Arc::clone(&shared)));
        let http_address = http.as_ref().map(|http| http.local());
        if let Some(http) = http {
            spawn_local(admin_http::serve(http, Arc::clone(&shared)));
        }
        let (shards, waiting) = start_shards(&shared);
        let addresses = listeners.iter().map(|(name, one)| (name.clone(), one.local())).collect();
        let who = Introduction {
            directory: data_dir.directory,
            listeners: advertised(&broker, &listeners),
            rack: broker.broker_rack.clone(),
            previous_epoch: proof::read(
                &*shared.world.disk,
                &data_dir.path,
                shared.log_dir.was_clean(),
            ),
        };
        for (name, listener) in listeners {
            spawn_local(accept_on(Arc::clone(&shared), name.into(), listener));
        }
        tokio::select! {
            biased;
            why = failed(&shared) => return Err(StartError::Metadata(why)),
            served = come_up(&shared, who, &data_dir.path, waiting) => served?,
        }
        shared.set_ready();
        spawn_local(give_lease_back(Arc::clone(&shared)));
        Ok(Running { shared, data_dir, addresses, http_address, shards })
    }
}

/// Registers the broker, opens the logs that it then has, and waits until it is let in.
async fn come_up(
    shared: &Arc<Shared>,
    who: Introduction,
    data_dir: &Path,
    waiting: Vec<Waiting>,
) -> Result<(), StartError> {
    let link = Link::new(shared);
    let epoch = join(shared, &link, &who).await;
    // The state in which it is registered holds all topics that it can have logs of.
    let state = registered(shared, epoch).await;
    load_shards(shared, &state, waiting).await?;
    replication::give_up_at_start(shared, &link).await;
    proof::write(&*shared.world.disk, data_dir, epoch).map_err(StartError::Proof)?;
    spawn_local(checkpoint_now_and_then(Arc::clone(shared)));
    shared.membership.serve();
    spawn_local(stay(Arc::clone(shared), link, who, data_dir.to_owned()));
    admitted(shared).await;
    Ok(())
}

/// Completes with the reason when the disk has failed, under the logs or under the metadata.
fn failed(shared: &Arc<Shared>) -> impl Future<Output = String> + use<> {
    let (leaderships, failure) = (shared.leaderships(), shared.disk_failure.clone());
    let shared = Arc::downgrade(shared);
    async move {
        tokio::select! {
            biased;
            why = quorum_failed(leaderships) => why,
            why = failure.wait() => {
                if let Some(shared) = shared.upgrade() {
                    shared.distrust_disk();
                }
                format!("this broker's disk has failed: {why}")
            }
        }
    }
}

async fn quorum_failed(mut leaderships: watch::Receiver<Leadership>) -> String {
    loop {
        if let Some(why) = &leaderships.borrow_and_update().failure {
            return format!("this broker takes part in the metadata quorum no more: {why}");
        }
        if leaderships.changed().await.is_err() {
            // It is being stopped.
            return std::future::pending().await;
        }
    }
}

impl Running {
    /// Listener names and the addresses that were bound.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// Where `/metrics` and the probes are served, if anywhere.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> &str {
        &self.shared.cluster_id
    }

    /// The node id of the active controller, as far as this broker knows.
    pub fn controller_id(&self) -> Option<i32> {
        self.shared.leadership().leader.map(|leader| leader.0)
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir.path
    }

    /// Bytes that all logs take.
    pub fn storage_bytes(&self) -> u64 {
        self.shared.storage.used()
    }

    /// Completes with the reason when the broker cannot go on, and must end: its disk has failed.
    pub fn failed(&self) -> impl Future<Output = String> + use<> {
        failed(&self.shared)
    }

    /// Waits until the cluster can miss this broker, and takes the disruption lease for its restart; at
    /// most for `klamm.stop.wait.ms`, and not at all if it is alone.
    pub async fn wait_until_safe(&self) {
        wait_until_safe(&self.shared).await;
    }

    /// Stops cleanly: what runs is answered, logs are closed so that they open without a scan.
    ///
    /// # Errors
    /// When not all could be closed, or the marker of a clean stop not be written: the next start looks at all
    /// that is on the disk, and takes longer.
    pub async fn stop(self) -> io::Result<()> {
        self.hand_over().await;
        self.shared.quorum.hand_over().await;
        self.shared.begin_stop();
        let (mut checkpoints, mut broken) = (Vec::new(), None);
        for (ended, closed) in self.shards {
            if let Ok(closed) = closed.await {
                checkpoints.extend(closed);
            }
            if let Err(error) = ended.await {
                broken = Some(format!("a shard ended badly: {error}"));
            }
        }
        self.shared.quorum.stop().await;
        // What a failed disk holds is unknown: the next process must not take it for what this one wrote.
        self.shared.distrust_disk();
        match broken.or_else(|| self.shared.disk_failure.why().map(str::to_owned)) {
            Some(why) => Err(io::Error::other(why)),
            None => self.shared.log_dir.close(&checkpoints),
        }
    }

    /// Ends it at once, as a crash does: nothing more is answered, written or closed. The tasks that it has
    /// started on this thread end with their `LocalSet`, which is to be dropped next.
    pub async fn kill(self) {
        self.shared.kill();
        for (ended, _) in self.shards {
            // How it ended is no matter.
            let _ = ended.await;
        }
    }

    /// Has the controller give away what this broker leads, if there is anybody to take it.
    async fn hand_over(&self) {
        let shared = &self.shared;
        if shared.state().image.live_brokers().count() < 2 {
            return;
        }
        let mut standing = shared.membership.standing();
        shared.membership.leave();
        let clock = &shared.world.clock;
        let deadline = clock.tick() + HAND_OVER_MAX;
        while !standing.borrow_and_update().may_stop {
            tokio::select! {
                biased;
                changed = standing.changed() => if changed.is_err() { return },
                () = clock.sleep_until(deadline) => {
                    tracing::warn!(
                        "stopping although the controller has not agreed: it does not answer, or others still \
                         wait for this broker"
                    );
                    return;
                }
            }
        }
    }
}

/// The first state in which this broker is registered with `epoch`.
async fn registered(shared: &Arc<Shared>, epoch: i64) -> Arc<State> {
    let mut states = shared.states();
    loop {
        let state = Arc::clone(&states.borrow_and_update());
        if state.image.broker(shared.node).is_some_and(|broker| broker.epoch >= epoch) {
            return state;
        }
        if states.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Waits until the controller lets this broker lead, and until the groups of what it leads by then are read.
async fn admitted(shared: &Arc<Shared>) {
    const STEP: Duration = Duration::from_millis(1);
    let mut standing = shared.membership.standing();
    while !standing.borrow_and_update().is_unfenced {
        if standing.changed().await.is_err() {
            return;
        }
    }
    shared.followed.reached(shared.state().version).await;
    // Asked again and again: a start is rare, and a log of groups takes milliseconds to read.
    for index in 0..shared.shards() {
        let is_loaded = |shard: &Rc<Shard>| shard.coordinator.is_loaded();
        while shared.shard(index).call(is_loaded).await == Some(false) {
            shared.world.clock.sleep(STEP).await;
        }
    }
}

/// Folders of topics that the metadata does not know: a deletion was interrupted, or somebody put them
/// there.
fn set_strays_aside(log_dir: &LogDir, image: &Image, node: BrokerId) {
    for found in log_dir.found() {
        let partition = &found.partition;
        let topic = image.topic(&partition.topic);
        let is_known = topic.is_some_and(|topic| {
            let known = topic.partition(partition.partition);
            known.is_some_and(|known| known.replicas.contains(&node))
                && found.topic_id.is_none_or(|id| id == topic.id)
        });
        if !is_known {
            match log_dir.set_aside(found) {
                Ok(path) => tracing::warn!(
                    path = %path.display(),
                    "set a folder aside that is of no replica here; hint: remove it if you do not miss it"
                ),
                Err(error) => {
                    tracing::error!(%partition, %error, "cannot set a stray folder aside");
                }
            }
        }
    }
}

type Bound = Vec<(String, Box<dyn world::Listener>)>;

fn bind(world: &World, broker: &BrokerConfig) -> Result<Bound, StartError> {
    broker
        .listeners
        .iter()
        .map(|listener| {
            let address = SocketAddr::new(bind_address(&listener.host)?, listener.port);
            let bound = world
                .net
                .listen(address, broker.socket_listen_backlog_size)
                .map_err(|source| StartError::Listen { address: address.to_string(), source })?;
            Ok((listener.name.clone(), bound))
        })
        .collect()
}

fn bind_address(host: &str) -> Result<IpAddr, StartError> {
    match host {
        "" => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        host => host.parse().map_err(|_| StartError::NotAnAddress(host.to_owned())),
    }
}

fn bind_http(
    world: &World,
    broker: &BrokerConfig,
) -> Result<Option<Box<dyn world::Listener>>, StartError> {
    let address = broker.http_listener.trim();
    if address.is_empty() {
        return Ok(None);
    }
    let parsed: SocketAddr =
        address.parse().map_err(|_| StartError::NotAnAddress(address.to_owned()))?;
    let listen = world.net.listen(parsed, broker.socket_listen_backlog_size);
    let failed = |source| StartError::Listen { address: address.to_owned(), source };
    listen.map(Some).map_err(failed)
}

/// What clients are told: the advertised listeners, or the bound ones with their real ports. The first is the
/// other brokers'.
fn advertised(broker: &BrokerConfig, bound: &Bound) -> Vec<Listener> {
    let mut all = broker.advertised_listeners.clone().unwrap_or_else(|| reachable(bound));
    let internal = &broker.inter_broker_listener().name;
    all.sort_by_key(|listener| listener.name != *internal);
    all
}

/// The bound listeners, as clients of this machine reach them.
fn reachable(bound: &Bound) -> Vec<Listener> {
    bound
        .iter()
        .map(|(name, listener)| {
            let address = listener.local();
            let host = if address.ip().is_unspecified() {
                tracing::warn!(
                    "clients are told to connect to 127.0.0.1; hint: set advertised.listeners to let \
                     clients of other machines in"
                );
                "127.0.0.1".to_owned()
            } else {
                address.ip().to_string()
            };
            Listener { name: name.clone(), host, port: address.port() }
        })
        .collect()
}

async fn checkpoint_now_and_then(shared: Arc<Shared>) {
    loop {
        shared.world.clock.sleep(CHECKPOINT_INTERVAL).await;
        shared.log_dir.breathe();
        if let Err(error) = shared.write_checkpoints().await
            && !shared.is_stopping()
        {
            tracing::warn!(%error, "cannot write checkpoints: a restart will take longer");
        }
    }
}

type Started = Vec<(ShardHandle, oneshot::Receiver<Vec<Checkpoint>>)>;

/// A shard that serves connections and has yet to open its logs.
struct Waiting {
    begin: oneshot::Sender<Arc<State>>,
    loaded: oneshot::Receiver<()>,
}

fn start_shards(shared: &Arc<Shared>) -> (Started, Vec<Waiting>) {
    let (refs, inboxes): (Vec<ShardRef>, Vec<mpsc::UnboundedReceiver<Job>>) =
        (0..shared.shards()).map(|_| ShardRef::new()).unzip();
    shared.set_shards(refs);
    let mut started = Vec::new();
    let mut waiting = Vec::new();
    for (index, inbox) in inboxes.into_iter().enumerate() {
        let (begin, begun) = oneshot::channel();
        let (tell, loaded) = oneshot::channel();
        let (close, closed) = oneshot::channel();
        let of_shard = Arc::clone(shared);
        let main: Box<dyn FnOnce() -> LocalFuture<()> + Send> =
            Box::new(move || Box::pin(run_shard(index, of_shard, inbox, (begun, tell), close)));
        started.push((shared.world.tasks.start_shard(format!("shard-{index}"), main), closed));
        waiting.push(Waiting { begin, loaded });
    }
    (started, waiting)
}

/// Has all shards open their logs, for one and the same state.
async fn load_shards(
    shared: &Arc<Shared>,
    state: &Arc<State>,
    waiting: Vec<Waiting>,
) -> Result<(), StartError> {
    set_strays_aside(&shared.log_dir, &state.image, shared.node);
    let mut loading = Vec::new();
    for Waiting { begin, loaded } in waiting {
        begin.send(Arc::clone(state)).map_err(|_| StartError::Shard)?;
        loading.push(loaded);
    }
    for loaded in loading {
        loaded.await.map_err(|_| StartError::Shard)?;
    }
    Ok(())
}

/// A shard's life.
async fn run_shard(
    index: usize,
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedReceiver<Job>,
    loading: (oneshot::Receiver<Arc<State>>, oneshot::Sender<()>),
    closed: oneshot::Sender<Vec<Checkpoint>>,
) {
    let mut killed = shared.killed();
    tokio::select! {
        biased;
        () = until_true(&mut killed) => {}
        () = live_shard(index, shared, inbox, loading, closed) => {}
    }
}

async fn live_shard(
    index: usize,
    shared: Arc<Shared>,
    mut inbox: mpsc::UnboundedReceiver<Job>,
    (begun, loaded): (oneshot::Receiver<Arc<State>>, oneshot::Sender<()>),
    closed: oneshot::Sender<Vec<Checkpoint>>,
) {
    let shard = Shard::new(index, Arc::clone(&shared));
    let loading = Rc::clone(&shard);
    spawn_local(async move {
        // Nobody begins if the broker does not start.
        if let Ok(state) = begun.await {
            load_shard(&loading, state).await;
            let _ = loaded.send(());
        }
    });
    let mut stopping = shared.stopping();
    loop {
        tokio::select! {
            biased;
            job = inbox.recv() => match job {
                Some(job) => job(&shard),
                None => break,
            },
            () = until_true(&mut stopping) => break,
        }
    }
    drain(&shard, &mut inbox).await;
    let _ = closed.send(shard.close().await);
}

/// Opens the shard's logs and begins what goes on beside requests.
async fn load_shard(shard: &Rc<Shard>, state: Arc<State>) {
    shard.load(&state).await;
    spawn_local(Rc::clone(shard).write_rounds());
    spawn_local(Rc::clone(shard).flush_now_and_then());
    spawn_local(Rc::clone(shard).housekeep());
    spawn_local(replication::propose_changes(Rc::clone(shard)));
    spawn_local(replication::replace_damaged(Rc::clone(shard)));
    spawn_local(Rc::clone(shard).follow(state));
}

/// Lets requests that run come to their end, for a bounded time.
async fn drain(shard: &Rc<Shard>, inbox: &mut mpsc::UnboundedReceiver<Job>) {
    const STEP: Duration = Duration::from_millis(10);
    let clock = &shard.shared.world.clock;
    let bound = shard.shared.state().settings.broker.shutdown_timeout_ms;
    let deadline = clock.tick() + Duration::from_millis(bound.unsigned_abs());
    while shard.shared.connections.open() > 0 && clock.tick() < deadline {
        tokio::select! {
            biased;
            job = inbox.recv() => if let Some(job) = job { job(shard) },
            () = clock.sleep(STEP) => {}
        }
    }
}
