//! Numbers from a seed. Not for secrets.

use std::ops::Range;
use std::time::Duration;

/// A stream of numbers that is a function of a seed and of names (SplitMix64).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// The stream called `names` under `seed`. Streams with other names are independent of it.
    pub fn new(seed: u64, names: &[&str]) -> Self {
        let mut state = mix(seed ^ 0x9e37_79b9_7f4a_7c15);
        for name in names {
            state = mix(state ^ digest(name.as_bytes()));
        }
        Self(state)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in `range`, which must not be empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        let span = range.end.checked_sub(range.start).expect("a range runs upwards");
        assert!(span > 0, "a range holds a number");
        // The bias is below 2^-32 for every span that a simulation uses.
        range.start + self.next_u64() % span
    }

    /// An index below `len`, which must not be 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.within(0..len as u64)).expect("below a usize")
    }

    /// A duration in `range`, to the microsecond.
    pub fn duration(&mut self, range: &Range<Duration>) -> Duration {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        if range.is_empty() {
            return range.start;
        }
        Duration::from_micros(self.within(micros(range.start)..micros(range.end).max(1)))
    }

    /// True `numerator` times out of `denominator`.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.within(0..denominator) < numerator
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Spreads every bit of `x` over all bits.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A hash of `bytes` that is the same on every run and machine.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = (state ^ u64::from_le_bytes(word)).wrapping_mul(0x9fb2_1c65_1e98_df25);
        state ^= state >> 29;
    }
    mix(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_repeats_under_its_name_and_differs_under_another() {
        let draw = |seed, names: &[&str]| {
            let mut random = Random::new(seed, names);
            [random.next_u64(), random.next_u64()]
        };
        assert_eq!(draw(1, &["disk", "a"]), draw(1, &["disk", "a"]));
        assert_ne!(draw(1, &["disk", "a"]), draw(1, &["disk", "b"]));
        assert_ne!(draw(1, &["disk", "a"]), draw(2, &["disk", "a"]));
    }

    #[test]
    fn draws_stay_in_their_range_and_reach_its_ends() {
        let mut random = Random::new(7, &[]);
        let mut seen = [0; 3];
        for _ in 0..100 {
            seen[random.index(3)] += 1;
        }
        assert!(seen.iter().all(|n| *n > 10), "{seen:?}");
        let range = Duration::from_millis(1)..Duration::from_millis(2);
        assert!((0..100).all(|_| range.contains(&random.duration(&range))));
        assert_eq!(random.duration(&(Duration::ZERO..Duration::ZERO)), Duration::ZERO);
    }

    #[test]
    fn a_digest_sees_length_and_position() {
        assert_ne!(digest(b"\0"), digest(b"\0\0"));
        assert_ne!(digest(b"abcdefgh-ijklmnop"), digest(b"ijklmnop-abcdefgh"));
    }
}
