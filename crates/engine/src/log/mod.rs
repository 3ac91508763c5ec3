//! What one partition knows about its log, and decides about it, without touching a disk.
//!
//! | question | file |
//! | --- | --- |
//! | where does it start and end, what is committed? | [`state`] |
//! | may this batch enter? | [`admit`] |
//! | is it the next one of its producer, or one that we have? | [`producers`], [`snapshot`] |
//! | which transactions are open? | [`transactions`] |
//! | which leader wrote which offsets? | [`epochs`] |
//! | does it need a new segment? | [`roll`] |
//! | which segments go? | [`retain`] |
//!
//! `storage` carries these decisions out.

pub mod admit;
pub mod config;
pub mod epochs;
pub mod producers;
pub mod retain;
pub mod roll;
pub mod snapshot;
pub mod state;
pub mod transactions;

pub use admit::{AdmitError, RecordFault};
pub use config::LogConfig;
pub use epochs::{EpochStart, Epochs};
pub use producers::{Producers, SequenceError};
pub use state::LogState;
