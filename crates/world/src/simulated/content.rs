//! A file's bytes on a disk that tears: each remembers, per 512-byte sector written since its last sync, what the
//! sector held at that sync. A power loss puts any subset of them back, and leaves any length between. What could not
//! be synced is given up: it is in memory, and never on the medium.

use std::collections::BTreeMap;
use std::io;

use super::random::Random;

/// What a disk writes whole.
pub(super) const SECTOR: usize = 512;

/// A file's bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// What sectors changed since the last sync held then.
    synced: BTreeMap<usize, [u8; SECTOR]>,
    synced_len: usize,
    /// What is really in sectors that could not be synced. The system has given up on them and takes them for
    /// synced; it shows what was written as long as it has it in memory.
    given_up: BTreeMap<usize, [u8; SECTOR]>,
    /// Up to here it has blocks, if that is beyond its end.
    pub(super) reserved: u64,
}

/// How much of what was not synced a power loss keeps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keep {
    Nothing,
    Everything,
    /// In the order of writing, up to some point.
    First(usize),
    /// Each with a coin.
    Some,
}

impl Keep {
    pub(super) fn draw(random: &mut Random, len: usize) -> Self {
        match random.index(4) {
            0 => Self::Nothing,
            1 => Self::Everything,
            2 => Self::First(random.index(len + 1)),
            _ => Self::Some,
        }
    }

    pub(super) fn keeps(self, at: usize, random: &mut Random) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::First(end) => at < end,
            Self::Some => random.chance(1, 2),
        }
    }
}

impl Content {
    /// Bytes of the volume.
    pub(super) fn takes(&self) -> u64 {
        self.reserved.max(self.bytes.len() as u64)
    }

    /// Remembers what the sectors that hold `from..to` held at the last sync.
    fn remember(&mut self, from: usize, to: usize) {
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            let start = sector * SECTOR;
            if let Some(on_medium) = self.given_up.remove(&sector) {
                self.synced.entry(sector).or_insert(on_medium);
                continue;
            }
            if start >= self.synced_len {
                // It was beyond the end: zeros, if ever it comes back.
                self.synced.entry(sector).or_insert([0; SECTOR]);
                continue;
            }
            let bytes = &self.bytes;
            self.synced.entry(sector).or_insert_with(|| {
                let mut old = [0; SECTOR];
                // Not remembered yet, so unchanged, so still there whole.
                let end = bytes.len().min(start + SECTOR);
                old[..end - start].copy_from_slice(&bytes[start..end]);
                old
            });
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        self.remember(offset.min(self.bytes.len()), end);
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
    }

    pub(super) fn sync(&mut self) {
        self.synced.clear();
        self.synced_len = self.bytes.len();
    }

    pub(super) fn give_up(&mut self) {
        for (sector, on_medium) in std::mem::take(&mut self.synced) {
            self.given_up.entry(sector).or_insert(on_medium);
        }
        self.synced_len = self.bytes.len();
    }

    /// What is not waiting to be synced goes from memory, from sector to sector.
    pub(super) fn forget_cached(&mut self, from: usize, to: usize) {
        let sectors = from / SECTOR..=to / SECTOR;
        let mut given_up = std::mem::take(&mut self.given_up);
        for (sector, on_medium) in given_up.extract_if(sectors, |_, _| true) {
            let start = (sector * SECTOR).min(self.bytes.len());
            let end = (start + SECTOR).min(self.bytes.len());
            self.bytes[start..end].copy_from_slice(&on_medium[..end - start]);
        }
        self.given_up = given_up;
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.remember(len.min(self.bytes.len()), len.max(self.bytes.len()));
        self.bytes.resize(len, 0);
        self.reserved = 0;
    }

    pub(super) fn lose_power(&mut self, random: &mut Random) {
        self.forget_cached(0, usize::MAX);
        let keep = Keep::draw(random, self.synced.len());
        let (short, long) =
            (self.synced_len.min(self.bytes.len()), self.synced_len.max(self.bytes.len()));
        let len = match keep {
            Keep::Nothing => self.synced_len,
            Keep::Everything => self.bytes.len(),
            Keep::First(_) | Keep::Some => match random.index(3) {
                0 => self.synced_len,
                1 => self.bytes.len(),
                // File systems write back whole sectors, but a length need not end at one.
                _ => short + random.index(long - short + 1),
            },
        };
        self.bytes.resize(long, 0);
        for (at, (sector, old)) in std::mem::take(&mut self.synced).into_iter().enumerate() {
            if !keep.keeps(at, random) {
                let start = (sector * SECTOR).min(long);
                let end = (start + SECTOR).min(long);
                self.bytes[start..end].copy_from_slice(&old[..end - start]);
            }
        }
        self.bytes.truncate(len);
        self.reserved = 0;
        self.synced_len = len;
    }

    /// Flips bits of a byte, on the medium as well.
    pub(super) fn rot(&mut self, at: usize, flip: u8) -> io::Result<()> {
        *self.bytes.get_mut(at).ok_or(io::ErrorKind::InvalidInput)? ^= flip;
        if let Some(sector) = self.synced.get_mut(&(at / SECTOR)) {
            sector[at % SECTOR] ^= flip;
        }
        Ok(())
    }
}
