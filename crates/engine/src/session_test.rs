//! Sessions that grow, shrink, move on and make room.

use super::*;

const WANTED: Wanted = Wanted {
    fetch_offset: 0,
    max_bytes: 1 << 20,
    current_leader_epoch: -1,
    last_fetched_epoch: -1,
    log_start_offset: -1,
};

const IDLE: Outcome = Outcome {
    has_records: false,
    error: 0,
    high_watermark: 5,
    last_stable_offset: 5,
    log_start_offset: 0,
    preferred_read_replica: -1,
    diverging: false,
};

const RECORDS: Outcome = Outcome { has_records: true, ..IDLE };

fn at(seconds: u64) -> Now {
    Now { wall_ms: 0, tick: Duration::from_secs(seconds) }
}

fn p(partition: i32) -> PartitionKey {
    (TopicKey::Name("t".into()), partition)
}

fn ask(session_id: i32, epoch: i32, partitions: &[i32]) -> SessionRequest {
    SessionRequest {
        session_id,
        epoch,
        uses_topic_ids: false,
        replica: None,
        partitions: partitions.iter().map(|partition| (p(*partition), WANTED)).collect(),
        forgotten: Vec::new(),
    }
}

fn forget(session_id: i32, epoch: i32, partitions: &[i32]) -> SessionRequest {
    let forgotten = partitions.iter().map(|partition| p(*partition)).collect();
    SessionRequest { forgotten, ..ask(session_id, epoch, &[]) }
}

fn planned(plan: &FetchPlan) -> Vec<i32> {
    plan.partitions.iter().map(|((_, partition), _)| *partition).collect()
}

/// Fetches, and answers each partition that is read with `outcome`.
fn fetch(
    sessions: &mut FetchSessions,
    request: SessionRequest,
    outcome: impl Fn(i32) -> Outcome,
    now: Now,
) -> Result<(i32, Vec<i32>), SessionError> {
    let plan = sessions.begin(request, now)?;
    let read = planned(&plan);
    let outcomes: Vec<_> = read.iter().map(|partition| outcome(*partition)).enumerate().collect();
    let answer = sessions.finish(plan, &outcomes, 7, now)?;
    let named = read.iter().zip(&answer.include).filter(|(_, named)| **named);
    Ok((answer.session_id, named.map(|(partition, _)| *partition).collect()))
}

fn bounded(max_sessions: usize, max_partitions: usize) -> FetchSessions {
    FetchSessions::new(SessionConfig { max_sessions, max_partitions, ..SessionConfig::default() })
}

fn open(sessions: &mut FetchSessions, partitions: &[i32], now: Now) -> i32 {
    fetch(sessions, ask(0, 0, partitions), |_| IDLE, now).unwrap().0
}

#[test]
fn a_session_names_all_once_and_then_only_what_changed() {
    let mut sessions = bounded(10, 100);
    let (id, named) = fetch(&mut sessions, ask(0, 0, &[0, 1]), |_| IDLE, at(0)).unwrap();
    assert_eq!((id, named), (7, vec![0, 1]));
    assert_eq!(fetch(&mut sessions, ask(7, 1, &[]), |_| IDLE, at(0)), Ok((7, vec![])));

    let changes = [
        RECORDS,
        Outcome { high_watermark: 6, ..IDLE },
        Outcome { last_stable_offset: 4, ..IDLE },
        Outcome { log_start_offset: 1, ..IDLE },
        Outcome { error: 3, ..IDLE },
        Outcome { preferred_read_replica: 2, ..IDLE },
        Outcome { diverging: true, ..IDLE },
    ];
    for change in changes {
        let mut sessions = bounded(10, 100);
        open(&mut sessions, &[0, 1], at(0));
        let outcome = |partition| if partition == 1 { change } else { IDLE };
        let answer = fetch(&mut sessions, ask(7, 1, &[]), outcome, at(0));
        assert_eq!(answer, Ok((7, vec![1])), "{change:?}");
    }
}

#[test]
fn after_an_error_the_recovery_is_told_too() {
    let mut sessions = bounded(10, 100);
    open(&mut sessions, &[0], at(0));
    let failed = Outcome { error: 6, ..IDLE };
    assert_eq!(fetch(&mut sessions, ask(7, 1, &[]), |_| failed, at(0)), Ok((7, vec![0])));
    assert_eq!(fetch(&mut sessions, ask(7, 2, &[]), |_| IDLE, at(0)), Ok((7, vec![0])));
    assert_eq!(fetch(&mut sessions, ask(7, 3, &[]), |_| IDLE, at(0)), Ok((7, vec![])));
}

#[test]
fn without_a_session_everything_is_named() {
    let mut sessions = bounded(10, 100);
    assert_eq!(fetch(&mut sessions, ask(0, -1, &[0, 1]), |_| IDLE, at(0)), Ok((0, vec![0, 1])));
    assert!(sessions.is_empty());
}

#[test]
fn partitions_are_added_changed_and_forgotten() {
    let mut sessions = bounded(10, 100);
    open(&mut sessions, &[0, 1], at(0));
    let plan = sessions.begin(ask(7, 1, &[2]), at(0)).unwrap();
    assert_eq!(planned(&plan), [0, 1, 2]);
    let plan = sessions.begin(forget(7, 2, &[0, 9]), at(0)).unwrap();
    assert_eq!(planned(&plan), [1, 2]);
    let moved = Wanted { fetch_offset: 42, ..WANTED };
    let mut request = ask(7, 3, &[]);
    request.partitions.push((p(1), moved));
    let plan = sessions.begin(request, at(0)).unwrap();
    assert_eq!(plan.partitions[0], (p(1), moved));
    assert_eq!(sessions.partitions(), 2);
}

#[test]
fn a_session_without_partitions_ends() {
    let mut sessions = bounded(10, 100);
    open(&mut sessions, &[0], at(0));
    assert_eq!(fetch(&mut sessions, forget(7, 1, &[0]), |_| IDLE, at(0)), Ok((0, vec![])));
    assert!(sessions.is_empty());
    assert_eq!(sessions.partitions(), 0);
}

#[test]
fn a_session_is_closed_and_one_that_is_said_anew_replaces_it() {
    let mut sessions = bounded(10, 100);
    open(&mut sessions, &[0], at(0));
    fetch(&mut sessions, ask(7, -1, &[]), |_| IDLE, at(0)).unwrap();
    assert!(sessions.is_empty());
    open(&mut sessions, &[0], at(0));
    let plan = sessions.begin(ask(7, 0, &[0]), at(0)).unwrap();
    assert!(sessions.is_empty());
    assert!(!plan.is_incremental());
}

#[test]
fn wrong_ids_epochs_and_kinds_of_names_are_refused() {
    let mut sessions = bounded(10, 100);
    open(&mut sessions, &[0], at(0));
    let refused = |sessions: &mut FetchSessions, request| sessions.begin(request, at(0)).err();
    assert_eq!(refused(&mut sessions, ask(8, 1, &[])), Some(SessionError::IdNotFound));
    assert_eq!(refused(&mut sessions, ask(7, 2, &[])), Some(SessionError::InvalidEpoch));
    let by_id = SessionRequest { uses_topic_ids: true, ..ask(7, 1, &[]) };
    assert_eq!(refused(&mut sessions, by_id), Some(SessionError::TopicIdError));
    assert_eq!(refused(&mut sessions, ask(7, 1, &[])), None);
    assert_eq!(refused(&mut sessions, ask(7, 1, &[])), Some(SessionError::InvalidEpoch));
}

#[test]
fn an_answer_that_comes_after_the_next_request_is_refused() {
    let mut sessions = bounded(10, 100);
    open(&mut sessions, &[0], at(0));
    let slow = sessions.begin(ask(7, 1, &[]), at(0)).unwrap();
    let next = sessions.begin(ask(7, 2, &[]), at(0)).unwrap();
    assert_eq!(sessions.finish(slow, &[], 1, at(0)), Err(SessionError::InvalidEpoch));
    assert!(sessions.finish(next, &[], 1, at(0)).is_ok());
}

#[test]
fn epochs_wrap_around() {
    let mut sessions = bounded(10, 100);
    open(&mut sessions, &[0], at(0));
    sessions.sessions.get_mut(&7).unwrap().epoch = i32::MAX;
    assert!(sessions.begin(ask(7, i32::MAX, &[]), at(0)).is_ok());
    assert!(sessions.begin(ask(7, 1, &[]), at(0)).is_ok());
}

#[test]
fn partitions_that_gave_records_go_to_the_back() {
    let mut sessions = bounded(10, 100);
    open(&mut sessions, &[0, 1, 2], at(0));
    let first_gives = |partition| if partition == 0 { RECORDS } else { IDLE };
    fetch(&mut sessions, ask(7, 1, &[]), first_gives, at(0)).unwrap();
    let plan = sessions.begin(ask(7, 2, &[]), at(0)).unwrap();
    assert_eq!(planned(&plan), [1, 2, 0]);
}

#[test]
fn quiet_partitions_cost_nothing_until_marked() {
    let mut sessions = bounded(10, 100);
    open(&mut sessions, &[0, 1, 2], at(0));
    sessions.quiet(7, &p(0));
    sessions.quiet(7, &p(2));
    let mut plan = sessions.begin(ask(7, 1, &[]), at(0)).unwrap();
    assert_eq!(planned(&plan), [1]);
    sessions.mark(7, &p(0));
    sessions.refresh(&mut plan);
    assert_eq!(planned(&plan), [0, 1]);
    // What the client changes is looked at again.
    let plan = sessions.begin(ask(7, 2, &[2]), at(0)).unwrap();
    assert_eq!(planned(&plan), [0, 1, 2]);
}

#[test]
fn a_mark_is_news_until_it_was_told() {
    let mut sessions = bounded(10, 100);
    open(&mut sessions, &[0], at(0));
    let later = Outcome { high_watermark: 6, last_stable_offset: 6, ..IDLE };
    let plan = sessions.begin(ask(7, 1, &[]), at(0)).unwrap();
    assert!(!sessions.is_news(&plan, 0, &IDLE));
    assert!(sessions.is_news(&plan, 0, &later));
    sessions.finish(plan, &[(0, later)], 1, at(0)).unwrap();
    let plan = sessions.begin(ask(7, 2, &[]), at(0)).unwrap();
    assert!(!sessions.is_news(&plan, 0, &later));
    let whole = sessions.begin(ask(0, 0, &[0]), at(0)).unwrap();
    assert!(!sessions.is_news(&whole, 0, &later), "it is told anyway");
}

#[test]
fn a_full_cache_displaces_an_idle_session_first() {
    let mut sessions = bounded(2, 100);
    open(&mut sessions, &[0, 1, 2, 3], at(0));
    open(&mut sessions, &[0], at(0));
    fetch(&mut sessions, ask(8, 1, &[]), |_| IDLE, at(100)).unwrap();
    assert_eq!(open(&mut sessions, &[0], at(121)), 7, "the place of the idle one");
    assert_eq!(sessions.len(), 2);
}

#[test]
fn a_full_cache_displaces_an_old_smaller_session() {
    let mut sessions = bounded(2, 100);
    open(&mut sessions, &[0], at(0));
    open(&mut sessions, &[0, 1, 2], at(0));
    for (second, epoch) in [(60, 1), (119, 2)] {
        fetch(&mut sessions, ask(7, epoch, &[]), |_| IDLE, at(second)).unwrap();
        fetch(&mut sessions, ask(8, epoch, &[]), |_| IDLE, at(second)).unwrap();
    }
    assert_eq!(open(&mut sessions, &[0, 1], at(119)), 0, "both are young");
    assert_eq!(open(&mut sessions, &[0, 1], at(121)), 7, "larger than the first");
    assert_eq!(open(&mut sessions, &[0], at(122)), 0, "smaller than the old one");
}

#[test]
fn a_follower_displaces_even_a_young_client_and_no_client_displaces_a_follower() {
    let mut sessions = bounded(1, 100);
    open(&mut sessions, &[0, 1], at(0));
    let follower = SessionRequest { replica: Some(BrokerId(7)), ..ask(0, 0, &[0]) };
    assert_eq!(fetch(&mut sessions, follower, |_| IDLE, at(1)).unwrap().0, 7);
    fetch(&mut sessions, ask(7, 1, &[]), |_| IDLE, at(120)).unwrap();
    assert_eq!(open(&mut sessions, &[0, 1], at(130)), 0);
}

#[test]
fn a_follower_leaves_no_session_behind_that_names_what_its_new_one_does() {
    let mut sessions = bounded(10, 100);
    let by = |replica, partitions: &[i32]| SessionRequest {
        replica: Some(BrokerId(replica)),
        ..ask(0, 0, partitions)
    };
    for (replica, partitions) in [(1, &[0, 1][..]), (1, &[2, 3]), (2, &[0, 1]), (1, &[1, 4])] {
        fetch(&mut sessions, by(replica, partitions), |_| IDLE, at(0)).unwrap();
    }
    open(&mut sessions, &[1], at(0));
    // Those with 2 and 3, of the other follower, with 1 and 4, and the client's.
    assert_eq!((sessions.len(), sessions.partitions()), (4, 7));
}

#[test]
fn partitions_are_bounded_over_all_sessions() {
    let mut sessions = bounded(10, 3);
    open(&mut sessions, &[0, 1], at(0));
    assert_eq!(open(&mut sessions, &[0, 1], at(0)), 0, "no room");
    assert_eq!(open(&mut sessions, &[0, 1, 2, 3], at(999)), 0, "more than all the room");
    assert_eq!(sessions.len(), 1, "nobody was displaced in vain");
    let grown = sessions.begin(ask(7, 1, &[2, 3]), at(0)).err();
    assert_eq!(grown, Some(SessionError::IdNotFound), "it outgrew the room");
    assert_eq!(sessions.partitions(), 0);
    assert_eq!(open(&mut sessions, &[0, 1, 2], at(0)), 7);
    assert_eq!(open(&mut sessions, &[0], at(999)), 7, "the idle one made room");
}
