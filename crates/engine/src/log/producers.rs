//! Idempotent producers (KIP-98): which batch is next, which one do we have already?
//!
//! ```text
//! known epoch 3, last sequence 41
//!   epoch 2            → StaleEpoch
//!   epoch 3, seq 42    → next
//!   epoch 3, seq 40–41 → duplicate, if it is one of the last five batches
//!   epoch 3, seq 44    → OutOfOrder
//!   epoch 4, seq 0     → next; anything else is OutOfOrder
//! unknown producer     → any sequence is next
//! ```
//!
//! The last rule is Kafka 4's: what is known of a producer can be gone (expired, or its records deleted),
//! and refusing it then (as `UNKNOWN_PRODUCER_ID` did) helped nobody. Sequences wrap from 2^31 - 1 to 0.
//!
//! What is absent: the snapshot file, which is [`super::snapshot`].

use std::collections::BTreeMap;

use wire::record::{ControlType, EndMarker, Header};

use super::transactions::{Ended, Transactions};
use crate::ids::Offset;

/// Batches remembered per producer: as many as a client keeps in flight.
pub const BATCHES_MAX: usize = 5;
/// Producers remembered per log. Beyond it, those silent for longest go (Kafka has no bound).
pub const PRODUCERS_MAX: usize = 100_000;

/// Why a batch of an idempotent producer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// → `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    #[error("producer {producer_id} sent sequence {found}, expected {expected}")]
    OutOfOrder {
        /// The producer.
        producer_id: i64,
        /// What would have been next.
        expected: i32,
        /// What came.
        found: i32,
    },
    /// → `INVALID_PRODUCER_EPOCH`.
    #[error("producer {producer_id} has epoch {found}, but {current} has been seen")]
    StaleEpoch {
        /// The producer.
        producer_id: i64,
        /// The newest epoch.
        current: i16,
        /// The one that came.
        found: i16,
    },
    /// → `TRANSACTION_COORDINATOR_FENCED`: the marker's coordinator has been replaced.
    #[error("coordinator epoch {found} for producer {producer_id} is stale: {current} was seen")]
    StaleCoordinator {
        /// The producer.
        producer_id: i64,
        /// The newest epoch.
        current: i32,
        /// The one that came.
        found: i32,
    },
}

/// What is remembered of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchMark {
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Last offset minus base offset.
    pub offset_delta: i32,
    /// Its max timestamp.
    pub timestamp: i64,
}

impl BatchMark {
    /// Offset of its first record.
    pub fn base_offset(&self) -> Offset {
        self.last_offset - i64::from(self.offset_delta)
    }

    fn of(header: &Header) -> Self {
        Self {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        }
    }

    fn is(&self, header: &Header) -> bool {
        self.offset_delta == header.last_offset_delta
            && self.last_sequence == header.last_sequence()
    }
}

/// What is known of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its newest epoch.
    pub epoch: i16,
    /// Epoch of the coordinator that wrote its last marker; -1 if none.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub transaction_first_offset: Option<Offset>,
    /// Timestamp of its last batch or marker.
    pub last_timestamp: i64,
    /// Wall clock when it was last heard of; expiry counts from here, not from what producers claim.
    pub seen_ms: i64,
    batches: [BatchMark; BATCHES_MAX],
    batch_count: usize,
}

impl Producer {
    pub(super) fn new(epoch: i16, seen_ms: i64) -> Self {
        Self {
            epoch,
            coordinator_epoch: -1,
            transaction_first_offset: None,
            last_timestamp: -1,
            seen_ms,
            batches: [BatchMark::default(); BATCHES_MAX],
            batch_count: 0,
        }
    }

    /// The batches remembered, oldest first.
    pub fn batches(&self) -> &[BatchMark] {
        &self.batches[..self.batch_count]
    }

    /// Sequence of its last record; -1 when no batch of its epoch is known.
    pub fn last_sequence(&self) -> i32 {
        self.batches().last().map_or(-1, |batch| batch.last_sequence)
    }

    pub(super) fn push(&mut self, batch: BatchMark) {
        if self.batch_count == BATCHES_MAX {
            self.batches.rotate_left(1);
            self.batch_count -= 1;
        }
        self.batches[self.batch_count] = batch;
        self.batch_count += 1;
    }

    fn enter_epoch(&mut self, epoch: i16) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.batch_count = 0;
        }
    }
}

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Append it.
    Next,
    /// It is in the log already.
    Duplicate(BatchMark),
}

/// How to take back what [`Producers::apply`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    producer_id: i64,
    before: Option<Producer>,
    transactions: Option<Box<Transactions>>,
}

/// What is known of a log's producers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    /// In boxes: a tree makes room for eleven at once, and most logs have one producer.
    by_id: BTreeMap<i64, Box<Producer>>,
    transactions: Transactions,
}

impl Producers {
    /// How many producers are known.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The producers, by id.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, &**producer))
    }

    /// One producer.
    pub fn get(&self, producer_id: i64) -> Option<&Producer> {
        self.by_id.get(&producer_id).map(AsRef::as_ref)
    }

    /// May the batch with this header be appended?
    ///
    /// # Errors
    /// As the table on top of this file says.
    pub fn check(&self, header: &Header) -> Result<Verdict, SequenceError> {
        let producer_id = header.producer_id;
        let Some(known) = self.by_id.get(&producer_id).filter(|_| header.has_producer()) else {
            return Ok(Verdict::Next);
        };
        let found = header.producer_epoch;
        if found < known.epoch {
            return Err(SequenceError::StaleEpoch { producer_id, current: known.epoch, found });
        }
        if header.is_control() {
            return Ok(Verdict::Next);
        }
        let found_sequence = header.base_sequence;
        if found > known.epoch {
            if found_sequence == 0 {
                return Ok(Verdict::Next);
            }
            return Err(SequenceError::OutOfOrder {
                producer_id,
                expected: 0,
                found: found_sequence,
            });
        }
        if let Some(batch) = known.batches().iter().find(|batch| batch.is(header)) {
            return Ok(Verdict::Duplicate(*batch));
        }
        let expected = match known.last_sequence() {
            i32::MAX => 0,
            last => last + 1,
        };
        if found_sequence == expected {
            return Ok(Verdict::Next);
        }
        Err(SequenceError::OutOfOrder { producer_id, expected, found: found_sequence })
    }

    /// May this marker be appended? (Its epoch is [`Producers::check`]'s.)
    ///
    /// # Errors
    /// When a newer coordinator has written one already.
    pub fn check_marker(&self, header: &Header, marker: EndMarker) -> Result<(), SequenceError> {
        let known = self.by_id.get(&header.producer_id).map_or(-1, |known| known.coordinator_epoch);
        if marker.coordinator_epoch >= known {
            return Ok(());
        }
        Err(SequenceError::StaleCoordinator {
            producer_id: header.producer_id,
            current: known,
            found: marker.coordinator_epoch,
        })
    }

    /// The batch with this header (offsets stamped) is in the log. `marker` is what a control batch holds.
    /// `None` when it has no producer. Total: replay goes through here as well.
    pub fn apply(
        &mut self,
        header: &Header,
        marker: Option<EndMarker>,
        now_ms: i64,
    ) -> Option<(Undo, Option<Ended>)> {
        if !header.has_producer() {
            return None;
        }
        let producer_id = header.producer_id;
        let before = self.get(producer_id).cloned();
        if before.is_none() && self.by_id.len() >= PRODUCERS_MAX {
            self.make_room();
        }
        let changes_transactions = header.is_transactional() || header.is_control();
        let undo = Undo {
            producer_id,
            before,
            transactions: changes_transactions.then(|| Box::new(self.transactions.clone())),
        };
        let producer = self
            .by_id
            .entry(producer_id)
            .or_insert_with(|| Box::new(Producer::new(header.producer_epoch, now_ms)));
        producer.enter_epoch(header.producer_epoch);
        producer.seen_ms = now_ms;
        producer.last_timestamp = header.max_timestamp;
        let mut ended = None;
        if let Some(marker) = marker {
            producer.coordinator_epoch = marker.coordinator_epoch;
            if let Some(first) = producer.transaction_first_offset.take() {
                let last = header.last_offset();
                ended = Some(Ended {
                    producer_id,
                    first_offset: first,
                    last_offset: last,
                    last_stable_offset: self.transactions.end(first, last),
                    is_abort: marker.kind == ControlType::Abort,
                });
            }
        } else if !header.is_control() {
            producer.push(BatchMark::of(header));
            if header.is_transactional() && producer.transaction_first_offset.is_none() {
                producer.transaction_first_offset = Some(header.base_offset);
                self.transactions.begin(producer_id, header.base_offset);
            }
        }
        Some((undo, ended))
    }

    /// Takes back the newest [`Producers::apply`] that was not taken back.
    pub fn undo(&mut self, undo: Undo) {
        match undo.before {
            Some(before) => self.by_id.insert(undo.producer_id, Box::new(before)),
            None => self.by_id.remove(&undo.producer_id),
        };
        if let Some(transactions) = undo.transactions {
            self.transactions = *transactions;
        }
    }

    /// Remembers a batch from before a snapshot, which keeps the last one only. Called oldest first,
    /// after the snapshot was loaded; it matters if it directly precedes what is known.
    pub fn remember(&mut self, older: &[Header]) {
        for header in older.iter().rev() {
            let Some(producer) = self.by_id.get_mut(&header.producer_id) else { continue };
            let precedes = producer.batches().first().is_some_and(|first| {
                let first_sequence = i64::from(first.last_sequence) - i64::from(first.offset_delta);
                producer.epoch == header.producer_epoch
                    && i64::from(header.last_sequence()) == first_sequence - 1
                    && header.last_offset() < first.base_offset()
            });
            if precedes && !header.is_control() && producer.batch_count < BATCHES_MAX {
                producer.batches.rotate_right(1);
                producer.batches[0] = BatchMark::of(header);
                producer.batch_count += 1;
            }
        }
    }

    /// Everything below `high_watermark` is committed.
    pub fn commit(&mut self, high_watermark: Offset) {
        self.transactions.commit(high_watermark);
    }

    /// The first offset that an open transaction, or an uncommitted marker, holds back.
    pub fn first_unstable(&self) -> Option<Offset> {
        self.transactions.first_unstable()
    }

    /// Forgets producers that were silent for `expiration_ms` and have no open transaction.
    pub fn expire(&mut self, expiration_ms: i64, now_ms: i64) {
        self.by_id.retain(|_, producer| {
            producer.transaction_first_offset.is_some()
                || now_ms.saturating_sub(producer.seen_ms) < expiration_ms
        });
    }

    pub(super) fn insert(&mut self, producer_id: i64, producer: Producer) {
        if let Some(first) = producer.transaction_first_offset {
            self.transactions.begin(producer_id, first);
        }
        self.by_id.insert(producer_id, Box::new(producer));
    }

    /// Forgets the eighth that was silent for longest, so that the cost per new producer stays small.
    fn make_room(&mut self) {
        let mut seen: Vec<(i64, i64)> = self
            .by_id
            .iter()
            .filter(|(_, producer)| producer.transaction_first_offset.is_none())
            .map(|(id, producer)| (producer.seen_ms, *id))
            .collect();
        seen.sort_unstable();
        for (_, id) in seen.iter().take(PRODUCERS_MAX / 8) {
            self.by_id.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::record::{BatchBuilder, NewRecord};

    fn header(epoch: i16, sequence: i32, base_offset: i64, count: usize) -> Header {
        let mut builder = BatchBuilder::default().producer(1, epoch, sequence);
        builder.base_offset = base_offset;
        for _ in 0..count {
            builder.push(&NewRecord::new("k", "v", 0));
        }
        Header::parse(&builder.finish()).unwrap()
    }

    fn check(known: &[(i16, i32, usize)], next: (i16, i32, usize)) -> String {
        let mut producers = Producers::default();
        let mut offset = 0;
        for (epoch, sequence, count) in known {
            let header = header(*epoch, *sequence, offset, *count);
            assert_eq!(producers.check(&header), Ok(Verdict::Next));
            producers.apply(&header, None, 0);
            offset = header.next_offset();
        }
        match producers.check(&header(next.0, next.1, 0, next.2)) {
            Ok(Verdict::Next) => "next".to_owned(),
            Ok(Verdict::Duplicate(mark)) => format!("duplicate at {}", mark.base_offset()),
            Err(SequenceError::OutOfOrder { expected, .. }) => format!("expected {expected}"),
            Err(SequenceError::StaleEpoch { current, .. }) => format!("epoch is {current}"),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn sequences_follow_the_table_on_top_of_this_file() {
        let known = [(3, 0, 10), (3, 10, 2), (3, 12, 1)];
        assert_eq!(check(&[], (0, 77, 1)), "next");
        assert_eq!(check(&known, (3, 13, 5)), "next");
        assert_eq!(check(&known, (3, 10, 2)), "duplicate at 10");
        assert_eq!(check(&known, (3, 0, 10)), "duplicate at 0");
        assert_eq!(check(&known, (3, 10, 3)), "expected 13");
        assert_eq!(check(&known, (3, 14, 1)), "expected 13");
        assert_eq!(check(&known, (2, 13, 1)), "epoch is 3");
        assert_eq!(check(&known, (4, 13, 1)), "expected 0");
        assert_eq!(check(&known, (4, 0, 1)), "next");
    }

    #[test]
    fn only_the_last_five_batches_are_duplicates() {
        let known: Vec<_> = (0..6).map(|sequence| (0, sequence, 1)).collect();
        assert_eq!(check(&known, (0, 1, 1)), "duplicate at 1");
        assert_eq!(check(&known, (0, 0, 1)), "expected 6");
    }

    #[test]
    fn sequences_wrap() {
        assert_eq!(check(&[(0, i32::MAX - 1, 2)], (0, 0, 1)), "next");
        assert_eq!(check(&[(0, i32::MAX, 2)], (0, 1, 1)), "next");
        assert_eq!(check(&[(0, i32::MAX, 2)], (0, i32::MAX, 2)), "duplicate at 0");
    }

    #[test]
    fn an_apply_is_taken_back_whole() {
        let mut producers = Producers::default();
        producers.apply(&header(0, 0, 0, 1), None, 5);
        let before = producers.clone();
        let (undo, _) = producers.apply(&header(1, 0, 1, 1), None, 6).unwrap();
        assert_ne!(producers, before);
        producers.undo(undo);
        assert_eq!(producers, before);
    }

    #[test]
    fn a_silent_producer_is_forgotten_by_the_brokers_clock() {
        let mut producers = Producers::default();
        producers.apply(&header(0, 0, 0, 1), None, 1000);
        producers.expire(500, 1499);
        assert_eq!(producers.len(), 1);
        producers.expire(500, 1500);
        assert!(producers.is_empty());
    }

    #[test]
    fn a_snapshot_keeps_the_last_batch_and_the_log_gives_the_others_back() {
        use super::super::snapshot;
        let mut producers = Producers::default();
        let headers: Vec<Header> =
            (0..7).map(|index| header(2, index, i64::from(index), 1)).collect();
        for header in &headers {
            producers.apply(header, None, 0);
        }
        let bytes = snapshot::encode(&producers);
        let mut loaded = snapshot::decode(&bytes, 0).unwrap();
        assert_eq!(loaded.get(1).unwrap().batches().len(), 1);
        loaded.remember(&headers);
        assert_eq!(loaded, producers);
        for at in 0..bytes.len() {
            let mut rotten = bytes.clone();
            rotten[at] ^= 1;
            assert!(snapshot::decode(&rotten, 0).is_err(), "byte {at}");
            assert!(snapshot::decode(&bytes[..at], 0).is_err(), "cut at {at}");
        }
    }
}
