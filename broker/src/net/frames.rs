//! Cuts a byte stream into request frames, buying memory only for what was admitted.
//!
//! Bytes are read into a scratch buffer that all connections of a shard share, so that an idle
//! connection holds no buffer at all. A frame that arrived whole is copied out of it once; the rest of
//! a large frame is read straight into a buffer of exactly its size.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, ReadBuf};
use world::{Stream, clock::LocalFuture};

use crate::memory::{Governor, Grant};

/// A request, without its length prefix.
pub(crate) struct Frame {
    /// Its API key, which need not be one that exists.
    pub(crate) api: i16,
    /// Header and body.
    pub(crate) bytes: BytesMut,
    /// Its part of the memory budget.
    pub(crate) grant: Grant,
}

/// Smallest request: api key, api version, correlation id.
const FRAME_BYTES_MIN: usize = 8;
/// Bytes read at a time while the frame's length is unknown.
pub(crate) const SCRATCH_BYTES: usize = 16 * 1024;

/// Why the stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("frame of {found} bytes, allowed are {FRAME_BYTES_MIN} to {max}")]
    Size { found: i32, max: usize },
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What has been received of the next frames.
pub(crate) struct Frames {
    governor: Governor,
    frame_bytes_max: usize,
    /// Received and not yet cut: less than one frame, or more frames than may run at once.
    received: BytesMut,
    state: State,
}

enum State {
    /// Between frames.
    Length,
    /// Length and API key are known, the memory is not yet ours.
    Admission { len: usize, api: i16, admitted: LocalFuture<Grant> },
    /// The body is being read into a buffer of its size.
    Body { len: usize, frame: Frame },
}

impl Frames {
    pub(crate) fn new(governor: Governor, frame_bytes_max: usize) -> Self {
        Self { governor, frame_bytes_max, received: BytesMut::new(), state: State::Length }
    }

    /// Whether a frame has begun, and waits for the client.
    pub(crate) fn awaits_more(&self) -> bool {
        match &self.state {
            State::Length => !self.received.is_empty(),
            State::Admission { .. } => false,
            State::Body { .. } => true,
        }
    }

    /// The next frame; `None` when the other side has closed between frames.
    pub(crate) fn poll_next(
        &mut self,
        stream: &mut dyn Stream,
        scratch: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, FrameError>> {
        loop {
            match &mut self.state {
                State::Length => {
                    if let Some(frame) = self.cut()? {
                        return Poll::Ready(Ok(Some(frame)));
                    }
                    if !matches!(self.state, State::Length) {
                        continue;
                    }
                    let mut buffer = ReadBuf::new(scratch);
                    ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
                    let fresh = buffer.filled();
                    if fresh.is_empty() {
                        return Poll::Ready(self.end());
                    }
                    self.received.extend_from_slice(fresh);
                }
                State::Admission { len, api, admitted } => {
                    let grant = ready!(admitted.as_mut().poll(cx));
                    let (len, api) = (*len, *api);
                    self.state = self.body(len, api, grant);
                }
                State::Body { len, frame } if frame.bytes.len() < *len => {
                    let missing = *len - frame.bytes.len();
                    let mut rest = (&mut frame.bytes).limit(missing);
                    let read = ready!(pin!(stream.read_buf(&mut rest)).poll(cx))?;
                    if read == 0 {
                        return Poll::Ready(Err(FrameError::Io(
                            io::ErrorKind::UnexpectedEof.into(),
                        )));
                    }
                }
                State::Body { .. } => {
                    let State::Body { frame, .. } =
                        std::mem::replace(&mut self.state, State::Length)
                    else {
                        unreachable!("matched above");
                    };
                    return Poll::Ready(Ok(Some(frame)));
                }
            }
        }
    }

    /// Cuts a whole frame from what was received, or finds out what has to be waited for.
    fn cut(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((prefix, rest)) = self.received.split_first_chunk::<4>() else { return Ok(None) };
        let found = i32::from_be_bytes(*prefix);
        let len = usize::try_from(found).unwrap_or(0);
        if len < FRAME_BYTES_MIN || len > self.frame_bytes_max {
            return Err(FrameError::Size { found, max: self.frame_bytes_max });
        }
        let Some(api) = rest.first_chunk::<2>() else { return Ok(None) };
        let api = i16::from_be_bytes(*api);
        let whole = rest.len() >= len;
        match self.governor.try_admit(api, len) {
            Some(grant) if whole => {
                let _prefix = self.received.split_to(4);
                let bytes = self.received.split_to(len);
                if self.received.is_empty() {
                    self.received = BytesMut::new();
                }
                Ok(Some(Frame { api, bytes, grant }))
            }
            Some(grant) => {
                self.state = self.body(len, api, grant);
                Ok(None)
            }
            None => {
                let admitted = Box::pin(self.governor.clone().admit(api, len));
                self.state = State::Admission { len, api, admitted };
                Ok(None)
            }
        }
    }

    /// Moves what has arrived of a frame's body into a buffer of the frame's size.
    fn body(&mut self, len: usize, api: i16, grant: Grant) -> State {
        let mut bytes = BytesMut::with_capacity(len);
        let have = len.min(self.received.len() - 4);
        bytes.extend_from_slice(&self.received[4..4 + have]);
        let rest = self.received.split_off(4 + have);
        self.received = rest;
        if self.received.is_empty() {
            self.received = BytesMut::new();
        }
        State::Body { len, frame: Frame { api, bytes, grant } }
    }

    fn end(&self) -> Result<Option<Frame>, FrameError> {
        if self.received.is_empty() {
            Ok(None)
        } else {
            Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()))
        }
    }
}
