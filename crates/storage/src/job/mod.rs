//! What may block, taken out of a log to be run on a pool. Every job is `Send` and owns what it needs.
//!
//! | job | file | pool |
//! | --- | --- | --- |
//! | read batches, find by time, aborted transactions | `read` | Read |
//! | write indexes, sync; close | `flush` | Flush |
//! | remove segments or a partition | `remove` | Files |

mod flush;
mod read;
mod remove;

pub use flush::{CloseJob, FlushJob, FlushTicket};
pub(crate) use flush::{IndexWrite, SegmentTicket};
pub use read::{AbortedSearch, AbortedTransaction, FileRead, TimestampFound, TimestampSearch};
pub(crate) use read::{ReadFrom, SearchSegment, SegmentPart};
pub use remove::{RemoveJob, RemovedSegments};
