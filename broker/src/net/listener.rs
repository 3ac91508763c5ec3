//! Accepts connections and deals them out to the shards.

use std::future::poll_fn;
use std::time::Duration;

use world::{Clock, Incoming, Listener};

/// Accepts for ever. `deal` places a connection on a shard, or refuses it by dropping it.
pub(crate) async fn accept(
    mut listener: Box<dyn Listener>,
    clock: &dyn Clock,
    mut deal: impl AsyncFnMut(Box<dyn Incoming>),
) {
    /// Pause after a failed accept (out of descriptors), so that it does not spin.
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok(incoming) => deal(incoming).await,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                clock.sleep(PAUSE).await;
            }
        }
    }
}
