//! Threads: one per shard, and a few per pool. A pool starts its threads when it first has work, so
//! an idle process has none.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::clock::LocalFuture;
use crate::tasks::{Pool, ShardHandle, Tasks};

/// Threads of one pool.
pub const POOL_THREADS_MAX: usize = 4;

/// Work that may wait in one pool. Beyond it the submitter does the work itself: that slows down who
/// asks for too much, and loses nothing.
pub const POOL_QUEUE_MAX: usize = 16 * 1024;

/// The machine's threads. Dropping it finishes the pools' queued work and ends their threads; shards
/// end when their main future does.
pub struct RealTasks {
    cores: usize,
    pools: [Workers; 3],
}

impl RealTasks {
    /// Threads for a machine with `cores` cores (at least one).
    pub fn new(cores: usize) -> Self {
        let pools = [Workers::new("flush"), Workers::new("read"), Workers::new("files")];
        Self { cores: cores.max(1), pools }
    }
}

impl Tasks for RealTasks {
    fn cores(&self) -> usize {
        self.cores
    }

    fn start_shard(
        &self,
        name: String,
        main: Box<dyn FnOnce() -> LocalFuture<()> + Send>,
    ) -> ShardHandle {
        let (handle, tell) = ShardHandle::new();
        let run = move || {
            let ended = catch_unwind(AssertUnwindSafe(|| run_shard(main)));
            let ended = ended.unwrap_or_else(|panic| Err(panic_text(panic.as_ref())));
            // The handle may have been dropped: then nobody waits for the shard.
            let _ = tell.send(ended);
        };
        // If the thread cannot be started, `tell` is dropped with `run`, and the handle says so.
        if let Err(error) = thread::Builder::new().name(name).spawn(run) {
            tracing::error!("cannot start a shard thread: {error}");
        }
        handle
    }

    fn run(&self, pool: Pool, work: Box<dyn FnOnce() + Send>) {
        let workers = match pool {
            Pool::Flush => &self.pools[0],
            Pool::Read => &self.pools[1],
            Pool::Files => &self.pools[2],
        };
        workers.run(work);
    }
}

/// Runs a shard's main future, and what it spawned, on the calling thread.
fn run_shard(main: Box<dyn FnOnce() -> LocalFuture<()> + Send>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Only name resolution uses tokio's own blocking threads.
        .max_blocking_threads(1)
        .build()
        .map_err(|error| format!("cannot start a shard's reactor: {error}"))?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move { main().await });
    Ok(())
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.as_deref().unwrap_or("with no text"))
}

type Work = Box<dyn FnOnce() + Send>;

/// The threads of one pool and the work that waits for them.
struct Workers {
    name: &'static str,
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    idle: usize,
    threads: usize,
    closed: bool,
}

/// No code of ours panics while it holds one of these locks, so a poisoned one is still sound.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workers {
    fn new(name: &'static str) -> Self {
        Self { name, shared: Arc::default(), threads: Mutex::default() }
    }

    fn run(&self, work: Work) {
        let mut queue = locked(&self.shared.queue);
        if queue.waiting.len() >= POOL_QUEUE_MAX {
            drop(queue);
            return work();
        }
        queue.waiting.push_back(work);
        // Not just `idle == 0`: an idle thread that was told to wake may not have counted itself out.
        if queue.waiting.len() > queue.idle && queue.threads < POOL_THREADS_MAX {
            queue.threads += 1;
            drop(queue);
            self.start_thread();
        } else {
            drop(queue);
        }
        self.shared.changed.notify_one();
    }

    fn start_thread(&self) {
        let shared = Arc::clone(&self.shared);
        let name = self.name.to_owned();
        match thread::Builder::new().name(name).spawn(move || shared.work()) {
            Ok(thread) => locked(&self.threads).push(thread),
            Err(error) => {
                tracing::error!(pool = self.name, "cannot start a pool thread: {error}");
                let mut queue = locked(&self.shared.queue);
                queue.threads -= 1;
                if queue.threads == 0 {
                    // Nobody else would ever do it.
                    let waiting: Vec<Work> = queue.waiting.drain(..).collect();
                    drop(queue);
                    waiting.into_iter().for_each(|work| work());
                }
            }
        }
    }
}

impl Shared {
    /// A pool thread's life.
    fn work(&self) {
        let mut queue = locked(&self.queue);
        loop {
            if let Some(work) = queue.waiting.pop_front() {
                drop(queue);
                // Who waits for the result learns of the panic by its dropped sender.
                let _ = catch_unwind(AssertUnwindSafe(work));
                queue = locked(&self.queue);
            } else if queue.closed {
                return;
            } else {
                queue.idle += 1;
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        locked(&self.shared.queue).closed = true;
        self.shared.changed.notify_all();
        let threads = std::mem::take(&mut *locked(&self.threads));
        for thread in threads {
            // The last owner of a world may be a piece of its own work.
            if thread.thread().id() != thread::current().id() {
                // A pool thread catches every panic, so this cannot be an error.
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::tasks::blocking;

    fn wait(shard: ShardHandle) -> Result<(), String> {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(shard)
    }

    #[test]
    fn a_panic_in_a_shard_is_told_to_who_waits_for_it() {
        let shard = RealTasks::new(1)
            .start_shard("s".to_owned(), Box::new(|| Box::pin(async { panic!("number {}", 7) })));
        assert_eq!(wait(shard), Err("panicked: number 7".to_owned()));
    }

    #[test]
    fn a_panic_in_a_pool_reaches_its_asker_and_leaves_the_pool_working() {
        let tasks = RealTasks::new(1);
        for _ in 0..2 * POOL_THREADS_MAX {
            tasks.run(Pool::Read, Box::new(|| panic!("on purpose")));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(blocking(&tasks, Pool::Read, || 5)), 5);
    }

    #[test]
    fn a_full_queue_makes_the_submitter_work() {
        let tasks = RealTasks::new(1);
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for _ in 0..POOL_THREADS_MAX {
            let gate = Arc::clone(&gate);
            // Each ends when `open` is dropped.
            tasks.run(Pool::Flush, Box::new(move || assert!(locked(&gate).recv().is_err())));
        }
        let (tell, told) = mpsc::channel();
        for _ in 0..POOL_QUEUE_MAX + POOL_THREADS_MAX + 1 {
            let tell = tell.clone();
            tasks.run(
                Pool::Flush,
                Box::new(move || tell.send(thread::current().id()).expect("it is received below")),
            );
        }
        assert_eq!(told.recv().unwrap(), thread::current().id());
        drop(open);
        drop(tasks);
        drop(tell);
        assert_eq!(told.into_iter().count(), POOL_QUEUE_MAX + POOL_THREADS_MAX);
    }
}
