//! Before a broker stops by request: it waits until it can be missed, and takes the disruption lease, so
//! that nobody else goes at the same time. Once it is back and in sync it gives the lease back; if it does
//! not come back, the lease runs out.
//!
//! If all that are there are told to stop, and of those who went none comes back for a while, they are not restarted one
//! after the other: the whole cluster ends, and nobody waits for anybody any more.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use engine::BrokerId;
use engine::metadata::Image;
use wire::{DisruptionLeaseRequest, Str};

use super::leases::{ACQUIRE, RELEASE, RENEW};
use super::link::{AskError, Link};
use crate::shared::Shared;

/// How long the controller may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(250);

/// Who asked so lately is still told to stop.
const STILL_ASKS: Duration = Duration::from_secs(3);
/// How long those who went have to come back, when all others are told to stop as well. A process that is started
/// again at once is registered within seconds.
const COMES_BACK: Duration = Duration::from_secs(15);

/// On the active controller: a broker has asked whether it may stop.
pub(super) fn note(shared: &Shared, broker: BrokerId) {
    let mut stoppers = shared.stoppers.lock().unwrap_or_else(PoisonError::into_inner);
    stoppers.insert(broker, shared.world.clock.tick());
}

/// On the active controller: whether everybody who is there is told to stop.
pub(super) fn everybody_stops(shared: &Shared) -> bool {
    let now = shared.world.clock.tick();
    let stoppers = shared.stoppers.lock().unwrap_or_else(PoisonError::into_inner);
    let asks = |id: &BrokerId| stoppers.get(id).is_some_and(|at| now <= *at + STILL_ASKS);
    let state = shared.state();
    let mut there = state.image.brokers().filter(|(_, broker)| !broker.fenced);
    there.all(|(id, broker)| broker.in_controlled_shutdown || asks(&id))
}

/// Under which name a broker holds the lease for its own restart.
pub(super) fn holder(id: BrokerId) -> String {
    format!("broker-{id}")
}

fn request(shared: &Shared, operation: i8) -> DisruptionLeaseRequest {
    DisruptionLeaseRequest {
        operation,
        broker_id: shared.node.0,
        holder: Str::from(holder(shared.node)),
        ttl_ms: shared.state().settings.broker.stop_lease_ms,
        ..Default::default()
    }
}

/// Waits until the cluster can miss this broker and everybody knows that it goes, for a bounded time.
pub(crate) async fn wait_until_safe(shared: &Arc<Shared>) {
    let state = shared.state();
    if state.image.brokers().count() < 2 {
        return;
    }
    let clock = &shared.world.clock;
    let patience = Duration::from_millis(state.settings.broker.stop_wait_ms.unsigned_abs());
    let deadline = clock.tick().saturating_add(patience);
    let link = Link::new(shared);
    let mut told = String::new();
    // Since when all others are told to stop too, as far as is known: a controller that went says nothing new.
    let mut together = None;
    while clock.tick() < deadline {
        // Where the controller is here, and its majority has stopped, nothing is decided any more.
        let asked = tokio::select! {
            biased;
            answer = link.ask(request(shared, ACQUIRE), TIMEOUT) => answer,
            () = clock.sleep(TIMEOUT) => Err(AskError::NoController),
        };
        let why = match asked {
            Ok(answer) if answer.error_code == 0 => return,
            // Somebody else has taken the lease for this very stop.
            Ok(answer) if answer.broker_id == shared.node.0 => return,
            Ok(answer) => {
                together = answer.everybody_stops.then(|| together.unwrap_or_else(|| clock.tick()));
                answer.error_message.map(|why| why.to_string()).unwrap_or_default()
            }
            Err(error) => error.to_string(),
        };
        if together.is_some_and(|since| clock.tick() >= since + COMES_BACK) {
            tracing::info!("stopping: all brokers are told to, and none has come back");
            return;
        }
        if why != told {
            tracing::info!(%why, "waiting before the stop");
            told = why;
        }
        clock.sleep(PAUSE).await;
    }
    tracing::warn!(why = %told, "stopping although it is not the time; hint: klamm.stop.wait.ms");
}

/// Gives the lease of this broker's own restart back once it is in sync; keeps it until then.
pub(crate) async fn give_lease_back(shared: Arc<Shared>) {
    let clock = Arc::clone(&shared.world.clock);
    let link = Link::new(&shared);
    let mut states = shared.states();
    loop {
        let state = Arc::clone(&states.borrow_and_update());
        let own = holder(shared.node);
        let is_own =
            |lease: &engine::metadata::Lease| lease.broker == shared.node && *lease.holder == *own;
        let Some(lease) = state.image.lease().filter(|lease| is_own(lease)) else { return };
        let operation = if is_in_sync(&state.image, shared.node) { RELEASE } else { RENEW };
        let asked = link.ask(request(&shared, operation), TIMEOUT).await;
        if !asked.is_ok_and(|answer| answer.error_code == 0) {
            clock.sleep(PAUSE).await;
            continue;
        }
        // What was released is seen as a change of the state.
        let renewal = Duration::from_millis(lease.ttl_ms.unsigned_abs()) / 3;
        tokio::select! {
            biased;
            changed = states.changed() => if changed.is_err() { return },
            () = clock.sleep(renewal) => {}
        }
    }
}

/// Whether a broker is in sync with every partition that it holds and somebody leads.
fn is_in_sync(image: &Image, id: BrokerId) -> bool {
    let mut partitions = image.topics().flat_map(|topic| &topic.partitions);
    partitions.all(|it| it.leader.is_none() || !it.replicas.contains(&id) || it.isr.contains(&id))
        && image.broker(id).is_some_and(|broker| !broker.fenced)
}
