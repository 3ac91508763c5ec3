//! Where the replicas of a topic go when it shall have more of them, or fewer.

use std::collections::BTreeMap;

use super::{BrokerStanding, DrainMode, ReplicaMove};
use crate::{PartitionMetadata, TopicMetadata, TopicPartition};

/// Fewer brokers take replicas than a partition shall have: so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} brokers take replicas")]
pub struct TooFewBrokers(pub usize);

/// Which partitions of the topic `name` have to move where, so that each has `count` replicas. New ones go to brokers
/// that are up and hold the fewest, in other racks if there are; those go that are not in sync, then those of the
/// fullest brokers, the leader's last. Where a partition is among the `moves` that are under way, it is looked at what it
/// is to be.
///
/// # Errors
/// When there are not enough brokers that take replicas.
pub fn place(
    name: &str,
    topic: &TopicMetadata,
    moves: &BTreeMap<TopicPartition, ReplicaMove>,
    brokers: &[BrokerStanding],
    count: usize,
) -> Result<BTreeMap<TopicPartition, Vec<i32>>, TooFewBrokers> {
    let takes = |it: &&BrokerStanding| {
        !it.is_fenced && !it.is_stopping && !it.is_cordoned && it.drain != DrainMode::All
    };
    let takers: Vec<&BrokerStanding> = brokers.iter().filter(takes).collect();
    let mut held: BTreeMap<i32, i32> = brokers.iter().map(|it| (it.id, it.replicas)).collect();
    let mut placed = BTreeMap::new();
    for (index, partition) in &topic.partitions {
        let key = TopicPartition::new(name, *index);
        let goes = |id: &i32| moves.get(&key).is_some_and(|it| it.removing.contains(id));
        let to_be: Vec<i32> = partition.replicas.iter().filter(|id| !goes(id)).copied().collect();
        let mut replicas = to_be.clone();
        while replicas.len() > count {
            let at = superfluous(partition, &replicas, &held);
            *held.entry(replicas.remove(at)).or_default() -= 1;
        }
        while replicas.len() < count {
            let rack = |id: i32| brokers.iter().find(|it| it.id == id)?.rack.as_ref();
            let cost = |it: &&&BrokerStanding| {
                let in_rack = replicas.iter().filter(|id| rack(**id) == it.rack.as_ref()).count();
                (in_rack, held.get(&it.id).copied(), it.id)
            };
            let free = takers.iter().filter(|it| !replicas.contains(&it.id));
            let taker = free.min_by_key(cost).ok_or(TooFewBrokers(takers.len()))?;
            *held.entry(taker.id).or_default() += 1;
            replicas.push(taker.id);
        }
        if replicas != to_be {
            placed.insert(key, replicas);
        }
    }
    Ok(placed)
}

/// Which replica goes first: one out of sync, else that of the fullest broker; rather not the leader's.
fn superfluous(
    partition: &PartitionMetadata,
    replicas: &[i32],
    held: &BTreeMap<i32, i32>,
) -> usize {
    let worth = |(_, id): &(usize, &i32)| {
        let is_leader = partition.leader == Some(**id);
        (is_leader, partition.isr.contains(id), -held.get(*id).copied().unwrap_or(0))
    };
    let first = replicas.iter().enumerate().min_by_key(worth);
    first.map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(id: i32, rack: &str, replicas: i32) -> BrokerStanding {
        BrokerStanding {
            id,
            epoch: 1,
            address: String::new(),
            rack: Some(rack.to_owned()),
            is_fenced: false,
            is_stopping: false,
            is_cordoned: false,
            is_voter: true,
            is_controller: false,
            drain: DrainMode::Nothing,
            is_drained: false,
            obstacles: Vec::new(),
            leaders: 0,
            replicas,
            in_sync: replicas,
            preferred: 0,
            preferred_led: 0,
        }
    }

    fn check(
        brokers: &[BrokerStanding],
        partitions: &[(&[i32], &[i32])],
        to: usize,
        expected: &str,
    ) {
        check_amid(&BTreeMap::new(), brokers, partitions, to, expected);
    }

    fn check_amid(
        moves: &BTreeMap<TopicPartition, ReplicaMove>,
        brokers: &[BrokerStanding],
        partitions: &[(&[i32], &[i32])],
        to: usize,
        expected: &str,
    ) {
        let partition = |(replicas, isr): &(&[i32], &[i32])| PartitionMetadata {
            leader: isr.first().copied(),
            replicas: replicas.to_vec(),
            isr: isr.to_vec(),
            ..Default::default()
        };
        let topic = TopicMetadata {
            id: wire::Uuid::ZERO,
            is_internal: false,
            partitions: (0..).zip(partitions.iter().map(partition)).collect(),
        };
        let said = match place("t", &topic, moves, brokers, to) {
            Ok(moves) => moves
                .iter()
                .map(|(partition, to)| format!("{partition}:{to:?}"))
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn more_replicas_go_to_other_racks_and_to_who_has_few() {
        let brokers = [broker(1, "a", 2), broker(2, "a", 0), broker(3, "b", 1), broker(4, "c", 0)];
        check(&brokers, &[(&[1], &[1])], 2, "t-0:[1, 4]");
        check(&brokers, &[(&[1], &[1]), (&[1], &[1])], 3, "t-0:[1, 4, 3] t-1:[1, 4, 3]");
        let away = [broker(1, "a", 1), BrokerStanding { is_fenced: true, ..broker(2, "b", 0) }];
        check(&away, &[(&[1], &[1])], 2, "1 brokers take replicas");
    }

    #[test]
    fn a_move_that_is_under_way_is_looked_at_as_if_it_were_done() {
        let brokers = [broker(1, "a", 1), broker(2, "b", 1), broker(3, "c", 1)];
        let replicas: &[i32] = &[1, 2, 3];
        let goes = ReplicaMove { replicas: replicas.into(), adding: Vec::new(), removing: vec![3] };
        let moves = BTreeMap::from([(TopicPartition::new("t", 0), goes)]);
        let partitions = [(replicas, replicas)];
        check_amid(&moves, &brokers, &partitions, 2, "");
        check_amid(&moves, &brokers, &partitions, 3, "t-0:[1, 2, 3]");
        check_amid(&moves, &brokers, &partitions, 1, "t-0:[1]");
    }

    #[test]
    fn fewer_replicas_keep_the_leader_and_who_is_in_sync() {
        let brokers = [broker(1, "a", 9), broker(2, "b", 1), broker(3, "c", 5)];
        check(&brokers, &[(&[1, 2, 3], &[1, 2, 3])], 2, "t-0:[1, 2]");
        check(&brokers, &[(&[1, 2, 3], &[2, 3])], 2, "t-0:[2, 3]");
        check(&brokers, &[(&[1, 2, 3], &[3, 1, 2])], 1, "t-0:[3]");
        check(&brokers, &[(&[1, 2], &[1, 2])], 2, "");
    }
}
