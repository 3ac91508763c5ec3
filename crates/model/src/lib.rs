//! The replication protocol of one partition, checked in every order of events.

mod broker;
mod metadata;
mod model;
mod mutant;
pub mod properties;
mod scenario;
mod state;
mod transitions;

pub use model::Replication;
pub use mutant::Mutant;
pub use scenario::{Budget, Durability, Scenario};
pub use state::{Action, State};
