//! Which history the metadata of a node belong to. The first begins when the quorum is formed, another one
//! whenever it is recovered from what a lost majority has left (`recover.rs`): what that majority may have
//! decided is no part of it. Voters of different histories do not listen to each other; one whose own is over
//! starts over, as if its disk were new.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;
use wire::Uuid;
use world::tasks::blocking;
use world::{Disk, Pool, World};

use super::Core;
use super::codec::{Code, Malformed};
use super::format::{Kind, StoreError, seal, unseal};

/// How often it is looked at whether this node's history is over.
const LOOK: Duration = Duration::from_millis(250);
/// There while a recovery writes: the files may not belong together.
const RECOVERING: &str = "quorum.recovering";
/// There when the node's history is over: its files are to be set aside before anything else.
const OVER: &str = "quorum.over";
/// How many of the bits of a version count decisions; those above count recoveries. So the versions of a
/// history are all higher than those of the histories before.
const VERSION_BITS: u32 = 40;

/// A history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// How often the quorum was recovered before and with it.
    pub(super) recoveries: u32,
    /// The last of these recoveries; zero if there was none.
    pub(super) id: Uuid,
}

/// What another history is to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Same,
    /// It goes on where this one has ended.
    Newer,
    /// It has ended.
    Older,
    /// Both go on from the same one: two recoveries did not know of each other.
    Rival,
}

impl History {
    pub(super) fn relation_of(self, other: Self) -> Relation {
        match other.recoveries.cmp(&self.recoveries) {
            std::cmp::Ordering::Greater => Relation::Newer,
            std::cmp::Ordering::Less => Relation::Older,
            std::cmp::Ordering::Equal if other.id == self.id => Relation::Same,
            std::cmp::Ordering::Equal => Relation::Rival,
        }
    }

    /// The version of the state that it begins with.
    pub(super) fn first_version(self) -> u64 {
        u64::from(self.recoveries) << VERSION_BITS
    }
}

impl Code for History {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(self.recoveries).write(out);
        self.id.write(out);
    }

    fn read(from: &mut Bytes) -> Result<Self, Malformed> {
        let (recoveries, id) = <(u64, Uuid)>::read(from)?;
        let recoveries = u32::try_from(recoveries).map_err(|_| Malformed("history"))?;
        Ok(Self { recoveries, id })
    }
}

/// Reads the history that a folder's files belong to.
pub(super) fn read(disk: &dyn Disk, folder: &Path) -> Result<History, StoreError> {
    let path = folder.join(Kind::History.name());
    if !disk.exists(&path) {
        return Ok(History::default());
    }
    let bytes = disk.read(&path).map_err(|source| StoreError::Io { path: path.clone(), source })?;
    unseal(Kind::History, &bytes.into(), &path)
}

/// Writes it.
pub(super) fn write(disk: &dyn Disk, folder: &Path, history: History) -> io::Result<()> {
    disk.write_atomic(&folder.join(Kind::History.name()), &seal(Kind::History, &history.to_bytes()))
}

/// Marks the files as in the middle of a recovery, or not any more.
pub(super) fn mark_recovering(disk: &dyn Disk, folder: &Path, begins: bool) -> io::Result<()> {
    let path = folder.join(RECOVERING);
    if begins {
        return disk.write_atomic(&path, b"");
    }
    disk.remove_file(&path)?;
    disk.sync_dir(folder)
}

/// Looks at a folder before it is opened: refuses a recovery that is half done, and sets aside what belongs
/// to a history that is over.
pub(super) fn prepare(disk: &dyn Disk, folder: &Path) -> Result<(), StoreError> {
    let half = folder.join(RECOVERING);
    if disk.exists(&half) {
        return Err(StoreError::HalfRecovered { path: folder.to_owned() });
    }
    let over = folder.join(OVER);
    if !disk.exists(&over) {
        return Ok(());
    }
    let set_aside = || {
        for kind in Kind::ALL {
            let path = folder.join(kind.name());
            if disk.exists(&path) {
                disk.rename(&path, &folder.join(format!("{}.over", kind.name())))?;
            }
        }
        disk.sync_dir(folder)?;
        disk.remove_file(&over)?;
        disk.sync_dir(folder)
    };
    set_aside().map_err(|source| StoreError::Io { path: folder.to_owned(), source })?;
    tracing::warn!(
        folder = %folder.display(),
        "the quorum was recovered elsewhere: this node's own metadata are set aside, and it starts over"
    );
    Ok(())
}

/// The history of this node, and whether it is over.
pub(super) struct Histories {
    world: World,
    folder: PathBuf,
    own: Cell<History>,
    /// Who knows a newer one.
    successor: Cell<Option<u64>>,
    /// Whether it is on disk that the own one is over.
    is_over: Cell<bool>,
}

impl Histories {
    pub(super) fn open(world: World, folder: &Path) -> Result<Self, StoreError> {
        let own = Cell::new(read(&*world.disk, folder)?);
        let (successor, is_over) = (Cell::default(), Cell::default());
        Ok(Self { world, folder: folder.to_owned(), own, successor, is_over })
    }

    /// The quorum's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The data directory that it is in.
    pub(super) fn data_dir(&self) -> Option<&Path> {
        self.folder.parent()
    }

    pub(super) fn own(&self) -> History {
        self.own.get()
    }

    /// Node `id` knows a newer history.
    pub(super) fn is_over_by(&self, id: u64) {
        self.successor.set(Some(id));
    }

    /// Why this node takes part no more, if it is so.
    pub(super) fn why_over(&self) -> Option<Arc<str>> {
        let id = self.successor.get().filter(|_| self.is_over.get())?;
        let why = format!(
            "the quorum was recovered, as node {id} knows, and what this node has of the metadata is of \
             before; hint: start it again: it sets that aside and follows the others"
        );
        Some(why.into())
    }

    /// Takes on another history, before anything of it is stored.
    pub(super) async fn adopt(&self, history: History) -> io::Result<()> {
        let (disk, folder) = (Arc::clone(&self.world.disk), self.folder.clone());
        let work = move || write(&*disk, &folder, history);
        blocking(&*self.world.tasks, Pool::Flush, work).await?;
        self.own.set(history);
        Ok(())
    }
}

/// Ends this node's part in the quorum once it is heard that its history is over.
pub(super) async fn watch(core: Core) {
    let histories = &core.histories;
    while histories.successor.get().is_none() {
        core.world.clock.sleep(LOOK).await;
    }
    let (disk, path) = (Arc::clone(&core.world.disk), histories.folder.join(OVER));
    let marked = blocking(&*core.world.tasks, Pool::Flush, move || disk.write_atomic(&path, b""));
    if let Err(error) = marked.await {
        tracing::error!(%error, "cannot note that this node's metadata are of before a recovery");
    }
    histories.is_over.set(true);
    core.stirred.notify_one();
}

/// Whether this node is the only voter.
pub(super) fn is_only_voter(core: &Core) -> bool {
    let metrics = core.raft.metrics();
    let metrics = metrics.borrow_watched();
    metrics.membership_config.voter_ids().eq([core.identity.id()])
}

#[cfg(test)]
mod tests {
    use wire::Uuid;

    use super::{History, Relation};

    #[test]
    fn a_history_is_newer_if_there_were_more_recoveries() {
        let history = |recoveries, id| History { recoveries, id: Uuid([id; 16]) };
        let of = |one: History, other| one.relation_of(other);
        assert_eq!(of(History::default(), History::default()), Relation::Same);
        assert_eq!(of(history(1, 5), history(1, 5)), Relation::Same);
        assert_eq!(of(history(1, 5), history(2, 4)), Relation::Newer);
        assert_eq!(of(history(1, 5), History::default()), Relation::Older);
        assert_eq!(of(history(1, 5), history(1, 6)), Relation::Rival);
        assert!(history(1, 0).first_version() > u64::from(u32::MAX));
        assert!(
            history(2, 0).first_version() > history(1, 0).first_version() + u64::from(u32::MAX)
        );
    }
}
