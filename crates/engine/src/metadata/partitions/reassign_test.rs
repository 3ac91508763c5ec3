//! Moving replicas: begin, complete, cancel.

use super::{ReassignError as E, Reassignment};
use crate::ids::BrokerId;
use crate::metadata::invariants_test::Cluster;

fn run(cluster: &mut Cluster, replicas: Option<&[i32]>) -> Result<(), E> {
    let replicas = replicas.map(<[i32]>::to_vec);
    let asked = Reassignment { topic: "t".to_owned(), index: 0, replicas };
    cluster.run(|c| c.alter_reassignments(vec![asked], true)).remove(0).1
}

/// Asks for `target`, and then everybody catches up.
fn check(before: &str, target: &[i32], begun: &str, done: &str) {
    let mut cluster = Cluster::of(6).with("min.insync.replicas", "2");
    cluster.place(before);
    assert_eq!(run(&mut cluster, Some(target)), Ok(()), "{before}");
    assert_eq!(cluster.shape(), begun, "{before}");
    if begun != done {
        let moving: Vec<i32> = cluster.image.reassignments().map(|(_, index, _)| index).collect();
        assert_eq!(moving, [0]);
        cluster.catch_up();
        assert_eq!(cluster.shape(), done, "{before}");
    }
    assert_eq!(cluster.image.reassignments().count(), 0);
}

#[test]
fn replicas_move_and_their_number_changes() {
    check("1/1,2,3/1,2,3", &[4, 5, 6], "1/4,5,6,1,2,3/1,2,3//4,5,6/1,2,3", "4/4,5,6/4,5,6");
    check("1/1,2,3/1,2,3", &[2, 3, 4], "1/2,3,4,1/1,2,3//4/1", "2/2,3,4/2,3,4");
    check("1/1/1", &[1, 2, 3], "1/1,2,3/1//2,3", "1/1,2,3/1,2,3");
    check("1/1,2,3/1,2,3", &[2, 3], "2/2,3,1/1,2,3///1", "2/2,3/2,3");
    check("1/1,2,3/1,2,3", &[3, 2, 1], "1/3,2,1/1,2,3", "1/3,2,1/1,2,3");
    check("1/1,2,3/1/2", &[1], "1/1/1", "1/1/1");
    // Too few of those that stay are in sync.
    check("1/1,2,3/1,2", &[1, 3], "1/1,3,2/1,2///2", "1/1,3/1,3");
}

#[test]
fn a_second_move_takes_up_the_first() {
    let first = "1/4,2,1/1,2//4/1";
    check(first, &[4, 5], "1/4,5,2,1/1,2//4,5/2,1", "4/4,5/4,5");
    check(first, &[1, 2], "1/1,2/1,2", "1/1,2/1,2");
    // What comes no more is still none of the replicas of before.
    check(first, &[5, 2], "1/5,2,4,1/1,2//5,4/4,1", "5/5,2/5,2");
}

#[test]
fn a_cancelled_move_leaves_the_replicas_of_before() {
    for (before, cancelled, done) in [
        ("1/4,2,1/1,2//4/1", "1/2,1/1,2", "1/2,1/2,1"),
        // Who has come is in sync and may have led: it goes as others do that are moved away.
        ("1/4,5,2,1/1,2,4//4,5/1", "1/2,1,4,5/1,2,4//4,5/4,5", "1/2,1/2,1"),
        ("4/4,5,2,1/1,2,4//4,5/1", "2/2,1,4,5/1,2,4//4,5/4,5", "2/2,1/2,1"),
        // What is committed is on 1 and on 3, which goes when 2 has it.
        ("1/3,4,1,2/1,3//3,4/1,2", "1/1,2,3,4/1,3//3,4/3,4", "1/1,2/1,2"),
    ] {
        let mut cluster = Cluster::of(5).with("min.insync.replicas", "2");
        cluster.place(before);
        assert_eq!(run(&mut cluster, None), Ok(()));
        assert_eq!(cluster.shape(), cancelled, "{before}");
        if cluster.image.reassignments().count() > 0 {
            assert_eq!(run(&mut cluster, None), Ok(()), "once more is nothing more");
            assert_eq!(cluster.shape(), cancelled, "{before}");
        }
        cluster.catch_up();
        assert_eq!(cluster.shape(), done, "{before}");
        assert_eq!(run(&mut cluster, None), Err(E::NotInProgress));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let mut cluster = Cluster::of(3);
    cluster.place("1/1,2/1,2");
    for bad in [&[][..], &[1, 1], &[1, 9]] {
        assert!(matches!(run(&mut cluster, Some(bad)), Err(E::Assignment(_))), "{bad:?}");
    }
    let asked = |topic: &str, index, replicas: &[i32]| Reassignment {
        topic: topic.to_owned(),
        index,
        replicas: Some(replicas.to_vec()),
    };
    let all = vec![
        asked("no", 0, &[1]),
        asked("t", 1, &[1]),
        asked("t", 0, &[1]),
        asked("t", 0, &[3, 1]),
    ];
    let reply = cluster.run(|c| c.alter_reassignments(all, false));
    let results: Vec<Result<(), E>> = reply.into_iter().map(|(_, result)| result).collect();
    let factor = E::ReplicationFactor { current: 2, found: 1 };
    let expected =
        [E::UnknownPartition, E::UnknownPartition, factor, E::Duplicate].map(Err::<(), E>);
    assert_eq!(results, expected);
    assert_eq!(cluster.image.partition("t", 0).unwrap().leader, Some(BrokerId(1)));
}
