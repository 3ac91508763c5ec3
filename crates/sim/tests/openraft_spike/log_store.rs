//! Vote and log on the world's disk, in a format of our own; synced before openraft is told so.
//!
//! `vote` is a small file, replaced whole. `log` is frames: length, checksum, then a record, which is
//! an entry or a truncation. A frame that is cut or torn ends the log: it was never synced, so nobody
//! was promised it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::ops::RangeBounds;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::{LogState, RaftLogReader};
use serde::{Deserialize, Serialize};
use world::tasks::blocking;
use world::{File, OpenMode, Pool, World};

use super::Types;

#[derive(Serialize, Deserialize)]
enum Record {
    Entry(EntryOf<Types>),
    /// Entries after this index are void; all, if there is none.
    TruncateAfter(Option<u64>),
}

/// What the disk holds, in memory, and the way to it.
struct State {
    vote: Option<VoteOf<Types>>,
    entries: BTreeMap<u64, EntryOf<Types>>,
    end: u64,
}

/// The log and vote of one voter. Clones share it.
#[derive(Clone)]
pub(crate) struct LogStore {
    world: World,
    folder: PathBuf,
    log: Arc<dyn File>,
    state: Rc<RefCell<State>>,
}

fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn frame(record: &Record) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(record)?;
    let len = u32::try_from(body.len()).map_err(io::Error::other)?;
    Ok([&len.to_le_bytes()[..], &checksum(&body).to_le_bytes(), &body].concat())
}

/// The first whole frame of `bytes`, and how long it is.
fn unframe(bytes: &[u8]) -> Option<(Record, usize)> {
    let (head, rest) = bytes.split_at_checked(8)?;
    let len = u32::from_le_bytes(head[..4].try_into().ok()?) as usize;
    let body = rest.get(..len)?;
    let whole = checksum(body).to_le_bytes() == head[4..];
    whole.then(|| serde_json::from_slice(body).ok()).flatten().map(|record| (record, 8 + len))
}

impl State {
    fn apply(&mut self, record: Record) {
        match record {
            Record::Entry(entry) => {
                self.entries.insert(entry.log_id.index, entry);
            }
            Record::TruncateAfter(last) => {
                self.entries.retain(|index, _| Some(*index) <= last);
            }
        }
    }
}

impl LogStore {
    /// Opens what a former process left, and drops a torn end.
    pub(crate) fn open(world: World, folder: PathBuf) -> io::Result<Self> {
        let disk = &world.disk;
        disk.create_dir_all(&folder)?;
        let log = disk.open(&folder.join("log"), OpenMode::Create)?;
        disk.sync_dir(&folder)?;
        disk.sync_dir(folder.parent().unwrap())?;
        let vote = match disk.read(&folder.join("vote")) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; usize::try_from(log.len()?).map_err(io::Error::other)?];
        log.read_exact_at(&mut bytes, 0)?;
        let mut state = State { vote, entries: BTreeMap::new(), end: 0 };
        let mut left = &bytes[..];
        while let Some((record, len)) = unframe(left) {
            state.apply(record);
            state.end += len as u64;
            left = &left[len..];
        }
        log.set_len(state.end)?;
        log.sync_data()?;
        Ok(Self { world, folder, log, state: Rc::new(RefCell::new(state)) })
    }

    /// Appends records and returns when they are safe.
    async fn write(&self, records: Vec<Record>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for record in records {
            bytes.extend(frame(&record)?);
            self.state.borrow_mut().apply(record);
        }
        let offset = self.state.borrow().end;
        self.log.write_all_at(&[IoSlice::new(&bytes)], offset)?;
        self.state.borrow_mut().end += bytes.len() as u64;
        let log = Arc::clone(&self.log);
        blocking(&*self.world.tasks, Pool::Flush, move || log.sync_data()).await
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<EntryOf<Types>>> {
        Ok(self.state.borrow().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<Types>>> {
        Ok(self.state.borrow().vote)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let state = self.state.borrow();
        let last_log_id = state.entries.last_key_value().map(|(_, entry)| entry.log_id);
        Ok(LogState { last_purged_log_id: None, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> io::Result<()> {
        let (path, bytes) = (self.folder.join("vote"), serde_json::to_vec(vote)?);
        let disk = Arc::clone(&self.world.disk);
        blocking(&*self.world.tasks, Pool::Flush, move || disk.write_atomic(&path, &bytes)).await?;
        self.state.borrow_mut().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = EntryOf<Types>>,
    {
        self.write(entries.into_iter().map(Record::Entry).collect()).await?;
        callback.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> io::Result<()> {
        self.write(vec![Record::TruncateAfter(last.map(|last| last.index))]).await
    }

    async fn purge(&mut self, _log_id: LogIdOf<Types>) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "the spike has no snapshots"))
    }
}
