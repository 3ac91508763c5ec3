//! What time it is, by both clocks.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future that may stay on its thread. Used where a future is made per timer or connection,
/// never per record batch.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// What time it is.
pub trait Clock: Send + Sync {
    /// Wall clock, milliseconds since the Unix epoch. It may jump either way.
    fn wall_ms(&self) -> i64;

    /// Monotonic time since this clock was made. It never goes back.
    fn tick(&self) -> Duration;

    /// Completes when [`Clock::tick`] has reached `tick`.
    fn sleep_until(&self, tick: Duration) -> LocalFuture<()>;

    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> LocalFuture<()> {
        self.sleep_until(self.tick().saturating_add(duration))
    }
}
