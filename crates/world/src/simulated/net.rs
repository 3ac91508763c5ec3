//! The network as a process reaches it: streams, listeners and connects over [`super::wires`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::clock::LocalFuture;
use crate::net::{Incoming, Listener, Net, Stream};

use super::host::{HostId, Process};
use super::random::digest;
use super::wires::{Accepted, Answer, ReadError, Wires};

/// Connection attempts, one second apart, before a kernel gives up.
const CONNECT_ATTEMPTS: u32 = 127;

pub(super) struct SimulatedNet {
    pub(super) process: Arc<Process>,
    pub(super) wires: Arc<Wires>,
}

fn dead() -> io::Error {
    io::Error::other("the process is dead")
}

impl Net for SimulatedNet {
    fn listen(&self, address: SocketAddr, _backlog: i32) -> io::Result<Box<dyn Listener>> {
        if !self.process.is_alive() {
            return Err(dead());
        }
        let own = self.process.host.address();
        if !(address.ip() == own || address.ip().is_loopback() || address.ip().is_unspecified()) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let port = self.wires.listen(self.process.host, address.port()).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        self.process.record(format_args!("net listen {port}"));
        Ok(Box::new(SimulatedListener {
            process: Arc::clone(&self.process),
            wires: Arc::clone(&self.wires),
            local: SocketAddr::new(address.ip(), port),
        }))
    }

    fn connect(&self, host: &str, port: u16) -> LocalFuture<io::Result<Box<dyn Stream>>> {
        let (process, wires) = (Arc::clone(&self.process), Arc::clone(&self.wires));
        let host = host.to_owned();
        Box::pin(async move {
            let result = connect(&process, &wires, &host, port).await;
            match &result {
                Ok(stream) => process.record(format_args!("net connect {host}:{port} {stream}")),
                Err(error) => process.record(format_args!("net connect {host}:{port}: {error}")),
            }
            result.map(|stream| Box::new(stream) as Box<dyn Stream>)
        })
    }
}

async fn connect(
    process: &Arc<Process>,
    wires: &Arc<Wires>,
    host: &str,
    port: u16,
) -> io::Result<SimulatedStream> {
    let sleep = |time: Duration| {
        tokio::time::sleep_until(process.core.instant(process.core.elapsed() + time))
    };
    let to = resolve(process.host, wires, host)?;
    for _ in 0..CONNECT_ATTEMPTS {
        sleep(wires.delay() + wires.delay()).await;
        if !process.is_alive() {
            return Err(dead());
        }
        match wires.connect(process.host, to, port) {
            Answer::Connected(accepted) => {
                return Ok(SimulatedStream::new(process, wires, accepted));
            }
            Answer::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
            Answer::Nothing => sleep(Duration::from_secs(1)).await,
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn resolve(own: HostId, wires: &Wires, host: &str) -> io::Result<HostId> {
    let found = match host.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => Some(own),
        Ok(address) => wires.host_at(address),
        Err(_) if host == "localhost" => Some(own),
        Err(_) => wires.host_named(host),
    };
    found.ok_or_else(|| io::Error::other(format!("no host is called {host}")))
}

struct SimulatedListener {
    process: Arc<Process>,
    wires: Arc<Wires>,
    local: SocketAddr,
}

impl Listener for SimulatedListener {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Incoming>>> {
        if !self.process.is_alive() {
            return Poll::Ready(Err(dead()));
        }
        self.wires.poll_accept(self.process.host, self.local.port(), cx).map(|accepted| {
            let stream = SimulatedStream::new(&self.process, &self.wires, accepted);
            self.process.record(format_args!("net accept {stream}"));
            Ok(Box::new(SimulatedIncoming(stream)) as Box<dyn Incoming>)
        })
    }
}

impl Drop for SimulatedListener {
    fn drop(&mut self) {
        // A dead process has lost its listeners already, and its successor may have the port.
        if self.process.is_alive() {
            self.wires.unlisten(self.process.host, self.local.port(), self.process.core.elapsed());
        }
    }
}

struct SimulatedIncoming(SimulatedStream);

impl Incoming for SimulatedIncoming {
    fn peer(&self) -> SocketAddr {
        self.0.end.peer
    }

    fn open(self: Box<Self>) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.0))
    }
}

struct SimulatedStream {
    process: Arc<Process>,
    wires: Arc<Wires>,
    end: Accepted,
    /// Until the next bytes arrive.
    arrival: Option<Pin<Box<Sleep>>>,
}

impl SimulatedStream {
    fn new(process: &Arc<Process>, wires: &Arc<Wires>, accepted: Accepted) -> Self {
        let (process, wires) = (Arc::clone(process), Arc::clone(wires));
        Self { process, wires, end: accepted, arrival: None }
    }
}

impl std::fmt::Display for SimulatedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.end.local, self.end.peer)
    }
}

impl Stream for SimulatedStream {
    fn peer(&self) -> SocketAddr {
        self.end.peer
    }

    fn local(&self) -> SocketAddr {
        self.end.local
    }
}

impl AsyncRead for SimulatedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.process.is_alive() {
            return Poll::Ready(Err(dead()));
        }
        loop {
            let before = buffer.filled().len();
            let now = self.process.core.elapsed();
            match self.wires.read(self.end.receive, now, cx, buffer) {
                Ok(Poll::Ready(())) => {
                    let read = &buffer.filled()[before..];
                    self.process.record(format_args!("net {self} read +{}", read.len()));
                    return Poll::Ready(Ok(()));
                }
                Ok(Poll::Pending) => return Poll::Pending,
                Err(ReadError::Later(at)) => {
                    let at = self.process.core.instant(at);
                    let mut arrival = Box::pin(tokio::time::sleep_until(at));
                    if arrival.as_mut().poll(cx).is_pending() {
                        self.arrival = Some(arrival);
                        return Poll::Pending;
                    }
                }
                Err(ReadError::Broken(kind)) => {
                    self.process.record(format_args!("net {self} read: {kind}"));
                    return Poll::Ready(Err(kind.into()));
                }
            }
        }
    }
}

impl AsyncWrite for SimulatedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.process.is_alive() {
            return Poll::Ready(Err(dead()));
        }
        let polled = self.wires.write(self.end.send, self.process.core.elapsed(), cx, bytes);
        match &polled {
            Poll::Ready(Ok(written)) => {
                let digest = digest(&bytes[..*written]);
                self.process.record(format_args!("net {self} write +{written} {digest:016x}"));
            }
            Poll::Ready(Err(error)) => {
                self.process.record(format_args!("net {self} write: {error}"));
            }
            Poll::Pending => {}
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.process.is_alive() {
            self.wires.finish(self.end.send, self.process.core.elapsed());
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimulatedStream {
    fn drop(&mut self) {
        // The kernel closed a dead process's sockets already, or its machine is gone.
        if self.process.is_alive() {
            self.wires.close(self.end.send, self.process.core.elapsed());
        }
    }
}
