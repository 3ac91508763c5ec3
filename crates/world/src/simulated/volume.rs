//! A disk as a value: what a running process sees, and what a power loss would leave of it.
//!
//! Content is the matter of `content`.
//! Names: each creation, removal and rename is one operation that waits until a folder it touches is
//! synced. A power loss keeps any subset of those that still wait.
//!
//! Nothing here knows of processes, faults or time.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::{Component, Path};

use super::content::{Content, Keep};
use super::random::Random;

/// The folder `/`.
const ROOT: Inode = Inode(0);

/// A file longer than this is a bug in the code under test.
const FILE_LEN_MAX: u64 = 1 << 28;

/// Names a file or folder, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inode(u64);

/// (folder, name) → file or folder.
type Names = BTreeMap<(Inode, String), Inode>;

/// One change of names, which a crash keeps whole or not at all.
type NameChange = Vec<((Inode, String), Option<Inode>)>;

#[derive(Clone, Debug)]
enum Node {
    File(Content),
    Folder,
}

/// A disk.
#[derive(Clone, Debug)]
pub(super) struct Volume {
    nodes: BTreeMap<Inode, Node>,
    next: u64,
    names: Names,
    synced_names: Names,
    unsynced_names: Vec<NameChange>,
    capacity: u64,
    used: u64,
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file or folder", path.display()))
}

impl Volume {
    /// An empty disk of `capacity` bytes.
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Folder)]),
            next: 1,
            names: Names::new(),
            synced_names: Names::new(),
            unsynced_names: Vec::new(),
            capacity,
            used: 0,
        }
    }

    // Names.

    /// What `path` names.
    pub(super) fn find(&self, path: &Path) -> Option<Inode> {
        let mut at = ROOT;
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => {
                    at = *self.names.get(&(at, name.to_str()?.to_owned()))?;
                }
                Component::ParentDir | Component::Prefix(_) => return None,
            }
        }
        Some(at)
    }

    fn slot(&self, path: &Path) -> io::Result<(Inode, String)> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let folder = self.find(path.parent().unwrap_or(Path::new("/")));
        match folder {
            Some(folder) if self.is_folder(folder) => Ok((folder, name.to_owned())),
            Some(_) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(not_found(path)),
        }
    }

    pub(super) fn is_folder(&self, inode: Inode) -> bool {
        matches!(self.nodes.get(&inode), Some(Node::Folder))
    }

    fn change_names(&mut self, change: NameChange) {
        apply(&mut self.names, &change);
        self.unsynced_names.push(change);
    }

    fn add(&mut self, slot: (Inode, String), node: Node) -> Inode {
        let inode = Inode(self.next);
        self.next += 1;
        self.nodes.insert(inode, node);
        self.change_names(vec![(slot, Some(inode))]);
        inode
    }

    /// Opens a file, creating it if `create`.
    pub(super) fn open(&mut self, path: &Path, create: bool, new: bool) -> io::Result<Inode> {
        match self.find(path) {
            Some(_) if new => Err(io::ErrorKind::AlreadyExists.into()),
            Some(inode) if self.is_folder(inode) => Err(io::ErrorKind::IsADirectory.into()),
            Some(inode) => Ok(inode),
            None if create => {
                let slot = self.slot(path)?;
                Ok(self.add(slot, Node::File(Content::default())))
            }
            None => Err(not_found(path)),
        }
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path).ok_or_else(|| not_found(path))?;
        if self.is_folder(inode) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let slot = self.slot(path)?;
        self.used -= self.content(inode)?.takes();
        self.change_names(vec![(slot, None)]);
        Ok(())
    }

    pub(super) fn remove_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let Some(inode) = self.find(path) else { return Ok(()) };
        if !self.is_folder(inode) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        for (name, child) in self.children(inode) {
            let child_path = path.join(name);
            if self.is_folder(child) {
                self.remove_dir_all(&child_path)?;
            } else {
                self.remove_file(&child_path)?;
            }
        }
        let slot = self.slot(path)?;
        self.change_names(vec![(slot, None)]);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.find(from).ok_or_else(|| not_found(from))?;
        let (old, new) = (self.slot(from)?, self.slot(to)?);
        if old == new {
            return Ok(());
        }
        if to.starts_with(from) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if let Some(replaced) = self.find(to) {
            match (self.is_folder(inode), self.is_folder(replaced)) {
                (false, true) => return Err(io::ErrorKind::IsADirectory.into()),
                (true, false) => return Err(io::ErrorKind::NotADirectory.into()),
                (true, true) if !self.children(replaced).is_empty() => {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
                (true, true) => {}
                (false, false) => self.used -= self.content(replaced)?.takes(),
            }
        }
        self.change_names(vec![(old, None), (new, Some(inode))]);
        Ok(())
    }

    /// Swaps the names of two files.
    pub(super) fn exchange(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (one, other) = (
            self.find(from).ok_or_else(|| not_found(from))?,
            self.find(to).ok_or_else(|| not_found(to))?,
        );
        if self.is_folder(one) || self.is_folder(other) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let (from, to) = (self.slot(from)?, self.slot(to)?);
        self.change_names(vec![(from, Some(other)), (to, Some(one))]);
        Ok(())
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut at = Path::new("/").to_path_buf();
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            at.push(name);
            match self.find(&at) {
                Some(inode) if self.is_folder(inode) => {}
                Some(_) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    let slot = self.slot(&at)?;
                    self.add(slot, Node::Folder);
                }
            }
        }
        Ok(())
    }

    /// The names in a folder, sorted.
    pub(super) fn children(&self, folder: Inode) -> Vec<(String, Inode)> {
        let from = (folder, String::new());
        let to = (Inode(folder.0 + 1), String::new());
        let range = (Bound::Included(from), Bound::Excluded(to));
        self.names.range(range).map(|((_, name), inode)| (name.clone(), *inode)).collect()
    }

    /// Makes the waiting changes that touch a folder safe.
    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let folder = self.find(path).ok_or_else(|| not_found(path))?;
        let waiting = std::mem::take(&mut self.unsynced_names);
        for change in waiting {
            if change.iter().any(|((touched, _), _)| *touched == folder) {
                apply(&mut self.synced_names, &change);
            } else {
                self.unsynced_names.push(change);
            }
        }
        Ok(())
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced_names) {
            apply(&mut self.synced_names, &change);
        }
        for node in self.nodes.values_mut() {
            if let Node::File(content) = node {
                content.sync();
            }
        }
    }

    // Content.

    fn content(&self, inode: Inode) -> io::Result<&Content> {
        match self.nodes.get(&inode) {
            Some(Node::File(content)) => Ok(content),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn content_mut(&mut self, inode: Inode) -> io::Result<&mut Content> {
        match self.nodes.get_mut(&inode) {
            Some(Node::File(content)) => Ok(content),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn len(&self, inode: Inode) -> io::Result<u64> {
        Ok(self.content(inode)?.bytes.len() as u64)
    }

    pub(super) fn read(&self, inode: Inode, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = &self.content(inode)?.bytes;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let found = &bytes[start..];
        let read = found.len().min(buffer.len());
        buffer[..read].copy_from_slice(&found[..read]);
        Ok(read)
    }

    /// Writes as much as there is space for; `StorageFull` if that was not all.
    pub(super) fn write(&mut self, inode: Inode, bytes: &[u8], offset: u64) -> io::Result<()> {
        let taken = self.content(inode)?.takes();
        let len_max = taken.saturating_add(self.available()).min(FILE_LEN_MAX);
        let room = len_max.max(taken).saturating_sub(offset);
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        if fits > 0 {
            let content = self.content_mut(inode)?;
            content.write(&bytes[..fits], usize::try_from(offset).map_err(io::Error::other)?);
            self.used += self.content(inode)?.takes() - taken;
        }
        if fits < bytes.len() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on the volume"));
        }
        Ok(())
    }

    pub(super) fn set_len(&mut self, inode: Inode, len: u64) -> io::Result<()> {
        if len > FILE_LEN_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let content = self.content_mut(inode)?;
        let taken = content.takes();
        content.set_len(usize::try_from(len).map_err(io::Error::other)?);
        self.used = self.used - taken + len;
        Ok(())
    }

    /// Gets blocks up to `len`, all or none.
    pub(super) fn reserve(&mut self, inode: Inode, len: u64) -> io::Result<()> {
        let more = len.saturating_sub(self.content(inode)?.takes());
        if more > self.available() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on the volume"));
        }
        self.used += more;
        let content = self.content_mut(inode)?;
        content.reserved = content.reserved.max(len);
        Ok(())
    }

    pub(super) fn sync_data(&mut self, inode: Inode) -> io::Result<()> {
        self.content_mut(inode)?.sync();
        Ok(())
    }

    /// A sync of the file has failed.
    pub(super) fn fail_sync(&mut self, inode: Inode) -> io::Result<()> {
        self.content_mut(inode)?.give_up();
        Ok(())
    }

    /// A sync of everything has failed.
    pub(super) fn fail_sync_of_all(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::File(content) = node {
                content.give_up();
            }
        }
    }

    /// What is not waiting to be synced goes from memory: reads find what is on the medium.
    pub(super) fn forget_cached(&mut self, inode: Inode, offset: u64, len: u64) -> io::Result<()> {
        let byte = |offset| usize::try_from(offset).map_err(io::Error::other);
        let (from, to) = (byte(offset)?, byte(offset.saturating_add(len))?);
        self.content_mut(inode)?.forget_cached(from, to);
        Ok(())
    }

    /// Flips one bit, on the medium as well: a later power loss does not repair it.
    pub(super) fn rot(&mut self, inode: Inode, offset: u64, bit: u8) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        self.content_mut(inode)?.rot(at, 1 << (bit % 8))
    }

    // The whole.

    pub(super) fn set_capacity(&mut self, capacity: u64) {
        self.capacity = capacity;
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) fn available(&self) -> u64 {
        self.capacity.saturating_sub(self.used)
    }

    /// Takes the power away: what was not synced is kept, lost or torn, as `random` has it.
    pub(super) fn lose_power(&mut self, random: &mut Random) {
        let waiting = std::mem::take(&mut self.unsynced_names);
        let keep = Keep::draw(random, waiting.len());
        for (at, change) in waiting.iter().enumerate() {
            if keep.keeps(at, random) {
                apply(&mut self.synced_names, change);
            }
        }
        self.names = self.synced_names.clone();
        self.forget_unnamed();
        for node in self.nodes.values_mut() {
            if let Node::File(content) = node {
                content.lose_power(random);
            }
        }
        self.used = self.measure();
    }

    /// Drops files that have no name any more, now that no process holds them open.
    pub(super) fn forget_unnamed(&mut self) {
        let waiting = self.unsynced_names.iter().flatten().filter_map(|(_, inode)| *inode);
        let mut named: Vec<Inode> = waiting.chain([ROOT]).collect();
        let mut kept = BTreeMap::new();
        while let Some(inode) = named.pop() {
            let Some(node) = self.nodes.remove(&inode) else { continue };
            let range = (inode, String::new())..(Inode(inode.0 + 1), String::new());
            for names in [&self.names, &self.synced_names] {
                named.extend(names.range(range.clone()).map(|(_, child)| *child));
            }
            kept.insert(inode, node);
        }
        self.nodes = kept;
        self.synced_names.retain(|(folder, _), _| self.nodes.contains_key(folder));
        self.names.retain(|(folder, _), _| self.nodes.contains_key(folder));
    }

    fn measure(&self) -> u64 {
        let contents = self.names.values().filter_map(|inode| self.content(*inode).ok());
        contents.map(Content::takes).sum()
    }
}

fn apply(names: &mut Names, change: &NameChange) {
    for (slot, inode) in change {
        match inode {
            Some(inode) => {
                names.insert(slot.clone(), *inode);
            }
            None => {
                names.remove(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::SECTOR;
    use super::*;

    fn random(seed: u64) -> Random {
        Random::new(seed, &["volume"])
    }

    /// What is left of one file after each of many power losses.
    fn remains(volume: &Volume, path: &str) -> Vec<Option<Vec<u8>>> {
        let after = |seed| {
            let mut volume = volume.clone();
            volume.lose_power(&mut random(seed));
            let inode = volume.find(Path::new(path))?;
            Some(volume.content(inode).unwrap().bytes.clone())
        };
        (0..200).map(after).collect()
    }

    fn synced_file(path: &str, bytes: &[u8]) -> (Volume, Inode) {
        let mut volume = Volume::new(1 << 20);
        let inode = volume.open(Path::new(path), true, true).unwrap();
        volume.write(inode, bytes, 0).unwrap();
        volume.sync_data(inode).unwrap();
        volume.sync_dir(Path::new("/")).unwrap();
        (volume, inode)
    }

    #[test]
    fn what_was_synced_survives() {
        let (volume, _) = synced_file("/f", &[7; 3000]);
        assert!(remains(&volume, "/f").iter().all(|left| left.as_deref() == Some(&[7; 3000])));
    }

    #[test]
    fn what_was_not_synced_is_kept_lost_or_torn_by_sector() {
        let (mut volume, inode) = synced_file("/f", &[1; 1024]);
        volume.write(inode, &[2; 2048], 512).unwrap();
        let left: Vec<Vec<u8>> = remains(&volume, "/f").into_iter().flatten().collect();
        let new: Vec<u8> = [vec![1; 512], vec![2; 2048]].concat();
        assert!(left.contains(&new), "it can survive whole");
        assert!(left.contains(&vec![1; 1024]), "it can be lost whole");
        let torn = |bytes: &&Vec<u8>| bytes.len() == 2560 && **bytes != new;
        assert!(left.iter().any(|bytes| torn(&bytes)), "it can be torn");
        for bytes in &left {
            assert_eq!(bytes[..512], [1; 512], "a sector that was not written again stays");
            for sector in bytes[512..].chunks(SECTOR) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is whole");
            }
        }
        let lost_before_kept =
            |bytes: &&Vec<u8>| bytes.len() == 2560 && bytes[512] != 2 && bytes[2559] == 2;
        assert!(left.iter().any(|bytes| lost_before_kept(&bytes)), "order is no promise");
    }

    #[test]
    fn an_unsynced_truncation_can_come_undone() {
        let (mut volume, inode) = synced_file("/f", &[1; 2000]);
        volume.set_len(inode, 100).unwrap();
        let left = remains(&volume, "/f");
        assert!(left.contains(&Some(vec![1; 100])));
        assert!(left.contains(&Some(vec![1; 2000])));
        volume.sync_data(inode).unwrap();
        assert!(remains(&volume, "/f").iter().all(|left| left.as_deref() == Some(&[1; 100])));
    }

    #[test]
    fn a_new_name_can_be_lost_until_its_folder_is_synced() {
        let mut volume = Volume::new(1 << 20);
        volume.create_dir_all(Path::new("/a/b")).unwrap();
        let inode = volume.open(Path::new("/a/b/f"), true, false).unwrap();
        volume.write(inode, b"x", 0).unwrap();
        volume.sync_data(inode).unwrap();
        volume.sync_dir(Path::new("/a/b")).unwrap();
        let gone = |left: &[Option<Vec<u8>>]| left.iter().filter(|left| left.is_none()).count();
        assert!(gone(&remains(&volume, "/a/b/f")) > 0, "the folder's own name was not synced");
        volume.sync_dir(Path::new("/a")).unwrap();
        volume.sync_dir(Path::new("/")).unwrap();
        assert_eq!(gone(&remains(&volume, "/a/b/f")), 0);
    }

    #[test]
    fn an_unsynced_rename_leaves_the_old_or_the_new_file_and_never_neither() {
        let (mut volume, _) = synced_file("/f", b"old");
        let inode = volume.open(Path::new("/f.tmp"), true, true).unwrap();
        volume.write(inode, b"new", 0).unwrap();
        volume.sync_data(inode).unwrap();
        volume.rename(Path::new("/f.tmp"), Path::new("/f")).unwrap();
        let left = remains(&volume, "/f");
        assert!(left.contains(&Some(b"old".to_vec())) && left.contains(&Some(b"new".to_vec())));
        assert!(left.iter().all(Option::is_some));
        volume.sync_dir(Path::new("/")).unwrap();
        let left = remains(&volume, "/f");
        assert!(left.iter().all(|left| left.as_deref() == Some(b"new")));
    }

    #[test]
    fn a_rename_can_outlive_the_content_that_was_not_synced() {
        let (mut volume, _) = synced_file("/f", b"old");
        let inode = volume.open(Path::new("/f.tmp"), true, true).unwrap();
        volume.write(inode, b"new", 0).unwrap();
        volume.rename(Path::new("/f.tmp"), Path::new("/f")).unwrap();
        volume.sync_dir(Path::new("/")).unwrap();
        assert!(remains(&volume, "/f").contains(&Some(Vec::new())));
    }

    #[test]
    fn a_removed_file_can_come_back_until_its_folder_is_synced() {
        let (mut volume, inode) = synced_file("/f", b"x");
        volume.remove_file(Path::new("/f")).unwrap();
        assert_eq!(volume.len(inode).unwrap(), 1, "an open file outlives its name");
        volume.forget_unnamed();
        let left = remains(&volume, "/f");
        assert!(left.contains(&None) && left.contains(&Some(b"x".to_vec())));
        volume.sync_dir(Path::new("/")).unwrap();
        volume.forget_unnamed();
        assert!(volume.len(inode).is_err());
        assert_eq!(volume.available(), volume.capacity());
    }

    #[test]
    fn a_full_volume_takes_what_fits_and_says_so() {
        let mut volume = Volume::new(1000);
        let inode = volume.open(Path::new("/f"), true, false).unwrap();
        volume.write(inode, &[1; 900], 0).unwrap();
        let error = volume.write(inode, &[2; 200], 850).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!((volume.len(inode).unwrap(), volume.available()), (1000, 0));
        volume.write(inode, &[3; 1000], 0).unwrap();
        volume.set_len(inode, 10).unwrap();
        assert_eq!(volume.available(), 990);
    }

    #[test]
    fn two_names_are_swapped_at_once() {
        let mut volume = Volume::new(1 << 20);
        for (path, byte) in [("/a", 1), ("/b", 2)] {
            let inode = volume.open(Path::new(path), true, false).unwrap();
            volume.write(inode, &[byte], 0).unwrap();
            volume.sync_data(inode).unwrap();
        }
        volume.sync_dir(Path::new("/")).unwrap();
        let available = volume.available();
        volume.exchange(Path::new("/a"), Path::new("/b")).unwrap();
        assert_eq!(volume.available(), available);
        let mut found = BTreeMap::new();
        for seed in 0..20 {
            let mut volume = volume.clone();
            volume.lose_power(&mut Random::new(seed, &["power"]));
            let byte =
                |path| volume.content(volume.find(Path::new(path)).unwrap()).unwrap().bytes[0];
            *found.entry((byte("/a"), byte("/b"))).or_insert(0) += 1;
        }
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [(1, 2), (2, 1)]);
    }

    #[test]
    fn what_could_not_be_synced_is_never_on_the_medium_though_a_later_sync_succeeds() {
        let path = Path::new("/f");
        let written = || {
            let mut volume = Volume::new(1 << 20);
            let inode = volume.open(path, true, false).unwrap();
            volume.sync_dir(Path::new("/")).unwrap();
            volume.write(inode, &[1; 1000], 0).unwrap();
            volume.sync_data(inode).unwrap();
            volume.write(inode, &[2; 1000], 600).unwrap();
            volume.fail_sync(inode).unwrap();
            volume.sync_data(inode).unwrap();
            (volume, inode)
        };
        let content = |volume: &Volume, inode| volume.content(inode).unwrap().bytes.clone();
        let on_medium = [[1; 1000].as_slice(), &[0; 600]].concat();
        let (mut volume, inode) = written();
        assert_eq!(content(&volume, inode)[600..], [2; 1000], "it is in memory");
        volume.forget_cached(inode, 0, 1600).unwrap();
        assert_eq!(content(&volume, inode), on_medium);
        for seed in 0..20 {
            let (mut volume, inode) = written();
            volume.lose_power(&mut Random::new(seed, &["power"]));
            assert_eq!(content(&volume, inode), on_medium);
            let (mut volume, inode) = written();
            volume.write(inode, &[3; 1000], 600).unwrap();
            volume.sync_data(inode).unwrap();
            volume.lose_power(&mut Random::new(seed, &["power"]));
            assert_eq!(content(&volume, inode)[600..], [3; 1000], "it was written again");
        }
    }

    #[test]
    fn what_was_reserved_can_be_written_although_the_volume_is_full() {
        let mut volume = Volume::new(1000);
        let inode = volume.open(Path::new("/f"), true, false).unwrap();
        volume.reserve(inode, 600).unwrap();
        assert_eq!(volume.reserve(inode, 1001).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!((volume.len(inode).unwrap(), volume.available()), (0, 400));
        volume.set_capacity(0);
        volume.write(inode, &[1; 600], 0).unwrap();
        assert!(volume.write(inode, &[1; 1], 600).is_err());
        volume.set_len(inode, 10).unwrap();
        assert!(volume.write(inode, &[1; 1], 10).is_err(), "the blocks are gone");
    }

    #[test]
    fn removing_a_folder_can_be_half_done() {
        let mut volume = Volume::new(1 << 20);
        volume.create_dir_all(Path::new("/a")).unwrap();
        for name in ["/a/1", "/a/2"] {
            volume.open(Path::new(name), true, true).unwrap();
        }
        volume.sync_dir(Path::new("/a")).unwrap();
        volume.sync_dir(Path::new("/")).unwrap();
        volume.remove_dir_all(Path::new("/a")).unwrap();
        assert!(volume.find(Path::new("/a")).is_none());
        let one = remains(&volume, "/a/1");
        let two = remains(&volume, "/a/2");
        assert!(one.iter().zip(&two).any(|(one, two)| one.is_none() && two.is_some()));
    }
}
