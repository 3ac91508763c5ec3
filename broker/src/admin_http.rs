//! Port 9644: `/livez /readyz /startupz /metrics`. Read-only; there is no way to change anything.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::api::SERVED;
use crate::shared::{Phase, Shared};

/// Serves until its task ends.
pub(crate) async fn serve(listener: Box<dyn world::Listener>, shared: Arc<Shared>) {
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/startupz", get(started))
        .route("/metrics", get(metrics))
        .with_state(shared);
    if let Err(error) = axum::serve(Accepting(listener), router).await {
        tracing::error!(%error, "the HTTP listener has ended");
    }
}

/// The world's listener, as axum wants it.
struct Accepting(Box<dyn world::Listener>);

impl axum::serve::Listener for Accepting {
    type Io = Box<dyn world::Stream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match poll_fn(|cx| self.0.poll_accept(cx)).await {
                Ok(incoming) => {
                    let peer = incoming.peer();
                    match incoming.open() {
                        Ok(stream) => return (stream, peer),
                        Err(error) => tracing::debug!(%error, "cannot open a connection"),
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot accept");
                    // Let whoever holds the descriptors run before the next try.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.0.local())
    }
}

async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    if let Some(why) = shared.disk_failure.why() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("the log dir has failed: {why}\n"));
    }
    if let Some(why) = shared.hindrance.why() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    }
    match shared.phase() {
        Phase::Ready => (StatusCode::OK, "ready\n".to_owned()),
        phase => (StatusCode::SERVICE_UNAVAILABLE, format!("{phase}\n")),
    }
}

async fn started(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    match shared.phase() {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n".to_owned()),
        Phase::Ready | Phase::Stopping => (StatusCode::OK, "started\n".to_owned()),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    let mut text = String::new();
    match encode(&mut text, &registry(&shared)) {
        Ok(()) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// What is known now. Made per scrape: the broker itself keeps plain counters.
fn registry(shared: &Shared) -> Registry {
    let mut registry = Registry::with_prefix("klamm");
    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    let state = shared.state();
    let count = |value: usize| value as u64;
    gauge("connections", "Client connections that are open", count(shared.connections.open()));
    gauge("topics", "Topics of the cluster", count(state.image.topic_count()));
    gauge("partitions", "Partitions of the cluster", count(state.image.partition_count()));
    gauge("storage_bytes", "Bytes that all logs take", shared.storage.used());
    gauge("request_memory_bytes", "Request bytes held now", count(shared.governor.used()));
    let answers = count(shared.answers.used());
    gauge("answer_memory_bytes", "Bytes of records in answers to consumers held now", answers);
    let closed = shared.metrics.closed_connections.load(Ordering::Relaxed);
    gauge("refused_connections", "Connections ended for what they sent, since the start", closed);
    let corrupt = shared.damage.reads();
    gauge("corrupt_reads", "Reads that met a damaged batch, since the start", corrupt);
    let requests = Family::<Vec<(String, String)>, Gauge>::default();
    let decoded = Family::<Vec<(String, String)>, Gauge>::default();
    for key in SERVED {
        let (headers, bodies) = shared.metrics.of(*key);
        let label = vec![("api".to_owned(), key.name().to_owned())];
        requests.get_or_create(&label).set(i64::try_from(headers).unwrap_or(i64::MAX));
        decoded.get_or_create(&label).set(i64::try_from(bodies).unwrap_or(i64::MAX));
    }
    registry.register("requests", "Requests whose header was read, since the start", requests);
    registry.register("requests_decoded", "Requests whose body was read, since the start", decoded);
    registry
}
