//! Work in virtual time: shards are local tasks of the host's process, and a pool takes time before it
//! does what it was asked.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;

use crate::clock::LocalFuture;
use crate::tasks::{Pool, ShardHandle, Tasks, spawn_local};

use super::host::{Process, locked};
use super::random::Random;

/// How long a piece of work waits before it is done; drawn for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolLatency {
    /// Of [`Pool::Flush`].
    pub flush: Range<Duration>,
    /// Of [`Pool::Read`].
    pub read: Range<Duration>,
    /// Of [`Pool::Files`].
    pub files: Range<Duration>,
}

impl Default for PoolLatency {
    fn default() -> Self {
        let micros = |from, to| Duration::from_micros(from)..Duration::from_micros(to);
        Self { flush: micros(100, 10_000), read: micros(50, 2_000), files: micros(50, 5_000) }
    }
}

pub(super) struct SimulatedTasks {
    process: Arc<Process>,
    latency: Arc<Mutex<PoolLatency>>,
    random: Mutex<Random>,
}

impl SimulatedTasks {
    pub(super) fn new(process: Arc<Process>, latency: Arc<Mutex<PoolLatency>>) -> Self {
        let random = Mutex::new(process.random("pools"));
        Self { process, latency, random }
    }
}

impl Tasks for SimulatedTasks {
    fn cores(&self) -> usize {
        2
    }

    fn start_shard(
        &self,
        name: String,
        main: Box<dyn FnOnce() -> LocalFuture<()> + Send>,
    ) -> ShardHandle {
        let (handle, tell) = ShardHandle::new();
        self.process.record(format_args!("shard {name} starts"));
        let process = Arc::clone(&self.process);
        spawn_local(async move {
            let ended = AssertUnwindSafe(async move { main().await }).catch_unwind().await;
            process.record(format_args!("shard {name} ends"));
            // The handle may have been dropped: then nobody waits for the shard.
            let _ = tell.send(ended.map_err(|_| "panicked".to_owned()));
        });
        handle
    }

    fn run(&self, pool: Pool, work: Box<dyn FnOnce() + Send>) {
        let latency = {
            let latency = locked(&self.latency);
            let range = match pool {
                Pool::Flush => &latency.flush,
                Pool::Read => &latency.read,
                Pool::Files => &latency.files,
            };
            locked(&self.random).duration(range)
        };
        let until = self.process.core.instant(self.process.core.elapsed() + latency);
        spawn_local(async move {
            tokio::time::sleep_until(until).await;
            work();
        });
    }
}
