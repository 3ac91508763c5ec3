//! What a connection still has to send: segments of responses, written many at a time.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use world::Stream;

/// Segments given to one `writev`; Linux takes 1024.
const SLICES_MAX: usize = 64;

/// Responses that wait for the socket, in order.
#[derive(Default)]
pub(crate) struct Output {
    segments: VecDeque<Bytes>,
    bytes: usize,
}

impl Output {
    /// Queues one more piece of a response.
    pub(crate) fn push(&mut self, segment: Bytes) {
        if !segment.is_empty() {
            self.bytes += segment.len();
            self.segments.push_back(segment);
        }
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes until nothing is left or the socket is full.
    pub(crate) fn poll_flush(
        &mut self,
        stream: &mut dyn Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.segments.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            for (slot, segment) in slices.iter_mut().zip(&self.segments) {
                *slot = IoSlice::new(segment);
                count += 1;
            }
            let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Pin::new(stream).poll_flush(cx)
    }

    fn advance(&mut self, mut written: usize) {
        assert!(written <= self.bytes, "a socket wrote more than it was given");
        self.bytes -= written;
        while written > 0 {
            let first = self.segments.front_mut().expect("written bytes came from a segment");
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.segments.pop_front();
        }
    }
}
