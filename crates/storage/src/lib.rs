//! Carries the engine's decisions to a disk: segments, indexes, checkpoints.
//!
//! [`LogDir`] is a disk's worth of partitions, [`PartitionLog`] one of them. A log has one owner, which
//! calls it without locks; what may block leaves it as a `Send` job ([`FlushJob`], [`FileRead`],
//! [`TimestampSearch`], [`RemoveJob`], …) to be run on a pool, and comes back as its result.
//!
//! ```text
//! produce  admit × n → write (one per poll round) → acknowledge
//! fetch    read → Read::Memory | Read::File → try_now, else run on Pool::Read
//! once a second   flush_job → run on Pool::Flush → flushed; LogDir::write_checkpoints
//! ```

mod buffers;
mod checkpoint;
pub mod dump;
pub mod error;
pub mod job;
pub mod log_dir;
pub mod partition_log;
mod recover;
mod segment;
mod tail;

pub use error::{AppendError, FlushError, OpenError, ReadError};
pub use job::{
    AbortedSearch, AbortedTransaction, CloseJob, FileRead, FlushJob, FlushTicket, RemoveJob,
    RemovedSegments, TimestampFound, TimestampSearch,
};
pub use log_dir::{Checkpoint, FoundPartition, LogDir, Recovered, Truncated};
pub use partition_log::{Admitted, PartitionLog, Read, ReadRequest, TimestampQuery, Written};
