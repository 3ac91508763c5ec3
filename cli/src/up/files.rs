//! The YAML files: read, watched by their content, never trusted to be whole.
//!
//! Content is compared, not times: an editor that writes in two steps is seen twice, and both times the
//! file stands as it is. A file that cannot be read or does not parse keeps what it declared before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crds::{Key, Resource};
use world::Disk;

use crate::failure::Failure;

/// A file above this is no file of resources.
const FILE_BYTES_MAX: usize = 16 << 20;

/// The files of the command line.
pub(crate) struct Files {
    watched: Vec<Watched>,
}

struct Watched {
    path: PathBuf,
    content: Option<Vec<u8>>,
    declared: BTreeMap<Key, Resource>,
    problems: Vec<String>,
}

/// Reads the resources of `path`.
///
/// # Errors
/// When it cannot be read, or any of its documents is not a resource; all mistakes are told.
pub(crate) fn read_strictly(disk: &dyn Disk, path: &Path) -> Result<Vec<Resource>, Failure> {
    let content = read(disk, path)
        .map_err(|problem| Failure::new(problem).hint("name a file of YAML documents"))?;
    let (resources, problems) = parse(path, &content);
    match problems.as_slice() {
        [] => Ok(resources),
        [one] => Err(Failure::new(one)),
        many => Err(Failure::new(many.join("\nerror: "))),
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, String> {
    let content = disk.read(path).map_err(|error| format!("cannot read {error}"))?;
    if content.len() > FILE_BYTES_MAX {
        return Err(format!("{} is larger than {FILE_BYTES_MAX} bytes", path.display()));
    }
    Ok(content)
}

fn parse(path: &Path, content: &[u8]) -> (Vec<Resource>, Vec<String>) {
    let Ok(text) = std::str::from_utf8(content) else {
        return (Vec::new(), vec![format!("{} is not UTF-8 text", path.display())]);
    };
    let (mut resources, mut problems) = (Vec::new(), Vec::new());
    for result in crds::parse(text, &path.display().to_string()) {
        match result {
            Ok(resource) => resources.push(resource),
            Err(error) => problems.push(error.to_string()),
        }
    }
    (resources, problems)
}

impl Files {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// When one cannot be read, is not valid, or declares what another does.
    pub(super) fn open(disk: &dyn Disk, paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut files = Self { watched: Vec::new() };
        for path in paths {
            let mut declared = BTreeMap::new();
            for resource in read_strictly(disk, path)? {
                let key = resource.key();
                let earlier = files.watched.iter().find(|it| it.declared.contains_key(&key));
                let earlier = earlier.map(|it| it.path.clone());
                let twice = declared.insert(key.clone(), resource).map(|_| path.clone());
                if let Some(earlier) = earlier.or(twice) {
                    let (path, earlier) = (path.display(), earlier.display());
                    return Err(Failure::new(format!(
                        "{path}: {key} is declared in {earlier} already"
                    ))
                    .hint("give one of them another name"));
                }
            }
            let content = Some(read(disk, path).map_err(Failure::new)?);
            let watched = Watched { path: path.clone(), content, declared, problems: Vec::new() };
            files.watched.push(watched);
        }
        Ok(files)
    }

    /// Looks at the files again; whether any changed.
    pub(super) fn look(&mut self, disk: &dyn Disk) -> bool {
        let mut is_changed = false;
        for watched in &mut self.watched {
            is_changed |= watched.look(disk);
        }
        is_changed
    }

    /// All that is declared. What two files declare counts as in the first.
    pub(super) fn declared(&self) -> BTreeMap<Key, Resource> {
        let all = self.watched.iter().rev().flat_map(|watched| &watched.declared);
        all.map(|(key, resource)| (key.clone(), resource.clone())).collect()
    }

    /// What is wrong with the files now.
    pub(super) fn problems(&self) -> Vec<String> {
        self.watched.iter().flat_map(|watched| watched.problems.clone()).collect()
    }
}

impl Watched {
    fn look(&mut self, disk: &dyn Disk) -> bool {
        let content = match read(disk, &self.path) {
            Ok(content) => content,
            Err(problem) => {
                let is_new = self.content.take().is_some();
                self.problems = vec![format!("{problem}; nothing was changed")];
                return is_new;
            }
        };
        if self.content.as_ref() == Some(&content) {
            return false;
        }
        let (resources, problems) = parse(&self.path, &content);
        let parsed: BTreeMap<Key, Resource> =
            resources.into_iter().map(|resource| (resource.key(), resource)).collect();
        if problems.is_empty() {
            self.declared = parsed;
        } else {
            // Which document a mistake is in cannot always be told: what is not there counts as broken.
            self.declared.extend(parsed);
        }
        self.problems = problems;
        self.content = Some(content);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "apiVersion: klamm.io/v1alpha1\nkind: Topic\nmetadata: {name: NAME}\n\
                         spec: {clusterRef: {name: demo}, partitions: 3}\n";

    fn topic(name: &str) -> String {
        TOPIC.replace("NAME", name)
    }

    struct Folder {
        dir: tempfile::TempDir,
        disk: std::sync::Arc<dyn Disk>,
    }

    impl Folder {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap(), disk: crate::session::world().disk }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("a.yaml")
        }

        fn write(&self, text: &str) {
            self.disk.write_atomic(&self.path(), text.as_bytes()).unwrap();
        }

        fn names(files: &Files) -> Vec<String> {
            files.declared().into_keys().map(|key| key.name).collect()
        }
    }

    #[test]
    fn a_file_that_does_not_parse_declares_what_it_declared_before() {
        let folder = Folder::new();
        folder.write(&format!("{}---\n{}", topic("a"), topic("b")));
        let mut files = Files::open(&*folder.disk, &[folder.path()]).unwrap();
        assert_eq!(Folder::names(&files), ["a", "b"]);
        assert!(!files.look(&*folder.disk));
        for broken in ["{", "kind: Topic", &topic("a").replace("partitions: 3", "partitions: x")] {
            folder.write(broken);
            assert!(files.look(&*folder.disk), "{broken}");
            assert_eq!(Folder::names(&files), ["a", "b"], "{broken}");
            assert!(!files.problems().is_empty(), "{broken}");
        }
        folder.write(&topic("b"));
        assert!(files.look(&*folder.disk));
        assert_eq!(Folder::names(&files), ["b"]);
        assert!(files.problems().is_empty());
    }

    #[test]
    fn a_file_that_is_gone_changes_nothing_and_is_told_once() {
        let folder = Folder::new();
        folder.write(&topic("a"));
        let mut files = Files::open(&*folder.disk, &[folder.path()]).unwrap();
        folder.disk.remove_file(&folder.path()).unwrap();
        assert!(files.look(&*folder.disk));
        assert!(!files.look(&*folder.disk));
        assert_eq!(Folder::names(&files), ["a"]);
        assert_eq!(files.problems().len(), 1);
    }

    #[test]
    fn what_is_declared_twice_is_refused_at_the_start() {
        let folder = Folder::new();
        folder.write(&format!("{}---\n{}", topic("a"), topic("a")));
        assert!(Files::open(&*folder.disk, &[folder.path()]).is_err());
    }
}
