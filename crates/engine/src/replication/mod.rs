//! Replication of one partition: what its leader knows of the followers, and what a follower does with
//! what it is told.
//!
//! ```text
//!   leader                                          follower
//!   Progress::fetched  ◄── Fetch(offset, epoch) ──  Follow::may_fetch
//!        │                                              ▲
//!        ├─ high_watermark ── records, watermark ──►  Follow::answered ─► Step: append, cut, start again
//!        └─ proposal ──► the controller (compare and set) ──► metadata ──► Progress::configured
//! ```
//!
//! What is absent: the log, the network, and whoever answers clients. The rules and why they hold are told
//! in `docs/internals/replication.md`.

pub mod follower;
pub mod leader;
pub mod nearest;
pub mod throttle;
