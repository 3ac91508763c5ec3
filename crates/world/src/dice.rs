//! Chance, in independent streams.

/// Random numbers. Each concern draws from its own stream, so that a new draw in one does not change
/// what the others see (a failing seed stays a failing seed).
pub trait Dice: Send + Sync {
    /// Fills `bytes` from the stream named `concern` (a constant such as `"topic-id"`).
    fn fill(&self, concern: &'static str, bytes: &mut [u8]);

    /// The next number of the stream named `concern`.
    fn next_u64(&self, concern: &'static str) -> u64 {
        let mut bytes = [0; 8];
        self.fill(concern, &mut bytes);
        u64::from_le_bytes(bytes)
    }
}
