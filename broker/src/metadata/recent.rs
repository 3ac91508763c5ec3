//! The newest decisions, for brokers that follow without a vote: `FetchMetadata` answers from here.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// How much is kept. Who is further behind gets the whole state.
const BYTES_MAX: usize = 1 << 20;

/// Decisions without a gap between them, the oldest in front.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    entries: VecDeque<(u64, Bytes)>,
    bytes: usize,
}

impl Recent {
    /// Keeps the records that made `version`; one that is known already changes nothing.
    pub(crate) fn push(&self, version: u64, records: &[u8]) {
        let mut kept = self.kept();
        match kept.entries.back() {
            Some((last, _)) if version <= *last => return,
            Some((last, _)) if version > last + 1 => *kept = Kept::default(),
            _ => {}
        }
        // Of its own: a slice would keep the whole message alive that it came in.
        kept.entries.push_back((version, Bytes::copy_from_slice(records)));
        kept.bytes += records.len();
        while kept.bytes > BYTES_MAX
            && let Some((_, oldest)) = kept.entries.pop_front()
        {
            kept.bytes -= oldest.len();
        }
    }

    /// What was decided behind `version`: the first decision, and more as long as `bytes_max` allows.
    /// `None` if it is not kept any more, or not known yet.
    pub(crate) fn behind(&self, version: u64, bytes_max: usize) -> Option<Vec<(u64, Bytes)>> {
        let kept = self.kept();
        let (oldest, _) = kept.entries.front()?;
        let skipped = usize::try_from((version + 1).checked_sub(*oldest)?).ok()?;
        let mut left = bytes_max;
        let mut behind = Vec::new();
        for (version, records) in kept.entries.iter().skip(skipped) {
            if !behind.is_empty() && records.len() > left {
                break;
            }
            left = left.saturating_sub(records.len());
            behind.push((*version, records.clone()));
        }
        (!behind.is_empty()).then_some(behind)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked in between left entries that are all true.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, Recent};

    fn versions(recent: &Recent, behind: u64, bytes_max: usize) -> Option<Vec<u64>> {
        let entries = recent.behind(behind, bytes_max)?;
        Some(entries.into_iter().map(|(version, _)| version).collect())
    }

    #[test]
    fn gives_what_is_behind_a_version() {
        let recent = Recent::default();
        assert_eq!(versions(&recent, 0, 100), None);
        (5..9).for_each(|version| recent.push(version, &[0; 10]));
        assert_eq!(versions(&recent, 3, 100), None, "4 is not kept");
        assert_eq!(versions(&recent, 4, 100), Some(vec![5, 6, 7, 8]));
        assert_eq!(versions(&recent, 6, 100), Some(vec![7, 8]));
        assert_eq!(versions(&recent, 8, 100), None, "9 is not known");
        assert_eq!(versions(&recent, 100, 100), None);
        assert_eq!(versions(&recent, 4, 25), Some(vec![5, 6]));
        assert_eq!(versions(&recent, 4, 0), Some(vec![5]), "one at least");
    }

    #[test]
    fn what_is_known_changes_nothing_and_a_gap_begins_anew() {
        let recent = Recent::default();
        (1..5).for_each(|version| recent.push(version, &[0; 10]));
        recent.push(2, &[0; 10]);
        assert_eq!(versions(&recent, 0, 100), Some(vec![1, 2, 3, 4]));
        recent.push(9, &[0; 10]);
        assert_eq!(versions(&recent, 4, 100), None);
        assert_eq!(versions(&recent, 8, 100), Some(vec![9]));
    }

    #[test]
    fn keeps_no_more_than_its_bound() {
        let recent = Recent::default();
        (1..11).for_each(|version| recent.push(version, &vec![0; BYTES_MAX / 4]));
        assert_eq!(versions(&recent, 6, BYTES_MAX), Some(vec![7, 8, 9, 10]));
        assert_eq!(versions(&recent, 5, BYTES_MAX), None);
        recent.push(11, &vec![0; BYTES_MAX + 1]);
        assert_eq!(versions(&recent, 10, BYTES_MAX), None, "too large to be kept");
        recent.push(12, &[0]);
        assert_eq!(versions(&recent, 11, BYTES_MAX), Some(vec![12]));
    }
}
