//! `status.json` in the data directory: what `klamm up` knows, for `klamm get` and for its next start.

use std::io;
use std::path::{Path, PathBuf};

use crds::conditions::{self, ConditionStatus};
use crds::{Kind, Resource};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use world::Disk;

use super::settings::BROKERS;
use crate::failure::Failure;

/// The file's name.
pub(super) const NAME: &str = "status.json";
/// Where data directories are, unless the command line says otherwise.
const ALL: &str = ".klamm";

/// What is in the file.
#[derive(Debug, Default)]
pub(crate) struct StatusFile {
    /// All resources, with their status.
    pub(crate) resources: Vec<Resource>,
    /// Those that were deleted and are still declared.
    pub(crate) deleted: Vec<Resource>,
    /// Keys of those that no file declares.
    pub(crate) unmanaged: Vec<String>,
    /// What is wrong with the files.
    pub(crate) problems: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    resources: Vec<Value>,
    #[serde(default)]
    deleted: Vec<Value>,
    #[serde(default)]
    unmanaged: Vec<String>,
    #[serde(default)]
    problems: Vec<String>,
}

/// A resource as JSON.
pub(crate) fn to_value(resource: &Resource) -> Value {
    let value = match resource {
        Resource::Cluster(it) => serde_json::to_value(it),
        Resource::Topic(it) => serde_json::to_value(it),
        Resource::ConsumerGroup(it) => serde_json::to_value(it),
    };
    value.expect("a resource is made of strings, numbers and maps")
}

/// A resource from JSON, if it is one.
pub(super) fn from_value(value: Value) -> Option<Resource> {
    let kind = value.get("kind")?.as_str()?.to_owned();
    let kind = Kind::ALL.into_iter().find(|it| it.as_str() == kind)?;
    let resource = match kind {
        Kind::Cluster => Resource::Cluster(serde_json::from_value(value).ok()?),
        Kind::Topic => Resource::Topic(serde_json::from_value(value).ok()?),
        Kind::ConsumerGroup => Resource::ConsumerGroup(serde_json::from_value(value).ok()?),
    };
    Some(resource)
}

impl StatusFile {
    /// The file's text.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let stored = Stored {
            resources: self.resources.iter().map(to_value).collect(),
            deleted: self.deleted.iter().map(to_value).collect(),
            unmanaged: self.unmanaged.clone(),
            problems: self.problems.clone(),
        };
        serde_json::to_vec_pretty(&stored).expect("it is made of strings, numbers and maps")
    }
}

/// Reads the file of the data directory `dir`; `None` if there is none.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<StatusFile>, Failure> {
    let path = dir.join(NAME);
    let bytes = match disk.read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::new(format!("cannot read {}: {error}", path.display())));
        }
    };
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(format!("{} is damaged: {error}", path.display()))
            .hint("delete it: it is written anew, and only the history of the conditions is lost")
    })?;
    let resources = |all: Vec<Value>| all.into_iter().filter_map(from_value).collect();
    Ok(Some(StatusFile {
        resources: resources(stored.resources),
        deleted: resources(stored.deleted),
        unmanaged: stored.unmanaged,
        problems: stored.problems,
    }))
}

/// The status files of `dir`, or of every data directory here whose `klamm up` runs.
pub(crate) fn find(disk: &dyn Disk, dir: Option<&Path>) -> Result<Vec<StatusFile>, Failure> {
    if let Some(dir) = dir {
        let file = read(disk, dir)?.ok_or_else(|| {
            Failure::new(format!("there is no {NAME} in {}", dir.display()))
                .hint("--data-dir names the directory of a `klamm up`")
        })?;
        if !is_running(disk, dir) {
            crate::output::note(format_args!(
                "no `klamm up` runs on {}: this is what the last one wrote",
                dir.display()
            ));
        }
        return Ok(vec![file]);
    }
    let mut found = Vec::new();
    for dir in running(disk)? {
        found.extend(read(disk, &dir)?);
    }
    Ok(found)
}

/// The data directories here whose `klamm up` runs.
fn running(disk: &dyn Disk) -> Result<Vec<PathBuf>, Failure> {
    let all = Path::new(ALL);
    let entries = match disk.read_dir(all) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::new(format!("cannot read {ALL}: {error}"))),
    };
    let dirs = entries.iter().filter(|entry| entry.is_dir).map(|entry| all.join(&entry.name));
    Ok(dirs.filter(|dir| is_running(disk, dir)).collect())
}

/// The data directory of the one `klamm up` that runs here.
pub(crate) fn only_running(disk: &dyn Disk) -> Result<PathBuf, Failure> {
    let mut running = running(disk)?;
    match (running.pop(), running.len()) {
        (Some(dir), 0) => Ok(dir),
        (None, _) => Err(Failure::new("no `klamm up` runs in this folder")
            .hint("start one, or name its folder with --data-dir")),
        (Some(_), _) => Err(Failure::new("several `klamm up` run in this folder")
            .hint("name the folder of one with --data-dir, such as .klamm/local")),
    }
}

/// Whether one of its brokers holds the data directory.
pub(crate) fn is_running(disk: &dyn Disk, dir: &Path) -> bool {
    let further = disk.read_dir(&dir.join(BROKERS)).unwrap_or_default();
    let further = further.iter().map(|entry| dir.join(BROKERS).join(&entry.name));
    std::iter::once(dir.to_owned()).chain(further).any(|dir| {
        disk.exists(&dir.join("meta.properties"))
            && matches!(disk.lock(&dir.join(".lock")), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    })
}

/// Status, reason and message of the condition `Ready`; empty where nothing was said yet.
pub(crate) fn ready(resource: &Resource) -> (String, String, String) {
    let conditions = match resource {
        Resource::Cluster(it) => it.status.as_ref().map(|it| &it.conditions),
        Resource::Topic(it) => it.status.as_ref().map(|it| &it.conditions),
        Resource::ConsumerGroup(it) => it.status.as_ref().map(|it| &it.conditions),
    };
    let ready = conditions.and_then(|it| conditions::get(it, conditions::READY));
    let Some(ready) = ready else { return Default::default() };
    let status = match ready.status {
        ConditionStatus::True => "True",
        ConditionStatus::False => "False",
        ConditionStatus::Unknown => "Unknown",
    };
    // What is as it should be needs no sentence.
    let message = if ready.status == ConditionStatus::True { "" } else { &ready.message };
    (status.to_owned(), ready.reason.clone(), message.to_owned())
}
