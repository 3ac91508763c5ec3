//! Controller, leaders and followers together, with brokers that die in every way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod node;
mod properties;
