//! A disk in memory that knows what was synced. When its power is lost, all else may be gone: contents by
//! page, names by folder.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

use world::simulated::Random;

/// The root folder.
pub(super) const ROOT: u64 = 1;
const PAGE: usize = 4096;

/// The disk.
pub(super) struct Disk {
    nodes: BTreeMap<u64, Node>,
    next: u64,
}

/// A file or a folder, whatever its names are.
pub(super) struct Node {
    /// When it was changed.
    pub(super) modified: SystemTime,
    /// What it is.
    pub(super) content: Content,
}

/// What is there now, and what is there after a loss of power.
pub(super) enum Content {
    /// Bytes.
    File(Bytes),
    /// Names, and the nodes that they name.
    Folder(Names),
}

#[derive(Default)]
pub(super) struct Bytes {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// Pages that differ, or may.
    dirty: BTreeSet<usize>,
}

#[derive(Default)]
pub(super) struct Names {
    pub(super) now: BTreeMap<OsString, u64>,
    synced: BTreeMap<OsString, u64>,
}

impl Disk {
    pub(super) fn new() -> Self {
        let mut disk = Self { nodes: BTreeMap::new(), next: ROOT };
        disk.make(Content::Folder(Names::default()));
        disk
    }

    pub(super) fn node(&self, id: u64) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// The bytes of a file, to be changed.
    pub(super) fn bytes(&mut self, id: u64) -> Option<&mut Bytes> {
        let node = self.nodes.get_mut(&id)?;
        match &mut node.content {
            Content::File(bytes) => {
                node.modified = SystemTime::now();
                Some(bytes)
            }
            Content::Folder(_) => None,
        }
    }

    /// The names in a folder, to be changed.
    pub(super) fn names(&mut self, id: u64) -> Option<&mut Names> {
        match &mut self.nodes.get_mut(&id)?.content {
            Content::Folder(names) => Some(names),
            Content::File(_) => None,
        }
    }

    /// What `name` names in a folder.
    pub(super) fn find(&self, folder: u64, name: &OsStr) -> Option<u64> {
        match &self.nodes.get(&folder)?.content {
            Content::Folder(names) => names.now.get(name).copied(),
            Content::File(_) => None,
        }
    }

    /// Makes a node, and names it.
    pub(super) fn create(&mut self, folder: u64, name: &OsStr, content: Content) -> Option<u64> {
        self.names(folder)?;
        let id = self.make(content);
        self.names(folder)?.now.insert(name.to_owned(), id);
        Some(id)
    }

    fn make(&mut self, content: Content) -> u64 {
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, Node { modified: SystemTime::now(), content });
        id
    }

    /// What is in a file or folder is there from now on, whatever happens.
    pub(super) fn sync(&mut self, id: u64) {
        match self.nodes.get_mut(&id).map(|node| &mut node.content) {
            Some(Content::File(bytes)) => bytes.sync(),
            Some(Content::Folder(names)) => names.synced.clone_from(&names.now),
            None => {}
        }
    }

    /// What was not synced goes, or stays, or stays in part.
    pub(super) fn lose_power(&mut self, random: &mut Random) {
        for node in self.nodes.values_mut() {
            match &mut node.content {
                Content::File(bytes) => bytes.lose_power(random),
                Content::Folder(names) => names.now.clone_from(&names.synced),
            }
        }
        let mut named = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        while let Some(id) = open.pop() {
            if let Some(Content::Folder(names)) = self.nodes.get(&id).map(|node| &node.content) {
                open.extend(names.now.values().filter(|id| named.insert(**id)));
            }
        }
        self.nodes.retain(|id, _| named.contains(id));
    }
}

impl Bytes {
    pub(super) fn len(&self) -> usize {
        self.now.len()
    }

    /// Up to `len` bytes from `at` on.
    pub(super) fn read(&self, at: usize, len: usize) -> &[u8] {
        let end = at.saturating_add(len).min(self.now.len());
        &self.now[at.min(end)..end]
    }

    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.now.len() < end {
            self.resize(end);
        }
        self.now[at..end].copy_from_slice(bytes);
        self.dirty.extend(at / PAGE..end.div_ceil(PAGE));
    }

    pub(super) fn resize(&mut self, len: usize) {
        let (first, last) = (self.now.len().min(len), self.now.len().max(len));
        self.now.resize(len, 0);
        self.dirty.extend(first / PAGE..last.div_ceil(PAGE));
    }

    fn sync(&mut self) {
        self.synced.resize(self.now.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            let (from, to) = (page * PAGE, ((page + 1) * PAGE).min(self.now.len()));
            if from < to {
                self.synced[from..to].copy_from_slice(&self.now[from..to]);
            }
        }
    }

    fn lose_power(&mut self, random: &mut Random) {
        // One file keeps all, one nothing, one each second page.
        let kept = random.within(0..3);
        let dirty = std::mem::take(&mut self.dirty);
        let mut left = self.synced.clone();
        for page in dirty {
            let (from, to) = (page * PAGE, ((page + 1) * PAGE).min(self.now.len()));
            if from < to && random.chance(kept, 2) {
                left.resize(left.len().max(to), 0);
                left[from..to].copy_from_slice(&self.now[from..to]);
            }
        }
        self.now.clone_from(&left);
        self.synced = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(disk: &mut Disk, name: &str) -> u64 {
        disk.create(ROOT, OsStr::new(name), Content::File(Bytes::default())).unwrap()
    }

    fn lose_power(disk: &mut Disk, seed: u64) {
        disk.lose_power(&mut Random::new(seed, &["test"]));
    }

    #[test]
    fn what_was_synced_stays() {
        for seed in 0..50 {
            let mut disk = Disk::new();
            let id = file(&mut disk, "log");
            disk.bytes(id).unwrap().write(0, &[1; 10_000]);
            disk.sync(id);
            disk.sync(ROOT);
            disk.bytes(id).unwrap().write(10_000, &[2; 10_000]);
            lose_power(&mut disk, seed);
            assert_eq!(disk.find(ROOT, OsStr::new("log")), Some(id));
            let bytes = disk.bytes(id).unwrap();
            assert_eq!(bytes.read(0, 10_000), [1; 10_000]);
            assert!(bytes.read(10_000, 10_000).iter().all(|byte| [0, 2].contains(byte)));
        }
    }

    #[test]
    fn what_was_not_synced_may_go_in_part() {
        let mut left = BTreeSet::new();
        for seed in 0..50 {
            let mut disk = Disk::new();
            let id = file(&mut disk, "log");
            disk.sync(ROOT);
            disk.bytes(id).unwrap().write(0, &[1; 3 * PAGE]);
            lose_power(&mut disk, seed);
            let bytes = disk.bytes(id).unwrap();
            left.insert(bytes.read(0, 3 * PAGE).iter().filter(|byte| **byte == 1).count() / PAGE);
        }
        assert_eq!(left, BTreeSet::from([0, 1, 2, 3]));
    }

    #[test]
    fn a_name_is_there_once_its_folder_was_synced() {
        let mut disk = Disk::new();
        let old = file(&mut disk, "old");
        disk.sync(old);
        disk.sync(ROOT);
        let new = file(&mut disk, "new");
        disk.sync(new);
        disk.names(ROOT).unwrap().now.remove(OsStr::new("old"));
        lose_power(&mut disk, 1);
        assert_eq!(disk.find(ROOT, OsStr::new("old")), Some(old));
        assert_eq!(disk.find(ROOT, OsStr::new("new")), None);
        assert!(disk.node(new).is_none());
    }

    #[test]
    fn a_file_that_was_cut_and_not_synced_has_its_end_again() {
        let mut disk = Disk::new();
        let id = file(&mut disk, "log");
        disk.sync(ROOT);
        disk.bytes(id).unwrap().write(0, &[1; 100]);
        disk.sync(id);
        disk.bytes(id).unwrap().resize(10);
        assert_eq!(disk.bytes(id).unwrap().len(), 10);
        lose_power(&mut disk, 1);
        assert_eq!(disk.bytes(id).unwrap().len(), 100);
    }
}
