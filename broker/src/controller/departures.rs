//! Who has obeyed that somebody else leads, and so may leave the in-sync replicas: noted by the active controller, which
//! hears in heartbeats how far each broker is. What is due decides [`engine::metadata::Controller::departures`].

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use engine::BrokerId;
use engine::metadata::{Controller, Departure};

use crate::metadata::State;
use crate::shared::Shared;

/// Departures that are due, each with the version of the metadata in which that was first seen: whoever has obeyed
/// that one does not lead. A new controller has seen nothing, and counts from its first look.
#[derive(Debug, Default)]
pub(crate) struct Departures {
    /// What was looked at last.
    version: u64,
    due_since: BTreeMap<Departure, u64>,
}

impl Departures {
    /// Looks at the newest state. Nothing is done where nothing has changed.
    fn look(&mut self, state: &State) {
        if state.version == self.version {
            return;
        }
        self.version = state.version;
        let controller = Controller { image: &state.image, settings: &state.settings };
        let before = std::mem::take(&mut self.due_since);
        let since = |departure| before.get(&departure).copied().unwrap_or(state.version);
        self.due_since = controller.departures().into_iter().map(|it| (it, since(it))).collect();
    }

    /// Those of all who have obeyed them, where `broker` is among them; up to which version, that is `obeyed`.
    fn with(&self, broker: BrokerId, obeyed: &BTreeMap<BrokerId, u64>) -> Vec<Departure> {
        let is_due = |(it, since): &(&Departure, &u64)| obeyed.get(&it.broker) >= Some(*since);
        let due: Vec<Departure> = self.due_since.iter().filter(is_due).map(|(it, _)| *it).collect();
        let place = |it: &Departure| (it.topic_id, it.index);
        let same = due.chunk_by(|a, b| place(a) == place(b));
        same.filter(|same| same.iter().any(|it| it.broker == broker)).flatten().copied().collect()
    }
}

/// A broker has obeyed the metadata up to `obeyed`: lets it go where it is to, and those that were to wait for it.
pub(super) async fn let_go(shared: &Arc<Shared>, broker: BrokerId, obeyed: u64) {
    let departures = {
        let mut known_by = shared.known_by.lock().unwrap_or_else(PoisonError::into_inner);
        known_by.insert(broker, obeyed);
        let mut noted = shared.departures.lock().unwrap_or_else(PoisonError::into_inner);
        noted.look(&shared.state());
        noted.with(broker, &known_by)
    };
    if departures.is_empty() {
        return;
    }
    let decided = shared.control.decide(move |controller| controller.let_go(&departures)).await;
    if let Err(error) = decided {
        tracing::debug!(%broker, %error, "it is let go with its next heartbeat");
    }
}

/// Notes what became due, so that the next heartbeat finds it.
pub(super) fn look(shared: &Shared) {
    shared.departures.lock().unwrap_or_else(PoisonError::into_inner).look(&shared.state());
}
