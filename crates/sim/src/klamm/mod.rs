//! The system under test: one broker or several, as they ship, and clients that use them as people do.
//!
//! | file | what it does all through the run |
//! | --- | --- |
//! | `produce` | writes, idempotent or not, each record once in the run |
//! | `read` | reads each topic from its beginning; reads all at the end |
//! | `group` | joins, reads, commits, leaves or dies; asks for positions |
//! | `moves` | moves replicas and leaders about, where there are several brokers |
//! | `upkeep` | takes votes, drains, leases, asks for equal shares, lets a broker come and go: what people do |
//! | `replicas` | at the end, waits until all replicas are in sync, and compares their disks |
//!
//! `orders` waits for the disk (`klamm.durability=fsync`), `views` does not. Where there are three brokers,
//! each partition has three replicas, and two must have what is acknowledged.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use client::admin::NewTopic;
use client::{Admin, Cluster, ClusterOptions, Error, TopicPartition};
use tokio::sync::Notify;
use wire::ErrorCode;
use world::World;
use world::clock::LocalFuture;
use world::simulated::{HostId, Random, Simulation};

use crate::faults::Fault;
use crate::history::{CommitId, Event, Partition, RecordId};
use crate::storm::{SharedHistory, System};

mod group;
mod moves;
mod produce;
mod read;
mod replicas;
mod upkeep;

/// What the names of all brokers begin with; their number follows.
const BROKER: &str = "broker-";
const PORT: u16 = 9092;
/// Waits for the disk.
const ORDERS: &str = "orders";
/// Does not wait for the disk.
const VIEWS: &str = "views";
/// Topics with their partitions.
const TOPICS: [(&str, i32); 2] = [(ORDERS, 3), (VIEWS, 2)];
const GROUPS: [&str; 2] = ["inventory", "notification"];
/// Shorter than most faults, so that clients ask again while they last.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// What a client waits after an error.
const PAUSE: Duration = Duration::from_millis(100);

/// A run with real brokers. Make one for each run.
#[derive(Clone)]
pub struct Klamm {
    brokers: usize,
    /// The brokers' in the order of their ids; the last is of one that comes and goes, where there are several.
    hosts: Rc<RefCell<Vec<HostId>>>,
    /// How each broker is asked to stop.
    stops: Rc<RefCell<BTreeMap<HostId, Rc<Notify>>>>,
    /// Whose disks fail now.
    failing: Rc<RefCell<BTreeSet<HostId>>>,
    /// Whose disks have rotted.
    rotten: Rc<RefCell<BTreeSet<HostId>>>,
    /// Whether the one that comes and goes is there, or on its way.
    joins: Rc<Cell<bool>>,
}

impl Klamm {
    /// With so many brokers, all of which are controllers.
    pub fn new(brokers: usize) -> Self {
        Self {
            brokers,
            hosts: Rc::default(),
            stops: Rc::default(),
            failing: Rc::default(),
            rotten: Rc::default(),
            joins: Rc::default(),
        }
    }

    /// The id of the broker of a host.
    fn id(&self, host: HostId) -> i32 {
        let hosts = self.hosts.borrow();
        let at = hosts.iter().position(|other| *other == host).expect("it was built");
        i32::try_from(at).expect("there are few")
    }
}

impl System for Klamm {
    fn build(&self, simulation: &Simulation) -> Vec<HostId> {
        let add = |number| simulation.add_host(&format!("{BROKER}{number}"));
        let spare = usize::from(self.brokers > 1);
        let mut hosts: Vec<HostId> = (0..self.brokers + spare).map(add).collect();
        self.hosts.borrow_mut().clone_from(&hosts);
        if self.brokers > 1 {
            simulation.add_host(upkeep::OPERATOR);
        }
        hosts.truncate(self.brokers);
        hosts
    }

    fn lossy(&self, power_losses: usize) -> Vec<String> {
        // One machine may go as long as there are others; two at once may be two too many.
        let survives = usize::from(self.brokers > 1);
        if power_losses > survives { vec![VIEWS.to_owned()] } else { Vec::new() }
    }

    fn start(&self, simulation: &Simulation, host: HostId) {
        let stop = Rc::new(Notify::new());
        self.stops.borrow_mut().insert(host, Rc::clone(&stop));
        let voters = &self.hosts.borrow()[..self.brokers];
        let settings = settings(simulation.seed(), voters, (self.id(host), host));
        let (storm, failing) = (simulation.clone(), Rc::clone(&self.failing));
        simulation.start(host, move |world| {
            Box::pin(async move {
                // As a signal does it, or as a program that has no time.
                let is_careful = draw(&world, "careful", 2) == 0;
                let running = match broker::Broker::start(world, settings).await {
                    Ok(running) => running,
                    Err(error) if failing.borrow().contains(&host) => {
                        storm.note(format_args!("not started: {error}"));
                        storm.kill(host);
                        return;
                    }
                    // Whoever listens for panics learns that a broker did not come back.
                    Err(error) => panic!("the broker does not start: {error}"),
                };
                tokio::select! {
                    biased;
                    why = running.failed() => storm.note(format_args!("given up: {why}")),
                    () = stop.notified() => {
                        if is_careful {
                            running.wait_until_safe().await;
                        }
                        if let Err(error) = running.stop().await {
                            storm.note(format_args!("not stopped cleanly: {error}"));
                        }
                    }
                }
                storm.kill(host);
            })
        });
    }

    fn stop(&self, simulation: &Simulation, host: HostId) {
        simulation.note(format_args!("fault: stop"));
        if let Some(stop) = self.stops.borrow().get(&host) {
            stop.notify_one();
        }
    }

    fn disk_fails(&self, host: HostId, fails: bool) {
        let mut failing = self.failing.borrow_mut();
        if fails {
            failing.insert(host);
        } else {
            failing.remove(&host);
        }
    }

    fn rot(&self, simulation: &Simulation, host: HostId, draw: u64) -> bool {
        // What is served from memory does not show it.
        if !reads_disk(simulation.seed()) {
            return false;
        }
        let is_log = |path: &Path| path.extension().is_some_and(|kind| kind == "log");
        let is_partition = |path: &Path| !path.starts_with("/data/__cluster_metadata");
        let disk = simulation.disk(host);
        let mut files = disk.files();
        files.retain(|(path, len)| is_log(path) && is_partition(path) && *len > 0);
        let mut random = Random::new(draw, &["rot"]);
        if files.is_empty() {
            return false;
        }
        let (path, len) = &files[random.index(files.len())];
        let bit = u8::try_from(random.index(8)).expect("a byte has eight");
        disk.rot(path, random.within(0..*len), bit).expect("it was listed");
        self.rotten.borrow_mut().insert(host);
        true
    }

    fn can_lose_disk(&self, simulation: &Simulation, host: HostId) -> LocalFuture<bool> {
        let (operator, id) = (self.operator(simulation), self.id(host));
        Box::pin(async move { operator.can_lose_disk(id).await })
    }

    fn has_all(&self, simulation: &Simulation, host: HostId) -> LocalFuture<bool> {
        let (operator, id) = (self.operator(simulation), self.id(host));
        Box::pin(async move { operator.has_all(id).await })
    }

    fn upkeep(&self, simulation: &Simulation, host: HostId, fault: &Fault) -> LocalFuture<bool> {
        let (operator, id, fault) = (self.operator(simulation), self.id(host), fault.clone());
        Box::pin(async move { operator.carry_out(id, &fault).await })
    }

    fn start_clients(&self, simulation: &Simulation, history: &SharedHistory) {
        let stage = Rc::new(Stage::new(self.brokers, Rc::clone(history)));
        for partition in TOPICS.into_iter().flat_map(|(topic, _)| partitions(topic)) {
            stage.record(Event::Wanted { partition });
        }
        let start = |name: &str, work: &dyn Fn(World, Rc<Stage>) -> LocalFuture<()>| {
            let host = simulation.add_host(name);
            simulation.start(host, |world| work(world, Rc::clone(&stage)));
        };
        start("admin", &|world, stage| Box::pin(create_topics(world, stage)));
        start("shop-1", &|world, stage| Box::pin(produce::idempotent(world, stage)));
        start("shop-2", &|world, stage| Box::pin(produce::idempotent(world, stage)));
        start("sensor", &|world, stage| Box::pin(produce::plain(world, stage)));
        start("reader", &|world, stage| Box::pin(read::follow(world, stage)));
        start("wanderer", &|world, stage| Box::pin(read::wander(world, stage)));
        start("worker-1", &|world, stage| Box::pin(group::work(world, stage)));
        start("worker-2", &|world, stage| Box::pin(group::work(world, stage)));
        start("observer", &|world, stage| Box::pin(group::observe(world, stage)));
        if self.brokers > 1 {
            start("mover", &|world, stage| Box::pin(moves::shuffle(world, stage)));
        }
    }

    fn collect(&self, simulation: &Simulation, history: &SharedHistory) -> LocalFuture<()> {
        for host in simulation.hosts() {
            if !simulation.name(host).starts_with(BROKER) {
                simulation.kill(host);
            }
        }
        let world = simulation.world(simulation.add_host("auditor"));
        let stage = Rc::new(Stage::new(self.brokers, Rc::clone(history)));
        let (hosts, storm) = (self.hosts.borrow().clone(), simulation.clone());
        let rotten = (0..).zip(&hosts).filter(|(_, host)| self.rotten.borrow().contains(host));
        let rotten: Vec<i32> = rotten.map(|(id, _)| id).collect();
        let operator = (self.brokers > 1).then(|| self.operator(simulation));
        Box::pin(async move {
            if let Some(operator) = operator {
                stage.record(Event::LeftBehind { what: operator.left_behind().await });
            }
            read::everything(&world, &stage).await;
            for broker in rotten {
                replicas::read_at(&world, &stage, broker).await;
            }
            replicas::compare(&world, &stage, &storm, &hosts).await;
        })
    }
}

/// Whether the brokers keep nothing in memory of what they have written.
fn reads_disk(seed: u64) -> bool {
    seed.is_multiple_of(3)
}

fn settings(seed: u64, initial: &[HostId], (id, host): (i32, HostId)) -> config::Settings {
    let shards = (1 + seed % 2).to_string();
    let cached = if reads_disk(seed) { "0" } else { "67108864" };
    let listener = format!("PLAINTEXT://{}:{PORT}", host.address());
    let id = id.to_string();
    let voters =
        (0..).zip(initial).map(|(id, host): (u32, _)| format!("{id}@{}:{PORT}", host.address()));
    let voters = voters.collect::<Vec<_>>().join(",");
    let (replicas, in_sync, voters) =
        if initial.len() == 1 { ("1", "1", String::new()) } else { ("3", "2", voters) };
    let settings: config::Properties = [
        ("log.dirs", "/data"),
        ("listeners", &listener),
        ("klamm.http.listener", ""),
        ("node.id", &id),
        ("klamm.cluster.id", "c3Rvcm0tb2YtYnJva2Vycw"),
        ("controller.quorum.voters", &voters),
        ("offsets.topic.replication.factor", replicas),
        ("min.insync.replicas", in_sync),
        ("klamm.shards", &shards),
        ("klamm.tail.cache.bytes", cached),
        ("group.initial.rebalance.delay.ms", "0"),
        ("offsets.topic.num.partitions", "3"),
        ("auto.create.topics.enable", "false"),
        // A run is short.
        ("klamm.stop.wait.ms", "3000"),
        ("klamm.stop.lease.ms", "5000"),
        // Segments end by their age: there are not enough bytes in a run.
        ("log.roll.ms", "5000"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    config::Settings::resolve(settings).expect("these settings are right")
}

async fn create_topics(world: World, stage: Rc<Stage>) {
    let admin = Admin::new(stage.cluster(&world, Duration::ZERO));
    for (name, partitions) in TOPICS {
        let topic = stage.topic(name, partitions);
        loop {
            match admin.create_topic(&topic, false).await {
                Ok(_) => break,
                Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => break,
                Err(_) => world.clock.sleep(PAUSE).await,
            }
        }
    }
}

/// What all clients of a run share.
struct Stage {
    brokers: usize,
    history: SharedHistory,
    producers: Cell<u32>,
    commits: Cell<u64>,
}

impl Stage {
    fn new(brokers: usize, history: SharedHistory) -> Self {
        Self { brokers, history, producers: Cell::new(0), commits: Cell::new(0) }
    }

    fn record(&self, event: Event) {
        self.history.borrow_mut().record(event);
    }

    fn next_producer(&self) -> u32 {
        self.producers.replace(self.producers.get() + 1)
    }

    fn next_commit(&self) -> CommitId {
        CommitId(self.commits.replace(self.commits.get() + 1))
    }

    /// A client's cluster. Without `retry_for` each question is asked once, so that a history tells
    /// what became of each.
    fn cluster(&self, world: &World, retry_for: Duration) -> Cluster {
        // Not all of them begin with the same broker.
        let brokers = self.brokers as u64;
        let first = draw(world, "bootstrap", brokers);
        let all = (0..brokers).map(|at| format!("{BROKER}{}:{PORT}", (first + at) % brokers));
        let options = ClusterOptions {
            bootstrap: all.collect(),
            request_timeout: REQUEST_TIMEOUT,
            retry_for,
            ..ClusterOptions::default()
        };
        Cluster::new(world.clone(), options)
    }

    /// A topic as all of them are, with replicas on three brokers if there are as many.
    fn topic(&self, name: &str, partitions: i32) -> NewTopic {
        let durability = if name == VIEWS { "replicated" } else { "fsync" };
        let (replicas, in_sync) = if self.brokers == 1 { (1, "1") } else { (3, "2") };
        let configs = [("klamm.durability", durability), ("min.insync.replicas", in_sync)];
        let configs = configs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        NewTopic {
            name: name.to_owned(),
            partitions: Some(partitions),
            replicas: Some(replicas),
            configs: configs.into(),
        }
    }

    /// A record as a consumer was served it, or why it is none.
    fn served(&self, record: &client::ConsumedRecord) -> Option<(i64, RecordId)> {
        let named = record.value.clone().ok_or("no value".to_owned()).and_then(named);
        match named {
            Ok(id) => Some((record.offset, id)),
            Err(why) => {
                let partition = partition(&record.topic, record.partition);
                let why = format!("offset {}: {why}", record.offset);
                self.record(Event::Damaged { partition, why });
                None
            }
        }
    }

    /// Records what consumers were served.
    fn read(&self, records: &[client::ConsumedRecord]) {
        for record in records {
            if let Some((offset, id)) = self.served(record) {
                let partition = partition(&record.topic, record.partition);
                self.record(Event::Read { partition, offset, record: id });
            }
        }
    }

    /// Records an error if it says that bytes are damaged; true if it did.
    fn damaged(&self, error: &Error) -> bool {
        let Error::BadBatch { partition, offset, reason } = error else { return false };
        let (topic, index) = partition.rsplit_once('-').expect("a partition has a number");
        let partition = self::partition(topic, index.parse().expect("a partition has a number"));
        self.record(Event::Damaged { partition, why: format!("offset {offset}: {reason}") });
        true
    }
}

fn partition(topic: &str, index: i32) -> Partition {
    Partition { topic: topic.to_owned(), index }
}

fn topic_partition(partition: &Partition) -> TopicPartition {
    TopicPartition::new(&partition.topic, partition.index)
}

fn partitions(of: &str) -> Vec<Partition> {
    let topics = TOPICS.into_iter().filter(|(topic, _)| *topic == of);
    topics.flat_map(|(topic, count)| (0..count).map(|index| partition(topic, index))).collect()
}

/// A number below `bound` from the world's dice.
fn draw(world: &World, concern: &'static str, bound: u64) -> u64 {
    world.dice.next_u64(concern) % bound
}

fn draw_millis(world: &World, concern: &'static str, bound: u64) -> Duration {
    Duration::from_millis(draw(world, concern, bound))
}

fn padding(id: RecordId) -> usize {
    usize::try_from(id.sequence * 37 % 200).expect("it is below 200")
}

fn filler(id: RecordId) -> u8 {
    id.sequence.to_le_bytes()[0] ^ 0x5a
}

/// The value of a record: who it is, and bytes that follow from it.
fn value(id: RecordId) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u32(id.producer);
    bytes.put_u32(id.sequence);
    bytes.put_bytes(filler(id), padding(id));
    bytes.freeze()
}

fn named(mut value: Bytes) -> Result<RecordId, String> {
    if value.len() < 8 {
        return Err(format!("a value of {} bytes", value.len()));
    }
    let id = RecordId { producer: value.get_u32(), sequence: value.get_u32() };
    if value.len() != padding(id) || value.iter().any(|byte| *byte != filler(id)) {
        return Err(format!("not the value of {id}"));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_who_it_is_and_shows_damage() {
        let id = RecordId { producer: 7, sequence: 300 };
        assert_eq!(named(value(id)), Ok(id));
        let mut bad = value(id).to_vec();
        bad[9] ^= 1;
        assert!(named(bad.into()).is_err());
        assert!(named(Bytes::from_static(&[0; 7])).is_err());
    }
}
