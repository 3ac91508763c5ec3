//! Carries drains on, on the active controller: whenever the state has changed, what can be given away by
//! now is. What that is decides [`engine::metadata::Controller::carry_on_drains`].

use std::sync::Arc;
use std::time::Duration;

use crate::shared::Shared;

/// Pause between two steps, in which changes gather.
const PAUSE: Duration = Duration::from_millis(100);

/// Goes on for ever.
pub(crate) async fn carry_on_drains(shared: Arc<Shared>) {
    let (mut leaderships, mut states) = (shared.leaderships(), shared.states());
    loop {
        let is_active = leaderships.borrow_and_update().is_me;
        let state = Arc::clone(&states.borrow_and_update());
        if is_active && state.image.drains().next().is_some() {
            let moves_max = state.settings.broker.drain_partitions_max;
            let moves_max = usize::try_from(moves_max).expect("the setting is at least 1");
            let decided = shared.control.decide(move |c| c.carry_on_drains(moves_max)).await;
            shared.world.clock.sleep(PAUSE).await;
            if let Err(error) = decided {
                tracing::debug!(%error, "drains wait for the quorum");
                continue;
            }
        }
        tokio::select! {
            biased;
            changed = leaderships.changed() => if changed.is_err() { return },
            changed = states.changed() => if changed.is_err() { return },
        }
    }
}
