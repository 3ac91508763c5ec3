//! Which partition a record goes to: by its key as Kafka's Java client does it, else a batch at a time.

/// MurmurHash2 with Kafka's seed, over a record's key.
pub fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // Kafka hashes the length as a 32-bit number; keys are far below 4 GiB.
    let mut hash = SEED ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let mut k = word.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    for (at, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * at);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a key among `partitions`, the same as in every client with Kafka's default.
///
/// # Panics
/// When there are no partitions.
pub fn partition_for_key(key: &[u8], partitions: u32) -> u32 {
    assert!(partitions > 0, "a topic has partitions");
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// Where records without a key go: one partition until enough bytes went there, then another by chance
/// (KIP-794), so that batches fill up and all partitions get their share.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sticky {
    current: Option<u32>,
    bytes: usize,
}

impl Sticky {
    /// Bytes for one partition before the next is chosen: Kafka's default `batch.size`.
    pub const BYTES: usize = 16 * 1024;

    /// The partition for a record of `bytes`; `chance` is any number.
    ///
    /// # Panics
    /// When there are no partitions.
    pub fn next(&mut self, bytes: usize, partitions: u32, chance: impl FnOnce() -> u64) -> u32 {
        assert!(partitions > 0, "a topic has partitions");
        let current = match self.current {
            Some(current) if self.bytes < Self::BYTES && current < partitions => current,
            _ => {
                self.bytes = 0;
                u32::try_from(chance() % u64::from(partitions)).expect("a remainder of 32 bits")
            }
        };
        self.current = Some(current);
        self.bytes += bytes;
        current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_kafka() {
        // From Kafka's own tests of its hash function.
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn records_without_a_key_fill_a_batch_and_then_move_on() {
        let mut sticky = Sticky::default();
        let mut chance = 0;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            seen.insert(sticky.next(1024, 3, || {
                chance += 1;
                chance
            }));
        }
        assert_eq!(chance, 7);
        assert_eq!(seen.len(), 3);
    }
}
