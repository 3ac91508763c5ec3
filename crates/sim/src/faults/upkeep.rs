//! What people do to a cluster while it is harmed: each a story of its own beside the schedule, which undoes what
//! it did.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;
use world::clock::LocalFuture;
use world::simulated::Simulation;
use world::tasks::spawn_local;

use super::{FaultKind, Struck};

/// How long stories may go on once all else is over: replicas are copied, and brokers missed.
const LIMIT: Duration = Duration::from_secs(90);

/// The stories that were begun.
#[derive(Default)]
pub struct Upkeep {
    /// What came about.
    struck: Rc<RefCell<Struck>>,
    stories: Vec<JoinHandle<()>>,
}

impl Upkeep {
    /// Begins a story, which says in the end whether what it is about came about.
    pub(super) fn begin(&mut self, kind: FaultKind, story: LocalFuture<bool>) {
        let struck = Rc::clone(&self.struck);
        self.stories.push(spawn_local(async move {
            if story.await {
                *struck.borrow_mut().entry(kind.name()).or_default() += 1;
            }
        }));
    }

    /// Waits until all are over, or it has taken too long: then the checks find what is left behind. Adds what
    /// came about.
    pub async fn end(self, simulation: &Simulation, struck: &mut Struck) {
        let deadline = simulation.elapsed() + LIMIT;
        for mut story in self.stories {
            let left = deadline.saturating_sub(simulation.elapsed());
            if simulation.within(left, &mut story).await.is_none() {
                simulation.note(format_args!("a story has no end"));
                story.abort();
            }
        }
        for (kind, count) in self.struck.take() {
            *struck.entry(kind).or_default() += count;
        }
    }
}
