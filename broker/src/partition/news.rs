//! What a follower's fetch session has to look at. A session of thousands of partitions costs nothing for
//! those that are idle: each of them says so when there is something to tell.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::PartitionId;
use super::wait::FetchWait;

/// The partitions of one fetch session that have something to tell. Shared by the shard of the session and
/// those of the partitions.
#[derive(Default)]
pub(crate) struct News(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    partitions: BTreeSet<PartitionId>,
    /// Some of it is worth an answer.
    is_urgent: bool,
    waiting: Weak<FetchWait>,
}

impl News {
    /// What there is to tell, once.
    pub(crate) fn take(&self) -> BTreeSet<PartitionId> {
        let mut kept = self.kept();
        kept.is_urgent = false;
        std::mem::take(&mut kept.partitions)
    }

    /// Has urgent news wake `wait`; at once if there are some.
    pub(crate) fn wake(&self, wait: &Arc<FetchWait>) {
        let mut kept = self.kept();
        kept.waiting = Arc::downgrade(wait);
        if kept.is_urgent {
            wait.wake();
        }
    }

    fn tell(&self, id: PartitionId, is_urgent: bool) {
        let mut kept = self.kept();
        kept.partitions.insert(id);
        if is_urgent {
            kept.is_urgent = true;
            if let Some(wait) = kept.waiting.upgrade() {
                wait.wake();
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked in between left a set that is as good as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fetch sessions that a partition tells its news.
#[derive(Default)]
pub(crate) struct Followers(Vec<Weak<News>>);

impl Followers {
    /// From now on this session is told.
    pub(crate) fn add(&mut self, news: &Arc<News>) {
        if !self.0.iter().any(|known| known.as_ptr() == Arc::as_ptr(news)) {
            self.0.retain(|known| known.strong_count() > 0);
            self.0.push(Arc::downgrade(news));
        }
    }

    /// Tells all; an answer waits only for what is urgent.
    pub(crate) fn tell(&self, id: PartitionId, is_urgent: bool) {
        for news in self.0.iter().filter_map(Weak::upgrade) {
            news.tell(id, is_urgent);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Followers, News};
    use crate::partition::{FetchWait, PartitionId};

    fn id(index: i32) -> PartitionId {
        PartitionId { topic: wire::Uuid([7; 16]), index }
    }

    fn is_ready(wait: &FetchWait) -> bool {
        let mut ready = Box::pin(wait.ready());
        ready
            .as_mut()
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
            .is_ready()
    }

    #[test]
    fn news_are_kept_until_they_are_taken_and_wake_only_if_urgent() {
        let (news, mut followers) = (Arc::new(News::default()), Followers::default());
        followers.add(&news);
        followers.add(&news);
        followers.tell(id(1), false);
        let wait = FetchWait::new(1);
        news.wake(&wait);
        assert!(!is_ready(&wait));
        followers.tell(id(2), true);
        assert!(is_ready(&wait));
        let before_it_is_asked = FetchWait::new(1);
        news.wake(&before_it_is_asked);
        assert!(is_ready(&before_it_is_asked));
        assert_eq!(news.take().into_iter().collect::<Vec<_>>(), [id(1), id(2)]);
        assert!(news.take().is_empty());
        let again = FetchWait::new(1);
        news.wake(&again);
        assert!(!is_ready(&again));
    }

    #[test]
    fn a_session_that_is_gone_is_told_nothing() {
        let mut followers = Followers::default();
        for _ in 0..100 {
            followers.add(&Arc::new(News::default()));
        }
        followers.tell(id(1), true);
        assert_eq!(followers.0.len(), 1);
    }
}
