//! The storm: whole brokers in one thread, bad luck from a seed, an oracle, checks.
//!
//! A run is a function of its seed. What is in the storm implements [`storm::System`]; its clients
//! record a [`history::History`]; [`checks`] judge it; [`campaign`] adds up many runs.
//!
//! | file | knows |
//! | --- | --- |
//! | `storm` | the course of one run |
//! | `faults` | which bad luck strikes when |
//! | `history` | what clients did and saw |
//! | `oracle` | what they were promised |
//! | `checks/` | one property per file |
//! | `panics` | tasks that ended in silence |
//! | `klamm/` | a real broker, and clients that use it |
//! | `campaign` | many seeds, resumable |

pub mod campaign;
pub mod checks;
pub mod faults;
pub mod history;
pub mod klamm;
pub mod oracle;
pub mod panics;
pub mod storm;
