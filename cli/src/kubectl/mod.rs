//! `kubectl klamm`: the same binary, found by kubectl under the name `kubectl-klamm`.
//!
//! ```text
//! program.rs   asks the API server through kubectl, which knows contexts, credentials and proxies
//! status.rs    a Cluster and what belongs to it, on one screen
//! forward.rs   a port of this machine for each broker, so that any client here works
//! ```
//!
//! `produce`, `consume`, `topic` and `group` are those of `klamm`, behind a forward that lasts as long as they do.

use clap::{Parser, Subcommand};

use crate::commands::{consume, group, produce, topic};
use crate::failure::Failure;
use crate::logging::{self, LogFormat};

mod forward;
mod program;
mod status;

use program::Kubectl;

/// How kubectl finds its plugin.
pub(crate) const NAME: &str = "kubectl-klamm";

/// Clusters, topics and groups of Klamm on Kubernetes.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl klamm",
    bin_name = "kubectl klamm",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "To have it as a kubectl command: link klamm as kubectl-klamm in a folder of your PATH."
)]
pub(crate) struct Args {
    /// The namespace of the Cluster
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The kubeconfig's context
    #[arg(long, global = true, value_name = "CONTEXT")]
    context: Option<String>,
    /// The kubeconfig
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<String>,
    /// The Cluster, if there is more than one
    #[arg(long, global = true, value_name = "NAME")]
    cluster: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show a Cluster with its brokers, topics and groups
    Status,
    /// Open a port of this machine for each broker, until Ctrl-C
    Forward,
    /// Send records, one per line of the input
    Produce(produce::ProduceArgs),
    /// Print records
    Consume(consume::ConsumeArgs),
    /// List, describe, create, alter, grow, move and delete topics
    Topic(topic::TopicArgs),
    /// List, describe, reset and delete consumer groups
    Group(group::GroupArgs),
}

/// Runs what the command line names.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    logging::start(LogFormat::Text, "error")?;
    let kubectl = Kubectl::new(args.namespace, args.context, args.kubeconfig);
    let cluster = kubectl.cluster(args.cluster.as_deref())?;
    match args.command {
        Command::Status => status::show(&kubectl, &cluster),
        Command::Forward => forward::until_stopped(&kubectl, &cluster),
        Command::Produce(args) => forward::during(&kubectl, &cluster, || produce::run(&args)),
        Command::Consume(args) => forward::during(&kubectl, &cluster, || consume::run(&args)),
        Command::Topic(args) => forward::during(&kubectl, &cluster, || topic::run(&args)),
        Command::Group(args) => forward::during(&kubectl, &cluster, || group::run(&args)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Args;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
