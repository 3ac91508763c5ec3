//! Panics: a task that panics is dropped by the runtime without a word, so whoever runs a storm listens.

use std::panic;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

/// Panics that are kept; the first few tell enough.
const KEPT_MAX: usize = 100;

/// Hears all panics of the process from now on.
#[derive(Clone, Debug)]
pub struct Panics {
    heard: Arc<Mutex<Vec<(ThreadId, String)>>>,
}

impl Panics {
    /// Begins to listen, and goes on until the process ends. Whoever listened before still does.
    pub fn listen() -> Self {
        let heard: Arc<Mutex<Vec<(ThreadId, String)>>> = Arc::default();
        let kept = Arc::clone(&heard);
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < KEPT_MAX {
                kept.push((thread::current().id(), panic.to_string().replace('\n', " ")));
            }
            drop(kept);
            before(panic);
        }));
        Self { heard }
    }

    /// The panics of the calling thread since this was last asked.
    pub fn of_this_thread(&self) -> Vec<String> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let own = heard.extract_if(.., |(thread, _)| *thread == thread::current().id());
        own.map(|(_, panic)| panic).collect()
    }
}
