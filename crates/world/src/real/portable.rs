//! What stands in for `linux.rs` on other Unix systems: correct everywhere, fast nowhere.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Reads at `offset`. There is no way to ask only the page cache, and a laptop's disk is quick.
pub(super) fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

/// Reserving is a hint, which is not taken here.
#[expect(clippy::unnecessary_wraps, reason = "the twin on Linux can fail")]
pub(super) fn reserve(_file: &File, _len: u64) -> io::Result<()> {
    Ok(())
}

/// There is no call for it.
pub(super) fn exchange(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There is no call for it.
pub(super) fn sync_volume(_file: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// It cannot be told.
pub(super) fn is_remote(_path: &Path) -> bool {
    false
}

/// Forgetting is a hint, which is not taken here.
pub(super) fn forget(_file: &File, _offset: u64, _len: u64) {}

/// Fills `bytes` from the kernel's generator.
#[expect(clippy::disallowed_methods, reason = "a device, not a file of ours")]
pub(super) fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    File::open("/dev/urandom")?.read_exact(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portable_calls_answer_as_the_linux_ones_do() {
        let mut random = [0; 64];
        fill_random(&mut random).unwrap();
        assert_ne!(random, [0; 64]);
        assert!(!is_remote(Path::new("/")));
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"abc", 0).unwrap();
        reserve(&file, 100).unwrap();
        forget(&file, 0, 3);
        assert_eq!(sync_volume(&file).unwrap_err().kind(), io::ErrorKind::Unsupported);
        let refused = exchange(Path::new("/a"), Path::new("/b")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        let mut read = [0; 2];
        assert_eq!(read_cached(&file, &mut read, 1).unwrap(), 2);
        assert_eq!(&read, b"bc");
        assert_eq!(file.metadata().unwrap().len(), 3);
    }
}
