//! `klamm operator`: reconciles Clusters, Topics and ConsumerGroups of a Kubernetes API server.

use std::net::SocketAddr;
use std::path::Path;

use operator::platform::kubernetes::{self, Options};

use crate::failure::Failure;
use crate::{output, session};

/// Where a pod finds the namespace that it runs in.
const NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// The namespace of an operator that runs outside of Kubernetes and is told none.
const DEFAULT_NAMESPACE: &str = "klamm-system";

/// Reconcile the resources of a Kubernetes API server.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Inside of a pod it uses the pod's service account, elsewhere the kubeconfig. The chart \
                        klamm-operator starts it with all that it needs."
)]
pub(crate) struct OperatorArgs {
    /// Only these namespaces, separated by commas; all if left out
    #[arg(long, env = "KLAMM_WATCH_NAMESPACES", value_name = "NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// Its own namespace, where its lease is [default: the pod's]
    #[arg(long, env = "KLAMM_NAMESPACE", value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The name of the lease by which several operators agree on who writes
    #[arg(long, value_name = "NAME", default_value = "klamm-operator")]
    lease: String,
    /// What this operator calls itself in the lease [default: the host's name]
    #[arg(long, env = "KLAMM_POD_NAME", value_name = "NAME")]
    identity: Option<String>,
    /// The image of brokers whose Cluster names none
    #[arg(
        long,
        env = "KLAMM_BROKER_IMAGE",
        value_name = "IMAGE",
        required_unless_present_any = ["check", "release"]
    )]
    broker_image: Option<String>,
    /// Where probes and metrics are served; "off" for nowhere
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:9644")]
    http: String,
    /// Only ask whether an operator does its work here, with the rights that it has
    #[arg(long, conflicts_with = "release")]
    check: bool,
    /// Only let all resources go: none waits for an operator any more before it is deleted. Brokers run on
    #[arg(long)]
    release: bool,
}

/// Runs until it is told to stop.
pub(crate) fn run(args: &OperatorArgs) -> Result<(), Failure> {
    let world = session::world();
    let read = |path: &str| {
        let bytes = world.disk.read(Path::new(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    let http: Option<SocketAddr> = match args.http.as_str() {
        "off" => None,
        address => Some(address.parse().map_err(|error| {
            Failure::usage(format!("--http {address}: {error}")).hint("for example 0.0.0.0:9644")
        })?),
    };
    let namespace = args.namespace.clone().or_else(|| read(NAMESPACE));
    let identity = args.identity.clone().or_else(|| read("/proc/sys/kernel/hostname"));
    let options = Options {
        namespaces: args.watch_namespaces.iter().filter(|it| !it.is_empty()).cloned().collect(),
        namespace: namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        lease: args.lease.clone(),
        identity: identity.unwrap_or_else(|| format!("klamm-{}", std::process::id())),
        image: args.broker_image.clone().unwrap_or_default(),
        http,
    };
    if args.check {
        return session::run(async move {
            let told = kubernetes::check(&world, &options).await.map_err(|why| {
                Failure::new(why).hint("see the operator's log, and `helm status`")
            })?;
            output::line(&told)
        });
    }
    if args.release {
        return session::run(async move {
            let count = kubernetes::release(&world, &options).await.map_err(Failure::new)?;
            output::line(format_args!("{count} resources let go; brokers run on"))
        });
    }
    session::run(async move {
        let stop = async {
            if let Err(failure) = session::stop_asked().await {
                tracing::error!("{failure}");
            }
        };
        kubernetes::run(world, options, stop).await.map_err(|error| {
            Failure::new(error)
                .hint("inside of a pod it needs a service account, elsewhere a kubeconfig")
        })
    })
}
