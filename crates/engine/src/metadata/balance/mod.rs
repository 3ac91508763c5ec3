//! The balancer: moves replicas and preferred leaders until every broker carries its share. A plan.
//!
//! ```text
//! Facts ─► layout ─► spread ─► counts ─► bytes ─► leaders ─► Plan        each goal keeps those before it
//!                                                   │
//!         Controller::carry_on_balance ◄── the first few of its steps, decided on the newest state
//! ```
//!
//! Goals, in their order:
//!
//! 1. the replicas of a partition are spread over racks, and never less than they were;
//! 2. brokers hold equally many replicas, to within one;
//! 3. brokers hold equally many bytes, to within a tenth of the mean and [`BYTES_APART_MAX`];
//! 4. brokers are preferred to lead equally many partitions, to within one, and lead them.
//!
//! A step is taken only if it comes nearer to its goal, so that every plan ends, and a plan made after it
//! was carried out is empty. New replicas go to brokers that are up, and neither cordoned nor drained.
//!
//! | file | what is there |
//! | --- | --- |
//! | `layout` | who holds what, while it is being planned |
//! | `replicas` | goals 1 to 3 |
//! | `leaders` | goal 4 |
//! | `run` | decisions: a plan is asked for, carried on, held up; leaders return |

use std::collections::BTreeMap;

use crate::ids::{BrokerId, TopicId};

use super::image::Image;
use super::placement::Candidate;

mod layout;
mod leaders;
mod replicas;
mod run;

use layout::Layout;

pub use run::{Hold, Round};

/// Brokers whose bytes differ by less are even enough: moving more than that costs more than it is worth.
pub const BYTES_APART_MAX: u64 = 1 << 30;

/// Bytes of partitions, as far as they are known. Each replica has about as many.
pub type Sizes = BTreeMap<(TopicId, i32), u64>;

/// What is planned from.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The cluster. Moves under way count as done.
    pub image: &'a Image,
    /// Who takes replicas.
    pub candidates: Vec<Candidate>,
    /// How large partitions are.
    pub sizes: &'a Sizes,
}

/// A replica goes from one broker to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition's index.
    pub index: i32,
    /// Who holds it.
    pub from: BrokerId,
    /// Who will.
    pub to: BrokerId,
    /// How much is copied, as far as is known.
    pub bytes: u64,
}

/// A replica becomes the preferred leader of its partition, and leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition's index.
    pub index: i32,
    /// Who leads, once all moves are done.
    pub from: BrokerId,
    /// Its replicas, from then on.
    pub replicas: Vec<BrokerId>,
}

/// What one broker carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Replicas.
    pub replicas: usize,
    /// Their bytes, as far as they are known.
    pub bytes: u64,
    /// Partitions that it is preferred to lead.
    pub preferred: usize,
}

/// What to do, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Moves. Those of one entry go together: two brokers exchange replicas.
    pub moves: Vec<Vec<Move>>,
    /// Leaders, once all moves are done.
    pub leaders: Vec<Lead>,
    /// What every registered broker carries now, and when all is done.
    pub shares: BTreeMap<BrokerId, (Share, Share)>,
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.leaders.is_empty()
    }

    /// How many replicas move.
    pub fn move_count(&self) -> usize {
        self.moves.iter().map(Vec::len).sum()
    }
}

/// Plans until all goals are met as far as they can be, or at most `moves_max` moves. Leaders are planned
/// only behind the last move.
pub fn plan(facts: &Facts<'_>, moves_max: usize) -> Plan {
    let mut layout = Layout::of(facts);
    let before = layout.shares();
    let (moves, is_cut) = replicas::plan(&mut layout, moves_max);
    let leaders = if is_cut { Vec::new() } else { leaders::plan(&mut layout) };
    let after = layout.shares();
    let shares = before.into_iter().map(|(id, before)| (id, (before, after[&id]))).collect();
    Plan { moves, leaders, shares }
}

#[cfg(test)]
#[path = "balance_test.rs"]
mod tests;
