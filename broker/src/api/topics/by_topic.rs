//! Partitions as answers name them: below their topics.

use wire::Str;

/// Puts what belongs to neighbours of one topic together.
pub(in crate::api) fn by_topic<T>(
    partitions: impl IntoIterator<Item = ((String, i32), T)>,
) -> Vec<(Str, Vec<(i32, T)>)> {
    let mut topics: Vec<(Str, Vec<(i32, T)>)> = Vec::new();
    for ((name, index), one) in partitions {
        match topics.last_mut() {
            Some((last, partitions)) if **last == *name => partitions.push((index, one)),
            _ => topics.push((Str::from(name), vec![(index, one)])),
        }
    }
    topics
}
