//! Divides partitions among the members of a group as Kafka's range assignor does.

use std::collections::BTreeMap;

use crate::TopicPartition;

/// For each topic on its own: the partitions in order, in runs of equal length, to the subscribed
/// members in order of their ids; the first members get one more where it does not come out even.
///
/// `members` are member ids with the topics that they want, `partitions` the topics that exist.
pub fn range(
    members: &BTreeMap<String, Vec<String>>,
    partitions: &BTreeMap<String, Vec<i32>>,
) -> BTreeMap<String, Vec<TopicPartition>> {
    let mut assigned: BTreeMap<String, Vec<TopicPartition>> =
        members.keys().map(|member| (member.clone(), Vec::new())).collect();
    for (topic, indexes) in partitions {
        let wanting: Vec<&String> =
            members.iter().filter(|(_, topics)| topics.contains(topic)).map(|(m, _)| m).collect();
        if wanting.is_empty() {
            continue;
        }
        let (each, more) = (indexes.len() / wanting.len(), indexes.len() % wanting.len());
        let mut rest = indexes.iter();
        for (at, member) in wanting.into_iter().enumerate() {
            let run = rest.by_ref().take(each + usize::from(at < more));
            let run = run.map(|index| TopicPartition::new(topic, *index));
            assigned.entry(member.clone()).or_default().extend(run);
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assign(members: &[(&str, &[&str])], topics: &[(&str, i32)]) -> Vec<String> {
        let members = members
            .iter()
            .map(|(m, t)| ((*m).to_owned(), t.iter().map(|t| (*t).to_owned()).collect()))
            .collect();
        let topics = topics.iter().map(|(t, n)| ((*t).to_owned(), (0..*n).collect())).collect();
        let show = |(member, partitions): (String, Vec<TopicPartition>)| {
            let all: Vec<_> = partitions.iter().map(ToString::to_string).collect();
            format!("{member}: {}", all.join(" "))
        };
        range(&members, &topics).into_iter().map(show).collect()
    }

    #[test]
    fn each_partition_goes_to_exactly_one_member_in_runs() {
        assert_eq!(
            assign(&[("a", &["t"]), ("b", &["t"]), ("c", &["t"])], &[("t", 7)]),
            ["a: t-0 t-1 t-2", "b: t-3 t-4", "c: t-5 t-6"]
        );
    }

    #[test]
    fn a_member_gets_only_topics_that_it_wants() {
        assert_eq!(
            assign(&[("a", &["t", "u"]), ("b", &["u"])], &[("t", 2), ("u", 1), ("v", 1)]),
            ["a: t-0 t-1 u-0", "b: "]
        );
    }

    #[test]
    fn a_member_without_partitions_is_told_so() {
        assert_eq!(assign(&[("a", &["t"]), ("b", &["t"])], &[("t", 1)]), ["a: t-0", "b: "]);
    }
}
