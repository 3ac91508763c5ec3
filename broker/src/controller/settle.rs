//! Partitions follow `min.insync.replicas`. The setting and what follows from it are two decisions; whoever becomes the
//! active controller between them makes the second.

use std::sync::Arc;
use std::time::Duration;

use world::tasks::spawn_local;

use crate::shared::Shared;

/// Pause after it could not be decided.
const PAUSE: Duration = Duration::from_millis(500);

/// Has partitions go on that waited for more replicas than the setting now asks for.
pub(crate) async fn settle(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    // Whoever changed the setting may go before this is done.
    let settled = spawn_local(async move {
        if !is_settled(&shared).await {
            tracing::warn!("partitions do not follow a changed min.insync.replicas yet");
        }
    });
    // A panic of it has been told.
    let _ = settled.await;
}

/// The same whenever this node becomes the active controller, for ever.
pub(crate) async fn settle_as_controller(shared: Arc<Shared>) {
    let mut leaderships = shared.leaderships();
    let mut settled = None;
    loop {
        let term = leaderships.borrow_and_update().active_term();
        let is_due = term.is_some() && term != settled;
        if is_due && is_settled(&shared).await {
            settled = term;
            continue;
        }
        tokio::select! {
            biased;
            changed = leaderships.changed() => if changed.is_err() { return },
            () = shared.world.clock.sleep(PAUSE), if is_due => {}
        }
    }
}

async fn is_settled(shared: &Shared) -> bool {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone is not general enough over the controller's lifetime"
    )]
    let decided = shared.control.decide(|controller| controller.settle_partitions()).await;
    decided.is_ok()
}
