//! Who can be talked to: ordered byte streams, polled, so that no future is boxed per read or write.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::clock::LocalFuture;

/// An ordered, reliable byte stream between two parties. TLS wraps it as it would wrap a socket.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// The other side's address.
    fn peer(&self) -> SocketAddr;
    /// This side's address.
    fn local(&self) -> SocketAddr;
    /// The raw descriptor for `sendfile`, where there is one.
    fn descriptor(&self) -> Option<i32> {
        None
    }
    /// Has the connection end with a reset when it is dropped, where there is such a thing: the other side
    /// takes that for a failure of the network, and not for an answer.
    fn reset_when_dropped(&self) {}
}

/// A connection that was accepted and belongs to no shard yet.
pub trait Incoming: Send {
    /// The other side's address.
    fn peer(&self) -> SocketAddr;
    /// Makes it a stream of the calling shard: from now on that shard is woken for it.
    fn open(self: Box<Self>) -> io::Result<Box<dyn Stream>>;
}

/// Accepts connections on one address.
pub trait Listener: Send {
    /// The address that was bound; tells the port when 0 was asked for.
    fn local(&self) -> SocketAddr;
    /// The next connection, to be opened on the shard that will serve it.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Incoming>>>;
}

/// A network.
pub trait Net: Send + Sync {
    /// Listens on `address` (`host:port`, port 0 for any). The bind happens before this returns. The
    /// system may queue `backlog` connections until they are accepted.
    fn listen(&self, address: SocketAddr, backlog: i32) -> io::Result<Box<dyn Listener>>;
    /// Connects to `host:port`; names are resolved each time, never cached.
    fn connect(&self, host: &str, port: u16) -> LocalFuture<io::Result<Box<dyn Stream>>>;
}
