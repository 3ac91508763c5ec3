//! The cluster's state as this broker sees it, and the one way to change it.

mod control;
mod journal;

pub(crate) use control::{CommitError, Control, ControlRef, OpenControlError, State};
