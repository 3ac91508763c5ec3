//! One blocking connection: frames out, frames in.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use wire::{Request, frame};

/// A response larger than this is a mistake.
const FRAME_BYTES_MAX: usize = 128 << 20;

pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    correlation_id: i32,
}

impl Connection {
    pub(crate) fn open(broker: &str) -> Result<Self> {
        let writer = TcpStream::connect(broker).with_context(|| format!("connect to {broker}"))?;
        writer.set_nodelay(true)?;
        Self::over(writer)
    }

    /// Takes a connection that exists.
    pub(crate) fn over(writer: TcpStream) -> Result<Self> {
        let reader = BufReader::with_capacity(256 << 10, writer.try_clone()?);
        Ok(Self { reader, writer, correlation_id: 0 })
    }

    /// The two halves, for a sender and a receiver on threads of their own.
    pub(crate) fn split(self) -> (Self, TcpStream) {
        let sender = self.writer.try_clone().expect("a socket can be cloned");
        (self, sender)
    }

    /// Sends a request and waits for its response.
    pub(crate) fn ask<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response> {
        self.correlation_id += 1;
        let frame = frame::request(request, version, self.correlation_id, None)?;
        self.writer.write_all(&frame.into_bytes())?;
        let bytes = self.receive()?;
        let (correlation_id, response) = frame::decode_response::<R::Response>(bytes, version)?;
        ensure!(correlation_id == self.correlation_id, "answers come in order");
        Ok(response)
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, frame: &[u8]) -> Result<()> {
        Ok(self.writer.write_all(frame)?)
    }

    /// The next frame without its length.
    pub(crate) fn receive(&mut self) -> Result<Bytes> {
        let mut length = [0; 4];
        self.reader.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length))?;
        ensure!(length <= FRAME_BYTES_MAX, "a response of {length} bytes");
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes)?;
        Ok(Bytes::from(bytes))
    }
}
