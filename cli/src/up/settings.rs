//! What `klamm up` tells its brokers: what suits a laptop, below everything that anyone says, and what makes
//! them one cluster, above it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{ConfigError, Settings};
use crds::Cluster;

use super::UpArgs;

/// Whoever starts a consumer at their desk waits for no second one.
const ALONE: &str = "group.initial.rebalance.delay.ms=0";
/// With several brokers, a topic that says nothing survives the loss of one.
const TOGETHER: &str =
    "group.initial.rebalance.delay.ms=0\ndefault.replication.factor=3\nmin.insync.replicas=2";

/// The brokers of a Cluster, as they should run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Brokers {
    /// How many.
    pub(super) count: i32,
    /// How much each may store, in bytes.
    pub(super) storage_bytes: i64,
    /// Their settings, by Kafka's names.
    pub(super) config: BTreeMap<String, String>,
}

impl Brokers {
    /// So many of `cluster`.
    pub(super) fn of(cluster: &Cluster, count: i32) -> Self {
        let spec = &cluster.spec;
        // The planner asks for no brokers whose storage is no amount.
        let storage_bytes = spec.storage.size.bytes().unwrap_or_default();
        Self { count, storage_bytes, config: spec.config.clone() }
    }
}

/// How the brokers of this machine are told apart.
#[derive(Clone, Debug)]
pub(super) struct CommandLine {
    listen: (String, u16),
    http: Option<(String, u16)>,
    advertise: Option<(String, u16)>,
    set: Vec<String>,
}

impl CommandLine {
    /// Reads the addresses, of which the further brokers' follow.
    ///
    /// # Errors
    /// When one is no address, by flag.
    pub(super) fn read(args: &UpArgs) -> Result<Self, (&'static str, client::Error)> {
        let split = |flag, address: &str| {
            // Port 0 lets the system choose one.
            match address.strip_suffix(":0") {
                Some(host) => Ok((host.to_owned(), 0)),
                None => client::cluster::split_address(address)
                    .map(|(host, port)| (host.to_owned(), port))
                    .map_err(|error| (flag, error)),
            }
        };
        let mut listen = split("--listen", &args.listen)?;
        if listen.0 == "localhost" {
            // Brokers bind addresses, people write names.
            listen.0 = "127.0.0.1".to_owned();
        }
        let http = (args.http != "off").then(|| split("--http", &args.http)).transpose()?;
        let advertise = args.advertise.as_deref();
        let advertise = advertise.map(|address| split("--advertise", address)).transpose()?;
        Ok(Self { listen, http, advertise, set: args.set.clone() })
    }

    /// Whether several brokers can be told apart: their ports follow the first one's.
    pub(super) fn has_ports(&self) -> bool {
        self.listen.1 != 0
    }

    fn of_broker(&self, id: i32) -> Vec<String> {
        let address = |(host, port): &(String, u16)| format!("{host}:{}", nth(*port, id));
        let http = self.http.as_ref().map(address).unwrap_or_default();
        let mut settings = vec![
            format!("listeners=PLAINTEXT://{}", address(&self.listen)),
            format!("klamm.http.listener={http}"),
        ];
        if let Some(advertise) = &self.advertise {
            settings.push(format!("advertised.listeners=PLAINTEXT://{}", address(advertise)));
        }
        settings.extend(self.set.iter().cloned());
        settings
    }

    /// How the brokers reach each other, on this machine.
    fn voters(&self, count: i32) -> String {
        let (host, port) = &self.listen;
        let host = if host == "0.0.0.0" || host.is_empty() { "127.0.0.1" } else { host };
        let voters = (1..=count).map(|id| format!("{id}@{host}:{}", nth(*port, id)));
        voters.collect::<Vec<_>>().join(",")
    }
}

/// The port of broker `id`; the first one's is `port`.
fn nth(port: u16, id: i32) -> u16 {
    let further = u16::try_from(id - 1).unwrap_or(0);
    if port == 0 { 0 } else { port.saturating_add(further) }
}

/// Below it, brokers after the first one keep their data.
pub(super) const BROKERS: &str = "brokers";

/// Where broker `id` keeps its data.
pub(super) fn dir_of(dir: &Path, id: i32) -> PathBuf {
    if id == 1 { dir.to_owned() } else { dir.join(BROKERS).join(id.to_string()) }
}

/// The settings of broker `id` in `dir` as the Cluster wants it. What suits a laptop gives way to the
/// environment, that to the Cluster, and that to the command line.
pub(super) fn of_broker(
    dir: &Path,
    id: i32,
    cluster_id: Option<&str>,
    wanted: &Brokers,
    environment: impl IntoIterator<Item = (String, String)>,
    command_line: &CommandLine,
) -> Result<Settings, ConfigError> {
    let mut set: Vec<String> =
        wanted.config.iter().map(|(key, value)| format!("{key}={value}")).collect();
    set.push(format!("klamm.storage.limit.bytes={}", wanted.storage_bytes));
    set.push(format!("log.dirs={}", dir_of(dir, id).display()));
    set.extend(command_line.of_broker(id));
    if wanted.count > 1 {
        set.push(format!("node.id={id}"));
        set.push(format!("controller.quorum.voters={}", command_line.voters(wanted.count)));
        set.extend(cluster_id.map(|cluster_id| format!("klamm.cluster.id={cluster_id}")));
    }
    let laptop = if wanted.count > 1 { TOGETHER } else { ALONE };
    Settings::resolve(config::sources::merge(laptop, environment, &set)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use config::Settings;

    use super::{Brokers, CommandLine, of_broker};

    const DELAY: &str = "group.initial.rebalance.delay.ms";

    fn command_line(listen: &str, port: u16, set: &[String]) -> CommandLine {
        let (listen, http) = ((listen.to_owned(), port), Some(("127.0.0.1".to_owned(), 9644)));
        CommandLine { listen, http, advertise: None, set: set.to_vec() }
    }

    fn wanted(count: i32, config: BTreeMap<String, String>) -> Brokers {
        Brokers { count, storage_bytes: 1 << 30, config }
    }

    fn delay(environment: &[&str], cluster: &[&str], set: &[&str]) -> i32 {
        let named = |values: &[&str], name: &str| -> Vec<(String, String)> {
            values.iter().map(|value| (name.to_owned(), (*value).to_owned())).collect()
        };
        let config: BTreeMap<String, String> = named(cluster, DELAY).into_iter().collect();
        let environment = named(environment, "KLAMM_GROUP_INITIAL_REBALANCE_DELAY_MS");
        let set: Vec<String> = set.iter().map(|value| format!("{DELAY}={value}")).collect();
        let command_line = command_line("127.0.0.1", 9092, &set);
        let wanted = wanted(1, config);
        let settings =
            of_broker(Path::new("data"), 1, None, &wanted, environment, &command_line).unwrap();
        settings.broker.group_initial_rebalance_delay_ms
    }

    #[test]
    fn a_first_member_waits_for_nobody_unless_someone_says_so() {
        assert_eq!(delay(&[], &[], &[]), 0);
        assert_eq!(delay(&["100"], &[], &[]), 100);
        assert_eq!(delay(&["100"], &["200"], &[]), 200);
        assert_eq!(delay(&["100"], &["200"], &["300"]), 300);
    }

    #[test]
    fn further_brokers_listen_on_the_ports_that_follow() {
        let command_line = command_line("0.0.0.0", 9092, &[]);
        let of = |id| -> Settings {
            let wanted = wanted(3, BTreeMap::new());
            let cluster_id = Some("c3Rvcm0tb2YtYnJva2Vycw");
            of_broker(Path::new("data"), id, cluster_id, &wanted, [], &command_line).unwrap()
        };
        let third = of(3).broker;
        assert_eq!((third.node_id, third.listeners[0].port), (3, 9094));
        assert_eq!(third.http_listener, "127.0.0.1:9646");
        assert_eq!(third.log_dir, "data/brokers/3");
        assert_eq!(of(1).broker.log_dir, "data");
        let voters = third.controller_quorum_voters;
        let ports: Vec<(i32, u16)> = voters.iter().map(|voter| (voter.id, voter.port)).collect();
        assert_eq!(ports, [(1, 9092), (2, 9093), (3, 9094)]);
        assert!(voters.iter().all(|voter| voter.host == "127.0.0.1"));
    }
}
