//! The simulated twins: one [`Simulation`] is a small universe that runs in one thread from one seed.
//!
//! It has hosts, each with a disk that loses what was not synced, a clock that jumps, dice of its own
//! and a process that can be killed, paused or lose power; a network between them that delays and cuts;
//! and one bucket. Time is tokio's paused clock: it moves only when nobody has anything to do. Whatever
//! is observable is hashed into a [`Trace`]: the same seed gives the same trace, and if it does not, the
//! code under test asked somebody outside the door.
//!
//! ```text
//! storm ── Simulation ──┬─ host "broker-1" ── process (World, its tasks) ── kill, power_loss, pause
//!   (faults, checks)    │        └─ volume, wall clock, boot id: outlive the process
//!                       ├─ net: streams, listeners, cut links
//!                       ├─ bucket
//!                       └─ trace
//! ```
//!
//! What it is not: a scheduler. Tasks run in tokio's order, which is a function of the seed because
//! nothing else decides when they wake.

mod bucket;
mod clock;
mod content;
mod dice;
mod disk;
mod host;
mod net;
mod random;
mod simulation;
mod tasks;
mod trace;
mod volume;
mod wires;

pub use bucket::BucketFaults;
pub use disk::DiskControl;
pub use host::HostId;

pub use random::Random;
pub use simulation::{Simulation, SimulationOptions};
pub use tasks::PoolLatency;
pub use trace::Trace;
pub use wires::NetFaults;
