//! The tables. One row is one setting; a new one is added here and nowhere else.

pub mod broker;
pub mod defaults;
pub mod group;
pub mod known;
pub mod topic;
