//! Why this broker does not serve, as long as it does not: what `/readyz` and `klamm cluster status` tell.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is in the way, if anything is. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Hindrance(Arc<Mutex<Option<String>>>);

impl Hindrance {
    /// This is in the way.
    pub(crate) fn tell(&self, why: String) {
        *self.lock() = Some(why);
    }

    /// Nothing is in the way any more.
    pub(crate) fn clear(&self) {
        self.lock().take();
    }

    /// What is in the way.
    pub(crate) fn why(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        // Whoever panicked in between left a text that is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
