//! Sockets: accepting, framing, ordered pipelining. Knows nothing of what a request means.

mod connection;
mod frames;
mod listener;
mod output;

pub(crate) use connection::{Accepted, End, Limits, Reply, serve, until_true};
pub(crate) use frames::SCRATCH_BYTES;
pub(crate) use listener::accept;
