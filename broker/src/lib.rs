//! The running server: sockets, one handler per API, shards, coordinators.
//!
//! ```text
//! client ─► net (frames, order) ─► api (one handler per key) ─► shard ─► partition ─► storage
//!                                        │                        └────► coordinator ─► partition
//!                                        └─► metadata (decide, publish) ─► quorum (agree, store)
//! ```
//!
//! What is absent: decisions. What a batch must look like, which segment to drop, what a group does
//! next, whether a topic may be created: `crates/engine` knows. This crate carries it out.

mod accept;
mod admin_http;
mod api;
mod broker;
mod controller;
mod coordinator;
mod damage;
mod data_dir;
mod disk_failure;
mod hindrance;
mod log_config;
mod memory;
mod metadata;
mod metrics;
mod net;
mod partition;
mod proof;
mod quorum;
mod replication;
mod shard;
mod shared;
mod throttles;

pub use broker::{Broker, Running, StartError};
pub use data_dir::DataDirError;
pub use quorum::{Found, RecoverError, Recovery};
