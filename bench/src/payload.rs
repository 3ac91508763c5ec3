//! Records that prove themselves: each value holds who sent it, which one it is, and when it was due.
//!
//! ```text
//! value   lane u32 │ sequence u64 │ due ns u64 │ filling, the same in every record and not packable
//! ```

use anyhow::{Result, ensure};
use wire::record::{BatchBuilder, Batches, Codec, Limits, NewRecord};

pub(crate) const HEADER_BYTES: usize = 20;

/// A batch that is built once and stamped per send.
pub(crate) struct Template {
    batch: Vec<u8>,
    /// Where each record's value begins in the batch.
    values: Vec<usize>,
}

impl Template {
    pub(crate) fn new(records: usize, record_bytes: usize) -> Self {
        let mut builder = BatchBuilder::new(Codec::None);
        let value = filling(record_bytes);
        for _ in 0..records {
            builder.push(&NewRecord {
                timestamp: now_ms(),
                key: None,
                value: Some(value.clone().into()),
                headers: Vec::new(),
            });
        }
        let batch = builder.finish().to_vec();
        let marker = &value[..];
        let mut values = Vec::with_capacity(records);
        let mut at = 0;
        while let Some(found) = find(&batch[at..], marker) {
            values.push(at + found);
            at += found + marker.len();
        }
        assert_eq!(values.len(), records, "every record is found in its batch");
        Self { batch, values }
    }

    pub(crate) fn records(&self) -> usize {
        self.values.len()
    }

    /// Numbers the records from `first` on, the first due at `due_ns` and each next one `every_ns` later,
    /// and makes the checksum right.
    pub(crate) fn stamp(&mut self, lane: u32, first: u64, due_ns: u64, every_ns: u64) -> &[u8] {
        for (number, at) in (first..).zip(&self.values) {
            let due_ns = due_ns + (number - first) * every_ns;
            self.batch[*at..at + 4].copy_from_slice(&lane.to_be_bytes());
            self.batch[at + 4..at + 12].copy_from_slice(&number.to_be_bytes());
            self.batch[at + 12..at + 20].copy_from_slice(&due_ns.to_be_bytes());
        }
        let crc = wire::record::batch::crc(&self.batch);
        self.batch[17..21].copy_from_slice(&crc.to_be_bytes());
        &self.batch
    }
}

/// One record as it came back.
pub(crate) struct Seen {
    pub(crate) offset: i64,
    pub(crate) lane: u32,
    pub(crate) sequence: u64,
    pub(crate) due_ns: u64,
}

/// Reads the records of whole batches; `verify` checks checksums and every byte.
pub(crate) fn read(bytes: &[u8], verify: bool, mut each: impl FnMut(Seen)) -> Result<i64> {
    let mut next = -1;
    let mut expected = Vec::new();
    for batch in Batches::new(bytes) {
        // A response may end in a cut batch.
        let Ok(batch) = batch else { break };
        if verify {
            batch.verify()?;
        }
        next = batch.header().next_offset();
        for record in &batch.records(Limits::default())? {
            let record = record?;
            let value = record.value.unwrap_or_default();
            ensure!(value.len() >= HEADER_BYTES, "a record that we did not send");
            if verify {
                if expected.len() != value.len() {
                    expected = filling(value.len());
                }
                ensure!(value[HEADER_BYTES..] == expected[HEADER_BYTES..], "a record has changed");
            }
            each(Seen {
                offset: record.offset,
                lane: u32::from_be_bytes(value[..4].try_into()?),
                sequence: u64::from_be_bytes(value[4..12].try_into()?),
                due_ns: u64::from_be_bytes(value[12..20].try_into()?),
            });
        }
    }
    Ok(next)
}

/// Bytes without a pattern, the same each time (a 64-bit linear congruence).
fn filling(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..len.max(HEADER_BYTES))
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect()
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{Template, read};

    #[test]
    fn a_stamped_batch_reads_back_verified() {
        let mut template = Template::new(3, 100);
        let bytes = template.stamp(7, 40, 99, 1).to_vec();
        let mut seen = Vec::new();
        read(&bytes, true, |one| seen.push((one.lane, one.sequence, one.due_ns)))
            .expect("verifies");
        assert_eq!(seen, [(7, 40, 99), (7, 41, 100), (7, 42, 101)]);
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let mut template = Template::new(1, 100);
        let mut bytes = template.stamp(1, 1, 1, 0).to_vec();
        *bytes.last_mut().expect("not empty") ^= 1;
        assert!(read(&bytes, true, |_| ()).is_err());
    }
}
