//! Damaged batches that reads have met: each is told once, with its place, and every read is counted.
//! Clients try again and again, and would fill the log with one and the same line.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use storage::ReadError;

/// Places that are remembered; more are not told.
const PLACES_MAX: usize = 1000;

/// What reads have met.
#[derive(Default)]
pub(crate) struct Damage {
    places: Mutex<BTreeSet<(PathBuf, u64)>>,
    reads: AtomicU64,
}

impl Damage {
    /// Takes note of a read that failed; says whether somebody should hear of it.
    pub(crate) fn is_news(&self, error: &ReadError) -> bool {
        match error {
            ReadError::Corrupt { path, position, .. } => {
                self.reads.fetch_add(1, Ordering::Relaxed);
                let mut places = self.places.lock().expect("no panic while it is held");
                places.len() < PLACES_MAX && places.insert((path.clone(), *position))
            }
            ReadError::Io { .. } => true,
            // The asker's mistake, or a matter of trying again.
            ReadError::OutOfRange { .. } | ReadError::Gone(_) | ReadError::WouldBlock => false,
        }
    }

    /// Reads that met a damaged batch.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_batch_is_news_once_and_counted_always() {
        let damage = Damage::default();
        let corrupt = |position| ReadError::Corrupt {
            path: "orders-0/0.log".into(),
            position,
            problem: "checksum".to_owned(),
        };
        assert!(damage.is_news(&corrupt(7)));
        assert!(!damage.is_news(&corrupt(7)));
        assert!(damage.is_news(&corrupt(8)));
        assert!(!damage.is_news(&ReadError::WouldBlock));
        assert_eq!(damage.reads(), 3);
        for position in 0..5000 {
            damage.is_news(&corrupt(position));
        }
        assert_eq!(damage.reads(), 5003);
        assert_eq!(damage.places.lock().unwrap().len(), PLACES_MAX);
    }
}
