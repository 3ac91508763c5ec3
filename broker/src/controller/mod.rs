//! The cluster's controller, seen from a broker: how it is asked, and what it does beside deciding.
//!
//! ```text
//! broker ─ Link::ask(request) ─► the active controller ─► Ask::answer ─► ControlRef::decide ─► quorum
//!             here: a call          elsewhere: a connection
//! ```
//!
//! | file | what is there |
//! | --- | --- |
//! | `link` | whom to ask, and the connection to it |
//! | `requests` | what brokers ask for: registration, heartbeats, ISR changes, producer ids |
//! | `sessions` | which brokers are heard of; the silent ones are fenced |
//! | `membership` | this broker's own registration and heartbeats |
//! | `leases` | who may take a broker out of service, and until when |
//! | `balance` | the balancer, and the return of preferred leaders |
//! | `departures` | who has obeyed that somebody else leads, and leaves the in-sync replicas |
//! | `drains` | what brokers that are drained give away, step by step |
//! | `settle` | partitions follow a changed `min.insync.replicas` |
//! | `farewell` | a stop by request waits until this broker can be missed |
//!
//! What clients ask of the controller (topics, settings) is forwarded whole: `api/forward.rs`.

mod balance;
mod departures;
mod drains;
mod farewell;
mod leases;
mod link;
mod membership;
mod requests;
mod sessions;
mod settle;

pub(crate) use balance::{carry_on_balance, partition_sizes, return_leaders};
pub(crate) use departures::Departures;
pub(crate) use drains::carry_on_drains;
pub(crate) use farewell::{give_lease_back, wait_until_safe};
pub(crate) use leases::watch_lease;
pub(crate) use link::{Ask, AskError, Link};
pub(crate) use membership::{Introduction, Membership, join, stay};
pub(crate) use sessions::{Heard, connection_lost, watch_sessions};
pub(crate) use settle::{settle, settle_as_controller};
