//! Runs a command's work on one thread, and connects it to brokers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use client::{Admin, Cluster, ClusterOptions};
use tokio::task::LocalSet;
use world::World;
use world::real::{RealDisk, RealOptions};

use crate::args::Connect;
use crate::failure::Failure;

/// Runs `work` to its end on this thread, with everything that it starts.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    LocalSet::new().block_on(&runtime, work)
}

/// The machine.
pub(crate) fn world() -> World {
    World::real(RealOptions::default())
}

/// The same machine, as a broker with these settings sees it.
pub(crate) fn seen_by(world: &World, broker: &config::BrokerConfig) -> World {
    World { disk: Arc::new(RealDisk::new((&broker.boot_id_path).into())), ..world.clone() }
}

/// The cluster that the command line names.
pub(crate) fn cluster(connect: &Connect) -> Cluster {
    let options = ClusterOptions {
        bootstrap: connect.bootstrap.clone(),
        client_id: "klamm".to_owned(),
        request_timeout: connect.timeout,
        retry_for: connect.timeout,
        only_bootstrap: false,
    };
    Cluster::new(world(), options)
}

/// As [`cluster`], to administer it.
pub(crate) fn admin(connect: &Connect) -> Admin {
    Admin::new(cluster(connect))
}

/// Completes when the person, or the system, wants us to stop: Ctrl-C or SIGTERM.
pub(crate) async fn stop_asked() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let cannot = |error| Failure::new(format!("cannot listen for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    tokio::select! {
        biased;
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Reads `5s`, `200ms`, `1m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    crds::Span(text.to_owned()).duration().map_err(|error| error.to_string())
}

/// Reads `key=value`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    if key.trim().is_empty() {
        return Err("the key is empty".to_owned());
    }
    Ok((key.trim().to_owned(), value.to_owned()))
}
