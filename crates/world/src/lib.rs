//! The only door to the outside.
//!
//! Clock, disk, network, dice, tasks and object store are reached through [`World`], and through
//! nothing else: a broker that is handed the [`simulated`] twin runs in one thread from one seed, with
//! torn writes, lost syncs, cut links and jumping clocks, and does the same thing each time
//! (ADR 0002).
//!
//! | trait | promises | real twin | simulated twin |
//! | --- | --- | --- | --- |
//! | [`Clock`] | wall time and monotonic time | the kernel | virtual, per-broker skew and jumps |
//! | [`Disk`] | files by path, positional reads and writes, explicit syncs | the file system | unsynced bytes can be lost or torn |
//! | [`Net`] | ordered byte streams, polled | TCP | in memory, delays, cuts |
//! | [`Dice`] | random numbers | the kernel's | one seeded stream per concern |
//! | [`Tasks`] | shards, bounded pools for blocking work | threads | local tasks on one thread |
//! | [`Bucket`] | objects with conditional writes | a crate of its own (S3) | in memory |

use std::sync::Arc;

pub mod bucket;
pub mod clock;
pub mod dice;
pub mod disk;
pub mod net;
pub mod real;
pub mod simulated;
pub mod tasks;
pub mod watch;

pub use bucket::Bucket;
pub use clock::Clock;
pub use dice::Dice;
pub use disk::{Disk, File, OpenMode};
pub use net::{Incoming, Listener, Net, Stream};
pub use tasks::{Pool, Tasks};

/// All that a broker may touch. Cheap to clone.
#[derive(Clone)]
pub struct World {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where bytes stay.
    pub disk: Arc<dyn Disk>,
    /// Who can be talked to.
    pub net: Arc<dyn Net>,
    /// Chance.
    pub dice: Arc<dyn Dice>,
    /// Who does the work.
    pub tasks: Arc<dyn Tasks>,
}
