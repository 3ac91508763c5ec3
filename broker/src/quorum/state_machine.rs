//! Applies what a majority has: an entry that was decided on the state that it meets changes that state,
//! any other is void. Every node decides so alike, since all apply the same entries to the same states.
//!
//! The state is in memory; a snapshot of it is on disk, and the entries behind that are in the log.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use engine::BrokerId;
use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, RaftSnapshotBuilder};
use world::tasks::blocking;
use world::{Pool, World};

use super::codec::{Code, Malformed};
use super::format::{Kind, StoreError, seal, unseal};
use super::proposal::{LogId, Outcome, Proposal, StoredMembership, Types};
use crate::metadata::{Publisher, State, decode_records};

pub(crate) type Meta = openraft::type_config::alias::SnapshotMetaOf<Types>;
pub(crate) type Snapshot = openraft::type_config::alias::SnapshotOf<Types, Bytes>;

/// The state, and what it takes to publish and keep it.
pub(crate) struct StateMachine {
    node: BrokerId,
    publisher: Publisher,
    state: Arc<State>,
    last: Option<LogId>,
    membership: StoredMembership,
    store: SnapshotStore,
    /// Bytes of records that were applied since the last snapshot.
    bytes_since: Rc<Cell<u64>>,
    /// How many of them make a snapshot due.
    bytes_max: u64,
}

/// The one snapshot on disk.
#[derive(Clone)]
struct SnapshotStore {
    world: World,
    path: PathBuf,
    /// Up to where it goes, as far as it was read or written; held by whoever writes one. A snapshot that is built here
    /// may be done only after a newer one came from the leader.
    reaches: Arc<Mutex<Option<LogId>>>,
}

impl Code for (Meta, Bytes) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.last_log_id.write(out);
        self.0.last_membership.write(out);
        self.1.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        let meta = Meta { last_log_id: Code::read(from)?, last_membership: Code::read(from)? };
        Ok((meta, Code::read(from)?))
    }
}

/// What a snapshot and the log behind it may take while the ones before them are still there.
const ROOM_BYTES: u64 = 64 << 20;

impl SnapshotStore {
    async fn read(&self) -> Result<Option<Snapshot>, StoreError> {
        let (disk, path) = (Arc::clone(&self.world.disk), self.path.clone());
        let reaches = Arc::clone(&self.reaches);
        let work = move || {
            // Held by who writes one, for as long as that takes: not to be waited for elsewhere than here.
            let mut reaches = reaches.lock().expect("no panic while it is held");
            let read = disk.exists(&path).then(|| disk.read(&path)).transpose();
            let read = read.map_err(|source| StoreError::Io { path: path.clone(), source })?;
            let Some(bytes) = read else { return Ok(None) };
            let (meta, snapshot): (Meta, Bytes) = unseal(Kind::Snapshot, &bytes.into(), &path)?;
            *reaches = (*reaches).max(meta.last_log_id);
            Ok(Some(Snapshot { meta, snapshot }))
        };
        blocking(&*self.world.tasks, Pool::Flush, work).await
    }

    /// Whether there is room for a snapshot, and for the log behind it. A snapshot can wait until there is; one
    /// that fails ends the node.
    fn has_room(&self) -> bool {
        let folder = self.path.parent().unwrap_or(&self.path);
        let space = self.world.disk.space(folder);
        space.is_ok_and(|space| space.available >= ROOM_BYTES.min(space.total / 10))
    }

    /// Takes the place of the one before, unless that is newer; says whether it did.
    async fn replace(&self, meta: Meta, snapshot: Bytes) -> io::Result<bool> {
        let (disk, path) = (Arc::clone(&self.world.disk), self.path.clone());
        let reaches = Arc::clone(&self.reaches);
        let work = move || {
            let mut reaches = reaches.lock().expect("no panic while it is held");
            let last = meta.last_log_id;
            if *reaches > last {
                return Ok(false);
            }
            let bytes = seal(Kind::Snapshot, &(meta, snapshot).to_bytes());
            disk.write_atomic(&path, &bytes)?;
            *reaches = last;
            Ok(true)
        };
        blocking(&*self.world.tasks, Pool::Flush, work).await
    }
}

fn bad(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

impl StateMachine {
    /// Starts with what was published, which is nothing; openraft then restores the snapshot that is
    /// in `folder` and the entries behind it.
    pub(crate) fn new(
        world: World,
        folder: &std::path::Path,
        node: BrokerId,
        publisher: Publisher,
    ) -> Self {
        let state = publisher.newest();
        let bytes_max = state.settings.broker.metadata_log_max_record_bytes_between_snapshots;
        Self {
            node,
            publisher,
            last: None,
            membership: StoredMembership::default(),
            store: SnapshotStore {
                world,
                path: folder.join(Kind::Snapshot.name()),
                reaches: Arc::default(),
            },
            bytes_since: Rc::default(),
            bytes_max: bytes_max.unsigned_abs(),
            state,
        }
    }

    fn apply_one(&mut self, proposal: &Proposal) -> io::Result<Outcome> {
        self.bytes_since.set(self.bytes_since.get() + proposal.records.len() as u64);
        if proposal.decided_on != self.state.version {
            tracing::info!(
                decided_on = proposal.decided_on,
                version = self.state.version,
                "a decision is void: it was made before another one"
            );
            return Ok(Outcome::Void);
        }
        let records = decode_records(&proposal.records).map_err(bad)?;
        Arc::make_mut(&mut self.state).apply(&records, self.node);
        self.publisher.keep(self.state.version, &proposal.records);
        Ok(Outcome::Applied)
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<Entries>(&mut self, mut entries: Entries) -> io::Result<()>
    where
        Entries: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin,
    {
        let mut told = Vec::new();
        while let Some((entry, responder)) = entries.try_next().await? {
            let outcome = match entry.payload {
                EntryPayload::Blank => Outcome::Applied,
                EntryPayload::Normal(proposal) => self.apply_one(&proposal)?,
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Outcome::Applied
                }
            };
            self.last = Some(entry.log_id);
            told.extend(responder.map(|responder| (responder, outcome)));
        }
        // Who is told that something was decided finds it in the state.
        self.publisher.publish(&self.state);
        for (responder, outcome) in told {
            responder.send(outcome);
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        let is_due = force || (self.bytes_since.get() >= self.bytes_max && self.store.has_room());
        is_due.then(|| Builder {
            state: Arc::clone(&self.state),
            meta: Meta { last_log_id: self.last, last_membership: self.membership.clone() },
            store: self.store.clone(),
            bytes: self.bytes_since.get(),
            bytes_since: Rc::clone(&self.bytes_since),
        })
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.try_create_snapshot_builder(true).await.expect("it is forced")
    }

    async fn install_snapshot(&mut self, meta: &Meta, snapshot: Bytes) -> io::Result<()> {
        let kept = self.store.read().await.map_err(bad)?;
        if kept.is_none_or(|kept| kept.meta != *meta) {
            self.store.replace(meta.clone(), snapshot.clone()).await?;
        }
        Arc::make_mut(&mut self.state).restore(snapshot, self.node).map_err(bad)?;
        self.last = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.bytes_since.set(0);
        self.publisher.publish(&self.state);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        self.store.read().await.map_err(bad)
    }
}

/// Writes a state as a snapshot, while later entries are applied.
pub(crate) struct Builder {
    state: Arc<State>,
    meta: Meta,
    store: SnapshotStore,
    /// Bytes of records that the snapshot makes dispensable.
    bytes: u64,
    bytes_since: Rc<Cell<u64>>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let snapshot = self.state.to_snapshot();
        if self.store.replace(self.meta.clone(), snapshot.clone()).await? {
            self.bytes_since.set(self.bytes_since.get().saturating_sub(self.bytes));
        }
        Ok(Snapshot { meta: self.meta.clone(), snapshot })
    }
}
