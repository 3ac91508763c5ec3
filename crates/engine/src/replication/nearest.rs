//! Which replica a consumer should read from (KIP-392), as Kafka's RackAwareReplicaSelector chooses.

use crate::{BrokerId, Offset};

/// A replica that is in sync, as its leader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub id: BrokerId,
    /// Its first offset.
    pub start: Offset,
    /// Behind its last record.
    pub end: Offset,
}

/// The follower to send a consumer to that is in `rack` and wants `offset`; `None` is the leader itself:
/// because it is there as well, or nobody else there has what is wanted.
pub fn nearest<'r>(
    rack: &str,
    leader: BrokerId,
    followers: impl IntoIterator<Item = Holder>,
    offset: Offset,
    rack_of: impl Fn(BrokerId) -> Option<&'r str>,
) -> Option<BrokerId> {
    let is_there = |id: BrokerId| rack_of(id) == Some(rack);
    if rack.is_empty() || is_there(leader) {
        return None;
    }
    let has_it = |it: &Holder| is_there(it.id) && (it.start..=it.end).contains(&offset);
    let furthest = |it: &Holder| (it.end, std::cmp::Reverse(it.id));
    followers.into_iter().filter(has_it).max_by_key(furthest).map(|it| it.id)
}

#[cfg(test)]
mod tests {
    use super::{Holder, nearest};
    use crate::BrokerId;

    #[test]
    fn the_furthest_of_the_rack_that_has_it_is_chosen() {
        let rack_of = |id: BrokerId| match id.0 {
            1 => Some("a"),
            2..=4 => Some("b"),
            _ => None,
        };
        let holder = |id: i32, start, end| Holder { id: BrokerId(id), start, end };
        let followers = [holder(2, 0, 5), holder(3, 4, 9), holder(4, 4, 9), holder(5, 0, 20)];
        let chosen = |rack: &str, leader: i32, offset| {
            nearest(rack, BrokerId(leader), followers, offset, rack_of).map(|id| id.0)
        };
        for (rack, leader, offset, expected) in [
            ("b", 1, 5, Some(3)),
            ("b", 1, 9, Some(3)),
            ("b", 1, 10, None),
            ("b", 1, 3, Some(2)),
            ("b", 1, -1, None),
            ("b", 2, 5, None),
            ("a", 1, 5, None),
            ("c", 1, 5, None),
            ("", 1, 5, None),
            ("", 5, 5, None),
        ] {
            assert_eq!(chosen(rack, leader, offset), expected, "{rack:?} {leader} {offset}");
        }
    }
}
