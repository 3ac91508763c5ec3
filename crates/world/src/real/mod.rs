//! The real twins: the kernel's clock, files, sockets, randomness and threads.
//!
//! Nothing here decides anything; each file turns one trait into system calls. Calls that only Linux
//! has are in `linux.rs`, beside `portable.rs` with the same functions for every other Unix.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use crate::World;

mod clock;
mod dice;
mod disk;
mod net;
mod tasks;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(any(test, not(target_os = "linux")))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as platform;

pub use clock::RealClock;
pub use dice::RealDice;
pub use disk::RealDisk;
pub use net::RealNet;
pub use tasks::{POOL_QUEUE_MAX, POOL_THREADS_MAX, RealTasks};

/// What a real world is made from. [`Default`] suits a machine that does nothing else.
#[derive(Clone, Debug)]
pub struct RealOptions {
    /// How many shards [`crate::Tasks::cores`] answers; the machine's (cgroup's) cores if `None`.
    pub cores: Option<usize>,
    /// Where the kernel names the current boot.
    pub boot_id_path: PathBuf,
}

impl Default for RealOptions {
    fn default() -> Self {
        Self { cores: None, boot_id_path: PathBuf::from("/proc/sys/kernel/random/boot_id") }
    }
}

impl World {
    /// The real world. Its monotonic clock starts now.
    pub fn real(options: RealOptions) -> Self {
        let cores = options
            .cores
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get));
        Self {
            clock: Arc::new(RealClock::new()),
            disk: Arc::new(RealDisk::new(options.boot_id_path)),
            net: Arc::new(RealNet::new()),
            dice: Arc::new(RealDice::new()),
            tasks: Arc::new(RealTasks::new(cores)),
        }
    }
}
