//! Vote and log on the world's disk. openraft is told that something is stored once it is synced.
//!
//! Appends are written at once and synced in the background, all that have gathered together, so that
//! a slow disk does not keep openraft from its heartbeats. Whatever else changes the files waits for
//! that sync first. A failed write or sync is final: what is on disk is unknown then, and nothing is
//! stored any more, no vote either.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, RaftLogReader};
use tokio::sync::Mutex;
use world::tasks::{blocking, spawn_local};
use world::{File, OpenMode, Pool, World};

use super::codec::Code;
use super::format::{Kind, StoreError, log_head, put_entry, scan, seal, unseal};
use super::proposal::{Entry, LogId, Types, Vote};

/// Bytes of entries that one message to a follower holds, if it holds more than one entry.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;
/// Bytes that the log has blocks for beyond its end. Who is in sync, who leads: that has to be decided also where
/// records have filled the disk.
const RESERVE_BYTES: u64 = 1 << 20;

/// The log and vote of one voter. Clones share it.
#[derive(Clone)]
pub(crate) struct LogStore(Rc<Inner>);

struct Inner {
    world: World,
    folder: PathBuf,
    state: RefCell<State>,
    /// Held while the disk is at work, so that it gets one thing after the other.
    disk: Mutex<()>,
}

/// What the disk holds, in memory, and the way to it.
struct State {
    vote: Option<Vote>,
    purged: Option<LogId>,
    entries: BTreeMap<u64, Kept>,
    file: Arc<dyn File>,
    end: u64,
    /// Up to here the file has blocks of its own.
    reserved: u64,
    /// Who is told once what is written is synced.
    unsynced: Vec<IOFlushed<Types>>,
    /// The first entry that is written and not known to be synced.
    unsynced_from: Option<u64>,
    syncing: bool,
    failure: Option<String>,
}

/// An entry and where it begins in the file.
struct Kept {
    entry: Entry,
    position: u64,
}

/// Gets blocks for what comes next. Says up to where the file may have some.
fn reserve(file: &dyn File, end: u64) -> u64 {
    let reserved = end + 2 * RESERVE_BYTES;
    // On a disk that is full already there is nothing to reserve, and perhaps nothing to write.
    match file.preallocate(reserved) {
        Ok(()) => reserved,
        Err(_) => end,
    }
}

fn copy(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

impl LogStore {
    /// Opens what a former process left in `folder`, and drops a torn end.
    pub(crate) fn open(world: World, folder: &Path) -> Result<Self, StoreError> {
        let disk = &world.disk;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        disk.create_dir_all_synced(folder).map_err(failed(folder))?;
        let path = folder.join(Kind::Vote.name());
        let vote = if disk.exists(&path) {
            let bytes = disk.read(&path).map_err(failed(&path))?;
            Some(unseal(Kind::Vote, &bytes.into(), &path)?)
        } else {
            None
        };
        let path = folder.join(Kind::Log.name());
        if !disk.exists(&path) {
            disk.write_atomic(&path, &log_head(None)).map_err(failed(&path))?;
        }
        let file = disk.open(&path, OpenMode::Write).map_err(failed(&path))?;
        // After a failed sync memory may show what never was on the disk, and a sync of it succeeds.
        file.forget_cached(0, file.len().map_err(failed(&path))?);
        let bytes = disk.read(&path).map_err(failed(&path))?;
        let len = bytes.len();
        let scan = scan(&bytes.into(), &path)?;
        if scan.end < len {
            tracing::warn!(bytes = len - scan.end, "cut a torn entry off the metadata log");
            file.set_len(scan.end as u64).map_err(failed(&path))?;
        }
        let end = scan.end as u64;
        let reserved = reserve(&*file, end);
        // What a killed process wrote and did not sync counts as stored from here on.
        file.sync_data().map_err(failed(&path))?;
        disk.sync_dir(folder).map_err(failed(folder))?;
        let entries = scan.entries.into_iter().map(|(position, entry)| {
            (entry.log_id.index, Kept { entry, position: position as u64 })
        });
        let state = State {
            vote,
            purged: scan.purged,
            entries: entries.collect(),
            file,
            end,
            reserved,
            unsynced: Vec::new(),
            unsynced_from: None,
            syncing: false,
            failure: None,
        };
        let (folder, state) = (folder.to_owned(), RefCell::new(state));
        Ok(Self(Rc::new(Inner { world, folder, state, disk: Mutex::default() })))
    }

    /// Whether this voter has never promised nor stored anything.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.0.state.borrow();
        state.vote.is_none() && state.purged.is_none() && state.entries.is_empty()
    }

    /// The vote, for those who are not openraft.
    pub(crate) fn vote(&self) -> Option<Vote> {
        self.0.state.borrow().vote
    }

    /// Syncs until nothing is left to sync.
    fn sync_soon(&self) {
        if !std::mem::replace(&mut self.0.state.borrow_mut().syncing, true) {
            let this = self.clone();
            spawn_local(async move {
                while !this.0.state.borrow().unsynced.is_empty() {
                    let _disk = this.0.disk.lock().await;
                    // Whoever appended is told; there is nobody else to tell.
                    let _ = this.sync().await;
                }
                this.0.state.borrow_mut().syncing = false;
            });
        }
    }

    /// Syncs what is written and tells openraft. The disk is held by the caller.
    async fn sync(&self) -> io::Result<()> {
        let (unsynced, file, end) = {
            let mut state = self.0.state.borrow_mut();
            (std::mem::take(&mut state.unsynced), Arc::clone(&state.file), state.next_index())
        };
        if unsynced.is_empty() {
            return self.check();
        }
        let synced = match self.check() {
            Ok(()) => self.on_disk(move |_| file.sync_data()).await,
            failed => failed,
        };
        if synced.is_ok() {
            // More may have been written meanwhile.
            let mut state = self.0.state.borrow_mut();
            state.unsynced_from = end.filter(|_| state.next_index() > end);
        }
        for callback in unsynced {
            callback.io_completed(synced.as_ref().copied().map_err(copy));
        }
        synced
    }

    /// Has the pool do something to the files, whose failure is final.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn world::Disk) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.check()?;
        let disk = Arc::clone(&self.0.world.disk);
        let done = blocking(&*self.0.world.tasks, Pool::Flush, move || work(&*disk)).await;
        done.inspect_err(|error| self.fail(error))
    }

    fn check(&self) -> io::Result<()> {
        match &self.0.state.borrow().failure {
            None => Ok(()),
            Some(why) => Err(io::Error::other(format!("the metadata log has failed: {why}"))),
        }
    }

    fn fail(&self, error: &io::Error) {
        tracing::error!(%error, "the metadata log cannot be written: this node votes no more");
        self.0.state.borrow_mut().failure.get_or_insert(error.to_string());
    }

    /// Writes entries behind the others, without a sync.
    fn write(&self, entries: Vec<Entry>, callback: IOFlushed<Types>) -> io::Result<()> {
        self.check()?;
        let Some(first) = entries.first().map(|entry| entry.log_id.index) else {
            callback.io_completed(Ok(()));
            return Ok(());
        };
        let mut bytes = Vec::new();
        let mut state = self.0.state.borrow_mut();
        assert_eq!(state.next_index().unwrap_or(first), first, "entries follow on one another");
        let unsynced_from = *state.unsynced_from.get_or_insert(first);
        let end = state.end;
        for entry in entries {
            let position = end + bytes.len() as u64;
            put_entry(&entry, unsynced_from, &mut bytes);
            state.entries.insert(entry.log_id.index, Kept { entry, position });
        }
        state.end += bytes.len() as u64;
        state.unsynced.push(callback);
        if state.end + RESERVE_BYTES > state.reserved {
            state.reserved = reserve(&*state.file, state.end);
        }
        let written = state.file.write_all_at(&[IoSlice::new(&bytes)], end);
        drop(state);
        if let Err(error) = &written {
            self.fail(error);
        }
        // A failure is told there as well.
        self.sync_soon();
        written
    }
}

impl State {
    /// The index that must come next; `None` if any may.
    fn next_index(&self) -> Option<u64> {
        let last = self.entries.last_key_value().map(|(index, _)| *index);
        last.or(self.purged.map(|purged| purged.index)).map(|last| last + 1)
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let state = self.0.state.borrow();
        Ok(state.entries.range(range).map(|(_, kept)| kept.entry.clone()).collect())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let state = self.0.state.borrow();
        let begin = state.entries.get(&start).map_or(0, |kept| kept.position);
        let some = state.entries.range(start..end).take_while(|(index, kept)| {
            **index == start || kept.position - begin < MESSAGE_BYTES_MAX
        });
        Ok(some.map(|(_, kept)| kept.entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.vote())
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let state = self.0.state.borrow();
        let last = state.entries.last_key_value().map(|(_, kept)| kept.entry.log_id);
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: last.or(state.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let _disk = self.0.disk.lock().await;
        self.sync().await?;
        let path = self.0.folder.join(Kind::Vote.name());
        let bytes = seal(Kind::Vote, &vote.to_bytes());
        self.on_disk(move |disk| disk.replace(&path, &bytes)).await?;
        self.0.state.borrow_mut().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry>,
    {
        self.write(entries.into_iter().collect(), callback)
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let _disk = self.0.disk.lock().await;
        self.sync().await?;
        let (file, end) = {
            let mut state = self.0.state.borrow_mut();
            let first = last.map_or(0, |last| last.index + 1);
            let void = state.entries.split_off(&first);
            let Some((_, kept)) = void.first_key_value() else { return Ok(()) };
            state.end = kept.position;
            (Arc::clone(&state.file), state.end)
        };
        let cut = move |_: &dyn world::Disk| {
            file.set_len(end)?;
            let reserved = reserve(&*file, end);
            file.sync_data().map(|()| reserved)
        };
        self.0.state.borrow_mut().reserved = self.on_disk(cut).await?;
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let _disk = self.0.disk.lock().await;
        self.sync().await?;
        let mut bytes = log_head(Some(upto));
        let mut entries = BTreeMap::new();
        for (index, kept) in self.0.state.borrow().entries.range(upto.index + 1..) {
            let position = bytes.len() as u64;
            put_entry(&kept.entry, *index, &mut bytes);
            entries.insert(*index, Kept { entry: kept.entry.clone(), position });
        }
        let (path, end) = (self.0.folder.join(Kind::Log.name()), bytes.len() as u64);
        let replace = move |disk: &dyn world::Disk| {
            disk.write_atomic(&path, &bytes)?;
            let file = disk.open(&path, OpenMode::Write)?;
            let reserved = reserve(&*file, end);
            Ok((file, reserved))
        };
        let (file, reserved) = self.on_disk(replace).await?;
        let mut state = self.0.state.borrow_mut();
        (state.purged, state.entries) = (Some(upto), entries);
        (state.file, state.end, state.reserved) = (file, end, reserved);
        Ok(())
    }
}
