//! Which transactions are open in this log, and how far a reader of committed records may go.
//!
//! An ended transaction still holds readers back until its marker is committed: the marker could yet be
//! lost with this leader.

use std::collections::BTreeMap;

use crate::ids::Offset;

/// Open and just ended transactions, by their first offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transactions {
    open: BTreeMap<Offset, i64>,
    ended: BTreeMap<Offset, Offset>,
}

/// A transaction that a marker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its producer.
    pub producer_id: i64,
    /// Its first offset.
    pub first_offset: Offset,
    /// The marker's offset.
    pub last_offset: Offset,
    /// The last stable offset once the marker is committed.
    pub last_stable_offset: Offset,
    /// Whether its records are void.
    pub is_abort: bool,
}

impl Transactions {
    /// A producer's transaction begins at `first`.
    pub fn begin(&mut self, producer_id: i64, first: Offset) {
        self.open.insert(first, producer_id);
    }

    /// The transaction that began at `first` ends with the marker at `last`. Returns the last stable
    /// offset that holds once the marker is committed.
    pub fn end(&mut self, first: Offset, last: Offset) -> Offset {
        self.open.remove(&first);
        self.ended.insert(first, last);
        self.open.keys().next().map_or(last + 1, |open| *open)
    }

    /// Everything below `high_watermark` is committed.
    pub fn commit(&mut self, high_watermark: Offset) {
        self.ended.retain(|_, last| *last >= high_watermark);
    }

    /// The first offset that holds back readers of committed records.
    pub fn first_unstable(&self) -> Option<Offset> {
        let open = self.open.keys().next();
        let ended = self.ended.keys().next();
        open.into_iter().chain(ended).min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_holds_readers_back_until_its_marker_is_committed() {
        let mut transactions = Transactions::default();
        transactions.begin(1, 10);
        transactions.begin(2, 12);
        assert_eq!(transactions.first_unstable(), Some(10));
        assert_eq!(transactions.end(10, 15), 12);
        assert_eq!(transactions.first_unstable(), Some(10));
        transactions.commit(15);
        assert_eq!(transactions.first_unstable(), Some(10));
        transactions.commit(16);
        assert_eq!(transactions.first_unstable(), Some(12));
        assert_eq!(transactions.end(12, 20), 21);
        transactions.commit(21);
        assert_eq!(transactions.first_unstable(), None);
    }
}
