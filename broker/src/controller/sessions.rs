//! Which brokers are heard of. Lives on the control thread; acts only while this node is the active
//! controller. What a silence means is decided by [`engine::sessions`].

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use engine::BrokerId;
use engine::metadata::Decision;
use engine::sessions::{Effect, Event, SessionConfig, Sessions};
use futures_util::future::join_all;
use tokio::sync::Notify;
use world::tasks::spawn_local;

use crate::shared::Shared;

/// Pause after a fence could not be decided.
const PAUSE: Duration = Duration::from_millis(100);
/// When to look whether anybody listens where a connection came from that has ended: each after the one before.
const KNOCKS_MS: [u64; 4] = [0, 30, 100, 300];
/// Who does not answer a knock by then is cut off, and waited for.
const KNOCK_TIMEOUT: Duration = Duration::from_millis(400);

/// Whom this node hears of. Told from any thread.
#[derive(Default)]
pub(crate) struct Heard {
    sessions: Mutex<Sessions>,
    /// Another session may be the next to end.
    stirred: Notify,
}

impl Heard {
    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().expect("no panic while it is held")
    }
}

/// Takes what was heard of a broker. It counts once this node is the active controller.
pub(crate) fn hear(shared: &Shared, event: Event) {
    let _ = step(shared, event);
    shared.heard.stirred.notify_one();
}

/// Whom to fence.
fn step(shared: &Shared, event: Event) -> Vec<Effect> {
    let config = session_config(shared);
    shared.heard.sessions().step(event, &config, shared.now())
}

/// Fences the silent, for ever.
pub(crate) async fn watch_sessions(shared: Arc<Shared>) {
    let clock = Arc::clone(&shared.world.clock);
    let mut leaderships = shared.leaderships();
    let mut active = None;
    loop {
        let term = leaderships.borrow_and_update().active_term();
        if term != active {
            active = term;
            if active.is_some() {
                begin(&shared);
                knock(&shared);
            }
        }
        let deadline = active.and_then(|_| shared.heard.sessions().next_deadline());
        tokio::select! {
            biased;
            changed = leaderships.changed() => if changed.is_err() { return },
            () = clock.sleep_until(deadline.unwrap_or(Duration::MAX)), if deadline.is_some() => {
                if !fence_silent(&shared, active.unwrap_or_default()).await {
                    clock.sleep(PAUSE).await;
                }
            }
            () = shared.heard.stirred.notified() => {}
        }
    }
}

/// Forgets what was heard before this node became the active controller.
fn begin(shared: &Shared) {
    let config = session_config(shared);
    // Held before the state is read: whoever is let in meanwhile is heard of behind it.
    let mut sessions = shared.heard.sessions();
    let state = shared.state();
    let known = state.image.brokers().filter(|(_, broker)| !broker.fenced);
    let known = known.map(|(id, broker)| (id, broker.epoch)).collect();
    let _ = sessions.step(Event::BecameController(known), &config, shared.now());
}

/// Tries once to reach every broker that may lead. An election often has a reason: where nobody listens
/// any more, nobody has to be waited for.
fn knock(shared: &Arc<Shared>) {
    let state = shared.state();
    let others = state.image.live_brokers().map(|(id, _)| id).filter(|id| *id != shared.node);
    for id in others {
        let shared = Arc::clone(shared);
        spawn_local(async move {
            knock_at(&shared, id).await;
        });
    }
}

/// The connection that a broker's heartbeats came by has ended. That may be the end of its process, of which some
/// sockets go before others: looks a few times whether anybody listens there.
pub(crate) fn connection_lost(shared: &Arc<Shared>, id: BrokerId) {
    let shared = Arc::clone(shared);
    spawn_local(async move {
        for pause in KNOCKS_MS.map(Duration::from_millis) {
            shared.world.clock.sleep(pause).await;
            let is_matter_of_ours = shared.leadership().active_term().is_some();
            if !is_matter_of_ours || shared.is_stopping() || knock_at(&shared, id).await {
                return;
            }
        }
    });
}

/// Whether nobody listens at a broker's address, which is taken note of.
async fn knock_at(shared: &Arc<Shared>, id: BrokerId) -> bool {
    let Some((host, port)) = shared.address_of(id) else { return false };
    let refused = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    let nobody = tokio::select! {
        biased;
        opened = shared.world.net.connect(&host, port) => opened.err().as_ref().is_some_and(refused),
        () = shared.world.clock.sleep(KNOCK_TIMEOUT) => false,
    };
    if nobody {
        hear(shared, Event::ConnectionRefused { id });
    }
    nobody
}

/// Has all be fenced whose sessions have ended; whether that could be decided. Asked together, they share a
/// proposal.
async fn fence_silent(shared: &Arc<Shared>, term: u64) -> bool {
    let silent = step(shared, Event::Tick).into_iter();
    let fences = silent.map(|Effect::Fence { id, epoch }| fence(shared, term, id, epoch));
    join_all(fences).await.into_iter().all(|done| done)
}

async fn fence(shared: &Arc<Shared>, term: u64, id: BrokerId, epoch: i64) -> bool {
    let at = Arc::clone(shared);
    let decided = shared.control.decide(move |controller| {
        // It may have been heard of meanwhile, here or by a controller between two terms of this one.
        let is_alive = at.heard.sessions().is_alive(id, at.now());
        if is_alive || at.leadership().active_term() != Some(term) {
            return Decision { records: Vec::new(), reply: Ok(false) };
        }
        let Decision { records, reply } = controller.fence_broker(id, epoch, true);
        Decision { records, reply: reply.map(|()| true) }
    });
    let decided = decided.await;
    match &decided {
        Ok(Ok(false)) => return true,
        Ok(Ok(true)) => tracing::warn!(broker = id.0, "not heard of: fenced"),
        Ok(Err(unknown)) => tracing::debug!(%unknown, "not fenced"),
        Err(error) => tracing::debug!(%error, "cannot be fenced yet"),
    }
    if decided.is_ok() {
        let _ = step(shared, Event::Fenced { id, epoch });
    }
    decided.is_ok()
}

fn session_config(shared: &Shared) -> SessionConfig {
    let state = shared.state();
    let millis = |value: i32| Duration::from_millis(u64::from(value.unsigned_abs()));
    SessionConfig {
        timeout: millis(state.settings.broker.broker_session_timeout_ms),
        ..SessionConfig::default()
    }
}
