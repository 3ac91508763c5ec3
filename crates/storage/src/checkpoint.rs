//! Kafka's checkpoint files: a number per partition, as text, replaced whole.
//!
//! ```text
//! 0                      version
//! 2                      entries
//! orders 0 1042          topic, partition, offset
//! orders 1 998
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

use engine::{Offset, TopicPartition};
use world::Disk;

use crate::error::OpenError;

/// Everything below is on disk.
pub(crate) const RECOVERY_POINT: &str = "recovery-point-offset-checkpoint";
/// The log starts here.
pub(crate) const LOG_START: &str = "log-start-offset-checkpoint";
/// Everything below was committed.
pub(crate) const HIGH_WATERMARK: &str = "replication-offset-checkpoint";

/// Offsets by partition.
pub(crate) type Offsets = BTreeMap<TopicPartition, Offset>;

/// Replaces a checkpoint file, also on a full disk: nothing is removed from it before the checkpoints allow for
/// that. Blocks.
pub(crate) fn write<'a>(
    disk: &dyn Disk,
    path: &Path,
    entries: impl ExactSizeIterator<Item = (&'a TopicPartition, Offset)>,
) -> io::Result<()> {
    let mut text = format!("0\n{}\n", entries.len());
    for (partition, offset) in entries {
        writeln!(text, "{} {} {offset}", partition.topic, partition.partition)
            .expect("a string takes all");
    }
    disk.replace(path, text.as_bytes())
}

/// Reads a checkpoint file; none is as good as an empty one. Blocks.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Offsets, OpenError> {
    let bytes = match disk.read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Offsets::new()),
        Err(source) => return Err(OpenError::Io { path: path.to_owned(), source }),
    };
    let damaged = |problem: String| OpenError::Checkpoint { path: path.to_owned(), problem };
    let text = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
    parse(&text).map_err(|line| damaged(format!("line {line} is malformed")))
}

fn parse(text: &str) -> Result<Offsets, usize> {
    let mut lines = text.lines();
    if lines.next() != Some("0") {
        return Err(1);
    }
    let count: usize = lines.next().and_then(|line| line.parse().ok()).ok_or(2usize)?;
    let mut offsets = Offsets::new();
    for (index, line) in lines.enumerate() {
        let entry = parse_line(line).ok_or(index + 3)?;
        offsets.insert(entry.0, entry.1);
    }
    if offsets.len() == count { Ok(offsets) } else { Err(2) }
}

fn parse_line(line: &str) -> Option<(TopicPartition, Offset)> {
    let mut words = line.split(' ');
    let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
    let offset: Offset = offset.parse().ok().filter(|offset| *offset >= 0)?;
    let partition: i32 = partition.parse().ok().filter(|partition| *partition >= 0)?;
    words.next().is_none().then(|| (TopicPartition::new(topic, partition), offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_named_by_its_line() {
        assert_eq!(parse("0\n1\nt 0 5\n").map(|offsets| offsets.len()), Ok(1));
        assert_eq!(parse("0\n0\n").map(|offsets| offsets.len()), Ok(0));
        assert_eq!(parse(""), Err(1));
        assert_eq!(parse("1\n0\n"), Err(1));
        assert_eq!(parse("0\n2\nt 0 5\n"), Err(2));
        assert_eq!(parse("0\n1\nt 0 -5\n"), Err(3));
        assert_eq!(parse("0\n1\nt 0 5 6\n"), Err(3));
    }
}
