//! Cluster, Topic and ConsumerGroup as Rust types.
