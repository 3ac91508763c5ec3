//! What a follower does, answer by answer.

use std::time::Duration;

use proptest::prelude::*;
use wire::ErrorCode;

use super::{Answer, Follow, Step};
use crate::log::{Epochs, LogState};
use crate::{LeaderEpoch, Now, Offset};

const NOW: Now = Now { wall_ms: 0, tick: Duration::ZERO };

fn epochs(entries: &[(i32, Offset)]) -> Epochs {
    let mut epochs = Epochs::default();
    for (epoch, start) in entries {
        epochs.assign(LeaderEpoch(*epoch), *start);
    }
    epochs
}

fn ok(log_start: Offset) -> Answer {
    Answer { error: ErrorCode::None, diverging: None, log_start }
}

/// The log is 10..50 with epoch 1 from 10, 3 from 20, 5 from 40; 30 is committed.
fn check(answer: Answer, expected: Step) {
    let log = LogState::new(10, 50, 30);
    let known = epochs(&[(1, 10), (3, 20), (5, 40)]);
    assert_eq!(Follow::new(LeaderEpoch(6)).answered(&answer, &log, &known, NOW), expected);
}

#[test]
fn records_are_appended() {
    check(ok(0), Step::Append);
}

#[test]
fn a_diverging_end_is_cut_to_where_both_may_agree() {
    let diverging = |epoch, end| Answer { diverging: Some((LeaderEpoch(epoch), end)), ..ok(0) };
    let cut = |to, is_committed| Step::Cut { to, is_committed };
    check(diverging(5, 45), cut(45, false));
    check(diverging(4, 48), cut(40, false));
    check(diverging(3, 35), cut(35, false));
    check(diverging(3, 44), cut(40, false));
    check(diverging(3, 25), cut(25, true));
    check(diverging(2, 33), cut(20, true));
    check(diverging(0, 12), cut(10, true));
    check(diverging(0, 5), Step::StartAgain { at: 0, is_committed: true });
}

#[test]
fn what_proves_no_divergence_cuts_nothing() {
    let diverging = |epoch, end| Answer { diverging: Some((LeaderEpoch(epoch), end)), ..ok(0) };
    check(diverging(5, 50), Step::Nothing);
    check(diverging(7, 90), Step::Nothing);
    check(diverging(-1, -1), Step::Nothing);
}

#[test]
fn a_log_that_the_leader_has_outlived_begins_again() {
    let outside = |log_start| Answer { error: ErrorCode::OffsetOutOfRange, ..ok(log_start) };
    check(outside(60), Step::StartAgain { at: 60, is_committed: false });
    check(outside(50), Step::Nothing);
    check(outside(0), Step::Nothing);
    check(outside(-1), Step::Nothing);
    let empty = LogState::new(70, 70, 70);
    let mut follow = Follow::new(LeaderEpoch(6));
    let begun = Step::StartAgain { at: 0, is_committed: false };
    assert_eq!(follow.answered(&outside(0), &empty, &Epochs::default(), NOW), begun);
}

#[test]
fn errors_are_answered_by_ever_longer_pauses() {
    let mut follow = Follow::new(LeaderEpoch(6));
    let log = LogState::new(0, 0, 0);
    let at = |ms| Now { wall_ms: 0, tick: Duration::from_millis(ms) };
    let refused = Answer { error: ErrorCode::FencedLeaderEpoch, ..ok(0) };
    let mut ms = 0;
    for pause in [20, 40, 80, 160, 320, 640, 1000, 1000] {
        assert!(follow.may_fetch(at(ms)));
        assert_eq!(follow.answered(&refused, &log, &Epochs::default(), at(ms)), Step::Nothing);
        assert!(!follow.may_fetch(at(ms + pause - 1)));
        assert!(follow.may_fetch(Now { wall_ms: 0, tick: follow.not_before() }));
        ms += pause;
    }
    assert_eq!(follow.answered(&ok(0), &log, &Epochs::default(), at(ms)), Step::Append);
    follow.failed(at(ms));
    assert!(follow.may_fetch(at(ms + 20)), "a good answer ends it");
}

/// A log as its epochs: (epoch, how many records).
fn log() -> impl Strategy<Value = Vec<i32>> {
    prop::collection::vec((1..6i32, 1..4usize), 0..5).prop_map(|mut runs| {
        runs.sort();
        runs.dedup_by_key(|(epoch, _)| *epoch);
        runs.into_iter().flat_map(|(epoch, len)| std::iter::repeat_n(epoch, len)).collect()
    })
}

fn epochs_of(records: &[i32]) -> Epochs {
    let mut known = Epochs::default();
    for (offset, epoch) in (0..).zip(records) {
        known.assign(LeaderEpoch(*epoch), offset);
    }
    known
}

proptest! {
    /// Two logs that agree up to somewhere: the follower ends with a prefix of the leader's, and
    /// loses nothing of what both have.
    #[test]
    fn cutting_ends_at_a_common_prefix(common in log(), ours in log(), theirs in log()) {
        let above = |tail: Vec<i32>, even: i32| -> Vec<i32> {
            // The same epoch is never written by two leaders: odd ones here, even ones there.
            let base = common.last().map_or(0, |epoch| epoch * 2);
            let tail = tail.into_iter().map(|epoch| base + epoch * 2 + even);
            common.iter().map(|epoch| epoch * 2).chain(tail).collect()
        };
        let leader = above(theirs, 0);
        let mut own = above(ours, 1);
        let mut follow = Follow::new(LeaderEpoch(99));
        for _ in 0..20 {
            let end = own.len() as Offset;
            let last = own.last().map_or(-1, |epoch| *epoch);
            let known = epochs_of(&leader);
            let found = known.end_offset_for(LeaderEpoch(last), leader.len() as Offset);
            let diverging = match found {
                Some((epoch, at)) if epoch.0 < last || at < end => Some((epoch, at)),
                None if last >= 0 => known.latest().map(|it| (it.epoch, leader.len() as Offset)),
                _ => None,
            };
            let answer = Answer { diverging, ..ok(0) };
            let state = LogState::new(0, end, 0);
            match follow.answered(&answer, &state, &epochs_of(&own), NOW) {
                Step::Append => break,
                Step::Cut { to, .. } => own.truncate(usize::try_from(to).unwrap()),
                other => prop_assert!(leader.is_empty(), "{:?}", other),
            }
        }
        if !leader.is_empty() {
            prop_assert_eq!(&own[..], &leader[..own.len().min(leader.len())]);
            prop_assert!(own.len() >= common.len());
        }
    }
}
