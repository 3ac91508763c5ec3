//! One request to one broker, on a connection of its own: for questions that no client library should
//! answer from what it remembers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use wire::{Request, frame};

/// Asks at the newest version of that API.
///
/// # Errors
/// When there is no answer within `limit`, or none that can be read.
pub fn ask<R: Request>(address: SocketAddr, request: &R, limit: Duration) -> Result<R::Response> {
    let version = *R::API_KEY.versions().end();
    let mut connection = TcpStream::connect_timeout(&address, limit)?;
    connection.set_read_timeout(Some(limit))?;
    connection.write_all(&frame::request(request, version, 1, None)?.into_bytes())?;
    let mut length = [0; frame::LENGTH_BYTES];
    connection.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
    connection.read_exact(&mut answer)?;
    Ok(frame::decode_response(answer.into(), version)?.1)
}

/// A page of an HTTP port.
///
/// # Errors
/// When it is not served within `limit`.
pub fn get(address: SocketAddr, path: &str, limit: Duration) -> Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, limit)?;
    connection.set_read_timeout(Some(limit))?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    anyhow::ensure!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    Ok(body.to_owned())
}
