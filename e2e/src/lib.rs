//! Real processes, real clients, judged from outside.
//!
//! | file | what is there |
//! | --- | --- |
//! | `ask.rs` | one request to one broker |
//! | `cache.rs` | where built and fetched things are kept; suites that cannot run |
//! | `process.rs` | a child process, and what it says line by line |
//! | `event.rs` | the lines that the client programs print |
//! | `library.rs` | the six clients: how each is built and run (`clients/README.md`); `kcat.rs` reads kcat's own lines |
//! | `history.rs` | the client whose every word is judged |
//! | `cluster/` | several brokers as processes, Klamm's or Kafka's, harmed one by one; with thousands of partitions |
//! | `room.rs`, `network.rs` | namespaces of a run's own, and cuts between brokers |
//! | `forwarder.rs` | carries connections on, late |
//! | `failover/` | how long acknowledgements pause when a broker goes |
//! | `nemesis/` | faults from a seed, and a judge of every word |
//! | `power/` | all brokers killed at once, on disks that can lose their power |
//! | `volume.rs` | a small disk for one broker |
//! | `server.rs` | the broker under test: `klamm up`, or Apache Kafka as the control |
//! | `order.rs` | what is sent; `load.rs` sends it without a pause |
//! | `judge.rs` | claims about what was read, as pure functions |
//! | `story.rs` | the order story, told by one client |
//! | `reaper.rs` | kills brokers meanwhile |
//! | `report.rs` | a verdict per client and line |
//! | `frames/` | mutated frames, sent to a broker that must live on |
//! | `kafka.rs` | Apache Kafka's jars, tools and broker |
//! | `kube/` | a real Kubernetes, the operator in it, and what people do with kubectl and Helm |
//!
//! `KLAMM_E2E_SERVER=kafka` runs the same stories against Apache Kafka: what fails there is no fault of ours.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "real processes run in real time, beside real files"
)]

pub mod ask;
pub mod cache;
pub mod cluster;
pub mod event;
pub mod failover;
pub mod forwarder;
pub mod frames;
pub mod history;
pub mod judge;
pub mod kafka;
pub mod kcat;
pub mod kube;
pub mod library;
pub mod load;
pub mod nemesis;
pub mod network;
pub mod order;
pub mod power;
pub mod process;
pub mod reaper;
pub mod report;
pub mod room;
pub mod server;
pub mod story;
pub mod volume;
