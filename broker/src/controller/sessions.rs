//! Which brokers are heard of. Lives on the control thread; acts only while this node is the active
//! controller. What a silence means is decided by [`engine::sessions`].

use std::io::ErrorKind;
use std::sync::Arc;

use engine::BrokerId;
use engine::sessions::{Effect, Event, SessionConfig, Sessions};
use tokio::sync::mpsc;
use world::tasks::spawn_local;

use crate::shared::Shared;

/// What was heard of a broker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heard {
    /// A registration or a heartbeat.
    Alive(BrokerId, i64),
    /// The connection that its heartbeats came by has ended.
    Left(BrokerId),
    /// Nobody listens at its address.
    Refused(BrokerId),
}

/// Tells the sessions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SessionsRef {
    heard: mpsc::UnboundedSender<Heard>,
}

impl SessionsRef {
    #[expect(clippy::disallowed_methods, reason = "a few messages per broker and second")]
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Heard>) {
        let (heard, inbox) = mpsc::unbounded_channel();
        (Self { heard }, inbox)
    }

    pub(crate) fn tell(&self, heard: Heard) {
        // A stopping broker is no controller any more.
        let _ = self.heard.send(heard);
    }
}

/// Fences the silent, for ever.
pub(crate) async fn watch_sessions(shared: Arc<Shared>, mut inbox: mpsc::UnboundedReceiver<Heard>) {
    let clock = Arc::clone(&shared.world.clock);
    let mut leadership = shared.leaderships();
    let mut sessions = Sessions::new();
    let mut active = None;
    loop {
        let term = {
            let leadership = leadership.borrow_and_update();
            leadership.is_me.then_some(leadership.term)
        };
        if term != active {
            active = term;
            sessions = Sessions::new();
            if active.is_some() {
                let state = shared.state();
                let known = state.image.brokers().filter(|(_, broker)| !broker.fenced);
                let known = known.map(|(id, broker)| (id, broker.epoch)).collect();
                step(&shared, &mut sessions, Event::BecameController(known)).await;
                knock(&shared);
            }
        }
        let deadline = sessions.next_deadline();
        tokio::select! {
            biased;
            changed = leadership.changed() => if changed.is_err() { return },
            heard = inbox.recv() => {
                let Some(heard) = heard else { return };
                if active.is_some() {
                    let event = match heard {
                        Heard::Alive(id, epoch) => Event::Heartbeat { id, epoch },
                        Heard::Left(id) => Event::ConnectionLost { id },
                        Heard::Refused(id) => Event::ConnectionRefused { id },
                    };
                    step(&shared, &mut sessions, event).await;
                }
            }
            () = clock.sleep_until(deadline.unwrap_or(std::time::Duration::MAX)), if deadline.is_some() => {
                step(&shared, &mut sessions, Event::Tick).await;
            }
        }
    }
}

/// Tries once to reach every broker that may lead. An election often has a reason: where nobody listens
/// any more, nobody has to be waited for.
fn knock(shared: &Arc<Shared>) {
    let state = shared.state();
    let others = state.image.live_brokers().map(|(id, _)| id).filter(|id| *id != shared.node);
    for id in others {
        let Some((host, port)) = shared.address_of(id) else { continue };
        let shared = Arc::clone(shared);
        spawn_local(async move {
            let refused = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
            let opened = shared.world.net.connect(&host, port).await;
            if opened.err().as_ref().is_some_and(refused) {
                shared.sessions.tell(Heard::Refused(id));
            }
        });
    }
}

async fn step(shared: &Arc<Shared>, sessions: &mut Sessions, event: Event) {
    let config = session_config(shared);
    for Effect::Fence { id, epoch } in sessions.step(event, &config, shared.now()) {
        let decided = shared.control.decide(move |c| c.fence_broker(id, epoch, true)).await;
        match decided {
            Ok(Ok(())) => tracing::warn!(broker = id.0, "not heard of: fenced"),
            Ok(Err(unknown)) => tracing::debug!(%unknown, "not fenced"),
            Err(error) => tracing::debug!(%error, "not fenced"),
        }
    }
}

fn session_config(shared: &Shared) -> SessionConfig {
    let state = shared.state();
    let millis = |value: i32| std::time::Duration::from_millis(u64::from(value.unsigned_abs()));
    SessionConfig {
        timeout: millis(state.settings.broker.broker_session_timeout_ms),
        ..SessionConfig::default()
    }
}
