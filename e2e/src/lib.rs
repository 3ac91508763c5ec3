//! Real processes, real clients, judged from outside.
pub mod kafka;
