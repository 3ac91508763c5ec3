//! Makes a partition's records survive a power loss, one job at a time: while one runs, appends gather
//! for the next (group commit).

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use world::tasks::{Pool, blocking, spawn_local};

use super::PartitionRef;
use crate::shared::Shared;

/// Starts a flush unless one runs already, and goes on while the log has grown meanwhile and somebody
/// waits for it. A failed flush takes the whole log dir out of service: what is on disk is unknown.
pub(crate) fn flush(shared: &Arc<Shared>, partition: &PartitionRef) {
    let Some(mut job) = begin(partition) else { return };
    let shared = Arc::clone(shared);
    let partition = Rc::clone(partition);
    spawn_local(async move {
        loop {
            match blocking(&*shared.world.tasks, Pool::Flush, move || job.run()).await {
                Ok(ticket) => {
                    let mut partition = partition.borrow_mut();
                    partition.flushing = false;
                    if partition.gone {
                        return;
                    }
                    let flushed = partition.log.flushed(ticket);
                    if partition.settings.durability == config::Durability::Fsync {
                        partition.commit(flushed);
                    }
                    if partition.acks.is_empty() && !partition.is_flush_due() {
                        return;
                    }
                }
                Err(error) => {
                    let mut partition = partition.borrow_mut();
                    partition.flushing = false;
                    tracing::error!(
                        partition = %partition.name(), %error,
                        "a flush failed: nothing more is written until the broker restarts"
                    );
                    partition.fail(&error.to_string());
                    shared.fail_log_dir(error.to_string());
                    return;
                }
            }
            match begin(&partition) {
                Some(next) => job = next,
                None => return,
            }
        }
    });
}

/// Flushes after a while.
pub(crate) fn flush_after(shared: &Arc<Shared>, partition: &PartitionRef, delay: Duration) {
    let (shared, partition) = (Arc::clone(shared), Rc::clone(partition));
    spawn_local(async move {
        shared.world.clock.sleep(delay).await;
        partition.borrow_mut().flush_set = false;
        flush(&shared, &partition);
    });
}

fn begin(partition: &PartitionRef) -> Option<storage::FlushJob> {
    let mut partition = partition.borrow_mut();
    if partition.flushing || partition.gone {
        return None;
    }
    let job = partition.log.flush_job()?;
    partition.flushing = true;
    Some(job)
}
