//! A group's history: where each member began when it was given a partition, and what was committed.
//!
//! Members are processes; their lines are put into the order of their moments before they are judged.

use std::collections::BTreeMap;

use super::Breach;
use crate::history::Said;

/// What members did.
#[derive(Default)]
pub(super) struct Members {
    done: Vec<(i64, usize, Done)>,
    /// The offset after the last that was read of each partition.
    reached: BTreeMap<i32, i64>,
    /// When a member was given the partition that it has, and where it is there.
    given: BTreeMap<(usize, i32), i64>,
}

enum Done {
    /// Read from one offset up to another, given the partition at a moment.
    Read {
        partition: i32,
        first: i64,
        next: i64,
        given: i64,
    },
    Committed {
        partition: i32,
        offset: i64,
    },
}

impl Members {
    pub(super) fn hear(&mut self, member: usize, said: &Said) {
        match said {
            Said::Assigned { at, partitions } => {
                for partition in partitions {
                    self.given.insert((member, *partition), *at);
                }
            }
            Said::Revoked { partitions } => {
                for partition in partitions {
                    self.given.remove(&(member, *partition));
                }
            }
            Said::Read { at, partition, records } => {
                let (Some((first, _)), Some((last, _))) = (records.first(), records.last()) else {
                    return;
                };
                let reached = self.reached.entry(*partition).or_default();
                *reached = (*reached).max(last + 1);
                let given = self.given.get(&(member, *partition)).copied().unwrap_or(*at);
                let (partition, first, next) = (*partition, *first, last + 1);
                self.done.push((*at, member, Done::Read { partition, first, next, given }));
            }
            Said::Committed { at, partition, offset } => {
                let (partition, offset) = (*partition, *offset);
                self.done.push((*at, member, Done::Committed { partition, offset }));
            }
            _ => {}
        }
    }

    pub(super) fn reached(&self) -> BTreeMap<i32, i64> {
        self.reached.clone()
    }

    pub(super) fn end(mut self) -> Vec<(Breach, String)> {
        self.done.sort_by_key(|(at, ..)| *at);
        let mut wrong = Vec::new();
        // By partition: when it was committed, and the largest offset then.
        let mut committed: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
        let mut reached: BTreeMap<i32, i64> = BTreeMap::new();
        // By member and partition: since when, and the offset that comes next.
        let mut stints: BTreeMap<(usize, i32), (i64, i64)> = BTreeMap::new();
        for (at, member, done) in self.done {
            match done {
                Done::Committed { partition, offset } => {
                    let commits = committed.entry(partition).or_default();
                    let largest = commits.last().map_or(offset, |(_, most)| offset.max(*most));
                    commits.push((at, largest));
                }
                Done::Read { partition, first, next, given } => {
                    let who = || format!("partition {partition}: member {member}");
                    let reached = reached.entry(partition).or_default();
                    match stints.get(&(member, partition)).filter(|(since, _)| *since == given) {
                        Some((_, due)) if *due != first => {
                            let breach =
                                if first < *due { Breach::PollBack } else { Breach::PollSkip };
                            wrong.push((breach, format!("{} was at {due}, got {first}", who())));
                        }
                        Some(_) => {}
                        None => {
                            let commits = committed.get(&partition).map_or(&[][..], Vec::as_slice);
                            let before = commits.iter().rfind(|(at, _)| *at < given);
                            let due = before.map_or(0, |(_, offset)| *offset);
                            if first < due {
                                let text = format!("{} began at {first}, committed {due}", who());
                                wrong.push((Breach::CommitBack, text));
                            }
                            if first > *reached {
                                let text = format!("{} began at {first}, read {reached}", who());
                                wrong.push((Breach::PollSkip, text));
                            }
                        }
                    }
                    stints.insert((member, partition), (given, next));
                    *reached = (*reached).max(next);
                }
            }
        }
        wrong
    }
}
