//! One client connection: requests are started in the order they arrive and answered in that order;
//! a second may start before the first is answered.
//!
//! ```text
//! socket -> Frames -> start(frame) -> running (in order) -> Output -> socket
//! ```
//!
//! Bounds: at most [`Limits::inflight_max`] requests run, and no frame is read while
//! [`Limits::output_bytes_max`] wait for a slow reader. Dropping the connection drops what waits, never
//! what was appended.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{FuturesOrdered, StreamExt};
use wire::ApiKey;
use world::clock::LocalFuture;
use world::{Clock, Stream, watch};

use super::frames::{Frame, FrameError, Frames};
use super::output::Output;
use crate::memory::{Governor, Grant};

/// What a handler gives the connection.
pub(crate) enum Reply {
    /// The response, length prefix included, in pieces.
    Send(Vec<Bytes>),
    /// No response at all (acks=0).
    Silent,
    /// The connection must end: the reason is logged.
    Close(String),
    /// As if nobody had listened, because of this.
    Reset(String),
}

/// Bounds of one connection.
#[derive(Clone)]
pub(crate) struct Limits {
    /// Largest request frame in bytes (`socket.request.max.bytes`).
    pub(crate) frame_bytes_max: usize,
    /// Requests that run at once.
    pub(crate) inflight_max: usize,
    /// Response bytes that may wait for the socket before reading stops.
    pub(crate) output_bytes_max: usize,
    /// A connection that was silent for so long is closed (`connections.max.idle.ms`).
    pub(crate) idle_max: Duration,
    /// A frame that has begun must be whole by then.
    pub(crate) frame_time_max: Duration,
    /// How long requests go on whose client has closed its side: it may have gone, and nobody will ever
    /// read what a join or a long poll comes to.
    pub(crate) linger_max: Duration,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("closed by the client")]
    Client,
    #[error("idle for too long")]
    Idle,
    #[error("a frame did not arrive in time")]
    SlowFrame,
    #[error("{0}")]
    Refused(String),
    #[error("bad frame: {0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

struct Connection<F> {
    stream: Box<dyn Stream>,
    scratch: Rc<RefCell<Vec<u8>>>,
    frames: Frames,
    running: FuturesOrdered<LocalFuture<(Reply, Grant)>>,
    /// The last request that was started is a Fetch. Its answer may be large, so none is started after it until
    /// it is answered, as in Kafka.
    is_fetching: bool,
    /// Requests that wait for that. They are read, so that it shows when the client leaves.
    held: VecDeque<Frame>,
    output: Output,
    start: F,
    limits: Limits,
    /// Nothing more is read: answer what runs, then end.
    draining: bool,
    /// The client has closed its side.
    left: bool,
    active_at: Duration,
    /// Since when the client owes the rest of a frame. What was announced of it has its part of the memory budget,
    /// whatever else runs.
    frame_began: Option<Duration>,
}

/// A connection that has been accepted, and what it may use.
pub(crate) struct Accepted {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) governor: Governor,
    /// Shared by the connections of a shard.
    pub(crate) scratch: Rc<RefCell<Vec<u8>>>,
    pub(crate) limits: Limits,
    /// Becomes `true` when the broker stops: what runs is answered, nothing more is read.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Serves one connection to its end.
pub(crate) async fn serve<F>(accepted: Accepted, clock: &dyn Clock, start: F) -> End
where
    F: Fn(BytesMut) -> LocalFuture<Reply>,
{
    let Accepted { stream, governor, scratch, limits, mut stopping } = accepted;
    let mut connection = Connection {
        stream,
        scratch,
        frames: Frames::new(governor, limits.frame_bytes_max),
        running: FuturesOrdered::new(),
        is_fetching: false,
        held: VecDeque::new(),
        output: Output::default(),
        start,
        limits,
        draining: false,
        left: false,
        active_at: clock.tick(),
        frame_began: None,
    };
    let mut timer = clock.sleep(connection.limits.frame_time_max);
    let mut linger = None;
    let mut stop = Box::pin(async move {
        until_true(&mut stopping).await;
    });
    poll_fn(|cx| {
        if !connection.draining && stop.as_mut().poll(cx).is_ready() {
            connection.draining = true;
        }
        if let Poll::Ready(end) = connection.poll(clock, cx) {
            return Poll::Ready(end);
        }
        if connection.left {
            let linger = linger.get_or_insert_with(|| clock.sleep(connection.limits.linger_max));
            if linger.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Client);
            }
        }
        while timer.as_mut().poll(cx).is_ready() {
            if let Some(end) = connection.overdue(clock.tick()) {
                return Poll::Ready(end);
            }
            timer = clock.sleep(connection.limits.frame_time_max);
        }
        Poll::Pending
    })
    .await
}

impl<F> Connection<F>
where
    F: Fn(BytesMut) -> LocalFuture<Reply>,
{
    fn poll(&mut self, clock: &dyn Clock, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let read = match self.poll_read(clock, cx) {
                Ok(read) => read,
                Err(end) => return Poll::Ready(end),
            };
            let answered = match self.poll_running(cx) {
                Ok(answered) => answered,
                Err(end) => return Poll::Ready(end),
            };
            if let Poll::Ready(Err(error)) = self.output.poll_flush(&mut *self.stream, cx) {
                return Poll::Ready(End::Io(error));
            }
            let is_done = self.running.is_empty() && self.held.is_empty();
            if self.draining && is_done && self.output.bytes() == 0 {
                return Poll::Ready(End::Client);
            }
            if !read && !answered {
                return Poll::Pending;
            }
        }
    }

    /// Reads and starts requests while there is room; tells whether there may be more to do.
    fn poll_read(&mut self, clock: &dyn Clock, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut started = self.start_held(clock);
        while !self.draining
            && self.running.len() + self.held.len() < self.limits.inflight_max
            && self.output.bytes() < self.limits.output_bytes_max
        {
            let mut scratch = self.scratch.borrow_mut();
            match self.frames.poll_next(&mut *self.stream, &mut scratch, cx)? {
                Poll::Pending => {
                    let began = self.frame_began.unwrap_or_else(|| clock.tick());
                    self.frame_began = self.frames.awaits_more().then_some(began);
                    break;
                }
                Poll::Ready(None) => (self.draining, self.left) = (true, true),
                Poll::Ready(Some(frame)) => {
                    drop(scratch);
                    self.frame_began = None;
                    self.held.push_back(frame);
                    started |= self.start_held(clock);
                }
            }
        }
        Ok(started)
    }

    /// Starts what was read and need not wait for a Fetch; tells whether there was something.
    fn start_held(&mut self, clock: &dyn Clock) -> bool {
        let mut started = false;
        while !self.is_fetching || self.running.is_empty() {
            let Some(Frame { api, bytes, grant }) = self.held.pop_front() else { break };
            self.is_fetching = api == ApiKey::Fetch as i16;
            let answer = (self.start)(bytes);
            self.running.push_back(Box::pin(async move { (answer.await, grant) }));
            self.active_at = clock.tick();
            started = true;
        }
        started
    }

    /// Moves finished answers to the output, in order; tells whether there was one.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut answered = false;
        while let Poll::Ready(Some((reply, _grant))) = self.running.poll_next_unpin(cx) {
            answered = true;
            match reply {
                Reply::Send(segments) => {
                    for segment in segments {
                        self.output.push(segment);
                    }
                }
                Reply::Silent => {}
                Reply::Close(reason) => return Err(End::Refused(reason)),
                Reply::Reset(reason) => {
                    self.stream.reset_when_dropped();
                    return Err(End::Refused(reason));
                }
            }
        }
        Ok(answered)
    }

    fn overdue(&self, now: Duration) -> Option<End> {
        if let Some(began) = self.frame_began {
            let is_late = now.saturating_sub(began) >= self.limits.frame_time_max;
            return is_late.then_some(End::SlowFrame);
        }
        let silent = now.saturating_sub(self.active_at);
        (self.running.is_empty() && silent >= self.limits.idle_max).then_some(End::Idle)
    }
}

/// Completes when the value is `true`, or its sender is gone: a broker that is gone has stopped.
pub(crate) async fn until_true(value: &mut watch::Receiver<bool>) {
    while !*value.borrow_and_update() {
        if value.changed().await.is_err() {
            return;
        }
    }
}
