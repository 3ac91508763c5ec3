//! Makes a partition's records survive a power loss, one job at a time: while one runs, appends gather
//! for the next (group commit).

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use storage::{FlushError, FlushJob, FlushTicket};
use world::tasks::{Pool, blocking, spawn_local};

use super::PartitionRef;
use crate::shared::Shared;

/// So many logs are flushed in one go; fewer each by itself, with no more of the volume than is theirs.
pub(crate) const FLUSHED_TOGETHER_MIN: usize = 64;

/// What a flush that found no room waits before it is tried again.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Starts a flush unless one runs already, and goes on while the log has grown meanwhile and somebody
/// waits for it. A failed flush takes the whole log dir out of service: what is on disk is unknown.
pub(crate) fn flush(shared: &Arc<Shared>, partition: &PartitionRef) {
    if let Some(job) = begin(partition) {
        carry_on(shared, partition, job);
    }
}

/// Carries out a flush that was begun. Where there is no room for it, it waits for some.
fn carry_on(shared: &Arc<Shared>, partition: &PartitionRef, mut job: FlushJob) {
    let shared = Arc::clone(shared);
    let partition = Rc::clone(partition);
    spawn_local(async move {
        let mut is_told = false;
        loop {
            let work = move || {
                let flushed = job.run();
                (job, flushed)
            };
            let (same_job, flushed) = blocking(&*shared.world.tasks, Pool::Flush, work).await;
            job = same_job;
            match flushed {
                Ok(ticket) => {
                    if !ended(&partition, ticket) {
                        return;
                    }
                    match begin(&partition) {
                        Some(next) => job = next,
                        None => return,
                    }
                }
                Err(error) if error.is_full() && !shared.is_stopping() => {
                    if partition.borrow().gone {
                        return not_wanted(&partition);
                    }
                    if !std::mem::replace(&mut is_told, true) {
                        let partition = partition.borrow();
                        tracing::warn!(partition = %partition.name(), %error, "a flush waits for room");
                    }
                    shared.world.clock.sleep(FULL_PAUSE).await;
                }
                Err(error) => return failed(&shared, &partition, &error),
            }
        }
    });
}

/// Flushes partitions: a few each by itself, which this does not wait for; many in one go.
pub(crate) async fn flush_all(shared: &Arc<Shared>, partitions: Vec<PartitionRef>) {
    if partitions.len() < FLUSHED_TOGETHER_MIN {
        partitions.iter().for_each(|partition| flush(shared, partition));
    } else {
        flush_together(shared, partitions).await;
    }
}

async fn flush_together(shared: &Arc<Shared>, partitions: Vec<PartitionRef>) {
    let begun = partitions.into_iter().filter_map(|partition| {
        let job = begin(&partition)?;
        Some((partition, job))
    });
    let (partitions, mut jobs): (Vec<PartitionRef>, Vec<FlushJob>) = begun.unzip();
    let root = shared.log_dir.path().to_owned();
    let work = move || {
        let flushed = FlushJob::run_all(&mut jobs, &root);
        (jobs, flushed)
    };
    match blocking(&*shared.world.tasks, Pool::Flush, work).await {
        (_, Ok(tickets)) => {
            for (partition, ticket) in partitions.iter().zip(tickets) {
                if ended(partition, ticket) {
                    flush(shared, partition);
                }
            }
        }
        (jobs, Err(error)) if error.is_full() => {
            for (partition, job) in partitions.iter().zip(jobs) {
                carry_on(shared, partition, job);
            }
        }
        (_, Err(error)) => {
            partitions.iter().for_each(|partition| failed(shared, partition, &error));
        }
    }
}

/// Takes note of a flush; says whether another is wanted.
fn ended(partition: &PartitionRef, ticket: FlushTicket) -> bool {
    let mut partition = partition.borrow_mut();
    partition.flushing = false;
    partition.jobs_done.notify_waiters();
    if partition.gone {
        return false;
    }
    let flushed = partition.log.flushed(ticket);
    let acknowledges = partition.settings.durability == config::Durability::Fsync;
    if acknowledges {
        partition.advance();
    }
    let has_acks = !partition.acks.is_empty() || !partition.own_acks.is_empty();
    (acknowledges && has_acks) || flushed < partition.flush_awaited || partition.is_flush_due()
}

/// A flush found no room, of a log that is to be removed.
fn not_wanted(partition: &PartitionRef) {
    let mut partition = partition.borrow_mut();
    partition.flushing = false;
    partition.jobs_done.notify_waiters();
}

fn failed(shared: &Arc<Shared>, partition: &PartitionRef, error: &FlushError) {
    let mut partition = partition.borrow_mut();
    partition.flushing = false;
    tracing::error!(
        partition = %partition.name(), %error,
        "a flush failed: nothing more is written until the broker restarts"
    );
    partition.fail(&error.to_string());
    partition.jobs_done.notify_waiters();
    shared.tell_disk(error, error.is_full());
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

/// Completes when all that was written until now is on disk, or never will be.
pub(crate) async fn flushed(shared: &Arc<Shared>, partition: &PartitionRef) {
    let (end, done) = {
        let mut partition = partition.borrow_mut();
        let end = partition.log.state().end();
        partition.flush_awaited = partition.flush_awaited.max(end);
        (end, Rc::clone(&partition.jobs_done))
    };
    loop {
        let ended = done.notified();
        {
            let partition = partition.borrow();
            let is_hopeless = partition.gone || partition.log.failure().is_some();
            // A log that was cut meanwhile has less to flush.
            let end = end.min(partition.log.state().end());
            if is_hopeless || partition.log.flushed_offset() >= end {
                return;
            }
        }
        flush(shared, partition);
        ended.await;
    }
}

/// Completes when no flush runs, and nothing is removed. None begins until the caller next waits, and none ever of a
/// partition that is gone.
pub(crate) async fn jobs_ended(partition: &PartitionRef) {
    let done = Rc::clone(&partition.borrow().jobs_done);
    loop {
        let ended = done.notified();
        {
            let partition = partition.borrow();
            if !partition.flushing && partition.removing == 0 {
                return;
            }
        }
        ended.await;
    }
}

fn begin(partition: &PartitionRef) -> Option<FlushJob> {
    let mut partition = partition.borrow_mut();
    if partition.flushing || partition.gone {
        return None;
    }
    let job = partition.log.flush_job()?;
    partition.flushing = true;
    Some(job)
}
