//! The cluster's state as this broker sees it, and the one way to change it.

mod control;
mod state;

pub(crate) use control::{CommitError, Control, ControlRef};
pub(crate) use state::{State, decode_records, encode_records};
