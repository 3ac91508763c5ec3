//! Memory that reads from files go through, used again: to touch fresh memory costs more than to read.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Size of one buffer in bytes.
pub(crate) const BUFFER_BYTES: usize = 1 << 20;
/// Buffers that are kept for the next read, at most.
const IDLE_MAX: usize = 32;
/// A smaller read gets memory of its own size: a few bytes that wait for a slow reader must not hold a
/// whole buffer.
const POOLED_FROM: usize = BUFFER_BYTES / 4;

/// Buffers to read into. What was not needed for a while is given back ([`Buffers::breathe`]).
#[derive(Default)]
pub(crate) struct Buffers {
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    buffers: Vec<Vec<u8>>,
    /// The fewest that were idle since the last breath: so many were not needed.
    fewest: usize,
}

/// Memory for one read. Goes back when it, or the last of the bytes made from it, is dropped.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// Where it goes back to, if it came from there.
    home: Option<Arc<Buffers>>,
}

impl Buffers {
    /// At least `len` bytes, of arbitrary content.
    pub(crate) fn take(self: &Arc<Self>, len: usize) -> Buffer {
        if !(POOLED_FROM..=BUFFER_BYTES).contains(&len) {
            return Buffer { bytes: vec![0; len], home: None };
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let used = idle.buffers.pop();
        idle.fewest = idle.fewest.min(idle.buffers.len());
        drop(idle);
        let bytes = used.unwrap_or_else(|| vec![0; BUFFER_BYTES]);
        Buffer { bytes, home: Some(Arc::clone(self)) }
    }

    /// Lets go of what nobody needed since the last call.
    pub(crate) fn breathe(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = idle.buffers.len() - idle.fewest;
        idle.buffers.truncate(keep);
        idle.fewest = keep;
    }

    fn give_back(&self, bytes: Vec<u8>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.buffers.len() < IDLE_MAX {
            idle.buffers.push(bytes);
        }
    }
}

impl Buffer {
    /// Makes it shareable; it goes back with the last share.
    pub(crate) fn share(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{BUFFER_BYTES, Buffers};

    fn idle(buffers: &Buffers) -> usize {
        buffers.idle.lock().unwrap().buffers.len()
    }

    #[test]
    fn a_buffer_comes_back_with_the_last_share_of_it() {
        let buffers = Arc::new(Buffers::default());
        let bytes = buffers.take(BUFFER_BYTES).share();
        let slice = bytes.slice(10..20);
        drop(bytes);
        assert_eq!(idle(&buffers), 0);
        drop(slice);
        assert_eq!(idle(&buffers), 1);
        let _again = buffers.take(BUFFER_BYTES);
        assert_eq!(idle(&buffers), 0);
    }

    #[test]
    fn what_was_not_needed_between_two_breaths_is_let_go() {
        let buffers = Arc::new(Buffers::default());
        drop((buffers.take(BUFFER_BYTES), buffers.take(BUFFER_BYTES)));
        buffers.breathe();
        assert_eq!(idle(&buffers), 2, "they were in use a moment ago");
        drop(buffers.take(BUFFER_BYTES));
        buffers.breathe();
        assert_eq!(idle(&buffers), 1, "one of them was used");
        buffers.breathe();
        assert_eq!(idle(&buffers), 0);
    }

    #[test]
    fn a_small_read_holds_no_whole_buffer() {
        let buffers = Arc::new(Buffers::default());
        assert_eq!(buffers.take(100).as_ref().len(), 100);
        assert_eq!(buffers.take(BUFFER_BYTES + 1).as_ref().len(), BUFFER_BYTES + 1);
        assert_eq!(idle(&buffers), 0);
    }
}
