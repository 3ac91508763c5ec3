//! Goal 4: every broker is preferred to lead equally many partitions, and leads them. No replica moves for
//! it: those of a partition change their order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Lead;
use super::layout::{Layout, Seat, Slot};

/// Plans until no broker could hand on a preference, over others if need be, to one that has fewer by two.
pub(super) fn plan(layout: &mut Layout) -> Vec<Lead> {
    let mut links = Links::of(layout);
    while let Some(path) = path(layout, &links) {
        for pair in path.windows(2) {
            let slot = links.any(pair[0], pair[1]).expect("the path goes along links");
            links.set(layout, slot, false);
            layout.prefer(slot, pair[1]);
            links.set(layout, slot, true);
        }
    }
    layout.leads()
}

/// Which partitions are preferred to be led by one broker, and could be by another.
struct Links(BTreeMap<(Seat, Seat), BTreeSet<Slot>>);

impl Links {
    fn of(layout: &Layout) -> Self {
        let mut links = Self(BTreeMap::new());
        (0..layout.partitions.len()).for_each(|slot| links.set(layout, slot, true));
        links
    }

    fn set(&mut self, layout: &Layout, slot: Slot, is_there: bool) {
        let replicas = &layout.partitions[slot].replicas;
        for other in &replicas[1..] {
            let slots = self.0.entry((replicas[0], *other)).or_default();
            if is_there {
                slots.insert(slot);
            } else {
                slots.remove(&slot);
            }
        }
    }

    fn any(&self, from: Seat, to: Seat) -> Option<Slot> {
        self.0.get(&(from, to))?.first().copied()
    }
}

/// The shortest way from a broker that is preferred most often to one that is less often by two.
fn path(layout: &Layout, links: &Links) -> Option<Vec<Seat>> {
    let preferred = |seat: Seat| layout.holders[seat].preferred;
    let may_lead = |seat: &Seat| layout.holders[*seat].may_lead;
    let seats: Vec<Seat> = (0..layout.holders.len()).filter(may_lead).collect();
    let least = seats.iter().map(|seat| preferred(*seat)).min()?;
    let mut most: Vec<Seat> =
        seats.iter().copied().filter(|seat| preferred(*seat) >= least + 2).collect();
    most.sort_by_key(|seat| std::cmp::Reverse(preferred(*seat)));
    most.into_iter().find_map(|from| {
        let mut came_from: BTreeMap<Seat, Seat> = BTreeMap::from([(from, from)]);
        let mut open = VecDeque::from([from]);
        while let Some(at) = open.pop_front() {
            if preferred(from) >= preferred(at) + 2 {
                return Some(way(&came_from, from, at));
            }
            for next in seats.iter().filter(|next| links.any(at, **next).is_some()) {
                if !came_from.contains_key(next) {
                    came_from.insert(*next, at);
                    open.push_back(*next);
                }
            }
        }
        None
    })
}

fn way(came_from: &BTreeMap<Seat, Seat>, from: Seat, to: Seat) -> Vec<Seat> {
    let mut way = vec![to];
    while let Some(last) = way.last().copied().filter(|last| *last != from) {
        way.push(came_from[&last]);
    }
    way.reverse();
    way
}
