//! Who holds what, while it is being planned. Brokers and partitions go by their places in lists: a plan
//! for ten thousand partitions looks at each of them often.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{BrokerId, TopicId};

use super::super::image::{Image, Partition};
use super::super::partitions::{is_active, may_take_over};
use super::{Facts, Lead, Move, Share};

/// The place of a broker.
pub(super) type Seat = usize;
/// The place of a partition.
pub(super) type Slot = usize;

/// A broker.
#[derive(Debug)]
pub(super) struct Holder {
    id: BrokerId,
    /// Brokers without a rack share one of their own.
    rack: usize,
    /// Whether replicas may go to it.
    pub(super) takes: bool,
    /// Whether replicas may leave it: nobody is in sync with what a broker that is away holds.
    pub(super) gives: bool,
    /// Whether leaderships are given to it.
    pub(super) may_lead: bool,
    /// What it holds, by size.
    pub(super) held: BTreeSet<(u64, Slot)>,
    /// Bytes of all that.
    pub(super) bytes: u64,
    /// Partitions that it is preferred to lead.
    pub(super) preferred: usize,
}

/// A partition.
#[derive(Debug)]
pub(super) struct Held {
    topic_id: TopicId,
    index: i32,
    pub(super) bytes: u64,
    /// Who holds it, preferred leader first.
    pub(super) replicas: Vec<Seat>,
    leader: Option<Seat>,
    /// The order of its replicas is another one than it was.
    is_turned: bool,
}

/// Brokers and partitions.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) holders: Vec<Holder>,
    pub(super) partitions: Vec<Held>,
}

/// The replicas that a partition has once its move is done.
fn settled(partition: &Partition) -> impl Iterator<Item = BrokerId> {
    partition.replicas.iter().copied().filter(|id| !partition.removing.contains(id))
}

impl Layout {
    pub(super) fn of(facts: &Facts<'_>) -> Self {
        let Facts { image, candidates, sizes } = facts;
        let of_partitions = image.topics().flat_map(|topic| &topic.partitions).flat_map(settled);
        let ids: BTreeSet<BrokerId> =
            image.brokers().map(|(id, _)| id).chain(of_partitions).collect();
        let rack_of = |id: BrokerId| image.broker(id).and_then(|it| it.rack.as_deref());
        let racks: BTreeSet<Option<&str>> = ids.iter().map(|id| rack_of(*id)).collect();
        let takers: BTreeSet<BrokerId> = candidates.iter().map(|one| one.id).collect();
        let holder = |id: BrokerId| Holder {
            id,
            rack: racks.iter().position(|rack| *rack == rack_of(id)).expect("it is one of them"),
            takes: takers.contains(&id),
            gives: is_active(image, id),
            may_lead: may_take_over(image, id),
            held: BTreeSet::new(),
            bytes: 0,
            preferred: 0,
        };
        let seats: BTreeMap<BrokerId, Seat> = ids.iter().copied().zip(0..).collect();
        let mut layout = Self {
            holders: ids.iter().copied().map(holder).collect(),
            partitions: partitions(image, |key| sizes.get(&key).copied().unwrap_or(0), &seats),
        };
        for slot in 0..layout.partitions.len() {
            let Held { bytes, replicas, .. } = &layout.partitions[slot];
            layout.holders[replicas[0]].preferred += 1;
            for seat in replicas {
                let holder = &mut layout.holders[*seat];
                holder.held.insert((*bytes, slot));
                holder.bytes += bytes;
            }
        }
        layout
    }

    /// How many replicas of a partition, but for that of `but`, are in the rack of `seat`.
    fn in_rack(&self, slot: Slot, but: Seat, seat: Seat) -> usize {
        let rack = self.holders[seat].rack;
        let others = self.partitions[slot].replicas.iter().filter(|other| **other != but);
        others.filter(|other| self.holders[**other].rack == rack).count()
    }

    pub(super) fn is_same_rack(&self, one: Seat, other: Seat) -> bool {
        self.holders[one].rack == self.holders[other].rack
    }

    /// By how much a move spreads a partition more over racks: below zero it is less, `None` if it
    /// cannot be.
    pub(super) fn spread_gain(&self, slot: Slot, from: Seat, to: Seat) -> Option<isize> {
        if self.partitions[slot].replicas.contains(&to) {
            return None;
        }
        let (there, here) = (self.in_rack(slot, from, to), self.in_rack(slot, from, from));
        Some(here.cast_signed() - there.cast_signed())
    }

    /// Whether a partition may go from one broker to another.
    pub(super) fn fits(&self, slot: Slot, from: Seat, to: Seat) -> bool {
        self.spread_gain(slot, from, to).is_some_and(|gain| gain >= 0)
    }

    /// Moves a replica; the new one takes the place of the old one in their order.
    pub(super) fn carry_over(&mut self, slot: Slot, from: Seat, to: Seat) -> Move {
        let Held { topic_id, index, bytes, replicas, leader, .. } = &mut self.partitions[slot];
        let at = replicas.iter().position(|seat| *seat == from).expect("it holds the partition");
        replicas[at] = to;
        if *leader == Some(from) {
            // Whoever is preferred is elected when it goes.
            *leader = Some(replicas[0]);
        }
        let (topic_id, index, bytes) = (*topic_id, *index, *bytes);
        for (seat, is_there) in [(from, false), (to, true)] {
            let holder = &mut self.holders[seat];
            if is_there {
                holder.held.insert((bytes, slot));
                holder.bytes += bytes;
                holder.preferred += usize::from(at == 0);
            } else {
                holder.held.remove(&(bytes, slot));
                holder.bytes -= bytes;
                holder.preferred -= usize::from(at == 0);
            }
        }
        Move { topic_id, index, from: self.holders[from].id, to: self.holders[to].id, bytes }
    }

    /// Has another replica preferred: the two change their places.
    pub(super) fn prefer(&mut self, slot: Slot, to: Seat) {
        let partition = &mut self.partitions[slot];
        let at = partition.replicas.iter().position(|seat| *seat == to).expect("it is a replica");
        self.holders[partition.replicas[0]].preferred -= 1;
        partition.replicas.swap(0, at);
        partition.is_turned = true;
        self.holders[to].preferred += 1;
    }

    /// Partitions that are to be led by another replica, or in another order.
    pub(super) fn leads(&self) -> Vec<Lead> {
        let may_lead = |it: &&Held| self.holders[it.replicas[0]].may_lead;
        let is_news = |it: &&Held| it.is_turned || it.leader != it.replicas.first().copied();
        let led = self.partitions.iter().filter(is_news).filter(may_lead);
        let lead = |it: &Held| {
            Some(Lead {
                topic_id: it.topic_id,
                index: it.index,
                from: self.holders[it.leader?].id,
                replicas: it.replicas.iter().map(|seat| self.holders[*seat].id).collect(),
            })
        };
        led.filter_map(lead).collect()
    }

    pub(super) fn shares(&self) -> BTreeMap<BrokerId, Share> {
        let share = |it: &Holder| {
            let Holder { bytes, preferred, .. } = *it;
            (it.id, Share { replicas: it.held.len(), bytes, preferred })
        };
        self.holders.iter().map(share).collect()
    }
}

/// All partitions: first all with the first index, so that the first few are of many topics.
fn partitions(
    image: &Image,
    size: impl Fn((TopicId, i32)) -> u64,
    seats: &BTreeMap<BrokerId, Seat>,
) -> Vec<Held> {
    let indexed = image.topics().flat_map(|topic| {
        let partitions = (0..).zip(&topic.partitions);
        partitions.map(|(index, partition)| (topic.id, index, partition))
    });
    let held = indexed.map(|(topic_id, index, partition)| Held {
        topic_id,
        index,
        bytes: size((topic_id, index)),
        replicas: settled(partition).map(|id| seats[&id]).collect(),
        leader: partition.leader.and_then(|id| seats.get(&id).copied()),
        is_turned: false,
    });
    let mut held: Vec<Held> = held.collect();
    held.sort_by_key(|it| it.index);
    held
}
