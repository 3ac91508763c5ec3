//! Before a broker stops by request: it waits until it can be missed, and takes the disruption lease, so
//! that nobody else goes at the same time. Once it is back and in sync it gives the lease back; if it does
//! not come back, the lease runs out.

use std::sync::Arc;
use std::time::Duration;

use engine::BrokerId;
use engine::metadata::Image;
use wire::{DisruptionLeaseRequest, Str};

use super::leases::{ACQUIRE, RELEASE, RENEW};
use super::link::Link;
use crate::shared::Shared;

/// How long the controller may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(250);

/// Under which name a broker holds the lease for its own restart.
fn holder(id: BrokerId) -> String {
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
    while clock.tick() < deadline {
        let why = match link.ask(request(shared, ACQUIRE), TIMEOUT).await {
            Ok(answer) if answer.error_code == 0 => return,
            // Somebody else has taken the lease for this very stop.
            Ok(answer) if answer.broker_id == shared.node.0 => return,
            Ok(answer) => answer.error_message.map(|why| why.to_string()).unwrap_or_default(),
            Err(error) => error.to_string(),
        };
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
