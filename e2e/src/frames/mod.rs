//! Mutated frames: valid requests, changed in ways that no client would, sent to a running broker.
//!
//! ```text
//! captured.rs  from real clients ─┐
//! samples.rs   from our encoder ──┴─ bases ─ mutate.rs ─ frames ─ send.rs ─ broker ─ /metrics
//! ```
//!
//! Captured frames lie in `e2e/fixtures/frames.txt`; `cargo xtask frames --record` takes them anew.

pub mod broker;
pub mod captured;
pub mod mutate;
pub mod record;
pub mod samples;
pub mod send;

use anyhow::{Context, Result};
use bytes::Bytes;
use wire::frame::{Head, LENGTH_BYTES};
use wire::{ApiKey, Reader};

/// A valid request as it goes over a socket, length prefix included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Who wrote it.
    pub author: String,
    /// What it asks for.
    pub key: ApiKey,
    /// The version of its body.
    pub version: i16,
    /// All of it.
    pub bytes: Vec<u8>,
    /// Where its body begins.
    pub body: usize,
}

impl Frame {
    /// Reads the head off `bytes`.
    ///
    /// # Errors
    /// When they do not begin as a request does.
    pub fn new(author: &str, bytes: Vec<u8>) -> Result<Self> {
        let content = bytes.get(LENGTH_BYTES..).context("shorter than a length")?;
        let mut reader = Reader::new(Bytes::copy_from_slice(content));
        let Head { key, version, .. } = Head::decode(&mut reader)?;
        let body = bytes.len() - reader.remaining();
        Ok(Self { author: author.to_owned(), key, version, bytes, body })
    }
}
