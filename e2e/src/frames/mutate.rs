//! Changes valid frames in ways that no client would. The same seed and number give the same frame.

use std::ops::Range;

use wire::ApiKey;
use wire::frame::LENGTH_BYTES;
use wire::record::batch::crc;
use wire::visit::produce::Produce;

use super::Frame;

/// Splitmix64: small, and the same on every machine.
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`; 0 if that is 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).expect("below a usize")
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Lengths and counts that must not be believed.
const COUNTS: [[u8; 4]; 5] = [
    [0x7f, 0xff, 0xff, 0xff],
    [0xff, 0xff, 0xff, 0xff],
    [0x80, 0x00, 0x00, 0x00],
    [0x00, 0xff, 0xff, 0xff],
    [0x00, 0x00, 0xff, 0xff],
];
/// The same as variable-length numbers: 2^31-1 (one less than it says, in compact arrays), 2^32-1, and
/// two that never end.
const VARINTS: [&[u8]; 5] = [
    &[0x80, 0x80, 0x80, 0x80, 0x08],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xff; 10],
];
/// Bytes on the edge of something.
const EDGES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
/// Bytes inserted or removed at once, at most.
const PIECE: usize = 8;

/// Of so many frames one goes through the places where a count could be.
const SWEEP_EVERY: u64 = 8;

/// What is done to a frame, and how often of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// As it came: what the broker remembers of clients stays alive.
    Nothing,
    BitFlip,
    Edge,
    Count,
    Varint,
    Insert,
    Remove,
    Repeat,
    CutOff,
    Splice,
    /// Within a record batch, whose checksum is made right again.
    Batch,
    Header,
    LengthPrefix,
}

const CHANGES: &[(usize, Change)] = &[
    (6, Change::Nothing),
    (36, Change::BitFlip),
    (16, Change::Edge),
    (7, Change::Count),
    (5, Change::Varint),
    (4, Change::Insert),
    (4, Change::Remove),
    (3, Change::Repeat),
    (4, Change::CutOff),
    (4, Change::Splice),
    (6, Change::Batch),
    (3, Change::Header),
    (2, Change::LengthPrefix),
];

/// Makes frames from valid ones.
pub struct Mutator {
    seed: u64,
    /// By API, each with at least one.
    bases: Vec<Vec<Frame>>,
    /// Every place of every base, where a count could be.
    places: Vec<(usize, usize, usize)>,
}

/// A frame to send.
#[derive(Clone, Debug)]
pub struct Mutated {
    /// Length prefix included.
    pub bytes: Vec<u8>,
    /// Whether its length prefix is right.
    pub is_whole: bool,
}

impl Mutator {
    /// From these frames; every API gets an equal share.
    pub fn new(seed: u64, frames: &[Frame]) -> Self {
        let of = |key: &ApiKey| frames.iter().filter(|frame| frame.key == *key).cloned().collect();
        let bases: Vec<Vec<Frame>> =
            ApiKey::ALL.iter().map(of).filter(|some: &Vec<Frame>| !some.is_empty()).collect();
        let mut places = Vec::new();
        for (api, some) in bases.iter().enumerate() {
            for (number, frame) in some.iter().enumerate() {
                places.extend((frame.body..frame.bytes.len()).map(|at| (api, number, at)));
            }
        }
        Self { seed, bases, places }
    }

    /// How many places a count could be at.
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// The frame with this number, of `count`. Every eighth sets a count of 2^31-1 at a place of its own,
    /// so that, if there are enough of them, no place is left out.
    pub fn frame(&self, number: u64, count: u64) -> Mutated {
        let mut dice = Dice(self.seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        if number.is_multiple_of(SWEEP_EVERY) {
            let turns = u128::from((count / SWEEP_EVERY).max(1));
            let turn = u128::from(number / SWEEP_EVERY);
            // Spread over all places when there are fewer turns, else round and round.
            let spread = (turn * self.places.len() as u128 / turns.min(self.places.len() as u128))
                % self.places.len() as u128;
            let (api, base, at) = self.places[usize::try_from(spread).expect("below a length")];
            return huge_count(&self.bases[api][base], at);
        }
        let some = &self.bases[dice.below(self.bases.len())];
        let base = &some[dice.below(some.len())];
        let total: usize = CHANGES.iter().map(|(weight, _)| weight).sum();
        let mut drawn = dice.below(total);
        let change = CHANGES.iter().find(|(weight, _)| {
            let hit = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            hit
        });
        let (_, change) = change.expect("drawn below the sum of all");
        self.change(base, *change, &mut dice)
    }

    fn change(&self, base: &Frame, change: Change, dice: &mut Dice) -> Mutated {
        let mut bytes = base.bytes.clone();
        let body = base.body..bytes.len();
        match change {
            Change::Nothing => {}
            Change::Batch => change_batch(base, &mut bytes, dice),
            Change::Header => disturb(&mut bytes, LENGTH_BYTES..base.body, dice),
            Change::Splice => {
                let some = &self.bases[dice.below(self.bases.len())];
                let other = &some[dice.below(some.len())];
                bytes.truncate(within(&body, dice));
                bytes.extend(&other.bytes[within(&(other.body..other.bytes.len()), dice)..]);
            }
            Change::LengthPrefix => {
                let length = bytes.len() - LENGTH_BYTES;
                let near = i32::try_from(length).expect("frames are small");
                let lie = match dice.below(4) {
                    0 => near - 1 - i32::try_from(dice.below(length)).expect("small"),
                    1 => near + 1 + i32::try_from(dice.below(64)).expect("small"),
                    2 => i32::from_be_bytes(dice.of(&COUNTS)),
                    _ => 0,
                };
                bytes[..LENGTH_BYTES].copy_from_slice(&lie.to_be_bytes());
                return Mutated { bytes, is_whole: false };
            }
            other => in_place(&mut bytes, &body, other, dice),
        }
        whole(bytes)
    }
}

/// Changes something in `body`, which reaches to the end of `bytes`.
fn in_place(bytes: &mut Vec<u8>, body: &Range<usize>, change: Change, dice: &mut Dice) {
    let at = within(body, dice);
    let rest = bytes.len() - at;
    match change {
        Change::BitFlip => disturb(bytes, body.clone(), dice),
        Change::Edge if rest > 0 => bytes[at] = dice.of(&EDGES),
        Change::Count => put(bytes, at, &dice.of(&COUNTS)),
        Change::Varint => {
            let until = at + dice.below(2).min(rest);
            bytes.splice(at..until, dice.of(&VARINTS).iter().copied());
        }
        Change::Insert => {
            let piece: Vec<u8> = (0..=dice.below(PIECE)).map(|_| dice.byte()).collect();
            bytes.splice(at..at, piece);
        }
        Change::Remove => drop(bytes.drain(at..at + (1 + dice.below(PIECE)).min(rest))),
        Change::Repeat => {
            let piece = bytes[at..at + dice.below(4 * PIECE).min(rest)].to_vec();
            bytes.splice(at..at, piece);
        }
        Change::CutOff => bytes.truncate(at),
        _ => {}
    }
}

/// Flips a bit.
fn disturb(bytes: &mut [u8], range: Range<usize>, dice: &mut Dice) {
    if range.is_empty() {
        return;
    }
    let at = range.start + dice.below(range.len());
    bytes[at] ^= 1 << dice.below(8);
}

fn within(range: &Range<usize>, dice: &mut Dice) -> usize {
    range.start + dice.below(range.len())
}

fn put(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let end = (at + piece.len()).min(bytes.len());
    bytes.splice(at..end, piece.iter().copied());
}

fn huge_count(base: &Frame, at: usize) -> Mutated {
    let mut bytes = base.bytes.clone();
    if base.key.is_flexible(base.version) {
        bytes.splice(at..=at, VARINTS[0].iter().copied());
    } else {
        put(&mut bytes, at, &COUNTS[0]);
    }
    whole(bytes)
}

/// Disturbs a record batch behind its checksum's back, if the frame has one.
fn change_batch(base: &Frame, bytes: &mut [u8], dice: &mut Dice) {
    const CRC: Range<usize> = 17..21;
    if base.key != ApiKey::Produce {
        return disturb(bytes, base.body..base.bytes.len(), dice);
    }
    let content = &base.bytes[LENGTH_BYTES..];
    let produce = Produce::parse(content, base.body - LENGTH_BYTES, base.version);
    let produce = produce.expect("the frame that it was made from is valid");
    let ranges: Vec<Range<usize>> = produce.partitions().filter_map(|one| one.records).collect();
    let Some(range) = ranges.get(dice.below(ranges.len())).filter(|range| range.len() > CRC.end)
    else {
        return;
    };
    let batch = &mut bytes[LENGTH_BYTES + range.start..LENGTH_BYTES + range.end];
    disturb(batch, CRC.end..batch.len(), dice);
    if batch.len() >= wire::record::HEADER_LEN {
        let crc = crc(batch);
        batch[CRC].copy_from_slice(&crc.to_be_bytes());
    }
}

/// With its length made right.
fn whole(mut bytes: Vec<u8>) -> Mutated {
    let length = u32::try_from(bytes.len() - LENGTH_BYTES).expect("frames are small");
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Mutated { bytes, is_whole: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::captured::Captured;

    fn mutator(seed: u64) -> Mutator {
        Mutator::new(seed, &Captured::load().unwrap().frames)
    }

    #[test]
    fn the_same_seed_gives_the_same_frames_and_another_gives_others() {
        let all = |seed| -> Vec<Vec<u8>> {
            let mutator = mutator(seed);
            (0..500).map(|number| mutator.frame(number, 500).bytes).collect()
        };
        assert_eq!(all(1), all(1));
        let differing = all(1).iter().zip(all(2)).filter(|(a, b)| **a != *b).count();
        assert!(differing > 300, "{differing}");
    }

    #[test]
    fn a_huge_count_comes_to_every_place() {
        let mutator = mutator(1);
        let count = SWEEP_EVERY * mutator.places() as u64;
        let mut seen: Vec<Vec<u8>> =
            (0..count).step_by(8).map(|number| mutator.frame(number, count).bytes).collect();
        seen.sort();
        let expected: usize = mutator
            .bases
            .iter()
            .flatten()
            .map(|base| {
                let frames = (base.body..base.bytes.len()).map(|at| huge_count(base, at).bytes);
                frames.filter(|frame| seen.binary_search(frame).is_ok()).count()
            })
            .sum();
        assert_eq!(expected, mutator.places());
    }

    #[test]
    fn most_frames_arrive_whole_and_name_their_api() {
        let mutator = mutator(3);
        let frames: Vec<Mutated> = (0..5000).map(|number| mutator.frame(number, 5000)).collect();
        let whole = frames.iter().filter(|frame| {
            let length = u32::from_be_bytes(*frame.bytes.first_chunk().unwrap());
            length as usize + LENGTH_BYTES == frame.bytes.len()
        });
        let whole = whole.count();
        assert!((4700..5000).contains(&whole), "{whole}");
    }
}
