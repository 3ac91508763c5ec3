//! A small disk for one broker: a file system of its own in a file (loop device), which can be filled.
//!
//! Only inside of a room (`room.rs`), which unmounts what a killed run left.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cache::run;
use crate::room;

/// What it needs beside root.
pub const TOOLS: &[&str] = &["mkfs.ext4", "losetup", "fallocate", "df"];
/// Only what is written takes room on the disk below.
const BYTES: u64 = 512 << 20;
const FILLER: &str = "filler";

/// The disk, unmounted when dropped.
pub struct Volume {
    at: PathBuf,
}

impl Volume {
    /// Makes one at `at`, which must not be there yet.
    ///
    /// # Errors
    /// Outside of a room, or when the system refuses.
    pub fn mount(at: &Path) -> Result<Self> {
        ensure!(room::is_inside(), "a disk is mounted inside of a room only");
        let image = at.with_extension("image");
        File::create(&image)?.set_len(BYTES)?;
        run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image))?;
        fs::create_dir(at)?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(at))?;
        Ok(Self { at: at.to_owned() })
    }

    /// A folder on it for a broker's data.
    pub fn data(&self) -> PathBuf {
        self.at.join("data")
    }

    /// Takes all the room that is left.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn fill(&self) -> Result<()> {
        let filler = self.at.join(FILLER);
        let left = run(Command::new("df").args(["--output=avail", "-B1"]).arg(&self.at))?;
        let left = left.lines().last().context("df says nothing")?.trim().to_owned();
        if left != "0" {
            // What is left meanwhile may be less than it was.
            let _ = run(Command::new("fallocate").args(["-l", &left]).arg(&filler));
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&filler)?;
        for _ in 0..BYTES / 4096 {
            if let Err(error) = file.write_all(&[0; 4096]) {
                ensure!(error.kind() == std::io::ErrorKind::StorageFull, error);
                return Ok(());
            }
        }
        bail!("{} does not fill up", self.at.display())
    }

    /// Gives the room back.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.at.join(FILLER))?)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Otherwise it goes with the room.
        let _ = Command::new("umount").arg(&self.at).status();
    }
}
