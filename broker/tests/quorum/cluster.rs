//! Three brokers in the simulated world, and a client that asks one of them at a time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use broker::{Broker, Running};
use client::connection::Connection;
use config::Settings;
use tokio::sync::Notify;
use wire::create_topics::request::CreatableTopic;
use wire::{CreateTopicsRequest, ErrorCode, MetadataRequest, Str};
use world::World;
use world::simulated::{HostId, Simulation, SimulationOptions, Trace};

pub(crate) const PORT: u16 = 9092;
const DATA: &str = "/data";
pub(crate) const CLUSTER_ID: &str = "AAAAAAAAAAAAAAAAAAAAAQ";
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

/// A process that runs, and the way to stop it.
#[derive(Default)]
struct Process {
    running: RefCell<Option<Running>>,
    stop: Notify,
    /// Why it ended by itself.
    failure: RefCell<Option<String>>,
    /// Why it did not start.
    start_failure: RefCell<Option<String>>,
    is_careful: Cell<bool>,
}

/// Three brokers with the node ids 1 to 3, which vote; 4 and 5 can be started beside them.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) simulation: Simulation,
    hosts: Vec<HostId>,
    client: World,
    more: Rc<Vec<(&'static str, &'static str)>>,
    processes: Rc<RefCell<BTreeMap<i32, Rc<Process>>>>,
}

pub(crate) const NODES: [i32; 3] = [1, 2, 3];
const HOSTS: std::ops::RangeInclusive<i32> = 1..=5;

/// Where a broker runs.
pub(crate) fn rack(id: i32) -> String {
    format!("rack-{id}")
}

/// Runs `test` with three brokers that have been started.
pub(crate) fn run<T>(seed: u64, test: impl AsyncFnOnce(&Cluster) -> T) -> (T, Trace) {
    run_with(seed, &[], test)
}

/// As [`run`], with settings: `{address}` in them is the broker's own, `{address-1}` that of node 1.
pub(crate) fn run_with<T>(
    seed: u64,
    more: &[(&'static str, &'static str)],
    test: impl AsyncFnOnce(&Cluster) -> T,
) -> (T, Trace) {
    let options = SimulationOptions { trace_lines_max: 100_000, ..SimulationOptions::new(seed) };
    let simulation = Simulation::new(options);
    let result = simulation.run(async {
        let hosts: Vec<HostId> =
            HOSTS.map(|id| simulation.add_host(&format!("broker-{id}"))).collect();
        let client = simulation.world(simulation.add_host("client"));
        let (simulation, more) = (simulation.clone(), Rc::new(more.to_vec()));
        let cluster = Cluster { simulation, hosts, client, more, processes: Rc::default() };
        NODES.iter().for_each(|id| cluster.start(*id));
        test(&cluster).await
    });
    (result, simulation.trace())
}

impl Cluster {
    pub(crate) fn host(&self, id: i32) -> HostId {
        self.hosts[usize::try_from(id - 1).expect("ids begin with 1")]
    }

    /// How clients see it.
    pub(crate) fn clients(&self) -> client::Cluster {
        let bootstrap = NODES.map(|id| format!("{}:{PORT}", self.host(id).address())).into();
        let options = client::ClusterOptions { bootstrap, ..Default::default() };
        client::Cluster::new(self.client.clone(), options)
    }

    /// What a broker is told; each is in a rack of its own.
    fn settings(&self, id: i32) -> Settings {
        let address = |id: i32| self.host(id).address();
        let voters = NODES.map(|id| format!("{id}@{}:{PORT}", address(id))).join(",");
        let (listener, node) = (format!("PLAINTEXT://{}:{PORT}", address(id)), id.to_string());
        let rack = rack(id);
        let mut settings: config::Properties = [
            ("log.dirs", DATA),
            ("listeners", &listener),
            ("klamm.http.listener", ""),
            ("node.id", &node),
            ("broker.rack", &rack),
            ("klamm.cluster.id", CLUSTER_ID),
            ("controller.quorum.voters", &voters),
            ("klamm.shards", "1"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        for (key, value) in &*self.more {
            let mut value = value.replace("{address}", &address(id).to_string());
            let (role, name) = if NODES.contains(&id) {
                ("controller", "CONTROLLER")
            } else {
                ("broker", "PLAINTEXT")
            };
            value = value.replace("{role}", role).replace("{name}", name);
            for node in NODES {
                value = value.replace(&format!("{{address-{node}}}"), &address(node).to_string());
            }
            settings.insert((*key).to_owned(), value);
        }
        Settings::resolve(settings).expect("the settings are good")
    }

    /// Starts a broker that does not run.
    pub(crate) fn start(&self, id: i32) {
        let process = Rc::new(Process::default());
        self.processes.borrow_mut().insert(id, Rc::clone(&process));
        let (settings, simulation, host) =
            (self.settings(id), self.simulation.clone(), self.host(id));
        self.simulation.start(host, move |world| {
            Box::pin(async move {
                let running = match Broker::start(world, settings).await {
                    Ok(running) => running,
                    Err(error) => {
                        *process.start_failure.borrow_mut() = Some(error.to_string());
                        return simulation.kill(host);
                    }
                };
                let failed = running.failed();
                *process.running.borrow_mut() = Some(running);
                tokio::select! {
                    biased;
                    () = process.stop.notified() => {}
                    why = failed => {
                        process.running.borrow_mut().take();
                        *process.failure.borrow_mut() = Some(why);
                        return simulation.kill(host);
                    }
                }
                let running = process.running.borrow_mut().take().expect("it runs");
                if process.is_careful.get() {
                    running.wait_until_safe().await;
                }
                if let Err(error) = running.stop().await {
                    *process.failure.borrow_mut() = Some(error.to_string());
                }
                simulation.kill(host);
            })
        });
    }

    pub(crate) fn kill(&self, id: i32) {
        self.processes.borrow_mut().remove(&id);
        self.simulation.kill(self.host(id));
    }

    pub(crate) fn power_loss(&self, id: i32) {
        self.processes.borrow_mut().remove(&id);
        self.simulation.power_loss(self.host(id));
    }

    /// Why a broker ended by itself, or could not stop cleanly, if it did.
    pub(crate) fn failure(&self, id: i32) -> Option<String> {
        self.processes.borrow().get(&id)?.failure.borrow().clone()
    }

    /// Why a broker did not start.
    pub(crate) fn start_failure(&self, id: i32) -> Option<String> {
        self.processes.borrow().get(&id)?.start_failure.borrow().clone()
    }

    /// Has a broker stop by itself.
    pub(crate) fn stop(&self, id: i32) {
        self.processes.borrow()[&id].stop.notify_one();
    }

    /// Has a broker stop as a signal does: once the others can miss it.
    pub(crate) fn stop_carefully(&self, id: i32) {
        self.processes.borrow()[&id].is_careful.set(true);
        self.stop(id);
    }

    /// Empties the disk of a broker that does not run.
    pub(crate) fn wipe(&self, id: i32) {
        let disk = self.simulation.world(self.host(id)).disk;
        disk.remove_dir_all(Path::new(DATA)).expect("removes");
    }

    /// The id of a broker's data directory.
    pub(crate) fn directory(&self, id: i32) -> wire::Uuid {
        let disk = self.simulation.world(self.host(id)).disk;
        let properties = disk.read(&Path::new(DATA).join("meta.properties")).expect("it has one");
        let properties = String::from_utf8(properties).expect("text");
        let line = properties.lines().find_map(|line| line.strip_prefix("directory.id="));
        line.expect("it names itself").parse().expect("an id")
    }

    /// Whether a broker left word that it stopped cleanly.
    pub(crate) fn is_marked_clean(&self, id: i32) -> bool {
        let path = Path::new(DATA).join(".kafka_cleanshutdown");
        self.simulation.world(self.host(id)).disk.exists(&path)
    }

    /// Whether a broker has a file of the quorum.
    pub(crate) fn has_file(&self, id: i32, name: &str) -> bool {
        let path = Path::new(DATA).join("__cluster_metadata").join(name);
        self.simulation.world(self.host(id)).disk.exists(&path)
    }

    /// Whether a broker serves clients.
    pub(crate) fn serves(&self, id: i32) -> bool {
        let processes = self.processes.borrow();
        processes.get(&id).is_some_and(|process| process.running.borrow().is_some())
    }

    /// Who leads, as one broker has it.
    pub(crate) fn seen_by(&self, id: i32) -> Option<i32> {
        let processes = self.processes.borrow();
        processes.get(&id)?.running.borrow().as_ref()?.controller_id()
    }

    /// Who leads, if all that run and are not `but` agree on one of them.
    pub(crate) fn leader_but(&self, but: &[i32]) -> Option<i32> {
        let processes = self.processes.borrow();
        let others = processes.iter().filter(|(id, _)| !but.contains(id));
        let mut leaders = others.map(|(id, _)| self.seen_by(*id));
        let first = leaders.next()??;
        let is_one_of_them = processes.contains_key(&first) && !but.contains(&first);
        (is_one_of_them && leaders.all(|leader| leader == Some(first))).then_some(first)
    }

    pub(crate) fn leader(&self) -> Option<i32> {
        self.leader_but(&[])
    }

    /// Lets `condition` become true within `time`; says how long it took.
    pub(crate) async fn within(
        &self,
        time: Duration,
        what: &str,
        condition: impl Fn(&Self) -> bool,
    ) -> Duration {
        let began = self.simulation.elapsed();
        while !condition(self) {
            let passed = self.simulation.elapsed().saturating_sub(began);
            assert!(passed < time, "seed {}: not in time: {what}", self.simulation.seed());
            self.simulation.sleep(Duration::from_millis(5)).await;
        }
        self.simulation.elapsed().saturating_sub(began)
    }

    /// Waits until all that run serve and agree on a leader.
    pub(crate) async fn settle(&self) -> i32 {
        let all_serve = |cluster: &Self| {
            let ids: Vec<i32> = cluster.processes.borrow().keys().copied().collect();
            ids.iter().all(|id| cluster.serves(*id)) && cluster.leader().is_some()
        };
        self.within(Duration::from_secs(20), "all serve, and agree on a leader", all_serve).await;
        self.leader().expect("there is one")
    }

    pub(crate) async fn connect(&self, id: i32) -> Result<Connection, client::Error> {
        let host = self.host(id).address().to_string();
        Connection::open(&self.client, &host, PORT, "tester").await
    }

    /// Asks whoever leads to create a topic, until somebody has.
    pub(crate) async fn create(&self, name: &str) {
        for _ in 0..200 {
            let code = match self.leader() {
                Some(leader) => self.create_through(leader, name).await,
                None => None,
            };
            if matches!(code, Some(ErrorCode::None | ErrorCode::TopicAlreadyExists)) {
                return;
            }
            self.simulation.sleep(Duration::from_millis(50)).await;
        }
        panic!("seed {}: {name} cannot be created", self.simulation.seed());
    }

    /// Asks one broker to create a topic, once; says what it answered.
    pub(crate) async fn create_through(&self, id: i32, name: &str) -> Option<ErrorCode> {
        let topic = CreatableTopic {
            name: Str::from(name),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let connection = self.connect(id).await.ok()?;
        let answer = connection.ask(&request, TIMEOUT).await.ok()?;
        ErrorCode::from_number(answer.topics.first()?.error_code)
    }

    /// The topics that a broker knows.
    pub(crate) async fn topics(&self, id: i32) -> Vec<String> {
        let request = MetadataRequest { topics: None, ..Default::default() };
        let Ok(connection) = self.connect(id).await else { return Vec::new() };
        let Ok(answer) = connection.ask(&request, TIMEOUT).await else { return Vec::new() };
        let names = answer.topics.into_iter().filter_map(|topic| topic.name);
        names.map(|name| name.to_string()).collect()
    }

    /// Lets a broker come to know these topics and no others.
    pub(crate) async fn knows(&self, id: i32, topics: &[String]) {
        let mut known = Vec::new();
        for _ in 0..400 {
            known = self.topics(id).await;
            if known == topics {
                return;
            }
            self.simulation.sleep(Duration::from_millis(25)).await;
        }
        panic!("seed {}: node {id} knows {known:?}", self.simulation.seed());
    }
}
