//! Who does the work: shards for what must not block, small bounded pools for what may.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::clock::LocalFuture;

/// A pool of threads for blocking work. Each is small, bounded and apart from the others, so that a
/// slow kind of work starves only itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pool {
    /// `fdatasync` of log segments: group commit, checkpoints.
    Flush,
    /// Reads that miss the page cache, and index look-ups.
    Read,
    /// Opening, recovering, deleting, renaming; decompression of large batches.
    Files,
}

/// Runs work. A broker's work ends with its `Tasks`: nothing outlives it.
pub trait Tasks: Send + Sync {
    /// How many shards the machine deserves: one per core.
    fn cores(&self) -> usize;

    /// Starts a shard: a thread of its own with a current-thread runtime (a local task in the storm),
    /// in which the future made by `main` runs to its end, and which may [`spawn_local`] more.
    fn start_shard(
        &self,
        name: String,
        main: Box<dyn FnOnce() -> LocalFuture<()> + Send>,
    ) -> ShardHandle;

    /// Runs `work` on `pool`. Prefer [`blocking`], which gives the result back.
    fn run(&self, pool: Pool, work: Box<dyn FnOnce() + Send>);
}

/// Waits for a shard to end; `Err` if it panicked.
pub struct ShardHandle {
    ended: oneshot::Receiver<Result<(), String>>,
}

impl ShardHandle {
    /// A handle, and what the runner tells when the shard ended.
    pub fn new() -> (Self, oneshot::Sender<Result<(), String>>) {
        let (tell, ended) = oneshot::channel();
        (Self { ended }, tell)
    }
}

impl Future for ShardHandle {
    type Output = Result<(), String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.ended)
            .poll(cx)
            .map(|told| told.unwrap_or_else(|_| Err("the shard was dropped".to_owned())))
    }
}

/// Runs `work` on `pool` and gives its result back. The calling shard does not run it, except when the
/// pool's bounded queue is full (that slows down who asks for too much), and in the storm, where
/// virtual time passes instead.
///
/// # Panics
/// When `work` panicked, or its world ended.
pub async fn blocking<T: Send + 'static>(
    tasks: &dyn Tasks,
    pool: Pool,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (tell, told) = oneshot::channel();
    tasks.run(
        pool,
        Box::new(move || {
            // The receiver is gone if the asker was cancelled: then nobody wants the result.
            let _ = tell.send(work());
        }),
    );
    told.await.expect("blocking work panicked or its world ended")
}

/// Starts a task on the calling shard. It ends with the shard.
pub fn spawn_local(future: impl Future<Output = ()> + 'static) -> tokio::task::JoinHandle<()> {
    tokio::task::spawn_local(future)
}

/// Gives the other tasks of the thread, and what has arrived, their turn now and then in a loop that may be
/// long: a leader of the quorum that is silent while thousands of files are made is taken for dead.
#[derive(Debug)]
pub struct Turns {
    each: u32,
    left: u32,
}

impl Turns {
    /// A turn for the others after every `each` steps.
    pub fn after_each(each: u32) -> Self {
        Self { each, left: each }
    }

    /// Counts a step.
    pub async fn step(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.left = self.each;
            tokio::task::yield_now().await;
        }
    }
}
