//! What files and folders are called: Kafka's names, since Kafka's tools read them.

use std::path::{Path, PathBuf};

use engine::{Offset, TopicId, TopicPartition};

/// Record batches.
pub(crate) const LOG: &str = "log";
/// Offset → position.
pub(crate) const INDEX: &str = "index";
/// Timestamp → offset.
pub(crate) const TIME_INDEX: &str = "timeindex";
/// Aborted transactions.
pub(crate) const TXN_INDEX: &str = "txnindex";
/// Producers below an offset.
pub(crate) const SNAPSHOT: &str = "snapshot";
/// Suffix of a segment's file that is about to be removed.
pub(crate) const DELETED: &str = "deleted";
/// Suffix of a partition's folder that is about to be removed.
pub(crate) const DELETED_DIR: &str = "-delete";
/// The topic's id.
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
/// The leader epochs.
pub(crate) const EPOCHS: &str = "leader-epoch-checkpoint";

/// `dir/00000000000000000042.kind`.
pub(crate) fn file(dir: &Path, base: Offset, kind: &str) -> PathBuf {
    dir.join(format!("{base:020}.{kind}"))
}

/// Splits `00000000000000000042.log` into offset and kind.
pub(crate) fn parse(name: &str) -> Option<(Offset, &str)> {
    let (digits, kind) = name.split_once('.')?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((digits.parse().ok()?, kind))
}

/// `topic-3`, as the folder of a partition is called.
pub(crate) fn parse_dir(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_topic = (1..=249).contains(&topic.len()) && topic.bytes().all(legal);
    let is_number = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    (is_topic && is_number).then_some(TopicPartition::new(topic, partition.parse().ok()?))
}

/// The content of `partition.metadata`.
pub(crate) fn metadata_text(topic_id: TopicId) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

/// The topic id in a `partition.metadata`.
pub(crate) fn parse_metadata(text: &str) -> Option<TopicId> {
    let mut lines = text.lines();
    if lines.next()?.trim() != "version: 0" {
        return None;
    }
    lines.next()?.trim().strip_prefix("topic_id: ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        let path = file(Path::new("/d/t-0"), 42, LOG);
        assert_eq!(path, Path::new("/d/t-0/00000000000000000042.log"));
        assert_eq!(parse("00000000000000000042.log"), Some((42, "log")));
        assert_eq!(parse("00000000000000000042.log.deleted"), Some((42, "log.deleted")));
        assert_eq!(parse("42.log"), None);
        assert_eq!(parse("leader-epoch-checkpoint"), None);
        assert_eq!(parse_dir("my-topic-7"), Some(TopicPartition::new("my-topic", 7)));
        assert_eq!(parse_dir("my-topic-7.abc-delete"), None);
        assert_eq!(parse_dir("topic"), None);
    }

    #[test]
    fn a_topic_id_reads_back_from_partition_metadata() {
        let id = wire::Uuid([0xfe, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff]);
        assert_eq!(parse_metadata(&metadata_text(id)), Some(id));
        assert_eq!(parse_metadata("version: 0\ntopic_id: short"), None);
        assert_eq!(parse_metadata(""), None);
    }
}
