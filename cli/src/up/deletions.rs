//! What `klamm delete` asks of a running `klamm up`: a file in the data directory, taken when seen.

use std::io;
use std::path::{Path, PathBuf};

use crds::{Key, Kind};
use serde::{Deserialize, Serialize};
use world::Disk;

use crate::failure::Failure;

#[derive(Serialize, Deserialize)]
struct Asked {
    kind: String,
    namespace: String,
    name: String,
}

fn path(dir: &Path) -> PathBuf {
    dir.join("delete.json")
}

/// Asks for `keys` to be deleted.
pub(crate) fn ask(disk: &dyn Disk, dir: &Path, keys: &[Key]) -> Result<(), Failure> {
    let asked = |key: &Key| Asked {
        kind: key.kind.to_string(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    };
    let asked: Vec<_> = keys.iter().map(asked).collect();
    let bytes = serde_json::to_vec(&asked).expect("it is made of strings");
    disk.write_atomic(&path(dir), &bytes)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", path(dir).display())))
}

/// Whether something was asked for and not taken yet.
pub(crate) fn is_asked(disk: &dyn Disk, dir: &Path) -> bool {
    disk.exists(&path(dir))
}

/// Takes what was asked for. What cannot be read is dropped.
pub(super) fn take(disk: &dyn Disk, dir: &Path) -> Vec<Key> {
    let bytes = match disk.read(&path(dir)) {
        Ok(bytes) => bytes,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, "cannot read what is to be deleted");
            }
            return Vec::new();
        }
    };
    if let Err(error) = disk.remove_file(&path(dir)) {
        tracing::warn!(%error, "cannot take what is to be deleted");
        return Vec::new();
    }
    let asked: Vec<Asked> = serde_json::from_slice(&bytes).unwrap_or_default();
    let key = |asked: Asked| {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == asked.kind)?;
        Some(Key { kind, namespace: asked.namespace, name: asked.name })
    };
    asked.into_iter().filter_map(key).collect()
}
