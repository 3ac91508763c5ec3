//! Group coordinators: one host per partition of `__consumer_offsets`, on the shard that owns it.
//!
//! ```text
//! handler ─ ask(group, request) ─► Host ─► engine::group::Groups::step ─► records ─► partition
//!                                   ▲                                                   │
//!    reply, in the order of steps ──┴────────────── released once committed ◄───────────┘
//! ```

mod host;
mod load;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::group::{Groups, Reply, Request};
use engine::metadata::CONSUMER_OFFSETS;
use world::Clock;

pub(crate) use host::Host;

use crate::metadata::State;
use crate::partition::PartitionId;
use crate::shard::Shard;

/// Why a group cannot be asked here and now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    /// The coordinator reads its log.
    #[error("the coordinator is loading")]
    Loading,
    /// There is no coordinator for it on this broker, or not any more.
    #[error("this broker does not coordinate the group")]
    NotCoordinator,
    /// What it decided was not stored in time. It may be yet.
    #[error("the group's state is not stored in time")]
    Slow,
}

/// The coordinators of one shard.
pub(crate) struct Coordinator {
    hosts: RefCell<BTreeMap<PartitionId, Rc<Host>>>,
}

impl Coordinator {
    pub(crate) fn new() -> Self {
        Self { hosts: RefCell::default() }
    }

    /// The host of one partition of `__consumer_offsets`, if this broker leads that; it starts to load
    /// if it is new.
    pub(crate) fn host(&self, shard: &Rc<Shard>, id: PartitionId) -> Result<Rc<Host>, Unavailable> {
        // To open a partition is to take its role: a leader's host begins then.
        let partition = shard.partition(id).map_err(|_| Unavailable::NotCoordinator)?;
        // One that the controller has not heard lately may have been replaced, and its groups be older.
        if !partition.borrow().is_leader() || !shard.shared.membership.may_lead(shard.now()) {
            return Err(Unavailable::NotCoordinator);
        }
        self.hosts.borrow().get(&id).cloned().ok_or(Unavailable::NotCoordinator)
    }

    /// This broker leads the partition from now on, and so keeps its groups; or another one does.
    pub(crate) fn follow_leadership(&self, shard: &Rc<Shard>, id: PartitionId, is_leader: bool) {
        if is_leader {
            let mut hosts = self.hosts.borrow_mut();
            hosts.entry(id).or_insert_with(|| Host::start(shard, id));
        } else if let Some(host) = self.hosts.borrow_mut().remove(&id) {
            host.close();
        }
    }

    fn all(&self) -> Vec<Rc<Host>> {
        self.hosts.borrow().values().cloned().collect()
    }

    /// Whether every host that was started has read its log, or cannot. One that is damaged is copied from another
    /// broker, which has to be served for that.
    pub(crate) fn is_loaded(&self) -> bool {
        !self.hosts.borrow().values().any(|host| host.is_beginning())
    }

    /// Offsets of deleted topics go.
    pub(crate) fn topics_deleted(&self, topics: &[Arc<str>]) {
        for host in self.all() {
            host.topics_deleted(topics);
        }
    }

    /// Answers everybody who waits, and coordinates nothing more.
    pub(crate) fn close(&self) {
        for host in self.hosts.take().into_values() {
            host.close();
        }
    }

    /// What `look` sees in every loaded host.
    pub(crate) fn look_at_all<R>(
        &self,
        look: impl Fn(&Groups) -> R,
    ) -> Result<Vec<R>, Unavailable> {
        self.all().iter().map(|host| host.peek(&look)).collect()
    }
}

/// The partition of `__consumer_offsets` that keeps a group; `None` while there is no such topic.
pub(crate) fn partition_of(state: &State, group: &str) -> Option<PartitionId> {
    let topic = state.image.topic(CONSUMER_OFFSETS)?;
    let count = i32::try_from(topic.partitions.len()).ok().filter(|count| *count > 0)?;
    let index = java_hash(group).checked_abs().unwrap_or(0) % count;
    Some(PartitionId { topic: topic.id, index })
}

/// `String.hashCode` of Java, by which Kafka places groups: the same group lies in the same partition
/// of a log that moves between the two.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// Asks the coordinator of `group`, wherever it is.
pub(crate) async fn ask(
    here: &Rc<Shard>,
    group: &str,
    request: Request,
) -> Result<Reply, Unavailable> {
    let id = partition_of(&here.shared.state(), group).ok_or(Unavailable::NotCoordinator)?;
    let asked = here
        .shared
        .on_owner(here, id, move |shard| shard.coordinator.host(shard, id)?.ask(request))
        .await
        .ok_or(Unavailable::NotCoordinator)??;
    asked.await.unwrap_or(Err(Unavailable::NotCoordinator))
}

/// The answer, unless it takes longer than `limit`.
pub(crate) async fn within<T>(
    clock: &dyn Clock,
    limit: Duration,
    answer: impl Future<Output = Result<T, Unavailable>>,
) -> Result<T, Unavailable> {
    tokio::select! {
        biased;
        answer = answer => answer,
        () = clock.sleep(limit) => Err(Unavailable::Slow),
    }
}

/// Looks at the groups of the coordinator of `group`; the answer comes once everything that it may
/// rest on is committed.
pub(crate) async fn look<R: Send + 'static>(
    here: &Rc<Shard>,
    group: &str,
    look: impl FnOnce(&mut Groups) -> R + Send + 'static,
) -> Result<R, Unavailable> {
    let id = partition_of(&here.shared.state(), group).ok_or(Unavailable::NotCoordinator)?;
    let seen = here
        .shared
        .on_owner(here, id, move |shard| shard.coordinator.host(shard, id)?.look(look))
        .await
        .ok_or(Unavailable::NotCoordinator)??;
    seen.await.unwrap_or(Err(Unavailable::NotCoordinator))
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use world::real::RealClock;

    use super::{Unavailable, java_hash, within};

    #[test]
    fn an_answer_that_does_not_come_is_given_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (clock, limit) = (RealClock::new(), Duration::from_millis(1));
            let never = pending::<Result<(), _>>();
            assert_eq!(within(&clock, limit, never).await, Err(Unavailable::Slow));
            assert_eq!(within(&clock, Duration::ZERO, ready(Ok(7))).await, Ok(7));
        });
    }

    #[test]
    fn groups_lie_where_kafka_puts_them() {
        // "inventory-service".hashCode() and friends, printed by a JVM.
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("a"), 97);
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
    }
}
