//! The laptop as a place to run brokers: all of them in this process, resources from files, statuses in a
//! file and on the screen.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use client::admin::DrainMode;
use client::{Cluster, ClusterOptions};
use crds::cluster::ListenerStatus;
use crds::{Cluster as Declared, Key, Kind, Resource};
use operator::platform::{BrokerFailure, Event, Limits, PlatformError, Running, Working};
use operator::{Admin, AdminError, Now, Platform};
use serde_json::json;
use world::World;
use world::tasks::{Pool, blocking};

use super::resources::Resources;
use super::seat::{Here, Seat};
use super::settings::{Brokers, CommandLine};
use super::status_file::{self, StatusFile};
use super::{UpArgs, data_dir_of, deletions, settings, shrink};
use crate::failure::Failure;

/// The cluster without files.
const DEFAULT_CLUSTER: &str = "local";
/// How long the planners wait for one answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long they try again within one pass.
const RETRY_FOR: Duration = Duration::from_secs(2);
/// What one machine carries.
const BROKERS_MAX: i32 = 5;
/// How many resources are looked at side by side.
const SIDE_BY_SIDE: usize = 8;
/// Holds the id of a cluster with several brokers.
const CLUSTER_ID: &str = "cluster.id";
/// What a broker's data directory says of itself.
const IDENTITY: &str = "meta.properties";
/// Events that are remembered for the screen.
const EVENTS_MAX: usize = 100;

/// One machine.
pub(super) struct Laptop {
    world: World,
    data_dir: Option<PathBuf>,
    /// Settings of the command line, above those of the files.
    command_line: CommandLine,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    resources: Resources,
    local: Option<Local>,
    /// Newest last, with the time in milliseconds.
    events: VecDeque<(i64, Event)>,
    /// How many events there were.
    event_count: u64,
}

/// The brokers of the one cluster.
struct Local {
    cluster: Key,
    dir: PathBuf,
    asked: Brokers,
    /// By id; none if they could not be started.
    seats: BTreeMap<i32, Seat>,
    /// Those that are too many, and give away what they hold.
    leaving: BTreeSet<i32>,
    failure: Option<BrokerFailure>,
    bootstrap: String,
    client: Option<client::Admin>,
}

/// What a person is shown.
pub(super) struct Shown {
    pub(super) resources: Vec<Resource>,
    pub(super) unmanaged: Vec<Key>,
    pub(super) problems: Vec<String>,
    pub(super) events: Vec<(i64, Event)>,
    pub(super) event_count: u64,
    pub(super) bootstrap: String,
    pub(super) dir: PathBuf,
    pub(super) storage_bytes: u64,
}

impl Laptop {
    /// A machine on which nothing runs yet.
    ///
    /// # Errors
    /// When the status file of an earlier run is damaged.
    pub(super) fn new(
        world: World,
        args: &UpArgs,
        command_line: CommandLine,
        mut declared: BTreeMap<Key, Resource>,
    ) -> Result<Self, Failure> {
        if args.file.is_empty() {
            let cluster = default_cluster();
            declared.insert(cluster.key(), cluster);
        }
        let clusters: Vec<_> = declared.keys().filter(|key| key.kind == Kind::Cluster).collect();
        if let [first, second, ..] = clusters.as_slice() {
            return Err(Failure::new(format!(
                "{first} and {second}: one `klamm up` runs one Cluster"
            ))
            .hint(
                "start another one for the second, with its own --listen, --http and --data-dir",
            ));
        }
        let Some(cluster) = clusters.first() else {
            return Err(Failure::new("no file declares a Cluster")
                .hint("add one: kind: Cluster, spec: {replicas: 1, storage: {size: 10Gi}}"));
        };
        let dir = args.data_dir.clone().unwrap_or_else(|| data_dir_of(&cluster.name));
        let remembered = status_file::read(&*world.disk, &dir)?.unwrap_or_default();
        let mut resources = Resources::remembered(remembered.resources, remembered.deleted);
        resources.declare(declared);
        let state = State { resources, ..State::default() };
        let data_dir = args.data_dir.clone();
        Ok(Self { world, data_dir, command_line, state: RefCell::new(state) })
    }

    /// Takes over what files declare now.
    pub(super) fn declare(&self, declared: BTreeMap<Key, Resource>) {
        self.state.borrow_mut().resources.declare(declared);
    }

    /// Whether the broker came up at the first try. Settings that it refused can be corrected in the
    /// file while we wait; a port in use or a locked directory cannot.
    pub(super) fn check_started(&self) -> Result<(), Failure> {
        let state = self.state.borrow();
        match state.local.as_ref().and_then(|local| local.failure.as_ref()) {
            Some(BrokerFailure::Down(why)) => {
                let failure = Failure::new(why);
                Err(if why.contains("cannot listen") {
                    failure.hint(
                        "another process uses the port: choose others with --listen and --http",
                    )
                } else {
                    failure
                })
            }
            // The others are no reason to give up: they end by themselves, or with a changed file.
            Some(_) | None => Ok(()),
        }
    }

    /// Takes what `klamm delete` asks for; whether there was something.
    pub(super) fn take_deletions(&self) -> bool {
        let Some(dir) = self.dir() else { return false };
        let now = Now::of(&*self.world.clock).rfc3339();
        let asked = deletions::take(&*self.world.disk, &dir);
        let mut state = self.state.borrow_mut();
        asked.iter().filter(|key| state.resources.delete(key, &now)).count() > 0
    }

    /// The data directory, while our brokers hold its locks: before that it may be somebody else's.
    pub(super) fn dir(&self) -> Option<PathBuf> {
        let state = self.state.borrow();
        let local = state.local.as_ref()?;
        local.seats.values().any(|seat| seat.here().is_some()).then(|| local.dir.clone())
    }

    /// The way to the broker, if it runs.
    pub(super) fn client(&self) -> Option<client::Admin> {
        self.state.borrow().local.as_ref().and_then(|local| local.client.clone())
    }

    /// Writes the status file if anything changed.
    pub(super) async fn save(&self) -> Result<(), Failure> {
        let Some(dir) = self.dir() else { return Ok(()) };
        let file = {
            let mut state = self.state.borrow_mut();
            if !state.resources.take_changed() {
                return Ok(());
            }
            StatusFile {
                resources: state.resources.all(),
                deleted: state.resources.deleted(),
                unmanaged: state.resources.unmanaged().iter().map(ToString::to_string).collect(),
                problems: state.resources.refused(),
            }
        };
        let (disk, path) = (self.world.disk.clone(), dir.join(status_file::NAME));
        let shown = path.display().to_string();
        let written = blocking(&*self.world.tasks, Pool::Files, move || {
            disk.write_atomic(&path, &file.to_bytes())
        });
        written.await.map_err(|error| Failure::new(format!("cannot write {shown}: {error}")))
    }

    /// Stops the brokers that run.
    pub(super) async fn stop(&self) -> Result<(), Failure> {
        let running = self.state.borrow_mut().local.as_mut().map(Local::take_running);
        stop_all(running.unwrap_or_default()).await.map_err(|error| {
            Failure::new(format!("stopped, but not cleanly: {error}"))
                .hint("nothing is lost; the next start checks the logs and takes longer")
        })
    }

    /// What a person is shown.
    pub(super) fn shown(&self, mut problems: Vec<String>) -> Shown {
        let state = self.state.borrow();
        problems.extend(state.resources.refused());
        let local = state.local.as_ref();
        let failed = local.iter().flat_map(|local| &local.seats).filter_map(|(id, seat)| {
            let hint = format!("`klamm cluster start {id}` starts it again");
            Some(format!("broker {id} has ended: {}; hint: {hint}", seat.failure()?))
        });
        problems.extend(failed);
        Shown {
            resources: state.resources.all(),
            unmanaged: state.resources.unmanaged(),
            problems,
            events: state.events.iter().cloned().collect(),
            event_count: state.event_count,
            bootstrap: local.map(|local| local.bootstrap.clone()).unwrap_or_default(),
            dir: local.map(|local| local.dir.clone()).unwrap_or_default(),
            storage_bytes: local.map_or(0, |local| {
                local.seats.values().filter_map(Seat::here).map(Here::storage_bytes).sum()
            }),
        }
    }

    /// Starts all brokers, or none.
    async fn start(
        &self,
        dir: &Path,
        wanted: &Brokers,
    ) -> Result<BTreeMap<i32, Seat>, BrokerFailure> {
        if wanted.count > 1 && !self.command_line.has_ports() {
            let why = "several brokers need ports that follow each other; hint: --listen HOST:PORT";
            return Err(BrokerFailure::Down(why.to_owned()));
        }
        let cluster_id = if wanted.count > 1 { Some(self.cluster_id(dir)?) } else { None };
        let mut all = Vec::new();
        for id in 1..=wanted.count {
            let settings = settings::of_broker(
                dir,
                id,
                cluster_id.as_deref(),
                wanted,
                std::env::vars(),
                &self.command_line,
            );
            all.push(settings.map_err(|error| BrokerFailure::InvalidConfig(error.to_string()))?);
        }
        // Together: none is ready before a majority is there.
        let starting = all.iter().map(|settings| Here::start(&self.world, settings.clone()));
        let started = futures_util::future::join_all(starting).await;
        let mut running = Vec::new();
        let mut failure = None;
        for started in started {
            match started {
                Ok(broker) => running.push(broker),
                Err(error) => failure = failure.or(Some(error.to_string())),
            }
        }
        match failure {
            None => {
                let seats = all.into_iter().zip(running);
                let seats = seats.map(|(settings, here)| Seat::new(settings, here));
                Ok((1..).zip(seats).collect())
            }
            Some(why) => {
                // What the others have is as they found it.
                let _ = stop_all(running).await;
                Err(BrokerFailure::Down(why))
            }
        }
    }

    /// Ends one broker as a crash would.
    pub(super) async fn kill_broker(&self, id: i32) -> Result<(), String> {
        self.take_broker(id)?.kill().await;
        Ok(())
    }

    /// Ends the brokers that cannot go on, as their own processes would end. The others serve on; without any,
    /// it says why.
    pub(super) async fn end_failed(&self) -> Result<(), Failure> {
        let (failed, why) = {
            let mut state = self.state.borrow_mut();
            let Some(local) = state.local.as_mut() else { return Ok(()) };
            let failed: Vec<Here> =
                local.seats.values_mut().filter_map(Seat::take_failed).collect();
            let is_over = !failed.is_empty() && local.seats.values().all(|it| it.here().is_none());
            let why = local.seats.values().find_map(Seat::failure).filter(|_| is_over);
            (failed, why.map(str::to_owned))
        };
        futures_util::future::join_all(failed.into_iter().map(Here::kill)).await;
        let hint = "give it room, or another --data-dir, and start it again";
        why.map_or(Ok(()), |why| Err(Failure::new(why).or_hint(hint)))
    }

    /// Stops one broker in order.
    pub(super) async fn stop_broker(&self, id: i32) -> Result<(), String> {
        self.take_broker(id)?.stop().await.map_err(|error| error.to_string())
    }

    /// Starts one broker again that was killed or stopped.
    pub(super) async fn start_broker(&self, id: i32) -> Result<(), String> {
        let settings =
            match self.with_seat(id, |seat| (seat.here().is_some(), seat.settings().clone()))? {
                (true, _) => return Err(format!("broker {id} runs already")),
                (false, settings) => settings,
            };
        let here = Here::start(&self.world, settings).await.map_err(|error| error.to_string())?;
        self.with_seat(id, |seat| seat.put(here))
    }

    fn take_broker(&self, id: i32) -> Result<Here, String> {
        let away =
            || format!("broker {id} does not run; hint: `klamm cluster start {id}` starts it");
        self.with_seat(id, Seat::take)?.ok_or_else(away)
    }

    fn with_seat<T>(&self, id: i32, work: impl FnOnce(&mut Seat) -> T) -> Result<T, String> {
        let mut state = self.state.borrow_mut();
        let seat = state.local.as_mut().and_then(|local| local.seats.get_mut(&id));
        seat.map(work).ok_or_else(|| format!("there is no broker {id}"))
    }

    /// The id that all brokers of this directory share, drawn once.
    fn cluster_id(&self, dir: &Path) -> Result<String, BrokerFailure> {
        let (disk, path) = (&self.world.disk, dir.join(CLUSTER_ID));
        let failed = |error| BrokerFailure::Down(format!("{}: {error}", path.display()));
        if disk.exists(&path) {
            let bytes = disk.read(&path).map_err(failed)?;
            return Ok(String::from_utf8_lossy(&bytes).trim().to_owned());
        }
        // One that began with a single broker has the id that this one drew.
        let identity = dir.join(IDENTITY);
        if disk.exists(&identity) {
            let bytes = disk.read(&identity).map_err(failed)?;
            let said = config::properties::parse(&String::from_utf8_lossy(&bytes));
            let id = said.ok().and_then(|said| said.get("cluster.id").cloned());
            // If there is none, the broker says what is wrong with the file.
            return Ok(id.unwrap_or_default());
        }
        let mut id = [0; 16];
        self.world.dice.fill("cluster-id", &mut id);
        let id = wire::Uuid(id).to_string();
        disk.create_dir_all(dir).map_err(failed)?;
        disk.write_atomic(&path, id.as_bytes()).map_err(failed)?;
        Ok(id)
    }

    /// Whether the brokers run as wanted, and none of them is about to go.
    fn runs(&self, wanted: &Brokers) -> bool {
        let state = self.state.borrow();
        let is_as =
            |it: &Local| it.asked == *wanted && !it.seats.is_empty() && it.leaving.is_empty();
        state.local.as_ref().is_some_and(is_as)
    }

    /// Lets so many brokers be left, without those that are too many; says whether that is done.
    async fn fit(&self, count: i32) -> bool {
        let (admin, leaving, returning) = {
            let mut state = self.state.borrow_mut();
            let Some(local) = state.local.as_mut() else { return true };
            let Some(admin) = local.client.clone() else { return true };
            local.leaving.extend(local.seats.keys().filter(|id| **id > count));
            let (leaving, returning): (BTreeSet<i32>, BTreeSet<i32>) =
                local.leaving.iter().copied().partition(|id| *id > count);
            (admin, leaving, returning)
        };
        let result = self.let_go(&admin, &leaving, &returning).await;
        let failure = result.map_err(BrokerFailure::Draining).err();
        let is_done = failure.is_none();
        self.with_local(|local| local.failure = failure);
        is_done
    }

    /// The next step towards being without `leaving`; those who are `returning` stay after all.
    async fn let_go(
        &self,
        admin: &client::Admin,
        leaving: &BTreeSet<i32>,
        returning: &BTreeSet<i32>,
    ) -> Result<(), String> {
        let told = |error: client::Error| error.to_string();
        for id in returning {
            admin.drain_broker(*id, DrainMode::Nothing).await.map_err(told)?;
            self.with_local(|local| local.leaving.remove(id));
        }
        if leaving.is_empty() {
            return Ok(());
        }
        if let Some(left) = shrink::empty(admin, leaving).await.map_err(told)? {
            return Err(left);
        }
        for id in leaving {
            let here = self.with_seat(*id, Seat::take)?;
            if let Some(here) = here {
                here.stop().await.map_err(|error| error.to_string())?;
            }
        }
        for id in leaving {
            let forgotten = admin.forget_broker(*id, None).await;
            let is_unknown = |error: &client::Error| {
                error.code() == Some(wire::ErrorCode::BrokerIdNotRegistered)
            };
            if let Err(error) = forgotten
                && !is_unknown(&error)
            {
                return Err(error.to_string());
            }
            let dir = self.with_local(|local| local.dir.clone()).unwrap_or_default();
            shrink::set_aside(&*self.world.disk, &dir, *id).map_err(|error| error.to_string())?;
            self.with_local(|local| (local.seats.remove(id), local.leaving.remove(id)));
        }
        Ok(())
    }

    fn with_local<T>(&self, work: impl FnOnce(&mut Local) -> T) -> Option<T> {
        self.state.borrow_mut().local.as_mut().map(work)
    }

    fn connect(&self, seats: &BTreeMap<i32, Seat>) -> (String, client::Admin) {
        let addresses = seats.values().filter_map(|seat| seat.here()?.address());
        let inside = addresses.map(|address| match address.ip().is_unspecified() {
            true => format!("127.0.0.1:{}", address.port()),
            false => address.to_string(),
        });
        let inside: Vec<String> = inside.collect();
        let options = ClusterOptions {
            bootstrap: inside.clone(),
            client_id: "klamm-up".to_owned(),
            request_timeout: REQUEST_TIMEOUT,
            retry_for: RETRY_FOR,
            only_bootstrap: seats.len() == 1,
        };
        (inside.join(","), client::Admin::new(Cluster::new(self.world.clone(), options)))
    }

    async fn run(&self, cluster: &Key, wanted: &Brokers) -> Result<(), PlatformError> {
        let dir = self.data_dir.clone().unwrap_or_else(|| data_dir_of(&cluster.name));
        if let Some(local) = &self.state.borrow().local
            && local.cluster != *cluster
        {
            let message = format!("{} runs here; one `klamm up` runs one", local.cluster);
            return Err(PlatformError::Failed(message));
        }
        if self.runs(wanted) {
            return Ok(());
        }
        if !self.fit(wanted.count).await || self.runs(wanted) {
            return Ok(());
        }
        let is_start = self.state.borrow().local.as_ref().is_none_or(|it| it.seats.is_empty());
        let kept = if is_start { shrink::found(&*self.world.disk, &dir) } else { 0 };
        // There may be more than are wanted: they run until they are drained.
        let wanted = &Brokers { count: wanted.count.max(kept), ..wanted.clone() };
        let running = self.state.borrow_mut().local.as_mut().map(Local::take_running);
        let running = running.unwrap_or_default();
        if !running.is_empty() {
            tracing::info!("restarting the brokers with other settings");
            stop_all(running).await.map_err(|error| PlatformError::Failed(error.to_string()))?;
        }
        let started = self.start(&dir, wanted).await;
        let mut local = Local {
            cluster: cluster.clone(),
            dir,
            asked: wanted.clone(),
            seats: BTreeMap::new(),
            leaving: BTreeSet::new(),
            failure: None,
            bootstrap: String::new(),
            client: None,
        };
        match started {
            Ok(seats) => {
                let (bootstrap, client) = self.connect(&seats);
                (local.bootstrap, local.client) = (bootstrap, Some(client));
                local.seats = seats;
            }
            Err(failure) => local.failure = Some(failure),
        }
        self.state.borrow_mut().local = Some(local);
        Ok(())
    }
}

impl Local {
    fn take_running(&mut self) -> Vec<Here> {
        self.client = None;
        std::mem::take(&mut self.seats).into_values().filter_map(|mut seat| seat.take()).collect()
    }
}

/// Stops all brokers at once; tells the first failure.
async fn stop_all(running: Vec<Here>) -> std::io::Result<()> {
    let stopping = running.into_iter().map(Here::stop);
    futures_util::future::join_all(stopping).await.into_iter().collect()
}

impl Platform for Laptop {
    fn limits(&self) -> Limits {
        Limits {
            max_brokers: BROKERS_MAX,
            side_by_side: SIDE_BY_SIDE,
            group_figures_every: Duration::from_secs(1),
            resync_every: Duration::from_secs(1),
        }
    }

    fn resources(&self) -> Rc<operator::platform::Resources> {
        Rc::new(self.state.borrow().resources.managed().into_iter().collect())
    }

    fn brokers(&self, cluster: &Declared) -> Option<Running> {
        let key = key_of(cluster);
        let state = self.state.borrow();
        let local = state.local.as_ref().filter(|local| local.cluster == key)?;
        let wanted = Brokers::of(cluster, cluster.spec.node_count().min(BROKERS_MAX));
        let listener = || {
            let bootstrap = local.bootstrap.clone();
            ListenerStatus { name: "client".to_owned(), bootstrap }
        };
        Some(Running {
            count: local.asked.count,
            is_as_wanted: local.asked == wanted && local.failure.is_none(),
            failure: local.failure.clone(),
            listeners: if local.bootstrap.is_empty() { Vec::new() } else { vec![listener()] },
            ..Running::default()
        })
    }

    fn run_brokers<'a>(&'a self, cluster: &'a Declared, count: i32) -> Working<'a, ()> {
        Box::pin(async move {
            let wanted = Brokers::of(cluster, count);
            self.run(&key_of(cluster), &wanted).await
        })
    }

    fn stop_brokers<'a>(&'a self, cluster: &'a Declared) -> Working<'a, ()> {
        Box::pin(async move {
            let key = key_of(cluster);
            let is_ours =
                self.state.borrow().local.as_ref().is_some_and(|local| local.cluster == key);
            if is_ours {
                self.stop().await.map_err(|error| PlatformError::Failed(error.to_string()))?;
            }
            Ok(())
        })
    }

    fn admin(&self, cluster: &Key) -> Result<Rc<dyn Admin>, AdminError> {
        let state = self.state.borrow();
        let local = state.local.as_ref().filter(|local| local.cluster == *cluster);
        match local.and_then(|local| local.client.clone()) {
            Some(client) => Ok(Rc::new(client)),
            None => Err(AdminError::Unreachable("no broker runs".to_owned())),
        }
    }

    fn hold<'a>(&'a self, _: &'a Resource) -> Working<'a, ()> {
        // `klamm delete` marks a resource; it goes when it is released.
        Box::pin(async { Ok(()) })
    }

    fn write_status<'a>(&'a self, resource: &'a Resource) -> Working<'a, ()> {
        self.state.borrow_mut().resources.write_status(resource);
        Box::pin(async { Ok(()) })
    }

    fn release<'a>(&'a self, key: &'a Key) -> Working<'a, ()> {
        self.state.borrow_mut().resources.release(key);
        Box::pin(async { Ok(()) })
    }

    fn emit(&self, event: Event) {
        tracing::debug!(about = %event.about, reason = event.reason, "{}", event.message);
        let mut state = self.state.borrow_mut();
        if state.events.len() == EVENTS_MAX {
            state.events.pop_front();
        }
        state.event_count += 1;
        state.events.push_back((self.world.clock.wall_ms(), event));
    }
}

fn key_of(cluster: &Declared) -> Key {
    crds::resource::key(Kind::Cluster, &cluster.metadata)
}

/// What is run without files: one broker, as large as its disk.
fn default_cluster() -> Resource {
    let cluster = json!({
        "apiVersion": crds::API_VERSION,
        "kind": Kind::Cluster.as_str(),
        "metadata": { "name": DEFAULT_CLUSTER },
        "spec": { "replicas": 1, "storage": { "size": "1Pi" } },
    });
    status_file::from_value(cluster).expect("a constant document")
}
