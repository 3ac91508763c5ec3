//! What all decisions share: the state they read, and the shape of their outcome.
//!
//! The operations are methods of [`Controller`], each beside its request: `topics`, `configs`, `brokers`,
//! `heartbeat`, `partitions`, `upkeep`.

use config::Settings;

use super::image::Image;
use super::record::Record;

/// Decides about requests. Reads, never writes.
#[derive(Clone, Copy, Debug)]
pub struct Controller<'a> {
    /// The state after every record that was decided so far.
    pub image: &'a Image,
    /// The settings of the broker that runs the controller.
    pub settings: &'a Settings,
}

/// The outcome of a request. The records are appended together, all or none, before anyone sees the
/// reply. No records: nothing changes, and the reply may be sent at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<R> {
    /// What changes.
    pub records: Vec<Record>,
    /// What is answered.
    pub reply: R,
}

impl<R> Decision<R> {
    /// Nothing changes.
    pub(super) fn nothing(reply: R) -> Self {
        Self { records: Vec::new(), reply }
    }

    /// The same decision with another reply.
    pub(super) fn map<T>(self, reply: impl FnOnce(R) -> T) -> Decision<T> {
        Decision { records: self.records, reply: reply(self.reply) }
    }

    /// The same decision, or with `validate_only` the same reply and no change.
    pub(super) fn unless(mut self, validate_only: bool) -> Self {
        if validate_only {
            self.records.clear();
        }
        self
    }
}
