//! Tests of `wire` against others who speak Kafka: Kafka's own classes, and `kafka-protocol`.
//!
//! What is absent: anything that ships. This crate exists so that `wire`, which stands under
//! everything, compiles without its oracles.
//!
//! ```text
//! seed ─ random.rs ─ bytes ─┬─ wire decodes, encodes ──────────────── same bytes
//!          (schema)         ├─ kafka-protocol decodes, encodes ────── same bytes
//!                           └─ Java decodes, encodes, prints JSON ─── same bytes, same fields
//! seed ─ Java's setters ─ bytes, JSON ─ wire decodes, encodes ─────── same bytes, same fields
//! ```
//!
//! "Same fields" is judged by `tree.rs`, which reads Rust's debug text and Kafka's JSON.

mod generated;
pub mod java;
pub mod random;
pub mod registry;
pub mod schema;
pub mod tree;

pub use registry::{Entry, messages};
