//! Goals 1 to 3: racks, counts, bytes. Each step is the best one for the two brokers that are furthest apart
//! and have one; it keeps what the goals before it have reached.

use std::collections::BTreeSet;

use super::layout::{Layout, Seat, Slot};
use super::{BYTES_APART_MAX, Move};

/// A replica that may go, from whom and to whom.
type Step = (Slot, Seat, Seat);

/// How many partitions of about the right size are looked at before another size is tried.
const TRIED_MAX: usize = 8;

/// Plans until nothing comes nearer to its goal, or one more step would be more than `moves_max` moves;
/// says whether it was that.
pub(super) fn plan(layout: &mut Layout, moves_max: usize) -> (Vec<Vec<Move>>, bool) {
    let mut planned = Vec::new();
    let mut left = moves_max;
    let mut stuck = Stuck::default();
    // Those whose replicas may share a rack for no reason. Nothing but their own moves changes that.
    let mut unspread: Vec<Slot> = (0..layout.partitions.len()).rev().collect();
    loop {
        let next = more_spread(layout, &mut unspread)
            .map(|step| vec![step])
            .or_else(|| more_even_counts(layout, &mut stuck).map(|step| vec![step]))
            .or_else(|| more_even_bytes(layout));
        let Some(steps) = next else { return (planned, false) };
        if steps.len() > left {
            return (planned, true);
        }
        left -= steps.len();
        let carry_over = |(slot, from, to)| {
            stuck.moved(layout, (slot, from, to));
            unspread.push(slot);
            layout.carry_over(slot, from, to)
        };
        planned.push(steps.into_iter().map(carry_over).collect());
    }
}

/// Goal 1: two replicas in one rack, and another rack with fewer.
fn more_spread(layout: &Layout, unspread: &mut Vec<Slot>) -> Option<Step> {
    while let Some(slot) = unspread.pop() {
        let replicas = &layout.partitions[slot].replicas;
        let is_twice = |(at, one): (usize, &Seat)| {
            replicas[..at].iter().any(|other| layout.is_same_rack(*one, *other))
        };
        if !replicas.iter().enumerate().any(is_twice) {
            continue;
        }
        let held = |seat: Seat| layout.holders[seat].held.len();
        let gives = replicas.iter().copied().filter(|seat| layout.holders[*seat].gives);
        let steps = gives.flat_map(|from| takers(layout).map(move |to| (slot, from, to)));
        let gains = steps.filter_map(|(_, from, to)| {
            let gain = layout.spread_gain(slot, from, to).filter(|gain| *gain > 0)?;
            Some(((gain, std::cmp::Reverse(held(to)), held(from)), (slot, from, to)))
        });
        if let Some((_, step)) = gains.max_by_key(|(gain, _)| *gain) {
            return Some(step);
        }
    }
    None
}

fn takers(layout: &Layout) -> impl Iterator<Item = Seat> {
    (0..layout.holders.len()).filter(|seat| layout.holders[*seat].takes)
}

/// Pairs of who may give and who may take, that which is furthest apart first; `apart` says how far, if it
/// is too far.
fn pairs(
    layout: &Layout,
    apart: impl Fn(Seat, Seat) -> Option<u64>,
) -> impl Iterator<Item = (Seat, Seat)> {
    let givers = (0..layout.holders.len()).filter(|seat| layout.holders[*seat].gives);
    let mut pairs: Vec<(u64, Seat, Seat)> = givers
        .flat_map(|from| takers(layout).map(move |to| (from, to)))
        .filter_map(|(from, to)| Some((apart(from, to)?, from, to)))
        .collect();
    pairs.sort_by_key(|(apart, ..)| std::cmp::Reverse(*apart));
    pairs.into_iter().map(|(_, from, to)| (from, to))
}

/// Goal 2. Of what may go, it takes the replica whose size makes bytes even as well.
fn more_even_counts(layout: &Layout, stuck: &mut Stuck) -> Option<Step> {
    let apart = |from: Seat, to: Seat| {
        let held = |seat: Seat| layout.holders[seat].held.len();
        held(from).checked_sub(held(to)).filter(|apart| *apart >= 2).map(|apart| apart as u64)
    };
    pairs(layout, apart).find_map(|(from, to)| {
        if stuck.0.contains(&(from, to)) {
            return None;
        }
        let bytes = |seat: Seat| layout.holders[seat].bytes;
        let size = bytes(from).saturating_sub(bytes(to)) / 2;
        let found = about(layout, from, size).find(|slot| layout.fits(*slot, from, to));
        if found.is_none() {
            stuck.0.insert((from, to));
        }
        found.map(|slot| (slot, from, to))
    })
}

/// Goal 3: a replica goes if its taker has fewer replicas, else two are exchanged.
fn more_even_bytes(layout: &Layout) -> Option<Vec<Step>> {
    let bytes = |seat: Seat| layout.holders[seat].bytes;
    let (count, total) =
        takers(layout).fold((0, 0), |(count, total), seat| (count + 1, total + bytes(seat)));
    let mean = total.checked_div(count)?;
    let may_be_apart = BYTES_APART_MAX.max(mean / 10);
    let apart = |from: Seat, to: Seat| {
        bytes(from).checked_sub(bytes(to)).filter(|apart| *apart > may_be_apart)
    };
    pairs(layout, apart).find_map(|(from, to)| {
        let apart = bytes(from) - bytes(to);
        // How far from even the two are after such a step.
        let left = |gained: u64| (apart / 2).abs_diff(gained);
        let alone = alone(layout, (from, to), apart);
        let exchange = exchange(layout, (from, to), apart);
        match (alone, exchange) {
            (Some((gained, one)), Some((more, _))) if left(gained) <= left(more) => Some(vec![one]),
            (_, Some((_, both))) => Some(both),
            (Some((_, one)), None) => Some(vec![one]),
            (None, None) => None,
        }
    })
}

/// The best replica that may go without another in return, and its bytes.
fn alone(layout: &Layout, (from, to): (Seat, Seat), apart: u64) -> Option<(u64, Step)> {
    let held = |seat: Seat| layout.holders[seat].held.len();
    if held(from) <= held(to) {
        return None;
    }
    let size = |slot: Slot| layout.partitions[slot].bytes;
    let may_go = |slot: &Slot| (1..apart).contains(&size(*slot)) && layout.fits(*slot, from, to);
    let slot = about(layout, from, apart / 2).take(TRIED_MAX).find(may_go)?;
    Some((size(slot), (slot, from, to)))
}

/// The two replicas whose exchange brings both brokers nearest to each other, and by how many bytes.
fn exchange(layout: &Layout, (from, to): (Seat, Seat), apart: u64) -> Option<(u64, Vec<Step>)> {
    if !layout.holders[from].takes {
        return None;
    }
    let size = |slot: Slot| layout.partitions[slot].bytes;
    let large = layout.holders[from].held.iter().rev().take_while(|(bytes, _)| *bytes > 0);
    let large = large.filter(|(_, slot)| layout.fits(*slot, from, to));
    let exchanges = large.filter_map(|(bytes, slot)| {
        let gained = |other: Slot| bytes.checked_sub(size(other)).filter(|it| *it > 0);
        let may_return = |other: &Slot| {
            gained(*other).is_some_and(|it| it < apart) && layout.fits(*other, to, from)
        };
        let wanted = bytes.saturating_sub(apart / 2);
        let other = about(layout, to, wanted).take(TRIED_MAX).find(may_return)?;
        Some((gained(other)?, *slot, other))
    });
    let best = exchanges.min_by_key(|(gained, ..)| (apart / 2).abs_diff(*gained));
    best.map(|(gained, slot, other)| (gained, vec![(slot, from, to), (other, to, from)]))
}

/// What a broker holds, that which is nearest to a size first.
fn about(layout: &Layout, seat: Seat, size: u64) -> impl Iterator<Item = Slot> {
    let held = &layout.holders[seat].held;
    let mut larger = held.range((size, 0)..).peekable();
    let mut smaller = held.range(..(size, 0)).rev().peekable();
    std::iter::from_fn(move || {
        let above = larger.peek().map(|(bytes, _)| bytes - size);
        let below = smaller.peek().map(|(bytes, _)| size - bytes);
        let is_larger = match (above, below) {
            (Some(above), Some(below)) => above <= below,
            (above, _) => above.is_some(),
        };
        let next = if is_larger { larger.next() } else { smaller.next() };
        next.map(|(_, slot)| *slot)
    })
}

/// Pairs of brokers between which nothing can go: not looked at again until that may have changed.
#[derive(Default)]
struct Stuck(BTreeSet<(Seat, Seat)>);

impl Stuck {
    fn moved(&mut self, layout: &Layout, (slot, from, to): Step) {
        let is_other_rack = !layout.is_same_rack(from, to);
        let holds = |seat: Seat| layout.partitions[slot].replicas.contains(&seat);
        self.0.retain(|(giver, taker)| {
            *giver != to && !(holds(*giver) && (is_other_rack || *taker == from))
        });
    }
}
