//! Goes on from what one stopped voter has, when a majority of the voters' disks is gone for good: a person
//! decides that (`klamm cluster recover`), never a broker.
//!
//! The voter becomes the only one, in a later term and in a history of its own (`history.rs`). All that is in
//! its log counts, also what was not known to be committed: the lost majority may have committed it. What
//! that majority decided beyond it is lost. The others join it as brokers with new disks do.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use config::{Properties, Settings};
use engine::BrokerId;
use engine::metadata::Controller;
use openraft::EntryPayload;
use wire::Uuid;
use world::{Disk, OpenMode, World};

use super::codec::Code;
use super::format::{Kind, StoreError, log_head, scan, seal, unseal};
use super::history::{self, History};
use super::proposal::{Entry, LogId, Membership, StoredMembership, Vote, Voter};
use super::state_machine::Meta;
use super::transport::{id_of, node_of};
use crate::data_dir::{DataDir, DataDirError};
use crate::metadata::{RecordsError, State, decode_records};

/// Why nothing is recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The directory is none, or in use.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Its metadata cannot be read.
    #[error("{0}")]
    Store(String),
    /// It has none.
    #[error(
        "{0} holds no metadata: its broker had no vote, or its disk is new; hint: recover from the broker \
         that says that a majority is gone"
    )]
    Nothing(PathBuf),
    /// They cannot be written.
    #[error("{path}: {source}; hint: run it again, nothing is lost")]
    Io {
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl From<StoreError> for RecoverError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<RecordsError> for RecoverError {
    fn from(error: RecordsError) -> Self {
        Self::Store(error.to_string())
    }
}

/// What a stopped broker knows of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The cluster's id.
    pub cluster_id: String,
    /// The broker.
    pub node: i32,
    /// The metadata offset: how many decisions made its newest state, in the last history.
    pub version: u64,
    /// The last term that it knows of.
    pub term: u64,
    /// When its metadata log was last written: wall clock, milliseconds.
    pub changed_ms: i64,
    /// How often the quorum was recovered before.
    pub recoveries: u32,
    /// Who voted, as far as it knows.
    pub voters: Vec<i32>,
    /// The brokers that it knows, and whether it last knew them as running.
    pub brokers: Vec<(i32, bool)>,
    /// Partitions of the cluster.
    pub partitions: usize,
    /// Those of them that this broker does not have whole: without their own brokers nobody leads them.
    pub not_whole_here: usize,
}

/// A data directory from which a cluster may be recovered. Nobody else uses it as long as this lives.
pub struct Recovery {
    world: World,
    data_dir: DataDir,
    node: BrokerId,
    history: History,
    state: State,
    last: LogId,
    voter: Voter,
    found: Found,
}

/// What the files of the quorum make, replayed.
struct Replayed {
    state: State,
    last: Option<LogId>,
    membership: Membership,
}

impl Recovery {
    /// Reads what the stopped broker of a data directory knows; changes nothing.
    ///
    /// # Errors
    /// When it is in use, damaged, or holds no metadata.
    pub fn open(world: &World, path: &Path) -> Result<Self, RecoverError> {
        let (data_dir, node) = DataDir::existing(world, path)?;
        let folder = data_dir.metadata();
        let disk = &*world.disk;
        let history = history::read(disk, &folder)?;
        let vote: Option<Vote> = match read(disk, &folder, Kind::Vote)? {
            Some((bytes, path)) => Some(unseal(Kind::Vote, &bytes, &path)?),
            None => None,
        };
        let Replayed { state, last, membership } = replay(disk, &folder, node)?;
        let Some(last) = last else { return Err(RecoverError::Nothing(folder)) };
        let known = membership.get_node(&id_of(node)).cloned();
        let voter = Voter { directory: data_dir.directory, ..known.unwrap_or_default() };
        let changed_ms = changed_ms(disk, &folder).map_err(failed(&folder))?;
        let partitions = || state.image.topics().flat_map(|topic| &topic.partitions);
        let found = Found {
            cluster_id: data_dir.cluster_id.clone(),
            node: node.0,
            version: state.version - history.first_version().min(state.version),
            term: vote.map_or(0, |vote| vote.leader_id.term).max(last.leader_id.term),
            changed_ms,
            recoveries: history.recoveries,
            voters: membership.voter_ids().map(|id| node_of(id).0).collect(),
            brokers: state.image.brokers().map(|(id, broker)| (id.0, !broker.fenced)).collect(),
            partitions: partitions().count(),
            not_whole_here: partitions()
                .filter(|it| !it.isr.contains(&node) && !it.elr.contains(&node))
                .count(),
        };
        let world = world.clone();
        Ok(Self { world, data_dir, node, history, state, last, voter, found })
    }

    /// What was read.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Makes the broker the only voter of a new history. What was there before is kept beside it.
    ///
    /// # Errors
    /// When the disk fails; the broker does not start then, and it can be tried again.
    pub fn carry_out(mut self) -> Result<(), RecoverError> {
        let folder = self.data_dir.metadata();
        let mut id = Uuid::ZERO;
        self.world.dice.fill("recovery", &mut id.0);
        let history = History { recoveries: self.history.recoveries + 1, id };
        let state = &self.state;
        let controller = Controller { image: &state.image, settings: &state.settings };
        let voters = self.found.voters.iter().map(|id| BrokerId(*id));
        let gone: Vec<BrokerId> = voters.filter(|id| *id != self.node).collect();
        let records = controller.recovered(&gone);
        self.state.apply(&records, self.node);
        assert!(self.state.version < history.first_version(), "the versions before are lower");
        self.state.version = history.first_version();
        self.write(&folder, history).map_err(failed(&folder))
    }

    fn write(&self, folder: &Path, history: History) -> io::Result<()> {
        let disk = &*self.world.disk;
        history::mark_recovering(disk, folder, true)?;
        for kind in Kind::ALL {
            let path = folder.join(kind.name());
            if disk.exists(&path) {
                let kept = format!("{}.before-recovery-{}", kind.name(), history.recoveries);
                disk.write_atomic(&folder.join(kept), &disk.read(&path)?)?;
            }
        }
        let me = id_of(self.node);
        let vote = Vote::new(self.found.term + 1, me);
        let membership =
            Membership::new(vec![BTreeSet::from([me])], BTreeMap::from([(me, self.voter.clone())]));
        let membership = membership.expect("its one voter is a node of it");
        let last_membership = StoredMembership::new(Some(self.last), membership);
        let meta = Meta { last_log_id: Some(self.last), last_membership };
        let snapshot = (meta, self.state.to_snapshot()).to_bytes();
        history::write(disk, folder, history)?;
        let path = |kind: Kind| folder.join(kind.name());
        disk.write_atomic(&path(Kind::Vote), &seal(Kind::Vote, &vote.to_bytes()))?;
        disk.write_atomic(&path(Kind::Snapshot), &seal(Kind::Snapshot, &snapshot))?;
        disk.write_atomic(&path(Kind::Log), &log_head(Some(self.last)))?;
        history::mark_recovering(disk, folder, false)
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RecoverError {
    let path = path.to_owned();
    move |source| RecoverError::Io { path, source }
}

fn read(
    disk: &dyn Disk,
    folder: &Path,
    kind: Kind,
) -> Result<Option<(Bytes, PathBuf)>, StoreError> {
    let path = folder.join(kind.name());
    if !disk.exists(&path) {
        return Ok(None);
    }
    let bytes = disk.read(&path).map_err(|source| StoreError::Io { path: path.clone(), source })?;
    Ok(Some((bytes.into(), path)))
}

/// Applies the snapshot and all entries behind it, also those that are not known to be committed.
fn replay(disk: &dyn Disk, folder: &Path, node: BrokerId) -> Result<Replayed, RecoverError> {
    let settings = Settings::resolve(Properties::new()).expect("the defaults are good");
    let mut state = State::new(&settings);
    let mut last = None;
    let mut membership = Membership::default();
    if let Some((bytes, path)) = read(disk, folder, Kind::Snapshot)? {
        let (meta, snapshot): (Meta, Bytes) = unseal(Kind::Snapshot, &bytes, &path)?;
        state.restore(snapshot, node)?;
        last = meta.last_log_id;
        membership = meta.last_membership.membership().clone();
    }
    let entries = match read(disk, folder, Kind::Log)? {
        Some((bytes, path)) => scan(&bytes, &path)?.entries,
        None => Vec::new(),
    };
    for (_, Entry { log_id, payload }) in entries {
        if last.is_some_and(|last: LogId| log_id.index <= last.index) {
            continue;
        }
        match payload {
            EntryPayload::Blank => {}
            // As in `state_machine.rs`: one that was decided on another state is void.
            EntryPayload::Normal(proposal) if proposal.decided_on == state.version => {
                state.apply(&decode_records(&proposal.records)?, node);
            }
            EntryPayload::Normal(_) => {}
            EntryPayload::Membership(changed) => membership = changed,
        }
        last = Some(log_id);
    }
    Ok(Replayed { state, last, membership })
}

fn changed_ms(disk: &dyn Disk, folder: &Path) -> io::Result<i64> {
    let mut newest = 0;
    for kind in [Kind::Vote, Kind::Snapshot, Kind::Log] {
        let path = folder.join(kind.name());
        if disk.exists(&path) {
            newest = newest.max(disk.open(&path, OpenMode::Read)?.modified_ms()?);
        }
    }
    Ok(newest)
}
