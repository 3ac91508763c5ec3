//! A long poll: a Fetch that waits until enough bytes have arrived, on any shard.
//!
//! One [`FetchWait`] is shared by all partitions that the Fetch names; they hold it weakly, so that a
//! Fetch that was answered, or whose client has gone, costs nothing more.

use std::future::poll_fn;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;

use futures_util::task::AtomicWaker;

/// Waits for bytes.
pub(crate) struct FetchWait {
    missing: AtomicI64,
    waker: AtomicWaker,
}

impl FetchWait {
    /// Waits for `bytes` more.
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        let missing = AtomicI64::new(i64::try_from(bytes).unwrap_or(i64::MAX));
        Arc::new(Self { missing, waker: AtomicWaker::new() })
    }

    /// `bytes` have become readable.
    pub(crate) fn credit(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let before = self.missing.fetch_sub(bytes, Ordering::AcqRel);
        if before > 0 && before <= bytes {
            self.waker.wake();
        }
    }

    /// Something else has happened that the Fetch must be told: it is answered now.
    pub(crate) fn wake(&self) {
        self.missing.store(0, Ordering::Release);
        self.waker.wake();
    }

    /// Completes when the bytes are there.
    pub(crate) async fn ready(&self) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.missing.load(Ordering::Acquire) <= 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// The long polls that wait for one partition.
#[derive(Default)]
pub(crate) struct Readers {
    waiting: Vec<Weak<FetchWait>>,
    /// Length at which answered ones are swept out: keeps the sweep's cost per watch constant.
    sweep_at: usize,
}

impl Readers {
    /// Adds a long poll.
    pub(crate) fn watch(&mut self, wait: &Arc<FetchWait>) {
        const SWEEP_MIN: usize = 8;
        if self.waiting.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.waiting.retain(|wait| wait.strong_count() > 0);
            self.sweep_at = self.waiting.len() * 2;
        }
        self.waiting.push(Arc::downgrade(wait));
    }

    /// `bytes` have become readable.
    pub(crate) fn credit(&mut self, bytes: usize) {
        self.waiting.retain(|wait| match wait.upgrade() {
            Some(wait) => {
                wait.credit(bytes);
                true
            }
            None => false,
        });
    }

    /// All are answered now: the partition was deleted, or its start moved.
    pub(crate) fn wake_all(&mut self) {
        for wait in self.waiting.drain(..) {
            if let Some(wait) = wait.upgrade() {
                wait.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FetchWait, Readers};

    #[test]
    fn answered_long_polls_do_not_pile_up_on_an_idle_partition() {
        let mut readers = Readers::default();
        for _ in 0..10_000 {
            let wait = FetchWait::new(1);
            readers.watch(&wait);
        }
        assert!(readers.waiting.len() < 32, "{} left", readers.waiting.len());
    }

    #[test]
    fn a_long_poll_is_ready_once_enough_bytes_came_in_pieces() {
        let wait = FetchWait::new(100);
        let mut readers = Readers::default();
        readers.watch(&wait);
        let mut ready = Box::pin(wait.ready());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        readers.credit(99);
        assert!(ready.as_mut().poll(&mut cx).is_pending());
        readers.credit(1);
        assert!(ready.as_mut().poll(&mut cx).is_ready());
    }
}
