//! What whoever operates the cluster asks of it, so that nothing is lost and nobody waits: may this broker
//! restart, who may disrupt, take away what it carries, forget it.
//!
//! ```text
//! restart_check ── is part of ──► lease: acquire, renew, release, expire     one in the whole cluster
//! drain ── a record ──► Controller::carry_on_drains ── Change, reassignment   a step after the other
//! ```

mod drain;
mod forget;
mod lease;
mod restart_check;

pub use drain::{DrainBrokerError, DrainProgress, Load, Obstacle, loads};
pub use forget::ForgetBrokerError;
pub use lease::{AcquireLeaseError, LeaseClock, NotHeld};
pub use restart_check::{Harm, RestartCheck, Voter};
