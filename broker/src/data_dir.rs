//! The data directory: whose it is, which format it has, and that nobody else uses it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use engine::BrokerId;
use wire::Uuid;
use world::disk::LockGuard;
use world::{Disk, World};

/// Layout of the data directory; a higher one comes from a newer Klamm and is refused.
const FORMAT: u32 = 1;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process holds it.
    #[error("{path} is in use by another klamm; hint: stop it, or choose another directory")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It belongs to somebody else.
    #[error(
        "{path} belongs to {key} {found}, this broker has {wanted}; hint: it is another broker's \
         directory, or the configuration has changed"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What differs.
        key: &'static str,
        /// What the directory says.
        found: String,
        /// What the configuration says.
        wanted: String,
    },
    /// It was written by a newer version.
    #[error(
        "{path} has format {found}, this klamm knows up to {FORMAT}; hint: run the newer version"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// Nobody has ever used it.
    #[error(
        "{path} is no data directory of a broker: it has no meta.properties; hint: its log.dirs"
    )]
    Nobodys {
        /// The directory.
        path: PathBuf,
    },
    /// The identity file is damaged.
    #[error("{path}: {problem}; hint: restore meta.properties from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The system refused.
    #[error("cannot use {path}: {source}{}", hint(source))]
    Io {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; hint: the user that runs klamm must own it",
        io::ErrorKind::ReadOnlyFilesystem => "; hint: it is mounted read-only",
        io::ErrorKind::StorageFull => "; hint: free some space on its volume",
        _ => "",
    }
}

/// A directory that is ours until this is dropped.
pub(crate) struct DataDir {
    pub(crate) path: PathBuf,
    pub(crate) cluster_id: String,
    /// Drawn when the directory was made: a replaced disk has another one.
    pub(crate) directory: Uuid,
    _lock: Box<dyn LockGuard>,
}

impl DataDir {
    /// Takes the directory, making it and its identity if it is new.
    pub(crate) fn open(
        world: &World,
        path: &Path,
        node: BrokerId,
        cluster_id: Option<&str>,
    ) -> Result<Self, DataDirError> {
        let disk = &*world.disk;
        let failed = |source| DataDirError::Io { path: path.to_owned(), source };
        disk.create_dir_all_synced(path).map_err(failed)?;
        let lock = lock(disk, path)?;
        let file = path.join(IDENTITY);
        let (cluster_id, directory) = if disk.exists(&file) {
            let identity = Identity::read(disk, path, &file)?;
            identity.check(path, node, cluster_id)?;
            (identity.cluster_id, identity.directory)
        } else {
            let fresh = || fresh_id(world).to_string();
            let cluster_id = cluster_id.map_or_else(fresh, str::to_owned);
            let directory = fresh_id(world);
            let text = format!(
                "# Whose directory this is. Do not edit.\nversion=1\nklamm.format={FORMAT}\n\
                 cluster.id={cluster_id}\nnode.id={node}\ndirectory.id={directory}\n"
            );
            disk.write_atomic(&file, text.as_bytes()).map_err(failed)?;
            (cluster_id, directory)
        };
        Ok(Self { path: path.to_owned(), cluster_id, directory, _lock: lock })
    }

    /// Takes the directory that a broker has left; says which.
    pub(crate) fn existing(world: &World, path: &Path) -> Result<(Self, BrokerId), DataDirError> {
        let disk = &*world.disk;
        let file = path.join(IDENTITY);
        if !disk.exists(&file) {
            return Err(DataDirError::Nobodys { path: path.to_owned() });
        }
        let lock = lock(disk, path)?;
        let Identity { node, cluster_id, directory } = Identity::read(disk, path, &file)?;
        let node = node.parse().map(BrokerId).map_err(|_| DataDirError::Damaged {
            path: file,
            problem: format!("node.id is no number: {node}"),
        })?;
        Ok((Self { path: path.to_owned(), cluster_id, directory, _lock: lock }, node))
    }

    /// Where the quorum's files are.
    pub(crate) fn metadata(&self) -> PathBuf {
        self.path.join("__cluster_metadata")
    }
}

fn lock(disk: &dyn Disk, path: &Path) -> Result<Box<dyn LockGuard>, DataDirError> {
    disk.lock(&path.join(".lock")).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => DataDirError::InUse { path: path.to_owned() },
        _ => DataDirError::Io { path: path.to_owned(), source },
    })
}

fn fresh_id(world: &World) -> Uuid {
    let mut id = [0; 16];
    world.dice.fill("cluster-id", &mut id);
    Uuid(id)
}

/// Says whose the directory is.
const IDENTITY: &str = "meta.properties";

/// What that file says.
struct Identity {
    node: String,
    cluster_id: String,
    directory: Uuid,
}

impl Identity {
    fn read(disk: &dyn Disk, path: &Path, file: &Path) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Io { path: path.into(), source };
        let damaged = |problem: String| DataDirError::Damaged { path: file.to_owned(), problem };
        let text = String::from_utf8(disk.read(file).map_err(failed)?);
        let text = text.map_err(|error| damaged(error.to_string()))?;
        let said: BTreeMap<String, String> =
            config::properties::parse(&text).map_err(|error| damaged(error.to_string()))?;
        let get = |key: &str| {
            let value = said.get(key).cloned();
            value.ok_or_else(|| damaged(format!("{key} is missing")))
        };
        let format = get("klamm.format")?;
        if format.parse::<u32>().map_or(true, |format| format > FORMAT) {
            return Err(DataDirError::Newer { path: path.to_owned(), found: format });
        }
        let directory = get("directory.id")?;
        let directory =
            directory.parse().map_err(|error| damaged(format!("directory.id: {error}")))?;
        Ok(Self { node: get("node.id")?, cluster_id: get("cluster.id")?, directory })
    }

    /// Whether it is that of this broker.
    fn check(
        &self,
        path: &Path,
        node: BrokerId,
        cluster_id: Option<&str>,
    ) -> Result<(), DataDirError> {
        let foreign = |key, found: &str, wanted: String| {
            let (path, found) = (path.to_owned(), found.to_owned());
            Err(DataDirError::Foreign { path, key, found, wanted })
        };
        if self.node != node.to_string() {
            return foreign("node.id", &self.node, node.to_string());
        }
        match cluster_id {
            Some(wanted) if *wanted != *self.cluster_id => {
                foreign("cluster.id", &self.cluster_id, wanted.to_owned())
            }
            Some(_) | None => Ok(()),
        }
    }
}
