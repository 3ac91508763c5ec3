//! The replication protocol of one partition on three brokers, with every order of events searched.
//!
//! The rules are the engine's own code: [`Progress`](engine::replication::leader::Progress),
//! [`Follow`](engine::replication::follower::Follow), [`Epochs`](engine::log::Epochs) and
//! [`Controller`](engine::metadata::Controller) decide here as they do in a broker. What is modelled is the
//! world around them: processes, machines and disks that fail, metadata that are followed late, proposals
//! whose answers are lost. `stateright` searches each [`Scenario`] whole; a [`Mutant`] breaks one rule, and the
//! property that it is to break must break.
//!
//! | Action | stands for |
//! | --- | --- |
//! | `Produce` | `broker/src/shard/mod.rs` (`append`): leads, and enough are in sync |
//! | `Copy`, `Delay`, `Arrive`, `Flush` | `broker/src/replication/fetcher.rs`, `api/data/fetch.rs`, `partition/replica.rs` |
//! | `Follow` | `broker/src/shard/follow.rs` (`follow`): the newest state, any time after it was made |
//! | `Propose`, `Decide`, `GiveUp` | `broker/src/replication/isr.rs`, `engine/metadata/partitions/alter_partition.rs` |
//! | `Start` | `broker/src/proof.rs`, `controller/membership.rs` (`join`), `engine/metadata/brokers.rs` |
//! | `Beat`, `Fence`, `Stop` | `controller/membership.rs` (`stay`), `controller/sessions.rs`, `engine/metadata/heartbeat.rs` |
//! | `Kill`, `LosePower`, `LoseDisk` | the three kinds of restart, `docs/internals/restarts.md` |
//! | `Prefer` | `engine/metadata/partitions/elections.rs` |
//! | `Pass` | time: whoever has not caught up since lags |
//!
//! What is left out: moves of replicas, drains, unclean elections (but as a mutant), retention (all logs begin
//! at 0), transactions, damaged logs, and the leader's lease, so that one that was replaced goes on for as long
//! as it likes. The quorum is one reliable register. A Fetch is answered at once, or comes late and its answer
//! never. `crates/engine/tests/replication/` has moves and a fourth broker, and goes through some histories of
//! them, not all.
//!
//! To read: `broker` (what a broker stores and does), `transitions` (what follows from each action),
//! `model` (what may happen when), [`properties`].

mod broker;
mod metadata;
mod model;
mod mutant;
pub mod properties;
mod scenario;
mod search;
mod state;
mod transitions;

pub use model::Replication;
pub use mutant::Mutant;
pub use scenario::{Budget, DEEP_SCENARIOS, Durability, SCENARIOS, Scenario};
pub use search::{Broken, Seen, counter_example, search};
pub use state::{Action, State};
