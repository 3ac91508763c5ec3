//! The cluster's state as this broker sees it, and the one way to change it.

mod control;
mod publisher;
mod recent;
mod state;

pub(crate) use control::{CommitError, Control, ControlRef};
pub(crate) use publisher::Publisher;
pub(crate) use recent::Recent;
#[cfg(test)]
pub(crate) use state::encode_records;
pub(crate) use state::{RecordsError, State, decode_records};
