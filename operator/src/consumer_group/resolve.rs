//! Turns a reset's target into one offset per partition. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crds::consumer_group::{OutOfRange, Position as End, Reset};

use super::{Moves, Observed, Position, ResetSeen};
use crate::kafka::Partition;
use crate::now::millis;

/// The committed offset before and after of each partition that `reset` moves.
///
/// # Errors
/// Why the reset must be rejected, with a hint.
pub fn resolve(reset: &Reset, seen: &Observed, open: &ResetSeen) -> Result<Moves, String> {
    readable_time(reset)?;
    let partitions = partitions(reset, seen)?;
    let mut moves = BTreeMap::new();
    for (partition, at) in partitions {
        let Some(wanted) = target(reset, &partition, at, open)? else { continue };
        let to = wanted.clamp(at.start, at.end);
        match reset.out_of_range {
            OutOfRange::Clamp => {}
            OutOfRange::Fail if to == wanted => {}
            OutOfRange::Fail => {
                return Err(format!(
                    "offset {wanted} of {partition} lies outside of its log, {} to {}; hint: \
                     outOfRange: Clamp takes the nearest",
                    at.start, at.end
                ));
            }
        }
        moves.insert(partition, (at.committed, to));
    }
    if moves.is_empty() {
        return Err("no partition to move: the group has no committed offsets there".to_owned());
    }
    Ok(moves)
}

/// A time that cannot be read must not count as one without records after it.
fn readable_time(reset: &Reset) -> Result<(), String> {
    if let Some(timestamp) = &reset.to.timestamp
        && millis(timestamp).is_none()
    {
        return Err(format!("reset.to.timestamp is not a time: {timestamp:?}"));
    }
    if let Some(Err(error)) = reset.to.ago.as_ref().map(crds::Span::millis) {
        return Err(format!("reset.to.ago: {error}"));
    }
    Ok(())
}

/// The partitions that `reset` names, each with its position.
fn partitions(reset: &Reset, seen: &Observed) -> Result<BTreeMap<Partition, Position>, String> {
    if reset.topics.is_empty() {
        return Ok(seen
            .positions
            .iter()
            .filter(|(_, at)| at.committed.is_some())
            .map(|(partition, at)| (partition.clone(), *at))
            .collect());
    }
    let mut all = BTreeMap::new();
    for topic in &reset.topics {
        let of_topic: BTreeMap<i32, Position> = seen
            .positions
            .iter()
            .filter(|(partition, _)| partition.topic == topic.name)
            .map(|(partition, at)| (partition.index, *at))
            .collect();
        if of_topic.is_empty() {
            return Err(format!("there is no topic {}; hint: see klamm topic list", topic.name));
        }
        let wanted: BTreeSet<i32> = match topic.partitions.as_slice() {
            [] => of_topic.keys().copied().collect(),
            some => some.iter().copied().collect(),
        };
        for index in wanted {
            let Some(at) = of_topic.get(&index) else {
                let count = of_topic.len();
                return Err(format!("{} has {count} partitions, and no {index}", topic.name));
            };
            all.insert(Partition::new(&topic.name, index), *at);
        }
    }
    Ok(all)
}

/// Where `partition` goes before clamping; `None` leaves it where it is.
fn target(
    reset: &Reset,
    partition: &Partition,
    at: Position,
    open: &ResetSeen,
) -> Result<Option<i64>, String> {
    let to = &reset.to;
    if let Some(end) = to.position {
        return Ok(Some(match end {
            End::Earliest => at.start,
            End::Latest => at.end,
        }));
    }
    if let Some(offset) = to.offset {
        return Ok(Some(offset));
    }
    if let Some(by) = to.shift_by {
        return match at.committed {
            Some(committed) => Ok(Some(committed.saturating_add(by))),
            None => Err(format!("{partition} has no committed offset to shift from")),
        };
    }
    if to.timestamp.is_some() || to.ago.is_some() {
        // A partition without an answer holds no record that late: its end.
        return Ok(Some(open.at_time.get(partition).copied().unwrap_or(at.end)));
    }
    if let Some(token) = &to.snapshot {
        let Some(undo) = &open.undo else {
            return Err(format!(
                "the group's journal has no reset with the token {token:?}; it keeps the newest only"
            ));
        };
        // A partition that had no committed offset then cannot be given none again.
        return Ok(undo.previous.get(partition).copied().flatten());
    }
    Err("reset.to names no target".to_owned())
}
