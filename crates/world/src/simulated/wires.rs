//! The network as a value: hosts, who listens, which links are cut, and the bytes on their way.
//!
//! A connection is two pipes, one per direction. A pipe delivers in order, each piece after a delay
//! that is drawn for it; while its link is cut nothing arrives, and what was sent arrives after the
//! link is healed. It holds a bounded number of bytes: who writes more waits.
//!
//! How a connection ends: a clean close arrives after the bytes before it. A killed process's sockets
//! are closed or reset by its kernel. A machine without power says nothing: its peer finds out by its
//! own timeout, or when it writes after the machine is back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;

use super::host::{HostId, locked};
use super::random::Random;

/// Bytes on their way in one direction: a send and a receive buffer together.
const PIPE_BYTES_MAX: usize = 256 * 1024;

/// Connections that wait to be accepted on one port; more are refused.
const BACKLOG_MAX: usize = 256;

/// How the network misbehaves, beside its cuts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetFaults {
    /// How long a piece is on its way; drawn for each, in order within a connection.
    pub delay: Range<Duration>,
    /// A write takes only part of what it was given, so many times out of 1,000.
    pub short_write: u64,
}

impl Default for NetFaults {
    fn default() -> Self {
        Self { delay: Duration::from_micros(50)..Duration::from_millis(3), short_write: 50 }
    }
}

/// One direction of a connection. The other direction's number differs in the last bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PipeId(u64);

impl PipeId {
    fn back(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// One end of a new connection.
pub(super) struct Accepted {
    pub(super) send: PipeId,
    pub(super) receive: PipeId,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

/// What comes back when a host asks another for a connection.
pub(super) enum Answer {
    Connected(Accepted),
    Refused,
    /// The link is cut or the machine is off.
    Nothing,
}

/// Why nothing was read.
pub(super) enum ReadError {
    /// Something arrives then.
    Later(Duration),
    /// The connection is no more.
    Broken(io::ErrorKind),
}

struct Pipe {
    from: HostId,
    to: HostId,
    pieces: VecDeque<(Duration, Bytes)>,
    bytes: usize,
    /// When the last piece arrives: what follows does not overtake it.
    last_at: Duration,
    /// When the end arrives, once nothing more is sent.
    end_at: Option<Duration>,
    /// When the reader finds the connection reset.
    reset_at: Option<Duration>,
    /// Nobody reads any more: what is written vanishes, and is answered by a reset.
    reader_gone: bool,
    /// The writer has closed, or died.
    writer_gone: bool,
    /// The receiving machine lost power with this connection open.
    forgotten: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Default)]
struct Waiting {
    backlog: VecDeque<Accepted>,
    acceptor: Option<Waker>,
}

struct Host {
    name: Arc<str>,
    powered: bool,
    listening: BTreeMap<u16, Waiting>,
    next_port: u16,
}

struct State {
    hosts: Vec<Host>,
    cut: BTreeSet<(HostId, HostId)>,
    pipes: BTreeMap<PipeId, Pipe>,
    next_pipe: u64,
    faults: NetFaults,
    random: Random,
}

/// The network of a simulation.
pub(super) struct Wires {
    state: Mutex<State>,
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl Wires {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(State {
                hosts: Vec::new(),
                cut: BTreeSet::new(),
                pipes: BTreeMap::new(),
                next_pipe: 0,
                faults: NetFaults::default(),
                random: Random::new(seed, &["net"]),
            }),
        }
    }

    // Hosts and links.

    pub(super) fn add_host(&self, name: Arc<str>) {
        let listening = BTreeMap::new();
        let host = Host { name, powered: true, listening, next_port: 40_000 };
        locked(&self.state).hosts.push(host);
    }

    pub(super) fn host_named(&self, name: &str) -> Option<HostId> {
        let at = locked(&self.state).hosts.iter().position(|host| *host.name == *name)?;
        Some(HostId(u8::try_from(at).expect("there are fewer hosts than that")))
    }

    pub(super) fn host_at(&self, address: IpAddr) -> Option<HostId> {
        let hosts = u8::try_from(locked(&self.state).hosts.len()).expect("there are fewer hosts");
        (0..hosts).map(HostId).find(|host| host.address() == address)
    }

    pub(super) fn set_faults(&self, faults: NetFaults) {
        locked(&self.state).faults = faults;
    }

    pub(super) fn delay(&self) -> Duration {
        locked(&self.state).delay()
    }

    pub(super) fn cut(&self, from: HostId, to: HostId) {
        if from != to {
            locked(&self.state).cut.insert((from, to));
        }
    }

    pub(super) fn heal(&self, from: HostId, to: HostId) {
        let state = &mut *locked(&self.state);
        state.cut.remove(&(from, to));
        for pipe in state.pipes.values_mut().filter(|pipe| pipe.from == from && pipe.to == to) {
            wake(&mut pipe.reader);
            wake(&mut pipe.writer);
        }
    }

    /// Whether anything gets from one host to another.
    pub(super) fn is_cut(&self, from: HostId, to: HostId) -> bool {
        locked(&self.state).cut.contains(&(from, to))
    }

    /// The host's process is gone, its kernel is not: it closes the sockets.
    pub(super) fn process_killed(&self, host: HostId, now: Duration) {
        let state = &mut *locked(&self.state);
        state.hosts[host.index()].listening.clear();
        let own: Vec<PipeId> = state.pipes_from(host);
        for id in own {
            // A kernel resets where bytes were left unread, and closes where none were.
            let unread = state.pipes.get(&id.back()).is_some_and(|back| back.bytes > 0);
            state.let_go(id, now, unread);
        }
    }

    /// The host is without power: its peers hear nothing any more.
    pub(super) fn power_lost(&self, host: HostId) {
        let state = &mut *locked(&self.state);
        let machine = &mut state.hosts[host.index()];
        machine.listening.clear();
        machine.powered = false;
        for id in state.pipes_from(host) {
            let Some(pipe) = state.pipes.get_mut(&id) else { continue };
            pipe.writer_gone = true;
            if let Some(back) = state.pipes.get_mut(&id.back()) {
                back.forgotten = true;
            }
        }
    }

    /// The host has power again: bytes that were sent to its former self are answered by a reset.
    pub(super) fn power_back(&self, host: HostId, now: Duration) {
        let state = &mut *locked(&self.state);
        state.hosts[host.index()].powered = true;
        let forgotten: Vec<PipeId> = state
            .pipes
            .iter()
            .filter(|(_, p)| p.to == host && p.forgotten)
            .map(|(id, _)| *id)
            .collect();
        for id in forgotten {
            let Some(pipe) = state.pipes.get_mut(&id) else { continue };
            pipe.reader_gone = true;
            if pipe.bytes > 0 {
                state.reset(id.back(), now);
            }
            state.forget_if_done(id);
        }
    }

    // Listening and connecting.

    pub(super) fn listen(&self, host: HostId, port: u16) -> io::Result<u16> {
        let state = &mut *locked(&self.state);
        let host = &mut state.hosts[host.index()];
        let port = if port == 0 { host.free_port() } else { port };
        if host.listening.contains_key(&port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        host.listening.insert(port, Waiting::default());
        Ok(port)
    }

    pub(super) fn unlisten(&self, host: HostId, port: u16, now: Duration) {
        let state = &mut *locked(&self.state);
        let Some(waiting) = state.hosts[host.index()].listening.remove(&port) else { return };
        for accepted in waiting.backlog {
            state.let_go(accepted.send, now, true);
        }
    }

    pub(super) fn poll_accept(&self, host: HostId, port: u16, cx: &Context<'_>) -> Poll<Accepted> {
        let state = &mut *locked(&self.state);
        let waiting = state.hosts[host.index()].listening.get_mut(&port);
        let waiting = waiting.expect("a live process's listener is registered until it is dropped");
        match waiting.backlog.pop_front() {
            Some(accepted) => Poll::Ready(accepted),
            None => {
                waiting.acceptor = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(super) fn connect(&self, from: HostId, to: HostId, port: u16) -> Answer {
        let state = &mut *locked(&self.state);
        let cut = state.cut.contains(&(from, to)) || state.cut.contains(&(to, from));
        if cut || !state.hosts[to.index()].powered {
            return Answer::Nothing;
        }
        let listening = state.hosts[to.index()].listening.get(&port);
        if listening.is_none_or(|waiting| waiting.backlog.len() >= BACKLOG_MAX) {
            return Answer::Refused;
        }
        let own_port = state.hosts[from.index()].free_port();
        let client = SocketAddr::new(from.address(), own_port);
        let server = SocketAddr::new(to.address(), port);
        let (send, receive) = (PipeId(state.next_pipe), PipeId(state.next_pipe + 1));
        state.next_pipe += 2;
        state.pipes.insert(send, Pipe::new(from, to));
        state.pipes.insert(receive, Pipe::new(to, from));
        let waiting = state.hosts[to.index()].listening.get_mut(&port).expect("it was there above");
        waiting.backlog.push_back(Accepted {
            send: receive,
            receive: send,
            peer: client,
            local: server,
        });
        wake(&mut waiting.acceptor);
        Answer::Connected(Accepted { send, receive, peer: server, local: client })
    }

    // Bytes.

    pub(super) fn read(
        &self,
        id: PipeId,
        now: Duration,
        cx: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Result<Poll<()>, ReadError> {
        let state = &mut *locked(&self.state);
        let Some(pipe) = state.pipes.get_mut(&id) else {
            return Err(ReadError::Broken(io::ErrorKind::ConnectionReset));
        };
        pipe.reader = Some(cx.waker().clone());
        if state.cut.contains(&(pipe.from, pipe.to)) {
            return Ok(Poll::Pending);
        }
        if let Some((at, piece)) = pipe.pieces.front_mut() {
            if *at > now {
                return Err(ReadError::Later(*at));
            }
            let read = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..read]);
            piece.advance(read);
            if piece.is_empty() {
                pipe.pieces.pop_front();
            }
            pipe.bytes -= read;
            wake(&mut pipe.writer);
            return Ok(Poll::Ready(()));
        }
        match (pipe.reset_at, pipe.end_at) {
            (Some(at), _) if at <= now => Err(ReadError::Broken(io::ErrorKind::ConnectionReset)),
            (_, Some(at)) if at <= now => Ok(Poll::Ready(())),
            (Some(at), _) | (None, Some(at)) => Err(ReadError::Later(at)),
            (None, None) => Ok(Poll::Pending),
        }
    }

    pub(super) fn write(
        &self,
        id: PipeId,
        now: Duration,
        cx: &Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let state = &mut *locked(&self.state);
        let (Some(pipe), Some(back)) = (state.pipes.get(&id), state.pipes.get(&id.back())) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let was_reset =
            back.reset_at.is_some_and(|at| at <= now) && !state.cut.contains(&(back.from, back.to));
        if was_reset || pipe.writer_gone || pipe.end_at.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if pipe.reader_gone {
            if !state.cut.contains(&(pipe.from, pipe.to)) {
                state.reset(id.back(), now);
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        let room = PIPE_BYTES_MAX - pipe.bytes;
        let delay = state.delay();
        let short = bytes.len() > 1 && state.random.chance(state.faults.short_write, 1000);
        let offered = if short { 1 + state.random.index(bytes.len() - 1) } else { bytes.len() };
        let pipe = state.pipes.get_mut(&id).expect("it was there above");
        if room == 0 && !bytes.is_empty() {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let written = offered.min(room);
        if written > 0 {
            pipe.last_at = pipe.last_at.max(now + delay);
            pipe.pieces.push_back((pipe.last_at, Bytes::copy_from_slice(&bytes[..written])));
            pipe.bytes += written;
            wake(&mut pipe.reader);
        }
        Poll::Ready(Ok(written))
    }

    /// Nothing more is sent on this pipe.
    pub(super) fn finish(&self, id: PipeId, now: Duration) {
        locked(&self.state).finish(id, now);
    }

    /// The end that sends on this pipe, and reads the other direction, is dropped.
    pub(super) fn close(&self, send: PipeId, now: Duration) {
        let state = &mut *locked(&self.state);
        let unread = state.pipes.get(&send.back()).is_some_and(|back| back.bytes > 0);
        state.let_go(send, now, unread);
    }
}

impl Host {
    fn free_port(&mut self) -> u16 {
        self.next_port = self.next_port.checked_add(1).unwrap_or(40_000);
        self.next_port
    }
}

impl Pipe {
    fn new(from: HostId, to: HostId) -> Self {
        Self {
            from,
            to,
            pieces: VecDeque::new(),
            bytes: 0,
            last_at: Duration::ZERO,
            end_at: None,
            reset_at: None,
            reader_gone: false,
            writer_gone: false,
            forgotten: false,
            reader: None,
            writer: None,
        }
    }
}

impl State {
    fn delay(&mut self) -> Duration {
        self.random.duration(&self.faults.delay)
    }

    fn pipes_from(&self, host: HostId) -> Vec<PipeId> {
        let own = |(id, pipe): (&PipeId, &Pipe)| (pipe.from == host).then_some(*id);
        self.pipes.iter().filter_map(own).collect()
    }

    fn finish(&mut self, id: PipeId, now: Duration) {
        let delay = self.delay();
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        pipe.end_at.get_or_insert(pipe.last_at.max(now + delay));
        wake(&mut pipe.reader);
    }

    /// Lets the reader of `id` find a reset, and its writer stop.
    fn reset(&mut self, id: PipeId, now: Duration) {
        let delay = self.delay();
        if let Some(pipe) = self.pipes.get_mut(&id) {
            pipe.reset_at.get_or_insert(now + delay);
            wake(&mut pipe.reader);
        }
        if let Some(back) = self.pipes.get_mut(&id.back()) {
            wake(&mut back.writer);
        }
    }

    /// The end that sends on `send` goes away; the other end finds a close, or a reset.
    fn let_go(&mut self, send: PipeId, now: Duration, reset: bool) {
        let Some(pipe) = self.pipes.get_mut(&send) else { return };
        if pipe.writer_gone {
            return;
        }
        pipe.writer_gone = true;
        if reset {
            self.reset(send, now);
        } else {
            self.finish(send, now);
        }
        if let Some(back) = self.pipes.get_mut(&send.back()) {
            back.reader_gone = true;
            back.pieces.clear();
            back.bytes = 0;
            wake(&mut back.writer);
        }
        self.forget_if_done(send);
    }

    /// Drops a connection that neither end has any more.
    fn forget_if_done(&mut self, id: PipeId) {
        let gone = |pipe: Option<&Pipe>| pipe.is_none_or(|pipe| pipe.writer_gone);
        if gone(self.pipes.get(&id)) && gone(self.pipes.get(&id.back())) {
            self.pipes.remove(&id);
            self.pipes.remove(&id.back());
        }
    }
}
