//! Why the disk is not used any more, once a write or a sync of a log has failed. What is on it is unknown from
//! then on: nothing more is written, and the process is to end. The other brokers have what was acknowledged,
//! and the next start reads what is there. (Of the metadata's disk the quorum tells.)

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

/// The first failure, for all who ask. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct DiskFailure {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    first: OnceLock<String>,
    may_have_lost: AtomicBool,
    told: Notify,
}

impl DiskFailure {
    /// The disk has failed. The first failure is the one to tell.
    pub(crate) fn tell(&self, why: &(impl ToString + ?Sized)) {
        self.inner.may_have_lost.store(true, Ordering::Relaxed);
        self.tell_of_full(why);
    }

    /// There is no room for what has to be written before anything else can be. What was written is there.
    pub(crate) fn tell_of_full(&self, why: &(impl ToString + ?Sized)) {
        // A later one follows from the first.
        let _ = self.inner.first.set(why.to_string());
        self.inner.told.notify_waiters();
    }

    /// Why, if it has.
    pub(crate) fn why(&self) -> Option<&str> {
        self.inner.first.get().map(String::as_str)
    }

    /// Whether what was written may be gone, though the machine stays up.
    pub(crate) fn may_have_lost(&self) -> bool {
        self.inner.may_have_lost.load(Ordering::Relaxed)
    }

    /// Completes when it has.
    pub(crate) async fn wait(&self) -> String {
        loop {
            let told = self.inner.told.notified();
            if let Some(why) = self.why() {
                return why.to_owned();
            }
            told.await;
        }
    }
}
