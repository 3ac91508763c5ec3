//! Copies the partitions that this broker follows.
//!
//! ```text
//! Shard::follow ─► Replication::assign(partition, leader)
//!                          │
//!                          ▼            Fetch, one session per lane
//!       Lane { leader, counts } ─ Fetcher ─────────────────────────► the leader
//!                                    │   ◄──────────────────────────
//!                                    ▼
//!             Partition::take_copied: append, cut, watermark ─► write ─► (flush) ─► next Fetch
//! ```
//!
//! What a follower asks for is what it vouches for: the leader counts everything below a fetch offset as
//! held by the follower. Which copies count is a matter of the lane ([`Counts`]); where only those do that are
//! on disk, the next Fetch waits until they are.
//!
//! | file | what is there |
//! | --- | --- |
//! | `fetcher` | the loop of one lane |
//! | `session` | the incremental fetch session, as its client (KIP-227) |
//! | `isr` | proposes changes of the in-sync replicas to the controller |
//! | `damaged` | replaces damaged logs by those of other replicas |
//!
//! What a response means for one log is decided by [`engine::replication::follower`].

mod damaged;
mod fetcher;
mod isr;
mod session;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use config::Durability;
use engine::BrokerId;
use world::tasks::Turns;

use self::fetcher::Fetcher;
use crate::partition::{PartitionId, PartitionRef, jobs_ended};
use crate::shard::{Shard, WRITES_AT_ONCE};
use crate::shared::Shared;

pub(crate) use damaged::{give_up_at_start, replace_damaged};
pub(crate) use isr::propose_changes;

/// Pause before checkpoints that could not be written are written again.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(1);

/// Partitions that are copied together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane {
    /// From whom.
    pub(crate) leader: BrokerId,
    /// Which copies count.
    pub(crate) counts: Counts,
}

/// When a copy is one that the leader may count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counts {
    /// When it is written. The others in sync have on disk what is older than a flush interval, and so does
    /// this replica.
    Written,
    /// When it is on disk: of topics whose producers wait for that.
    Flushed,
    /// When it is on disk, once that makes the replica one that may join those in sync. What it has copied may be
    /// old, and must not depend on the power as only the newest records do. A lane of its own: who is in sync does
    /// not wait for it.
    FlushedToJoin,
}

impl Lane {
    pub(crate) fn new(leader: BrokerId, durability: Durability, is_in_sync: bool) -> Self {
        let counts = match durability {
            _ if !is_in_sync => Counts::FlushedToJoin,
            Durability::Replicated => Counts::Written,
            Durability::Fsync => Counts::Flushed,
        };
        Self { leader, counts }
    }
}

/// Cuts the logs that are due, once one write of the checkpoints has lowered what they say of all of them: a
/// recovery point beyond its end would make a log that was killed after its cut look damaged. Where logs begin
/// anew is written after it.
async fn carry_out_cuts(shard: &Shard, due: Vec<PartitionRef>) {
    let shared = &shard.shared;
    if due.is_empty() {
        return;
    }
    checkpoints_written(shared).await;
    let mut turns = Turns::after_each(WRITES_AT_ONCE);
    for partition in &due {
        // A flush would write down what is cut, a removal meet files of a log that begins anew.
        jobs_ended(partition).await;
        let before = partition.borrow().log.size_bytes();
        partition.borrow_mut().carry_out_cut();
        shared.storage.remove(before.saturating_sub(partition.borrow().log.size_bytes()));
        if let Some(why) = partition.borrow().log.failure() {
            shared.disk_failure.tell(why);
        }
        turns.step().await;
    }
    if due.iter().any(|partition| partition.borrow().is_unsettled()) {
        checkpoints_written(shared).await;
    }
    for partition in due {
        partition.borrow_mut().settled();
        shard.replication.touch(partition.borrow().id);
    }
}

async fn checkpoints_written(shared: &Shared) {
    while let Err(error) = shared.write_checkpoints().await {
        tracing::warn!(%error, "replication waits for the checkpoints of logs");
        shared.world.clock.sleep(CHECKPOINT_PAUSE).await;
    }
}

/// What one shard copies from whom.
#[derive(Default)]
pub(crate) struct Replication {
    lanes: RefCell<BTreeMap<PartitionId, Lane>>,
    fetchers: RefCell<BTreeMap<Lane, Rc<Fetcher>>>,
}

impl Replication {
    /// From now on the partition is copied in this lane, or not at all.
    pub(crate) fn assign(&self, shard: &Rc<Shard>, partition: &PartitionRef, lane: Option<Lane>) {
        let id = partition.borrow().id;
        let before = match lane {
            Some(lane) => self.lanes.borrow_mut().insert(id, lane),
            None => self.lanes.borrow_mut().remove(&id),
        };
        if before == lane {
            return self.touch(id);
        }
        if let Some(before) = before
            && let Some(fetcher) = self.fetchers.borrow().get(&before)
        {
            fetcher.remove(id);
        }
        if let Some(lane) = lane {
            let mut fetchers = self.fetchers.borrow_mut();
            let fetcher = fetchers.entry(lane).or_insert_with(|| Fetcher::start(shard, lane));
            fetcher.add(id, Rc::clone(partition));
        }
    }

    /// Something else may be wanted of the partition.
    fn touch(&self, id: PartitionId) {
        if let Some(lane) = self.lanes.borrow().get(&id)
            && let Some(fetcher) = self.fetchers.borrow().get(lane)
        {
            fetcher.touch(id);
        }
    }

    /// Copies nothing more.
    pub(crate) fn close(&self) {
        self.lanes.borrow_mut().clear();
        for fetcher in self.fetchers.take().into_values() {
            fetcher.stop();
        }
    }
}
