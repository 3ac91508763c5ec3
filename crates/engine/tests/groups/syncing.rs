//! SyncGroup: who hands out, who waits, who is late.

use expect_test::expect;

use crate::script::{check, check_short};

#[test]
fn followers_wait_for_the_leader() {
    check(
        "
        config delay=1
        join a v=3
        join b v=3
        wait 2
        sync b
        sync a a=x b=y
        sync b
        ",
        &expect![[r#"
            > config delay=1
            > join a v=3
              log: g gen=0 []
            > join b v=3
            > wait 2
              at 2s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > sync b
            > sync a a=x b=y
              log: g gen=1 [a#1=b"x" b#2=b"y"]
              a sync: b"x"
              b sync: b"y"
            > sync b
              b sync: b"y"
        "#]],
    );
}

#[test]
fn a_member_that_the_leader_forgot_gets_nothing() {
    check(
        "
        config delay=1
        join a v=3
        join b v=3
        wait 2
        sync b
        sync a a=x
        ",
        &expect![[r#"
            > config delay=1
            > join a v=3
              log: g gen=0 []
            > join b v=3
            > wait 2
              at 2s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > sync b
            > sync a a=x
              log: g gen=1 [a#1=b"x" b#2=b""]
              a sync: b"x"
              b sync: b""
        "#]],
    );
}

#[test]
fn a_sync_is_checked() {
    check(
        "
        config delay=1
        sync a
        join a v=3
        join b v=3
        sync a
        wait 2
        sync a id=ghost
        sync a gen=7
        sync a type=connect
        sync a protocol=sticky
        sync a type=consumer protocol=range a=x
        ",
        &expect![[r#"
            > config delay=1
            > sync a
              a sync: UNKNOWN_MEMBER_ID
            > join a v=3
              log: g gen=0 []
            > join b v=3
            > sync a
              a sync: UNKNOWN_MEMBER_ID
            > wait 2
              at 2s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > sync a id=ghost
              a sync: UNKNOWN_MEMBER_ID
            > sync a gen=7
              a sync: ILLEGAL_GENERATION
            > sync a type=connect
              a sync: INCONSISTENT_GROUP_PROTOCOL
            > sync a protocol=sticky
              a sync: INCONSISTENT_GROUP_PROTOCOL
            > sync a type=consumer protocol=range a=x
              log: g gen=1 [a#1=b"x" b#2=b""]
              a sync: b"x"
        "#]],
    );
}

#[test]
fn a_new_member_ends_parked_syncs() {
    check(
        "
        config delay=1
        join a v=3
        join b v=3
        wait 2
        sync b
        join c v=3
        sync a a=x
        ",
        &expect![[r#"
            > config delay=1
            > join a v=3
              log: g gen=0 []
            > join b v=3
            > wait 2
              at 2s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > sync b
            > join c v=3
              b sync: REBALANCE_IN_PROGRESS
            > sync a a=x
              a sync: REBALANCE_IN_PROGRESS
        "#]],
    );
}

#[test]
fn a_sync_sent_twice_answers_the_first() {
    check(
        "
        config delay=1
        join a v=3
        join b v=3
        wait 2
        sync b
        sync b
        sync a a=x b=y
        ",
        &expect![[r#"
            > config delay=1
            > join a v=3
              log: g gen=0 []
            > join b v=3
            > wait 2
              at 2s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > sync b
            > sync b
              b sync: REBALANCE_IN_PROGRESS
            > sync a a=x b=y
              log: g gen=1 [a#1=b"x" b#2=b"y"]
              a sync: b"x"
              b sync: b"y"
        "#]],
    );
}

#[test]
fn those_who_never_sync_are_out_after_the_rebalance_timeout() {
    check(
        "
        config delay=1
        join a v=3 rebalance=20 session=60
        join b v=3 rebalance=20 session=60
        wait 2
        sync a a=x b=y
        wait 20
        heartbeat a
        heartbeat b
        ",
        &expect![[r#"
            > config delay=1
            > join a v=3 rebalance=20 session=60
              log: g gen=0 []
            > join b v=3 rebalance=20 session=60
            > wait 2
              at 2s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > sync a a=x b=y
              log: g gen=1 [a#1=b"x" b#2=b"y"]
              a sync: b"x"
            > wait 20
            > heartbeat a
              a heartbeat: REBALANCE_IN_PROGRESS
            > heartbeat b
              b heartbeat: UNKNOWN_MEMBER_ID
        "#]],
    );
}

#[test]
fn a_leader_that_never_syncs_is_out() {
    check(
        "
        config delay=1
        join a v=3 rebalance=20 session=60
        join b v=3 rebalance=20 session=60
        wait 2
        sync b
        wait 20
        ",
        &expect![[r#"
            > config delay=1
            > join a v=3 rebalance=20 session=60
              log: g gen=0 []
            > join b v=3 rebalance=20 session=60
            > wait 2
              at 2s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > sync b
            > wait 20
              at 22s
              b sync: REBALANCE_IN_PROGRESS
        "#]],
    );
}

#[test]
fn a_group_that_no_batch_can_hold_starts_over() {
    let long = "x".repeat(600);
    let script = "
            config delay=0 batch=500
            join a v=3
            sync a a=LONG
    ";
    check_short(
        &script.replace("LONG", &long),
        &long,
        &expect![[r#"
        > config delay=0 batch=500
        > join a v=3
          log: g gen=0 []
          a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
        > sync a a=LONG
          a sync: UNKNOWN_SERVER_ERROR
    "#]],
    );
}
