//! Makes the brokers match the resources: observe, plan, apply, status.
//!
//! Each kind is a room of the same four files. `observe.rs` reads through [`kafka::Admin`] and
//! [`platform::Platform`] into plain data; `plan.rs` is pure and decides every step; `apply.rs` carries
//! the steps out one by one, each safe to repeat; `status.rs` is pure and says what a person reads.
//!
//! ```text
//! Platform::resources ─▶ reconcile.rs ─▶ cluster/ | topic/ | consumer_group/
//!                          observe ─▶ plan ─▶ apply ─▶ status ─▶ Platform::write_status
//! ```
//!
//! What it is not: but for [`platform::kubernetes`] it runs no task and owns no clock. `klamm up` and
//! [`platform::kubernetes::run()`] call [`Reconciler`] when something changed or its time has come. Kubernetes and a
//! laptop differ only behind [`Platform`].

pub mod cluster;
pub mod consumer_group;
pub mod kafka;
pub mod now;
pub mod platform;
pub mod reconcile;
pub mod topic;

pub use kafka::{Admin, AdminError};
pub use now::Now;
pub use platform::Platform;
pub use reconcile::Reconciler;
