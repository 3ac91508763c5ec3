//! `klamm get`: Clusters, Topics and ConsumerGroups with their conditions, as `klamm up` last wrote
//! them; without a running `klamm up`, what the brokers say.

use std::path::PathBuf;

use clap::ValueEnum;
use crds::{Kind, Resource};
use serde_json::json;

use crate::args::Connect;
use crate::commands::{group, topic};
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser, Table};
use crate::session;
use crate::up::status_file::{self, StatusFile};

/// Show Clusters, Topics and ConsumerGroups with their conditions.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Resources come from the status.json of a `klamm up` that was started in this \
                        folder, or in --data-dir. Without one, the brokers are asked."
)]
pub(crate) struct GetArgs {
    /// Which kind
    #[arg(default_value = "all")]
    kind: KindArg,
    /// Only resources of this name
    name: Option<String>,
    /// Where `klamm up` keeps its data [default: every folder in .klamm]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How it is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindArg {
    All,
    #[value(alias = "cluster", alias = "klc")]
    Clusters,
    #[value(alias = "topic", alias = "klt")]
    Topics,
    #[value(alias = "group", alias = "consumergroups", alias = "consumergroup", alias = "klg")]
    Groups,
}

impl KindArg {
    fn holds(self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::Clusters => kind == Kind::Cluster,
            Self::Topics => kind == Kind::Topic,
            Self::Groups => kind == Kind::ConsumerGroup,
        }
    }
}

/// Shows them.
pub(crate) fn run(args: &GetArgs) -> Result<(), Failure> {
    let world = session::world();
    let files = status_file::find(&*world.disk, args.data_dir.as_deref())?;
    if files.is_empty() {
        return from_brokers(args);
    }
    let wanted: Vec<(&StatusFile, &Resource)> = files
        .iter()
        .flat_map(|file| file.resources.iter().map(move |resource| (file, resource)))
        .filter(|(_, resource)| args.kind.holds(resource.kind()))
        .filter(|(_, it)| args.name.as_ref().is_none_or(|name| it.key().name == *name))
        .collect();
    if wanted.is_empty() && args.name.is_some() {
        return Err(Failure::new(format!(
            "there is no {}",
            args.name.as_deref().unwrap_or_default()
        ))
        .hint("`klamm get` shows what there is"));
    }
    match args.output {
        Format::Json => {
            let items: Vec<_> = wanted.iter().map(|(_, it)| status_file::to_value(it)).collect();
            output::json(&items)
        }
        Format::Text => print(&wanted),
    }
}

fn print(wanted: &[(&StatusFile, &Resource)]) -> Result<(), Failure> {
    let mut is_first = true;
    for kind in Kind::ALL {
        let mut table = table(kind);
        let mut is_empty = true;
        for (file, resource) in wanted.iter().filter(|(_, it)| it.kind() == kind) {
            let mut cells = row(resource);
            if file.unmanaged.contains(&resource.key().to_string()) {
                cells.push("not in any file: left alone".to_owned());
            }
            table.row(cells);
            is_empty = false;
        }
        if !is_empty {
            if !is_first {
                output::line("")?;
            }
            table.print()?;
            is_first = false;
        }
    }
    Ok(())
}

/// The columns of a kind, as `kubectl get` shows them.
pub(crate) fn table(kind: Kind) -> Table {
    Table::new(match kind {
        Kind::Cluster => {
            &["CLUSTER", "READY", "BROKERS", "DESIRED", "STATUS", "BOOTSTRAP", "MESSAGE"]
        }
        Kind::Topic => {
            &["TOPIC", "CLUSTER", "PARTITIONS", "REPLICAS", "READY", "STATUS", "MESSAGE"]
        }
        Kind::ConsumerGroup => {
            &["GROUP", "CLUSTER", "STATE", "MEMBERS", "LAG", "RESET", "READY", "STATUS", "MESSAGE"]
        }
    })
}

/// A resource's cells in the table of its kind.
pub(crate) fn row(resource: &Resource) -> Vec<String> {
    let (ready, status, message) = status_file::ready(resource);
    let number = |number: Option<i32>| number.map_or(String::new(), |number| number.to_string());
    let name = resource.key().name;
    match resource {
        Resource::Cluster(it) => {
            let found = it.status.clone().unwrap_or_default();
            let bootstrap = found.listeners.first().map(|it| it.bootstrap.clone());
            let brokers = found.ready_replicas.to_string();
            let desired = it.spec.node_count().to_string();
            vec![name, ready, brokers, desired, status, bootstrap.unwrap_or_default(), message]
        }
        Resource::Topic(it) => {
            let found = it.status.clone().unwrap_or_default();
            let (partitions, replicas) = (number(found.partitions), number(found.replicas));
            let cluster = it.spec.cluster_ref.name.clone();
            vec![name, cluster, partitions, replicas, ready, status, message]
        }
        Resource::ConsumerGroup(it) => {
            let found = it.status.clone().unwrap_or_default();
            let state = found.state.map_or(String::new(), |state| format!("{state:?}"));
            let lag = found.lag.map_or(String::new(), |lag| lag.total.to_string());
            let reset = found.last_reset.map_or(String::new(), |last| format!("{:?}", last.phase));
            let (cluster, members) = (it.spec.cluster_ref.name.clone(), found.members.to_string());
            vec![name, cluster, state, members, lag, reset, ready, status, message]
        }
    }
}

fn from_brokers(args: &GetArgs) -> Result<(), Failure> {
    session::run(async {
        let admin = session::admin(&args.connect);
        let cluster = admin.describe_cluster().await?;
        let is_wanted = |name: &str| args.name.as_deref().is_none_or(|wanted| wanted == name);
        let mut topics = Vec::new();
        if args.kind.holds(Kind::Topic) {
            topics = topic::gather(&admin, false).await?;
            topics.retain(|row| is_wanted(&row.name));
        }
        let mut groups = Vec::new();
        if args.kind.holds(Kind::ConsumerGroup) {
            groups = group::gather(&admin).await?;
            groups.retain(|row| is_wanted(&row.name));
        }
        let addresses: Vec<_> = cluster.brokers.iter().map(|it| it.address.clone()).collect();
        if args.output == Format::Json {
            let id = &cluster.cluster_id;
            let cluster = json!({ "clusterId": id, "brokers": addresses });
            return output::json(
                &json!({ "cluster": cluster, "topics": topics, "groups": groups }),
            );
        }
        if args.kind.holds(Kind::Cluster) {
            let mut table = Table::new(&["CLUSTER", "BROKERS", "BOOTSTRAP"]);
            let brokers = addresses.len().to_string();
            table.row([cluster.cluster_id, brokers, addresses.join(",")]);
            table.print()?;
        }
        if !topics.is_empty() {
            output::line("")?;
            topic::table(&topics).print()?;
        }
        if !groups.is_empty() {
            output::line("")?;
            group::table(&groups).print()?;
        }
        Ok(())
    })
}
