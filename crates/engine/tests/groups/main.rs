//! Consumer groups as scripts: what clients send, and what they get and the log gets.

mod committing;
mod ending;
mod joining;
mod properties;
mod resetting;
mod restarting;
mod script;
mod staying;
mod syncing;
