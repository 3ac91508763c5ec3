//! TCP. An accepted connection leaves the reactor of the shard that accepted it at once, and joins
//! that of the shard that opens it.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::LocalFuture;
use crate::net::{Incoming, Listener, Net, Stream};

/// The machine's network.
#[derive(Debug, Default)]
pub struct RealNet(());

impl RealNet {
    /// The machine's network.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Net for RealNet {
    fn listen(&self, address: SocketAddr, backlog: i32) -> io::Result<Box<dyn Listener>> {
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        };
        let listener = bind(address, backlog).map_err(named)?;
        let local = listener.local_addr()?;
        Ok(Box::new(RealListener { local, socket: Registration::Idle(Some(listener)) }))
    }

    fn connect(&self, host: &str, port: u16) -> LocalFuture<io::Result<Box<dyn Stream>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect((host.as_str(), port)).await?;
            Ok(Box::new(RealStream::new(stream)?) as Box<dyn Stream>)
        })
    }
}

/// A bound, listening, non-blocking socket.
fn bind(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SOCKET_FLAGS, None)?;
    // A restart must not wait for the connections of the previous run to leave TIME_WAIT.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, backlog)?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(target_os = "linux")]
const SOCKET_FLAGS: SocketFlags = SocketFlags::CLOEXEC;
#[cfg(not(target_os = "linux"))]
const SOCKET_FLAGS: SocketFlags = SocketFlags::empty();

/// A listening socket joins the reactor of the shard that first polls it, so that it can be bound
/// before there are shards.
enum Registration {
    /// Not polled yet. `None` only after joining failed.
    Idle(Option<TcpListener>),
    Live(tokio::net::TcpListener),
}

impl Registration {
    /// The registered socket; joins the calling shard's reactor if this is the first poll.
    fn live(&mut self) -> io::Result<&mut tokio::net::TcpListener> {
        if let Self::Idle(socket) = self {
            let socket = socket.take().ok_or(io::ErrorKind::NotConnected)?;
            *self = Self::Live(tokio::net::TcpListener::from_std(socket)?);
        }
        match self {
            Self::Live(live) => Ok(live),
            Self::Idle(_) => unreachable!("it was made live above"),
        }
    }
}

struct RealListener {
    local: SocketAddr,
    socket: Registration,
}

impl Listener for RealListener {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Incoming>>> {
        let socket = self.socket.live()?;
        loop {
            let accepted = ready!(socket.poll_accept(cx));
            match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                Ok((stream, peer)) => {
                    return Poll::Ready(Ok(Box::new(RealIncoming { peer, stream })));
                }
                // It went away before we got to it: not the listener's failure.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

struct RealIncoming {
    peer: SocketAddr,
    stream: TcpStream,
}

impl Incoming for RealIncoming {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(self: Box<Self>) -> io::Result<Box<dyn Stream>> {
        let stream = tokio::net::TcpStream::from_std(self.stream)?;
        Ok(Box::new(RealStream::new(stream)?))
    }
}

struct RealStream {
    peer: SocketAddr,
    local: SocketAddr,
    socket: tokio::net::TcpStream,
}

impl RealStream {
    fn new(socket: tokio::net::TcpStream) -> io::Result<Self> {
        // A reply is written whole: waiting to fill a packet only delays it.
        socket.set_nodelay(true)?;
        Ok(Self { peer: socket.peer_addr()?, local: socket.local_addr()?, socket })
    }

    fn socket(&mut self) -> Pin<&mut tokio::net::TcpStream> {
        Pin::new(&mut self.socket)
    }
}

impl Stream for RealStream {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn local(&self) -> SocketAddr {
        self.local
    }

    fn descriptor(&self) -> Option<i32> {
        Some(self.socket.as_raw_fd())
    }

    fn reset_when_dropped(&self) {
        // Without it, it ends in the other way.
        let _ = self.socket.set_zero_linger();
    }
}

impl AsyncRead for RealStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.socket().poll_read(cx, buffer)
    }
}

impl AsyncWrite for RealStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::tasks::{Tasks, spawn_local};

    #[test]
    fn no_more_connections_wait_than_the_backlog_allows() {
        let waiting = |backlog| {
            let listener = RealNet::new().listen("127.0.0.1:0".parse().unwrap(), backlog).unwrap();
            let connect =
                |_| TcpStream::connect_timeout(&listener.local(), Duration::from_millis(200)).ok();
            (0..5).map_while(connect).count()
        };
        assert_eq!(waiting(16), 5);
        // Linux lets one more in than it is told to.
        assert!((1..=2).contains(&waiting(1)));
    }

    #[test]
    fn a_connection_is_accepted_on_one_shard_and_served_on_another() {
        let net = RealNet::new();
        let mut listener = net.listen("127.0.0.1:0".parse().unwrap(), 16).unwrap();
        let port = listener.local().port();
        let taken = net.listen(listener.local(), 16).map(|_| ()).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert!(taken.to_string().contains(&format!("127.0.0.1:{port}")), "{taken}");

        let tasks = crate::real::RealTasks::new(2);
        let (hand_over, handed_over) = tokio::sync::oneshot::channel();
        let acceptor = tasks.start_shard(
            "acceptor".to_owned(),
            Box::new(move || {
                Box::pin(async move {
                    let incoming = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
                    assert!(hand_over.send(incoming).is_ok());
                })
            }),
        );
        let server = tasks.start_shard(
            "server".to_owned(),
            Box::new(move || {
                Box::pin(async move {
                    let incoming = handed_over.await.unwrap();
                    let peer = incoming.peer();
                    let mut stream = incoming.open().unwrap();
                    assert_eq!(stream.peer(), peer);
                    let mut bytes = [0; 5];
                    stream.read_exact(&mut bytes).await.unwrap();
                    stream.write_all(&bytes).await.unwrap();
                })
            }),
        );
        let client = tasks.start_shard(
            "client".to_owned(),
            Box::new(move || {
                Box::pin(async move {
                    let echoed = spawn_local(async move {
                        let mut stream = RealNet::new().connect("localhost", port).await.unwrap();
                        stream.write_all(b"hello").await.unwrap();
                        let mut bytes = Vec::new();
                        stream.read_to_end(&mut bytes).await.unwrap();
                        assert_eq!(bytes, b"hello");
                    });
                    echoed.await.unwrap();
                })
            }),
        );
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for shard in [acceptor, server, client] {
            runtime.block_on(shard).unwrap();
        }
    }
}
