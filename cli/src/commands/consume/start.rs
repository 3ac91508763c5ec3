//! Where to begin: `beginning`, `end`, `42`, `-10`, `@time`.

use std::collections::{BTreeMap, BTreeSet};

use client::admin::OffsetAt;
use client::{Admin, Isolation, TopicPartition};

use crate::failure::Failure;

/// Where to begin in each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The first record that is still there.
    Beginning,
    /// Behind the last record.
    End,
    /// This offset.
    Offset(i64),
    /// This many records before the end.
    Last(i64),
    /// The first record at or after this time, milliseconds since the Unix epoch.
    Time(i64),
}

/// Reads a [`Start`]: the words of kcat and rpk.
pub(crate) fn parse(text: &str) -> Result<Start, String> {
    match text {
        "beginning" | "start" | "earliest" | "oldest" => return Ok(Start::Beginning),
        "end" | "latest" | "newest" => return Ok(Start::End),
        _ => {}
    }
    if let Some(time) = text.strip_prefix('@') {
        return parse_time(time).map(Start::Time);
    }
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
    let start = match text.strip_prefix('-') {
        Some(back) => number(back).map(Start::Last),
        None => number(text).map(Start::Offset),
    };
    start.ok_or_else(|| {
        "expected beginning, end, an offset, -N (the last N of each partition), \
         @2026-11-21T09:00:00Z or @milliseconds"
            .to_owned()
    })
}

/// Reads a time: milliseconds since the Unix epoch, or RFC 3339.
pub(crate) fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(ms) = text.parse::<i64>() {
        return if ms >= 0 { Ok(ms) } else { Err("a time is not negative".to_owned()) };
    }
    text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).map_err(|_| {
        format!("{text:?} is no time: 2026-11-21T09:00:00Z, or milliseconds since 1970")
    })
}

/// The partitions of `topic`, or those of `only`.
pub(crate) async fn partitions(
    admin: &Admin,
    topic: &str,
    only: &[i32],
) -> Result<BTreeSet<TopicPartition>, Failure> {
    let metadata = admin.topics(Some(&[topic.to_owned()])).await?;
    let found = metadata.topics.get(topic).ok_or_else(|| {
        Failure::new(format!("there is no topic {topic}"))
            .hint("`klamm topic list` shows what there is; `klamm topic create` makes one")
    })?;
    if let Some(missing) = only.iter().find(|index| !found.partitions.contains_key(*index)) {
        let last = found.partitions.len().saturating_sub(1);
        return Err(Failure::new(format!("topic {topic} has no partition {missing}"))
            .hint(format!("its partitions are 0 to {last}")));
    }
    let indexes = found.partitions.keys().filter(|index| only.is_empty() || only.contains(index));
    Ok(indexes.map(|index| TopicPartition::new(topic, *index)).collect())
}

/// The offset of each partition at `start`. An offset is taken as it is, there or not.
pub(crate) async fn resolve(
    admin: &Admin,
    start: Start,
    of: &BTreeSet<TopicPartition>,
    isolation: Isolation,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    Ok(match start {
        Start::Beginning => admin.offsets_or_end(OffsetAt::Earliest, of, isolation).await?,
        Start::End => admin.offsets_or_end(OffsetAt::Latest, of, isolation).await?,
        Start::Time(at) => admin.offsets_or_end(OffsetAt::Time(at), of, isolation).await?,
        Start::Offset(offset) => of.iter().map(|p| (p.clone(), offset)).collect(),
        Start::Last(count) => {
            let starts = admin.offsets_or_end(OffsetAt::Earliest, of, isolation).await?;
            let ends = admin.offsets_or_end(OffsetAt::Latest, of, isolation).await?;
            let back = |(partition, end): (TopicPartition, i64)| {
                let start = starts.get(&partition).copied().unwrap_or(0);
                (partition, (end - count).max(start))
            };
            ends.into_iter().map(back).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_kcat_and_rpk_are_understood() {
        for (text, start) in [
            ("beginning", Start::Beginning),
            ("start", Start::Beginning),
            ("end", Start::End),
            ("0", Start::Offset(0)),
            ("42", Start::Offset(42)),
            ("-10", Start::Last(10)),
            ("@1700000000000", Start::Time(1_700_000_000_000)),
            ("@1970-01-01T00:00:01Z", Start::Time(1000)),
        ] {
            assert_eq!(parse(text), Ok(start), "{text}");
        }
        for bad in ["", "begin", "--1", "1.5", "@", "@yesterday", "@-5", "9999999999999999999"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
