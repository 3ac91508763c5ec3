//! All of Klamm's decisions, and no I/O.
//!
//! Three shapes, and no others (ADR 0001):
//!
//! - `step(event, now) -> effects`: a protocol. A group's rebalance, a replica, a fetch session.
//! - `decide(request) -> records + reply`, then `apply(record)`: replicated state. Topics, configs,
//!   committed offsets. `decide` reads, `apply` writes; nothing else may write, so replaying the
//!   records rebuilds the state.
//! - `plan(facts) -> steps`: background work. Which segment to drop, where to place a replica.
//!
//! What is absent: this crate knows no clock, no disk, no socket, no dice and no task. Time arrives as
//! [`Now`], chance as a number, bytes as slices. That is what lets a whole cluster run from a seed.

pub mod group;
pub mod ids;
pub mod log;
pub mod metadata;
pub mod now;
pub mod replication;
pub mod session;
pub mod sessions;

pub use ids::{BrokerId, LeaderEpoch, Offset, ProducerId, TopicId, TopicPartition};
pub use now::Now;
