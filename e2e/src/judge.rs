//! Claims about what was read, as pure functions: each gives what it counted, or what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::Read;
use crate::order::Order;

/// What a claim came to: what was counted, or what is wrong.
pub type Verdict = Result<String, String>;

/// Where a record is: partition and offset.
pub type Place = (i32, i64);

/// Every order was read exactly once, as it was sent, from where it was acknowledged.
///
/// `acked` says where, by number; it may be empty if the client does not tell.
///
/// # Errors
/// Names the first that is missing, read twice, changed, or elsewhere.
pub fn exactly(sent: &[Order], acked: &BTreeMap<u64, Place>, read: &[Read]) -> Verdict {
    let by_number: BTreeMap<u64, &Order> = sent.iter().map(|order| (order.n, order)).collect();
    let mut seen: BTreeMap<u64, Place> = BTreeMap::new();
    let mut places: BTreeSet<Place> = BTreeSet::new();
    for record in read {
        let place = (record.partition, record.offset);
        let order = Order::number(&record.value)
            .and_then(|n| by_number.get(&n))
            .ok_or_else(|| format!("nobody sent what was read at {place:?}: {}", record.value))?;
        if order.value != record.value || order.key != record.key {
            return Err(format!("order {} came back changed: {record:?}", order.n));
        }
        if let Some(first) = seen.insert(order.n, place) {
            return Err(format!("order {} was read twice, at {first:?} and {place:?}", order.n));
        }
        if !places.insert(place) {
            return Err(format!("two orders were read at {place:?}"));
        }
        if let Some(promised) = acked.get(&order.n).filter(|promised| **promised != place) {
            let n = order.n;
            return Err(format!("order {n} was acknowledged at {promised:?}, read at {place:?}"));
        }
    }
    match by_number.keys().find(|n| !seen.contains_key(n)) {
        Some(n) => Err(format!("{} of {} were read; order {n} was not", seen.len(), sent.len())),
        None => Ok(format!("{} of {}", seen.len(), sent.len())),
    }
}

/// Every order was read, perhaps more than once, as it was sent, and stands where it was acknowledged. Of clients that
/// promise no more: what they send again stands in two places.
///
/// `acked` says where, by number.
///
/// # Errors
/// Names the first that is missing, changed, or not where it was acknowledged.
pub fn at_least_once(sent: &[Order], acked: &BTreeMap<u64, Place>, read: &[Read]) -> Verdict {
    let mut places: BTreeMap<Place, u64> = BTreeMap::new();
    for record in read {
        let place = (record.partition, record.offset);
        let n = Order::number(&record.value).ok_or("a value without a number")?;
        if let Some(first) = places.insert(place, n).filter(|first| *first != n) {
            return Err(format!("orders {first} and {n} were both read at {place:?}"));
        }
    }
    if let Some((n, place)) = acked.iter().find(|(n, place)| places.get(place) != Some(n)) {
        let there = places.get(place);
        return Err(format!("order {n} was acknowledged at {place:?}, where {there:?} was read"));
    }
    let first = first_reads(read);
    let counted = exactly(sent, &BTreeMap::new(), &first)?;
    let again = read.len() - first.len();
    Ok(format!("{counted}, {again} came again"))
}

/// The first that was read of each order.
pub fn first_reads(read: &[Read]) -> Vec<Read> {
    let mut seen = BTreeSet::new();
    let is_first = |record: &&Read| Order::number(&record.value).is_none_or(|n| seen.insert(n));
    read.iter().filter(is_first).cloned().collect()
}

/// No partition was read by two members, and every member read something.
///
/// # Errors
/// Names the partition, or the idle member.
pub fn one_reader_per_partition(members: &[Vec<Read>], partitions: i32) -> Verdict {
    let mut reader: BTreeMap<i32, usize> = BTreeMap::new();
    for (member, records) in members.iter().enumerate() {
        if records.is_empty() {
            return Err(format!("member {member} read nothing"));
        }
        for record in records {
            let first = *reader.entry(record.partition).or_insert(member);
            if first != member {
                let partition = record.partition;
                return Err(format!("partition {partition} was read by {first} and {member}"));
            }
        }
    }
    match (0..partitions).find(|partition| !reader.contains_key(partition)) {
        Some(partition) => Err(format!("nobody read partition {partition}")),
        None => Ok(format!("{} members, {partitions} partitions", members.len())),
    }
}

/// The orders of each key were read in the order in which they were sent. Gives how many keys.
///
/// # Errors
/// Names the key.
pub fn in_order_per_key(members: &[Vec<Read>]) -> Verdict {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for record in members.iter().flatten() {
        let Some(key) = &record.key else { continue };
        let n = Order::number(&record.value).ok_or("a value without a number")?;
        if let Some(before) = last.insert(key.clone(), n).filter(|before| *before >= n) {
            return Err(format!("{key}: {n} was read after {before}"));
        }
    }
    Ok(format!("{} keys", last.len()))
}

/// Offsets of each partition were read one by one, without a gap, first to last.
///
/// # Errors
/// Names the place of the gap.
pub fn without_gap(before: &[Read], after: &[Read]) -> Verdict {
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for record in before {
        let end = next.entry(record.partition).or_insert(0);
        *end = (*end).max(record.offset + 1);
    }
    for record in after {
        let expected = next.entry(record.partition).or_insert(0);
        if record.offset != *expected {
            let (partition, offset) = (record.partition, record.offset);
            return Err(format!("partition {partition} went on at {offset}, not at {expected}"));
        }
        *expected += 1;
    }
    Ok(format!("{} orders went on", after.len()))
}

/// As [`without_gap`], of a client that may repeat what it did not commit: nothing was skipped, and nothing came again
/// that the brokers had acknowledged as `committed`, which says where each partition goes on.
///
/// # Errors
/// Names the place.
pub fn without_skip(before: &[Read], committed: &BTreeMap<i32, i64>, after: &[Read]) -> Verdict {
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for record in before {
        let end = next.entry(record.partition).or_insert(0);
        *end = (*end).max(record.offset + 1);
    }
    let ends = next.clone();
    let mut again = BTreeSet::new();
    for record in after {
        let (partition, offset) = (record.partition, record.offset);
        let end = next.entry(partition).or_insert(0);
        if offset > *end {
            return Err(format!("partition {partition} went on at {offset}, not at {end}"));
        }
        *end = (*end).max(offset + 1);
        if let Some(committed) = committed.get(&partition).filter(|it| offset < **it) {
            return Err(format!("{offset} came again in {partition}, committed up to {committed}"));
        }
        if ends.get(&partition).is_some_and(|end| offset < *end) {
            again.insert((partition, offset));
        }
    }
    let new: i64 = next.values().sum::<i64>() - ends.values().sum::<i64>();
    Ok(format!("{new} orders went on, {} came again", again.len()))
}

/// Headers, and timestamps if `with_timestamps`, came back as they were sent.
///
/// # Errors
/// Names the order.
pub fn came_back(sent: &[Order], read: &[Read], with_timestamps: bool) -> Verdict {
    let by_number: BTreeMap<u64, &Order> = sent.iter().map(|order| (order.n, order)).collect();
    for record in read {
        let order = Order::number(&record.value).and_then(|n| by_number.get(&n));
        let order = order.ok_or_else(|| format!("nobody sent {}", record.value))?;
        if order.headers != record.headers {
            return Err(format!("order {}: headers {:?}", order.n, record.headers));
        }
        if with_timestamps && order.timestamp.is_some_and(|sent| sent != record.timestamp) {
            return Err(format!("order {}: timestamp {}", order.n, record.timestamp));
        }
    }
    Ok(format!("{} records", read.len()))
}

/// Each partition's offsets begin at 0 and have no gap, and its orders stand in the order of sending.
///
/// # Errors
/// Names the place.
pub fn unbroken_partitions(read: &[Read]) -> Verdict {
    let mut last: BTreeMap<i32, (i64, u64)> = BTreeMap::new();
    for record in read {
        let n = Order::number(&record.value).ok_or("a value without a number")?;
        let (partition, offset) = (record.partition, record.offset);
        let expected = last.get(&partition).map_or(0, |(offset, _)| offset + 1);
        if offset != expected {
            return Err(format!("partition {partition}: {offset} was read, not {expected}"));
        }
        if let Some((_, before)) = last.insert(partition, (offset, n)).filter(|it| it.1 >= n) {
            return Err(format!("partition {partition}: order {n} stands after {before}"));
        }
    }
    Ok(format!("{} partitions", last.len()))
}

/// How many records each partition has; none may be empty.
///
/// # Errors
/// Names the empty partition.
pub fn no_partition_is_empty(read: &[Read], partitions: i32) -> Verdict {
    let mut counts: BTreeMap<i32, usize> = (0..partitions).map(|index| (index, 0)).collect();
    for record in read {
        *counts.entry(record.partition).or_insert(0) += 1;
    }
    match counts.iter().find(|(_, count)| **count == 0) {
        Some((partition, _)) => Err(format!("partition {partition} is empty: {counts:?}")),
        None => {
            let (least, most) = (counts.values().min(), counts.values().max());
            Ok(format!("{} to {} each", least.unwrap_or(&0), most.unwrap_or(&0)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(order: &Order, partition: i32, offset: i64) -> Read {
        Read {
            partition,
            offset,
            key: order.key.clone(),
            value: order.value.clone(),
            headers: order.headers.clone(),
            timestamp: order.timestamp.unwrap_or_default(),
        }
    }

    fn orders() -> Vec<Order> {
        (0..24).map(|n| Order::placed(n, 24, 0)).collect()
    }

    fn reads() -> Vec<Read> {
        orders().iter().zip(0..).map(|(order, offset)| read(order, 0, offset)).collect()
    }

    #[test]
    fn a_lost_order_is_named() {
        let said = exactly(&orders(), &BTreeMap::new(), &reads()[..23]).unwrap_err();
        assert!(said.contains("order 23 was not"), "{said}");
    }

    #[test]
    fn an_order_that_was_read_twice_is_named() {
        let mut reads = reads();
        reads.push(read(&orders()[3], 1, 0));
        let said = exactly(&orders(), &BTreeMap::new(), &reads).unwrap_err();
        assert!(said.contains("order 3 was read twice"), "{said}");
    }

    #[test]
    fn an_order_elsewhere_than_acknowledged_is_named() {
        let said = exactly(&orders(), &BTreeMap::from([(5, (0, 6))]), &reads()).unwrap_err();
        assert!(said.contains("order 5"), "{said}");
    }

    #[test]
    fn an_order_that_was_read_twice_is_forgiven_and_one_that_was_not_read_is_not() {
        let again = [reads(), reads()].concat();
        assert_eq!(first_reads(&again), reads());
        assert!(exactly(&orders(), &BTreeMap::new(), &first_reads(&again[1..24])).is_err());
    }

    #[test]
    fn a_swapped_pair_of_one_key_is_named() {
        let mut reads = reads();
        reads.swap(0, 2);
        let said = in_order_per_key(&[reads]).unwrap_err();
        assert!(said.contains("order-00000"), "{said}");
    }

    #[test]
    fn a_partition_with_two_readers_is_named() {
        let said = one_reader_per_partition(&[reads(), reads()], 1).unwrap_err();
        assert!(said.contains("by 0 and 1"), "{said}");
    }

    #[test]
    fn a_gap_after_a_restart_is_named() {
        let reads = reads();
        assert!(without_gap(&reads[..5], &reads[5..]).is_ok());
        assert!(without_gap(&reads[..5], &reads[6..]).is_err());
        assert!(without_gap(&reads[..5], &reads[4..]).is_err());
    }

    #[test]
    fn an_order_that_was_read_twice_counts_and_one_where_it_was_not_acknowledged_is_named() {
        let (orders, mut reads) = (orders(), reads());
        reads.push(read(&orders[3], 0, 24));
        let acked = BTreeMap::from([(3, (0, 24)), (4, (0, 4))]);
        assert_eq!(at_least_once(&orders, &acked, &reads).unwrap(), "24 of 24, 1 came again");
        let said = at_least_once(&orders, &BTreeMap::from([(4, (0, 24))]), &reads).unwrap_err();
        assert!(said.contains("order 4"), "{said}");
        let said = at_least_once(&orders, &acked, &reads[1..]).unwrap_err();
        assert!(said.contains("order 0 was not"), "{said}");
        reads.push(read(&orders[5], 0, 24));
        let said = at_least_once(&orders, &acked, &reads).unwrap_err();
        assert!(said.contains("both read"), "{said}");
    }

    #[test]
    fn a_repeat_after_a_restart_is_forgiven_unless_it_was_committed() {
        let reads = reads();
        let judged = |committed, after: &[Read]| {
            without_skip(&reads[..5], &BTreeMap::from([(0, committed)]), after)
        };
        assert_eq!(judged(5, &reads[5..]).unwrap(), "19 orders went on, 0 came again");
        let repeated = [&reads[4..8], &reads[3..]].concat();
        assert_eq!(judged(3, &repeated).unwrap(), "19 orders went on, 2 came again");
        assert!(judged(4, &repeated).unwrap_err().contains("committed up to 4"));
        assert!(judged(0, &reads[6..]).is_err());
    }

    #[test]
    fn a_reordered_partition_is_named() {
        let mut reads = reads();
        assert!(unbroken_partitions(&reads).is_ok());
        let value = std::mem::take(&mut reads[5].value);
        reads[5].value = std::mem::replace(&mut reads[6].value, value);
        let said = unbroken_partitions(&reads).unwrap_err();
        assert!(said.contains("order 5 stands after 6"), "{said}");
    }

    #[test]
    fn a_changed_header_and_timestamp_are_named() {
        let mut reads = reads();
        reads[7].timestamp += 1;
        assert!(came_back(&orders(), &reads, false).is_ok());
        assert!(came_back(&orders(), &reads, true).is_err());
        reads[7].headers.clear();
        assert!(came_back(&orders(), &reads, false).is_err());
    }
}
