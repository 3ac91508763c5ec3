//! Each breach in a history that has it, and a history that has none.

use super::*;

const READER: Speaker = Speaker::Reader(0);

fn acked(number: u64, offset: i64) -> (Speaker, Said) {
    (Speaker::Producer(1), Said::Acked { at: 0, partition: 0, number, offset })
}

fn read(speaker: Speaker, first: i64, numbers: &[u64]) -> (Speaker, Said) {
    let values = numbers.iter().map(|number| Value::new(1, 0, *number));
    let records = (first..).zip(values).collect();
    (speaker, Said::Read { at: first, partition: 0, records })
}

fn end(offset: i64) -> (Speaker, Said) {
    (Speaker::LastReader, Said::End { partition: 0, offset })
}

fn given(member: usize, at: i64) -> (Speaker, Said) {
    (Speaker::Member(member), Said::Assigned { at, partitions: vec![0] })
}

fn committed(member: usize, at: i64, offset: i64) -> (Speaker, Said) {
    (Speaker::Member(member), Said::Committed { at, partition: 0, offset })
}

/// The last reader has read to the end, unless the history says where that is.
fn judge(history: &[(Speaker, Said)]) -> Verdict {
    let mut checker = Checker::default();
    let last = history.iter().filter(|(speaker, _)| *speaker == Speaker::LastReader);
    let read = last.map(|(_, said)| match said {
        Said::Read { records, .. } => records.len(),
        _ => 0,
    });
    let (speaker, said) = end(i64::try_from(read.sum::<usize>()).unwrap());
    checker.hear(speaker, &said);
    for (speaker, said) in history {
        checker.hear(*speaker, said);
    }
    checker.end()
}

fn breaches(history: &[(Speaker, Said)]) -> Vec<Breach> {
    judge(history).breaches.into_keys().collect()
}

#[test]
fn nothing_is_wrong_with_what_was_sent_read_and_committed() {
    let sent = (Speaker::Producer(1), Said::Sent { next: vec![4] });
    let history = [
        acked(0, 0),
        read(READER, 0, &[0, 1]),
        acked(1, 1),
        acked(2, 2),
        given(0, -1),
        read(Speaker::Member(0), 0, &[0, 1]),
        committed(0, 5, 2),
        given(1, 6),
        read(Speaker::Member(1), 2, &[2]),
        sent,
        end(3),
        read(Speaker::LastReader, 0, &[0, 1, 2]),
    ];
    let verdict = judge(&history);
    assert_eq!(verdict.breaches, BTreeMap::new(), "{:?}", verdict.told);
    let counted = (verdict.acked, verdict.unknown, verdict.there, verdict.commits);
    assert_eq!(counted, (3, 1, 3, 1));
}

#[test]
fn an_acknowledged_record_that_is_not_there_is_lost() {
    let history = [acked(0, 0), acked(1, 1), acked(2, 2), end(2)];
    let there = read(Speaker::LastReader, 0, &[0, 2]);
    let history = [&history[..], &[there]].concat();
    assert_eq!(breaches(&history), [Breach::Lost, Breach::Inconsistent]);
}

#[test]
fn a_record_that_was_read_and_is_not_there_is_lost() {
    let history =
        [acked(0, 0), read(READER, 0, &[0, 1]), end(1), read(Speaker::LastReader, 0, &[0])];
    assert_eq!(breaches(&history), [Breach::Lost]);
}

#[test]
fn a_record_that_is_there_twice_is_duplicated() {
    let history = [acked(0, 0), acked(1, 1), read(Speaker::LastReader, 0, &[0, 1, 0])];
    assert_eq!(breaches(&history), [Breach::Duplicated]);
}

#[test]
fn a_record_behind_a_later_one_is_reordered() {
    let history = [read(Speaker::LastReader, 0, &[0, 2, 1])];
    assert_eq!(breaches(&history), [Breach::Reordered]);
}

#[test]
fn two_values_at_one_offset_are_inconsistent() {
    let history = [read(READER, 0, &[0, 1]), read(Speaker::Reader(1), 0, &[0, 2])];
    assert_eq!(
        breaches(&[&history[..], &[read(Speaker::LastReader, 0, &[0, 1])]].concat()),
        [Breach::Inconsistent]
    );
}

#[test]
fn what_nobody_sent_is_invented() {
    let sent = (Speaker::Producer(1), Said::Sent { next: vec![1] });
    assert_eq!(breaches(&[sent, read(Speaker::LastReader, 0, &[0, 1])]), [Breach::Invented]);
    let elsewhere = Said::Read { at: 0, partition: 0, records: vec![(0, Value::new(1, 3, 0))] };
    assert_eq!(breaches(&[(Speaker::LastReader, elsewhere)]), [Breach::Invented]);
}

#[test]
fn what_must_be_refused_is_neither_acknowledged_nor_read() {
    let refused = Speaker::Refused(7);
    let judge = |history: &[(Speaker, Said)]| {
        let mut checker = Checker::default();
        checker.admit(refused);
        for (speaker, said) in history {
            checker.hear(*speaker, said);
        }
        checker.end()
    };
    let said = |said: Said| (refused, said);
    let verdict = judge(&[said(Said::Refused { partition: 0, number: 0 })]);
    assert_eq!((verdict.refused, verdict.breaches), (1, BTreeMap::new()));
    let acked = said(Said::Acked { at: 0, partition: 0, number: 1, offset: 4 });
    assert_eq!(judge(&[acked]).breaches.get(&Breach::Aborted), Some(&1));
    for reader in [READER, Speaker::LastReader, Speaker::Member(0)] {
        let records = vec![(0, Value::new(7, 0, 2))];
        let read = (reader, Said::Read { at: 0, partition: 0, records });
        assert_eq!(judge(&[read]).breaches.get(&Breach::Aborted), Some(&1), "{reader:?}");
    }
}

#[test]
fn a_reader_neither_goes_back_nor_skips() {
    let whole = read(Speaker::LastReader, 0, &[0, 1, 2, 3]);
    let back = [read(READER, 0, &[0, 1]), read(READER, 1, &[1]), whole.clone()];
    assert_eq!(breaches(&back), [Breach::PollBack]);
    let skip = [read(READER, 0, &[0, 1]), read(READER, 3, &[3]), whole];
    assert_eq!(breaches(&skip), [Breach::PollSkip]);
}

#[test]
fn a_group_goes_on_where_it_committed() {
    let whole = read(Speaker::LastReader, 0, &[0, 1, 2, 3]);
    let begun = [given(0, -1), read(Speaker::Member(0), 0, &[0, 1]), committed(0, 10, 2)];
    let go_on = |first, numbers: &[u64]| {
        let late = match read(Speaker::Member(1), first, numbers) {
            (speaker, Said::Read { partition, records, .. }) => {
                (speaker, Said::Read { at: 30, partition, records })
            }
            other => other,
        };
        breaches(&[&begun[..], &[given(1, 20), late, whole.clone()]].concat())
    };
    assert_eq!(go_on(2, &[2, 3]), []);
    assert_eq!(go_on(1, &[1, 2]), [Breach::CommitBack]);
    assert_eq!(go_on(3, &[3]), [Breach::PollSkip]);
}

#[test]
fn who_is_not_read_to_the_end_is_stuck() {
    assert_eq!(breaches(&[end(3), read(Speaker::LastReader, 0, &[0, 1])]), [Breach::Stuck]);
}
