//! Connections come in: they are dealt out to the shards, served within limits, and counted out again.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use config::BrokerConfig;
use world::Incoming;
use world::tasks::spawn_local;

use crate::api::{self, Context};
use crate::controller::connection_lost;
use crate::net::{self, Accepted, Limits, accept, serve, until_true};
use crate::shard::{Job, Shard};
use crate::shared::Shared;

/// Requests of one connection that run at once.
const INFLIGHT_MAX: usize = 64;
/// Response bytes that wait for a slow reader before its connection is not read any more.
const OUTPUT_BYTES_MAX: usize = 8 << 20;
/// A request that has begun must be whole by then.
const FRAME_TIME_MAX: Duration = Duration::from_secs(10);
/// Requests go on for so long once their client has closed its side.
const LINGER_MAX: Duration = Duration::from_secs(1);

/// Deals connections out to the shards in turn.
pub(crate) async fn accept_on(
    shared: Arc<Shared>,
    name: Arc<str>,
    listener: Box<dyn world::Listener>,
) {
    let mut turn = 0;
    let clock = Arc::clone(&shared.world.clock);
    let dealing = Arc::clone(&shared);
    let serving = accept(listener, &*clock, async move |incoming| {
        let peer = incoming.peer();
        if !dealing.connections.enter(peer.ip(), &dealing.state().settings.broker) {
            tracing::warn!(%peer, "connection refused: max.connections or max.connections.per.ip");
            return;
        }
        turn = (turn + 1) % dealing.shards();
        let name = Arc::clone(&name);
        let job: Job = Box::new(move |shard| {
            spawn_local(serve_on(Rc::clone(shard), name, incoming));
        });
        dealing.shard(turn).send(job);
    });
    let mut stopping = shared.stopping();
    tokio::select! {
        biased;
        () = until_true(&mut stopping) => {}
        () = serving => {}
    }
}

async fn serve_on(shard: Rc<Shard>, listener: Arc<str>, incoming: Box<dyn Incoming>) {
    let shared = Arc::clone(&shard.shared);
    let peer = incoming.peer();
    let _left = LeaveOnDrop { shared: Arc::clone(&shared), peer: peer.ip() };
    let stream = match incoming.open() {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%peer, %error, "cannot open the connection");
            return;
        }
    };
    let accepted = Accepted {
        stream,
        governor: shared.governor.clone(),
        scratch: Rc::clone(&shard.scratch),
        limits: limits(&shared.state().settings.broker),
        stopping: shared.stopping(),
    };
    let heartbeats_of = Cell::new(None);
    let context = Rc::new(Context { shard, listener, peer, heartbeats_of });
    let end = serve(accepted, &*shared.world.clock, |frame| api::start(&context, frame)).await;
    if let Some(broker) = context.heartbeats_of.get() {
        connection_lost(&shared, broker);
    }
    match end {
        net::End::Client | net::End::Idle => tracing::trace!(%peer, %end, "connection ended"),
        net::End::Io(error) => tracing::debug!(%peer, %error, "connection ended"),
        net::End::SlowFrame | net::End::Refused(_) | net::End::Frame(_) => {
            shared.metrics.closed_connections.fetch_add(1, Ordering::Relaxed);
            tracing::info!(%peer, reason = %end, "connection closed");
        }
    }
}

/// Counts the connection out, also when its task is dropped.
struct LeaveOnDrop {
    shared: Arc<Shared>,
    peer: IpAddr,
}

impl Drop for LeaveOnDrop {
    fn drop(&mut self) {
        self.shared.connections.leave(self.peer);
    }
}

fn limits(broker: &BrokerConfig) -> Limits {
    let idle = u64::try_from(broker.connections_max_idle_ms).unwrap_or(u64::MAX);
    Limits {
        frame_bytes_max: usize::try_from(broker.socket_request_max_bytes).unwrap_or(0),
        inflight_max: INFLIGHT_MAX,
        output_bytes_max: OUTPUT_BYTES_MAX,
        idle_max: Duration::from_millis(idle),
        frame_time_max: FRAME_TIME_MAX,
        linger_max: LINGER_MAX,
    }
}
