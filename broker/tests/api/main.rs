//! Every API at every version that is advertised, against a running broker on a real socket: what goes
//! out and comes back is frames.

mod cluster;
mod connections;
mod data;
mod elections;
mod exchange;
mod features;
mod groups;
mod later_features;
mod listeners;
mod logs;
mod members;
mod offsets;
mod pipelining;
mod producers;
mod quorum;
mod reassignments;
mod settings;
mod topics;
mod upkeep;
