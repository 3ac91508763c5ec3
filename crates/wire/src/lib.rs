//! Kafka's language: bytes to values and back.
pub mod record;
pub mod uuid;
pub use uuid::Uuid;
