//! One broker of this process, with its tasks in a place of their own: it can be killed without the others.

use std::net::SocketAddr;

use broker::{Broker, Running, StartError};
use config::Settings;
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet};
use world::World;
use world::tasks::spawn_local;

use crate::session;

/// A broker that may run, or be away for a while.
pub(super) struct Seat {
    settings: Settings,
    here: Option<Here>,
    /// Why it ended, if it did so by itself.
    failure: Option<String>,
}

/// A broker that runs.
pub(super) struct Here {
    running: Running,
    tasks: TasksEnd,
}

/// Ends the broker's tasks on this thread when it is dropped.
struct TasksEnd(JoinHandle<()>);

impl Drop for TasksEnd {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Here {
    /// Starts a broker.
    pub(super) async fn start(world: &World, settings: Settings) -> Result<Self, StartError> {
        let world = session::seen_by(world, &settings.broker);
        let (tell, told) = oneshot::channel();
        let tasks = TasksEnd(spawn_local(async move {
            let own = LocalSet::new();
            let life = own.run_until(async move {
                // If nobody waits any more, it is dropped with all that it has begun.
                let _ = tell.send(Broker::start(world, settings).await);
                std::future::pending::<()>().await;
            });
            life.await;
        }));
        let started = told.await.expect("its tasks live as long as they are not ended");
        started.map(|running| Self { running, tasks })
    }

    /// Where clients connect, if anywhere.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.running.addresses().first().map(|(_, address)| *address)
    }

    /// Bytes that its logs take.
    pub(super) fn storage_bytes(&self) -> u64 {
        self.running.storage_bytes()
    }

    /// Why it cannot go on, if it cannot.
    fn failed(&self) -> Option<String> {
        self.running.failed().now_or_never()
    }

    /// Stops it cleanly.
    pub(super) async fn stop(self) -> std::io::Result<()> {
        let stopped = self.running.stop().await;
        self.tasks.end().await;
        stopped
    }

    /// Ends it as a crash would.
    pub(super) async fn kill(self) {
        self.running.kill().await;
        self.tasks.end().await;
    }
}

impl TasksEnd {
    /// Ends the tasks, and waits until they are gone.
    async fn end(mut self) {
        self.0.abort();
        // It was ended: it says so.
        let _ = (&mut self.0).await;
    }
}

impl Seat {
    /// The seat of a broker that was started with these settings.
    pub(super) fn new(settings: Settings, here: Here) -> Self {
        Self { settings, here: Some(here), failure: None }
    }

    /// The broker, if it runs.
    pub(super) fn here(&self) -> Option<&Here> {
        self.here.as_ref()
    }

    /// Takes the broker away, if it runs.
    pub(super) fn take(&mut self) -> Option<Here> {
        self.here.take()
    }

    /// Takes the broker away if it cannot go on.
    pub(super) fn take_failed(&mut self) -> Option<Here> {
        self.failure = Some(self.here.as_ref()?.failed()?);
        self.here.take()
    }

    /// Why the broker ended by itself, if it did.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Seats the broker again.
    pub(super) fn put(&mut self, here: Here) {
        self.here = Some(here);
        self.failure = None;
    }

    /// How the broker is started.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }
}
