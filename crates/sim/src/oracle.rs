//! What clients were promised, drawn from a history: which position a group may find.

use std::collections::BTreeMap;

use crate::history::{CommitId, Event, History, Moment, Partition};

/// One attempt to commit a position.
#[derive(Clone, Debug)]
struct Attempt {
    offset: i64,
    asked: Moment,
    /// When it was acknowledged or refused; it may still happen while it is neither.
    acked: Option<Moment>,
    refused: bool,
}

/// The attempts of all groups.
#[derive(Debug, Default)]
pub struct Positions<'a> {
    attempts: BTreeMap<(&'a str, &'a Partition), Vec<Attempt>>,
}

impl<'a> Positions<'a> {
    /// All that was promised about positions.
    pub fn promised(history: &'a History) -> Self {
        let mut attempts: BTreeMap<_, Vec<Attempt>> = BTreeMap::new();
        let mut places: BTreeMap<CommitId, ((&str, &Partition), usize)> = BTreeMap::new();
        for (at, event) in history.events() {
            match event {
                Event::CommitAsked { commit, group, partition, offset } => {
                    let key = (group.as_str(), partition);
                    let of_key = attempts.entry(key).or_default();
                    places.insert(*commit, (key, of_key.len()));
                    let (offset, acked, refused) = (*offset, None, false);
                    of_key.push(Attempt { offset, asked: at, acked, refused });
                }
                Event::CommitAcked { commit } | Event::CommitRefused { commit } => {
                    let (key, place) =
                        places.get(commit).expect("a commit is asked before its end");
                    let attempt = &mut attempts.get_mut(key).expect("it was put there")[*place];
                    match event {
                        Event::CommitAcked { .. } => attempt.acked = Some(at),
                        _ => attempt.refused = true,
                    }
                }
                Event::Wanted { .. }
                | Event::Sent { .. }
                | Event::Acked { .. }
                | Event::Read { .. }
                | Event::Watermark { .. }
                | Event::PositionRead { .. }
                | Event::Assigned { .. }
                | Event::Damaged { .. }
                | Event::Lossy { .. }
                | Event::PowerLost { .. }
                | Event::Healed
                | Event::Placed { .. }
                | Event::LeftBehind { .. }
                | Event::Copy { .. }
                | Event::Final { .. } => {}
            }
        }
        Self { attempts }
    }

    /// The positions that a reading may have shown which was asked for at `asked` and answered at
    /// `told`. `None` among them: that there is no position.
    ///
    /// Some order of the attempts must explain it: the last acknowledged one before the question, or
    /// any that was not over when that one was asked, or that nobody knows the end of.
    pub fn possible(
        &self,
        group: &str,
        partition: &Partition,
        asked: Moment,
        told: Moment,
    ) -> Vec<Option<i64>> {
        let attempts = self.attempts.get(&(group, partition)).map_or(&[][..], Vec::as_slice);
        let kept = |attempt: &&Attempt| attempt.acked.is_some_and(|acked| acked < asked);
        let newest = attempts.iter().filter(kept).map(|attempt| attempt.asked).max();
        let may_show = |attempt: &&Attempt| {
            let superseded = attempt.acked.is_some_and(|acked| newest.is_some_and(|n| acked < n));
            attempt.asked < told && !attempt.refused && !superseded
        };
        let shown = attempts.iter().filter(may_show).map(|attempt| Some(attempt.offset));
        shown.chain(newest.is_none().then_some(None)).collect()
    }
}
