//! What a follower does with its leader's answer to a Fetch.
//!
//! A Fetch names the epoch of the follower's last record. If the leader's log is another one there, its
//! answer is the epoch and the offset up to which that may still agree, and the follower cuts and asks
//! again, until both have a common prefix (KIP-101, KIP-279). Nothing else makes it cut: its own watermark
//! least of all.

use std::time::Duration;

use wire::ErrorCode;

use crate::log::epochs::Epochs;
use crate::log::state::LogState;
use crate::{LeaderEpoch, Now, Offset};

/// Pauses after an answer that was no use: doubled each time, up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The answer for one partition, without its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The error, or none.
    pub error: ErrorCode,
    /// The largest epoch of the leader that is at most the follower's last, and where it ends there.
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// Where the leader's log begins; -1 if it does not say.
    pub log_start: Offset,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask again, after the pause.
    Nothing,
    /// Append the records, if any; take over the leader's watermark as far as the own log reaches, and its
    /// log start.
    Append,
    /// Cut the end of the log, and ask again.
    Cut {
        /// Where the log ends after it.
        to: Offset,
        /// Whether this takes away records that were committed: an unclean leader, or lost disks.
        is_committed: bool,
    },
    /// Drop the whole log and begin an empty one: nothing of it is in the leader's.
    StartAgain {
        /// Where the leader's log begins.
        at: Offset,
        /// Whether this takes away records that were committed and that the leader has not outlived.
        is_committed: bool,
    },
}

/// Follows one leader in one leader epoch.
#[derive(Debug)]
pub struct Follow {
    leader_epoch: LeaderEpoch,
    pause: Duration,
    not_before: Duration,
}

impl Follow {
    /// Follows from now on.
    pub fn new(leader_epoch: LeaderEpoch) -> Self {
        Self { leader_epoch, pause: PAUSE_MIN, not_before: Duration::ZERO }
    }

    /// The leader's epoch.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Whether it is time to ask.
    pub fn may_fetch(&self, now: Now) -> bool {
        now.tick >= self.not_before
    }

    /// The monotonic time from which on it is.
    pub fn not_before(&self) -> Duration {
        self.not_before
    }

    /// What was answered was no use, or could not be written.
    pub fn failed(&mut self, now: Now) {
        self.not_before = now.after(self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// Takes the answer to a Fetch from the end of `log`.
    pub fn answered(&mut self, answer: &Answer, log: &LogState, epochs: &Epochs, now: Now) -> Step {
        let step = match (answer.error, answer.diverging) {
            (ErrorCode::None, None) => Step::Append,
            (ErrorCode::None, Some((epoch, end))) if epoch.0 >= 0 && end >= 0 => {
                cut(epoch, end, answer.log_start, log, epochs)
            }
            (ErrorCode::None | ErrorCode::OffsetOutOfRange, _) => {
                start_again(answer.log_start, log)
            }
            _ => Step::Nothing,
        };
        if step == Step::Nothing {
            self.failed(now);
        } else {
            self.pause = PAUSE_MIN;
        }
        step
    }
}

/// The leader's records of epochs up to `epoch` end at `end`.
fn cut(
    epoch: LeaderEpoch,
    end: Offset,
    leader_start: Offset,
    log: &LogState,
    epochs: &Epochs,
) -> Step {
    let own = epochs.end_offset_for(epoch, log.end()).map_or(log.end(), |(_, end)| end);
    let to = own.min(end);
    if to >= log.end() {
        // That is no divergence: a leader that says so is not to be believed.
        Step::Nothing
    } else if to >= log.start() {
        Step::Cut { to, is_committed: to < log.high_watermark() }
    } else {
        start_again_at(leader_start, log.high_watermark() > log.start())
    }
}

/// The leader does not have the offset after the log's end.
fn start_again(leader_start: Offset, log: &LogState) -> Step {
    let is_empty = log.start() == log.end() && log.end() != leader_start;
    let is_past = log.end() < leader_start;
    if is_empty || is_past { start_again_at(leader_start, false) } else { Step::Nothing }
}

fn start_again_at(at: Offset, is_committed: bool) -> Step {
    if at >= 0 { Step::StartAgain { at, is_committed } } else { Step::Nothing }
}

#[cfg(test)]
#[path = "follower_test.rs"]
mod tests;
