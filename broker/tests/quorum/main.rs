//! The metadata quorum of three brokers in the simulated world: how it forms, what it survives, and what
//! it refuses.

mod administration;
mod balance;
mod cluster;
mod deletions;
mod faults;
mod features;
mod flushing;
mod formation;
mod groups;
mod nearest;
mod recover;
mod refusals;
mod snapshots;
mod throttles;
mod topics;
mod upkeep;
mod voters;
