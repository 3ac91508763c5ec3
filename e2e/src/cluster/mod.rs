//! Several brokers as processes of one cluster, to be harmed one by one: ours, or Apache Kafka's.

pub mod partitions;
mod product;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use wire::create_topics::request::{CreatableTopic, CreatableTopicConfig};
use wire::describe_quorum::request as quorum;
use wire::describe_quorum::response::PartitionData as Quorum;
use wire::metadata::request::MetadataRequestTopic;
use wire::{
    CreateTopicsRequest, DescribeQuorumRequest, ElectLeadersRequest, ErrorCode, MetadataRequest,
    Request, Str,
};

use crate::ask::{ask, get};
use crate::cache;
use crate::network::{CLIENTS, Network};
use crate::process::{Process, around, until};
use crate::server::{free_port, without_our_settings};

pub use product::Product;

/// How long a cluster may take until all its replicas are in sync.
const SETTLE_LIMIT: Duration = Duration::from_secs(90);
/// How long one broker may take to answer one question.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// The quorum's log, as DescribeQuorum names it.
const METADATA: &str = "__cluster_metadata";

/// What a cluster is made of.
pub struct Spec {
    /// How many brokers, all of them controllers.
    pub count: i32,
    /// Whose.
    pub product: Product,
    /// Where they are; none is loopback.
    pub network: Option<Network>,
    /// Settings beside what makes them a cluster; `{id}` stands for the broker's id.
    pub settings: Vec<String>,
    /// What each broker is run by, a program and its first arguments; nothing is by itself.
    pub prefix: Vec<OsString>,
    /// Where broker 1 runs, and so on; none is this machine, with data in a folder of the cluster's own.
    pub machines: Option<Vec<Machine>>,
}

/// What one broker has of its own.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Where it has its data.
    pub data: PathBuf,
    /// The file that says since when this machine is up; none is the kernel's. Klamm only.
    pub boot_id: Option<PathBuf>,
}

/// Brokers 1, 2, …, all of them controllers.
pub struct Cluster {
    folder: TempDir,
    product: Product,
    network: Option<Network>,
    settings: Vec<String>,
    prefix: Vec<OsString>,
    seats: Vec<Seat>,
    brokers: BTreeMap<i32, Process>,
}

/// Where a broker is.
#[derive(Clone, Debug)]
struct Seat {
    id: i32,
    address: SocketAddr,
    /// The port of its controller, where that is another.
    control: u16,
    http: SocketAddr,
    machine: Machine,
}

/// Who leads a partition and who is in sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// -1 if nobody does.
    pub leader: i32,
    /// The brokers that have it; the first should lead, if all were well.
    pub replicas: Vec<i32>,
    /// The brokers in sync.
    pub isr: Vec<i32>,
}

impl Cluster {
    /// Starts so many brokers of Klamm on loopback, with these settings beside what makes them a cluster; `{id}`
    /// stands for the broker's id.
    ///
    /// # Errors
    /// When they do not form a cluster in time.
    pub fn start(count: i32, settings: &[&str]) -> Result<Self> {
        let settings = settings.iter().map(ToString::to_string).collect();
        let product = Product::klamm()?;
        let (network, prefix, machines) = (None, Vec::new(), None);
        Self::launch(Spec { count, product, network, settings, prefix, machines })
    }

    /// Starts brokers.
    ///
    /// # Errors
    /// When they do not form a cluster in time.
    pub fn launch(spec: Spec) -> Result<Self> {
        let Spec { count, product, network, settings, prefix, machines } = spec;
        let folder = tempfile::Builder::new().prefix("klamm-e2e-").tempdir()?;
        let seats = (1..=count).map(|id| {
            let data = folder.path().join(format!("data-{id}"));
            let own = Machine { data, boot_id: None };
            let machine = machines.as_ref().map_or(own, |all| all[index(id)].clone());
            Seat::take(id, network.as_ref(), machine)
        });
        let seats = seats.collect::<Result<Vec<_>>>()?;
        let brokers = BTreeMap::new();
        let mut cluster = Self { folder, product, network, settings, prefix, seats, brokers };
        for id in cluster.ids() {
            cluster.start_broker(id)?;
        }
        for id in cluster.ids() {
            cluster.wait_until_ready(id)?;
        }
        Ok(cluster)
    }

    /// The brokers' ids.
    pub fn ids(&self) -> Vec<i32> {
        self.seats.iter().map(|seat| seat.id).collect()
    }

    /// The network, if it is one of their own.
    pub fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// The same, to be changed.
    pub fn network_mut(&mut self) -> Option<&mut Network> {
        self.network.as_mut()
    }

    /// Ends the brokers, and leaves the network.
    pub fn into_network(self) -> Option<Network> {
        self.network
    }

    /// `host:port` of all brokers, separated by commas.
    pub fn bootstrap(&self) -> String {
        self.seats.iter().map(|seat| seat.address.to_string()).collect::<Vec<_>>().join(",")
    }

    /// Starts a broker's process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_broker(&mut self, id: i32) -> Result<()> {
        let seat = &self.seats[index(id)];
        let own = |setting: &String| setting.replace("{id}", &id.to_string());
        let settings: Vec<String> = self.settings.iter().map(own).collect();
        let mut command = self.product.command(seat, &self.seats, &settings, self.folder.path())?;
        if let Some(network) = &self.network {
            command = network.within(id, &command);
        }
        command = around(&self.prefix, &command);
        command.current_dir(self.folder.path());
        let process = Process::start(format!("broker {id}"), &mut command, |_| None)?;
        self.brokers.insert(id, process);
        Ok(())
    }

    /// Waits until the broker says that it serves.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_until_ready(&mut self, id: i32) -> Result<()> {
        let seat = self.seats[index(id)].clone();
        let has_http = self.product.has_http();
        let what = format!("broker {id} is ready");
        let ready = until(&what, SETTLE_LIMIT, || {
            let broker = self.brokers.get_mut(&id).context("it was started")?;
            ensure!(broker.is_running()?, "it ended by itself");
            let is_ready = if has_http {
                get(seat.http, "/readyz", ANSWER_LIMIT).is_ok()
            } else {
                self.describe_quorum(id).is_ok()
            };
            Ok(is_ready.then_some(()))
        });
        ready.with_context(|| self.notes())
    }

    /// Starts a broker more, with the next id, and waits until it serves.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn join(&mut self) -> Result<i32> {
        let id = i32::try_from(self.seats.len())? + 1;
        let data = self.folder.path().join(format!("data-{id}"));
        let machine = Machine { data, boot_id: None };
        self.seats.push(Seat::take(id, self.network.as_ref(), machine)?);
        self.start_broker(id)?;
        self.wait_until_ready(id)?;
        Ok(id)
    }

    /// Asks the broker that joined last to stop, and forgets it.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn leave(&mut self) -> Result<i32> {
        let id = self.seats.last().context("there is a broker")?.id;
        self.ask_to_stop(id)?;
        self.wait_for_end(id)?;
        self.seats.pop();
        Ok(id)
    }

    /// Gives a broker that does not run an empty disk.
    ///
    /// # Errors
    /// When the old one cannot be emptied.
    pub fn replace_disk(&self, id: i32) -> Result<()> {
        ensure!(!self.brokers.contains_key(&id), "broker {id} runs");
        Ok(std::fs::remove_dir_all(&self.seats[index(id)].machine.data)?)
    }

    /// Runs `klamm` with these arguments against the cluster; gives its output.
    ///
    /// # Errors
    /// When it fails.
    pub fn klamm(&self, arguments: &[&str]) -> Result<String> {
        let Product::Klamm(binary) = &self.product else { bail!("Kafka has no klamm") };
        let mut command = Command::new(binary);
        without_our_settings(&mut command);
        cache::run(command.args(arguments).env("KLAMM_BOOTSTRAP", self.bootstrap()))
    }

    /// The quorum's voters.
    ///
    /// # Errors
    /// When nobody tells.
    pub fn voters(&self) -> Result<Vec<i32>> {
        let leader = self.controller()?;
        let quorum = self.describe_quorum(leader)?;
        Ok(quorum.current_voters.iter().map(|voter| voter.replica_id).collect())
    }

    /// The processes that run.
    pub fn processes(&self) -> Vec<u32> {
        self.brokers.values().map(Process::id).collect()
    }

    /// Whether its process is there.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn is_running(&mut self, id: i32) -> Result<bool> {
        self.brokers.get_mut(&id).map_or(Ok(false), Process::is_running)
    }

    /// Kills a broker (SIGKILL) and gives the moment.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self, id: i32) -> Result<Instant> {
        self.brokers.remove(&id).context("it runs")?.kill()
    }

    /// Asks a broker to stop (SIGTERM), and gives the moment.
    ///
    /// # Errors
    /// When it does not run.
    pub fn ask_to_stop(&mut self, id: i32) -> Result<Instant> {
        let at = Instant::now();
        self.brokers.get_mut(&id).context("it runs")?.ask_to_stop()?;
        Ok(at)
    }

    /// Halts a broker where it stands (SIGSTOP), or lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn halt(&mut self, id: i32, halted: bool) -> Result<()> {
        let signal = if halted { "STOP" } else { "CONT" };
        self.brokers.get_mut(&id).context("it runs")?.signal(signal)
    }

    /// Waits for a broker that was asked to stop.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub fn wait_for_end(&mut self, id: i32) -> Result<()> {
        let mut broker = self.brokers.remove(&id).context("it runs")?;
        let status = broker.wait(SETTLE_LIMIT)?;
        ensure!(
            self.product.is_clean(status),
            "broker {id} ended with {status}\n{}",
            broker.notes()
        );
        Ok(())
    }

    /// What all brokers said last.
    pub fn notes(&self) -> String {
        self.brokers.values().map(Process::notes).collect()
    }

    /// Creates a topic with three replicas, of which two must have what is acknowledged.
    ///
    /// # Errors
    /// When that is refused.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        self.create_topic_with(name, partitions, &[])
    }

    /// As [`Cluster::create_topic`], with settings.
    ///
    /// # Errors
    /// When that is refused.
    pub fn create_topic_with(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<()> {
        let setting = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: Str::from(*name),
            value: Some(Str::from(*value)),
            ..Default::default()
        };
        let topic = CreatableTopic {
            name: Str::from(name),
            num_partitions: partitions,
            replication_factor: 3,
            configs: [("min.insync.replicas", "2")].iter().chain(settings).map(setting).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        // A broker that is ready may not know yet that the others are.
        until("the topic is created", SETTLE_LIMIT, || {
            let Ok(answer) = self.ask_any(&request) else { return Ok(None) };
            let codes = answer.topics.iter().map(|topic| topic.error_code);
            let fine = [ErrorCode::None, ErrorCode::TopicAlreadyExists].map(i16::from);
            Ok(codes.clone().all(|code| fine.contains(&code)).then_some(()))
        })
    }

    /// Where the partitions of a topic are, as broker `id` knows it.
    ///
    /// # Errors
    /// When it does not tell.
    pub fn places_by(&self, id: i32, topic: &str) -> Result<Vec<Place>> {
        let topic = MetadataRequestTopic { name: Some(Str::from(topic)), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        let mut answer = ask(self.seats[index(id)].address, &request, ANSWER_LIMIT)?;
        let mut topic = answer.topics.pop().context("no topic in the answer")?;
        ensure!(topic.error_code == 0, "error {}", topic.error_code);
        topic.partitions.sort_by_key(|partition| partition.partition_index);
        let place = |partition: wire::metadata::response::MetadataResponsePartition| Place {
            leader: partition.leader_id,
            replicas: partition.replica_nodes,
            isr: partition.isr_nodes,
        };
        Ok(topic.partitions.into_iter().map(place).collect())
    }

    /// Waits until every partition has a leader and all replicas in sync, as all brokers know it.
    ///
    /// # Errors
    /// When that does not come about.
    pub fn settle(&self, topic: &str) -> Result<Vec<Place>> {
        self.agree("all replicas are in sync", topic, |place| {
            place.leader >= 0 && place.isr.len() == place.replicas.len()
        })
    }

    /// Waits until all brokers know every partition to be as it should.
    fn agree(
        &self,
        what: &str,
        topic: &str,
        is_fine: impl Fn(&Place) -> bool,
    ) -> Result<Vec<Place>> {
        let known = || self.ids().into_iter().map(|id| self.places_by(id, topic));
        let agreed = until(what, SETTLE_LIMIT, || {
            let Ok(mut known) = known().collect::<Result<Vec<_>>>() else { return Ok(None) };
            let places = known.pop().context("there is a broker")?;
            let same = known.iter().all(|other| {
                other.len() == places.len()
                    && other.iter().zip(&places).all(|(one, two)| one.leader == two.leader)
            });
            let fine = known.iter().flatten().chain(&places).all(&is_fine);
            Ok((same && fine && !places.is_empty()).then_some(places))
        });
        agreed.with_context(|| format!("{:#?}\n{}", known().collect::<Vec<_>>(), self.notes()))
    }

    /// Has every partition led by its preferred replica again. Gives those that moved.
    ///
    /// # Errors
    /// When that does not come about.
    pub fn elect_preferred(&self, topic: &str) -> Result<Vec<i32>> {
        let before = self.settle(topic)?;
        let elsewhere = |place: &Place| place.replicas.first() != Some(&place.leader);
        let moved = (0..).zip(&before).filter(|(_, place)| elsewhere(place));
        let moved: Vec<i32> = moved.map(|(partition, _)| partition).collect();
        if !moved.is_empty() {
            let request = ElectLeadersRequest { topic_partitions: None, ..Default::default() };
            self.ask_any(&request)?;
        }
        self.agree("preferred replicas lead", topic, |place| !elsewhere(place))?;
        Ok(moved)
    }

    /// The active controller's id.
    ///
    /// # Errors
    /// When nobody tells within some time.
    pub fn controller(&self) -> Result<i32> {
        let told = until("somebody knows the controller", SETTLE_LIMIT, || {
            let told = self.ids().into_iter().filter_map(|id| self.describe_quorum(id).ok());
            Ok(told.map(|quorum| quorum.leader_id).find(|leader| *leader > 0))
        });
        told.with_context(|| self.notes())
    }

    fn describe_quorum(&self, id: i32) -> Result<Quorum> {
        let partitions = vec![quorum::PartitionData::default()];
        let topic =
            quorum::TopicData { topic_name: Str::from(METADATA), partitions, ..Default::default() };
        let request = DescribeQuorumRequest { topics: vec![topic], ..Default::default() };
        let mut answer = ask(self.seats[index(id)].address, &request, ANSWER_LIMIT)?;
        let partition = answer.topics.pop().and_then(|mut topic| topic.partitions.pop());
        let partition = partition.with_context(|| format!("error {}", answer.error_code))?;
        ensure!(partition.error_code == 0, "error {}", partition.error_code);
        Ok(partition)
    }

    /// Asks brokers one after the other until one answers.
    fn ask_any<R: Request>(&self, request: &R) -> Result<R::Response> {
        let mut last = None;
        for seat in &self.seats {
            match ask(seat.address, request, SETTLE_LIMIT) {
                Ok(answer) => return Ok(answer),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("there is no broker")?)
    }
}

impl Seat {
    fn take(id: i32, network: Option<&Network>, machine: Machine) -> Result<Self> {
        let host = network.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |network| network.address(id));
        let [client, control, http] = match network {
            Some(_) => [CLIENTS, 9093, 9644],
            None => [free_port()?, free_port()?, free_port()?],
        };
        let at = |port| SocketAddr::new(host, port);
        Ok(Self { id, address: at(client), control, http: at(http), machine })
    }
}

fn index(id: i32) -> usize {
    usize::try_from(id - 1).expect("ids begin with 1")
}
