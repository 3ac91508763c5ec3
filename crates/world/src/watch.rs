//! A value that some set and others wait to see changed.
//!
//! As tokio's channel of this name, which is not used anywhere: it wakes its receivers in an order
//! that it draws from a generator nobody can seed, and one such draw is enough for a seed to have two
//! stories. Here they are woken in the order in which they began to wait.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Notify;

/// All senders are gone: the value will not change any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody is left to change the value")]
pub struct Closed;

struct Shared<T> {
    value: RwLock<T>,
    version: AtomicU64,
    senders: AtomicUsize,
    changed: Notify,
}

impl<T> Shared<T> {
    fn read(&self) -> RwLockReadGuard<'_, T> {
        // A writer that panicked left the value as it was or as it wanted it: both can be read.
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets the value.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// Sees the value.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// A channel that holds `value`.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        value: RwLock::new(value),
        version: AtomicU64::new(0),
        senders: AtomicUsize::new(1),
        changed: Notify::new(),
    });
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared, seen: 0 })
}

impl<T> Sender<T> {
    /// Sets the value and wakes all who wait.
    pub fn send(&self, value: T) {
        self.send_if_modified(|current| {
            *current = value;
            true
        });
    }

    /// Changes the value in place; wakes all who wait if `modify` says that it did. Returns what it
    /// said.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let modified = {
            let mut value = self.shared.value.write().unwrap_or_else(PoisonError::into_inner);
            let modified = modify(&mut value);
            if modified {
                self.shared.version.fetch_add(1, Ordering::Release);
            }
            modified
        };
        if modified {
            self.shared.changed.notify_waiters();
        }
        modified
    }

    /// The value. Nobody can set it while the guard lives, so do not hold it across an await.
    pub fn borrow(&self) -> RwLockReadGuard<'_, T> {
        self.shared.read()
    }

    /// A receiver for which the present value is not news.
    pub fn subscribe(&self) -> Receiver<T> {
        let shared = Arc::clone(&self.shared);
        let seen = shared.version.load(Ordering::Acquire);
        Receiver { shared, seen }
    }

    /// Whether nobody can see the value any more.
    pub fn is_closed(&self) -> bool {
        Arc::strong_count(&self.shared) == self.shared.senders.load(Ordering::Acquire)
    }
}

impl<T> Receiver<T> {
    /// The value. Nobody can set it while the guard lives, so do not hold it across an await.
    pub fn borrow(&self) -> RwLockReadGuard<'_, T> {
        self.shared.read()
    }

    /// The value, which is then not news any more.
    pub fn borrow_and_update(&mut self) -> RwLockReadGuard<'_, T> {
        let value = self.shared.read();
        self.seen = self.shared.version.load(Ordering::Acquire);
        value
    }

    /// Completes when the value is news, which it then is not any more.
    ///
    /// # Errors
    /// [`Closed`] when it is not news and never will be.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            // Made before looking, so that a change in between wakes it.
            let changed = self.shared.changed.notified();
            let version = self.shared.version.load(Ordering::Acquire);
            if version != self.seen {
                self.seen = version;
                return Ok(());
            }
            if self.shared.senders.load(Ordering::Acquire) == 0 {
                return Err(Closed);
            }
            changed.await;
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::AcqRel);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.changed.notify_waiters();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&*self.borrow()).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&*self.borrow()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::tasks::spawn_local;

    fn run(main: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, main);
    }

    #[test]
    fn receivers_wake_in_the_order_in_which_they_began_to_wait() {
        run(async {
            let (sender, receiver) = channel(0);
            let woken = Rc::new(RefCell::new(Vec::new()));
            let waits: Vec<_> = (0..20)
                .map(|number| {
                    let (mut receiver, woken) = (receiver.clone(), Rc::clone(&woken));
                    spawn_local(async move {
                        receiver.changed().await.unwrap();
                        woken.borrow_mut().push((number, *receiver.borrow()));
                    })
                })
                .collect();
            tokio::task::yield_now().await;
            sender.send(7);
            for wait in waits {
                wait.await.unwrap();
            }
            assert_eq!(*woken.borrow(), (0..20).map(|number| (number, 7)).collect::<Vec<_>>());
        });
    }

    #[test]
    fn a_change_is_news_once_and_closing_comes_after_it() {
        run(async {
            let (sender, mut receiver) = channel(0);
            let mut late = sender.subscribe();
            assert!(!sender.send_if_modified(|_| false));
            sender.send(1);
            assert!(!sender.is_closed());
            drop(sender);
            assert_eq!(receiver.changed().await, Ok(()));
            assert_eq!(receiver.changed().await, Err(Closed));
            assert_eq!(*late.borrow_and_update(), 1);
            assert_eq!(late.changed().await, Err(Closed));
        });
    }

    #[test]
    fn a_sender_knows_when_nobody_listens() {
        let (sender, receiver) = channel(0);
        let other = sender.clone();
        assert!(!sender.is_closed());
        drop(receiver);
        assert!(sender.is_closed());
        drop(other);
        assert!(sender.is_closed());
    }
}
