//! A memory limit for a process and the page cache that it fills, the same for every contestant.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// A control group with a memory limit. Removed when dropped; its processes must have ended by then.
pub(crate) struct MemoryGroup {
    folder: PathBuf,
}

impl MemoryGroup {
    /// Makes one for `name` with `bytes` of memory, under version 1 or 2 of the kernel's interface.
    ///
    /// # Errors
    /// Without the right to: a comparison without equal limits is none.
    pub(crate) fn new(name: &str, bytes: u64) -> Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let first = root.join("memory");
        let (parent, limit) = if first.join("memory.limit_in_bytes").exists() {
            (first.as_path(), "memory.limit_in_bytes")
        } else {
            (root, "memory.max")
        };
        let folder = parent.join(format!("klamm-bench-{}-{name}", std::process::id()));
        std::fs::create_dir(&folder)
            .with_context(|| format!("{}: control groups need root", folder.display()))?;
        let group = Self { folder };
        let file = group.folder.join(limit);
        ensure!(file.exists(), "there is no memory controller at {}", parent.display());
        std::fs::write(&file, bytes.to_string())?;
        Ok(group)
    }

    /// What is put before a command so that it runs inside.
    pub(crate) fn prefix(&self) -> Vec<OsString> {
        // The shell moves itself, then becomes the program: not a page is billed elsewhere.
        let shell = ["sh", "-c", r#"echo $$ > "$0" && exec "$@""#].map(OsString::from);
        shell.into_iter().chain([self.folder.join("cgroup.procs").into()]).collect()
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Only an empty one can be removed; one that stays behind holds nothing.
        let _ = std::fs::remove_dir(&self.folder);
    }
}
