//! Where the replicas of new partitions go: a plan.
//!
//! Leaders go round robin over the brokers, with neighbours in different racks. The followers of a
//! partition come next in that order, always from the rack that holds the fewest of its replicas; each
//! time round, the followers shift by one, so that the partitions of one leader do not all share one
//! follower.
//!
//! ```text
//! brokers 1 2 3 4, replicas 3     partition 0: 1 2 3      4: 1 3 4
//!                                           1: 2 3 4      5: 2 4 1
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::BrokerId;

/// A broker that may hold replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: BrokerId,
    /// Its rack. Brokers without one share a rack of their own.
    pub rack: Option<Arc<str>>,
}

/// Plans the replicas of `partitions` partitions; `start` shifts the first leader, so that not every
/// topic begins at the same broker.
///
/// # Panics
/// If there are fewer candidates than replicas, or no replicas: callers refuse that before.
pub fn place(
    candidates: &[Candidate],
    partitions: usize,
    replication_factor: usize,
    start: u64,
) -> Vec<Vec<BrokerId>> {
    assert!(replication_factor > 0, "a partition has a replica");
    assert!(replication_factor <= candidates.len(), "a broker holds one replica of a partition");
    let order = alternate_racks(candidates);
    let len = order.len();
    let start = usize::try_from(start % len as u64).expect("below the number of brokers");
    (0..partitions)
        .map(|partition| {
            let at = start + partition;
            replicas(&order, at % len, partition / len, replication_factor)
        })
        .collect()
}

/// The brokers, ordered so that neighbours are in different racks as far as possible.
fn alternate_racks(candidates: &[Candidate]) -> Vec<&Candidate> {
    let mut racks: BTreeMap<Option<&str>, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        racks.entry(candidate.rack.as_deref()).or_default().push(candidate);
    }
    for rack in racks.values_mut() {
        rack.sort_by_key(|candidate| candidate.id);
    }
    let deepest = racks.values().map(Vec::len).max().unwrap_or_default();
    let at_depth = |depth| racks.values().filter_map(move |rack| rack.get(depth).copied());
    (0..deepest).flat_map(at_depth).collect()
}

fn replicas(
    order: &[&Candidate],
    leader: usize,
    shift: usize,
    replication_factor: usize,
) -> Vec<BrokerId> {
    let mut chosen = vec![order[leader]];
    // The others, in their order behind the leader, turned by `shift`.
    let others = order.len() - 1;
    let mut left: Vec<&Candidate> = (0..others)
        .map(|step| order[(leader + 1 + (step + shift) % others) % order.len()])
        .collect();
    while chosen.len() < replication_factor {
        let in_rack = |candidate: &Candidate| {
            chosen.iter().filter(|other| other.rack == candidate.rack).count()
        };
        let (at, _) = left
            .iter()
            .enumerate()
            .min_by_key(|(at, candidate)| (in_rack(candidate), *at))
            .expect("as many candidates as replicas");
        chosen.push(left.remove(at));
    }
    chosen.iter().map(|candidate| candidate.id).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Candidate, place};
    use crate::ids::BrokerId;

    fn candidates(racks: &[&str]) -> Vec<Candidate> {
        (1..)
            .zip(racks)
            .map(|(id, rack)| Candidate {
                id: BrokerId(id),
                rack: (!rack.is_empty()).then(|| (*rack).into()),
            })
            .collect()
    }

    fn check(racks: &[&str], partitions: usize, replicas: usize, start: u64, expected: &str) {
        let plan = place(&candidates(racks), partitions, replicas, start);
        let text: Vec<String> = plan
            .iter()
            .map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(text.join(", "), expected);
    }

    #[test]
    fn one_broker_takes_everything() {
        check(&[""], 3, 1, 12345, "1, 1, 1");
    }

    #[test]
    fn leaders_go_round_and_followers_shift() {
        check(&["", "", "", ""], 8, 3, 0, "1 2 3, 2 3 4, 3 4 1, 4 1 2, 1 3 4, 2 4 1, 3 1 2, 4 2 3");
        check(&["", "", ""], 3, 2, 2, "3 1, 1 2, 2 3");
    }

    #[test]
    fn replicas_spread_over_racks() {
        check(&["a", "a", "b", "b", "c", "c"], 3, 3, 0, "1 3 5, 3 5 2, 5 2 4");
        check(&["a", "a", "a", "b"], 4, 2, 0, "1 4, 4 2, 2 4, 3 4");
    }

    proptest! {
        #[test]
        fn leaders_are_balanced_and_replicas_differ(
            racks in prop::collection::vec(prop::sample::select(vec!["", "a", "b", "c"]), 1..9),
            partitions in 0..40usize,
            replicas in 1..9usize,
            start: u64,
        ) {
            let candidates = candidates(&racks);
            let replicas = replicas.min(candidates.len());
            let plan = place(&candidates, partitions, replicas, start);
            prop_assert_eq!(plan.len(), partitions);
            let mut leads = vec![0usize; candidates.len() + 1];
            let distinct = racks.iter().collect::<std::collections::BTreeSet<_>>().len();
            for ids in &plan {
                let mut unique = ids.clone();
                unique.sort_unstable();
                unique.dedup();
                prop_assert_eq!(unique.len(), replicas);
                leads[usize::try_from(ids[0].0).unwrap()] += 1;
                let used = unique
                    .iter()
                    .map(|id| racks[usize::try_from(id.0).unwrap() - 1])
                    .collect::<std::collections::BTreeSet<_>>();
                prop_assert_eq!(used.len(), replicas.min(distinct));
            }
            let most = leads[1..].iter().max().unwrap();
            let least = leads[1..].iter().min().unwrap();
            prop_assert!(most - least <= 1);
        }
    }
}
