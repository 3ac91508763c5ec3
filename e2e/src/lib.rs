//! Real processes, real clients, judged from outside.
//!
//! | file | what is there |
//! | --- | --- |
//! | `cache.rs` | where built and fetched things are kept; suites that cannot run |
//! | `process.rs` | a child process, and what it says line by line |
//! | `event.rs` | the lines that the client programs print |
//! | `library.rs` | the six clients: how each is built and run (`clients/README.md`); `kcat.rs` reads kcat's own lines |
//! | `cluster.rs` | several brokers as processes, killed one by one |
//! | `server.rs` | the broker under test: `klamm up`, or Apache Kafka as the control |
//! | `order.rs` | what is sent |
//! | `judge.rs` | claims about what was read, as pure functions |
//! | `story.rs` | the order story, told by one client |
//! | `report.rs` | a verdict per client and line |
//! | `frames/` | mutated frames, sent to a broker that must live on |
//! | `kafka.rs` | Apache Kafka's jars, tools and broker |
//!
//! `KLAMM_E2E_SERVER=kafka` runs the same stories against Apache Kafka: what fails there is no fault of ours.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "real processes run in real time, beside real files"
)]

pub mod cache;
pub mod cluster;
pub mod event;
pub mod frames;
pub mod judge;
pub mod kafka;
pub mod kcat;
pub mod library;
pub mod order;
pub mod process;
pub mod report;
pub mod server;
pub mod story;
