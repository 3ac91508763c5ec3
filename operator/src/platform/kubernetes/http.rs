//! Port 9644 of the operator: `/livez /readyz /metrics`. Read-only.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use super::Kubernetes;
use super::watch::Woken;

/// What is served, made anew every now and then on the thread that knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Whether all watches have shown what there is, or that they cannot, and not all that.
    pub(super) is_ready: bool,
    pub(super) metrics: String,
}

/// Where the page is kept between the thread's two tasks; axum wants what could be shared by more.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Mutex<Page>>);

impl Shown {
    /// Shows another page.
    pub(super) fn show(&self, page: Page) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }

    fn page(&self) -> Page {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves what is shown, for ever.
pub(super) async fn serve(listener: TcpListener, shown: Shown) {
    let ready = shown.clone();
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(async move || match ready.page().is_ready {
                true => (StatusCode::OK, "ready\n"),
                false => (StatusCode::SERVICE_UNAVAILABLE, "the watches have not shown all yet\n"),
            }),
        )
        .route("/metrics", get(async move || shown.page().metrics));
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the HTTP listener has ended");
    }
}

/// What is known now.
pub(super) fn page(
    kubernetes: &Rc<Kubernetes>,
    woken: &Woken,
    watches: usize,
    leads: bool,
) -> Page {
    let mut registry = Registry::with_prefix("klamm_operator");
    let mut gauge = |name: &str, help: &str, value: usize| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("leads", "Whether this operator writes", usize::from(leads));
    let resources = kubernetes.cache.borrow().resources();
    gauge("resources", "Clusters, Topics and ConsumerGroups", resources.iter().count());
    gauge("clusters", "Clusters, also those that are only named", resources.clusters().count());
    let waiting = watches - woken.complete().min(watches);
    gauge(
        "waiting_watches",
        "Watches that have shown nothing yet: a right is missing, or a kind",
        waiting,
    );
    let writes = Family::<Vec<(String, String)>, Gauge>::default();
    for ((verb, kind), count) in kubernetes.writer.counts.borrow().iter() {
        let label =
            vec![("verb".to_owned(), (*verb).to_owned()), ("kind".to_owned(), kind.clone())];
        writes.get_or_create(&label).set(i64::try_from(*count).unwrap_or(i64::MAX));
    }
    registry.register("writes", "Writes to the API server, since the start", writes);
    let mut metrics = String::new();
    // Writing to a text does not fail.
    let _ = encode(&mut metrics, &registry);
    Page { is_ready: woken.heard() >= watches && woken.is_any_complete(), metrics }
}
