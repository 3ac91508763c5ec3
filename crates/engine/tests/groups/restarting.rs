//! A coordinator that comes back.

use expect_test::expect;

use crate::script::check;

#[test]
fn running_consumers_go_on_without_a_rebalance() {
    check(
        "
        config delay=1
        join a v=3
        join b v=5 instance=ib
        wait 2
        sync a a=x b=y
        sync b
        commit a t-0=5
        restart
        heartbeat a
        heartbeat b
        commit a t-0=6
        fetch
        describe
        sync b
        ",
        &expect![[r#"
            > config delay=1
            > join a v=3
              log: g gen=0 []
            > join b v=5 instance=ib
            > wait 2
              at 2s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > sync a a=x b=y
              log: g gen=1 [a#1=b"x" b#2=b"y"]
              a sync: b"x"
            > sync b
              b sync: b"y"
            > commit a t-0=5
              log: g t-0 = 5 v3
              a commit: t-0 ok
            > restart
            > heartbeat a
              a heartbeat: ok
            > heartbeat b
              b heartbeat: ok
            > commit a t-0=6
              log: g t-0 = 6 v3
              a commit: t-0 ok
            > fetch
              t-0 = 6 epoch=-1 meta=""
            > describe
              Stable gen=1 type="consumer" protocol="range"
              a#1 instance="" metadata=13B assignment=b"x"
              b#2 instance="ib" metadata=13B assignment=b"y"
            > sync b
              b sync: b"y"
        "#]],
    );
}

#[test]
fn sessions_start_anew() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        wait 9
        restart
        wait 9
        heartbeat a
        wait 11
        describe
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > wait 9
            > restart
            > wait 9
            > heartbeat a
              a heartbeat: ok
            > wait 11
              at 28s
              log: g gen=2 []
            > describe
              Empty gen=2 type="consumer" protocol=""
        "#]],
    );
}

#[test]
fn parked_requests_are_handed_back() {
    check(
        "
        config delay=1
        join a v=3
        join b v=3
        wait 2
        sync b
        join c
        restart
        describe
        heartbeat a
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
            > join c
              c join: MEMBER_ID_REQUIRED c#3
            > restart
              b sync: NOT_COORDINATOR
            > describe
              Empty gen=0 type="" protocol=""
            > heartbeat a
              a heartbeat: UNKNOWN_MEMBER_ID
        "#]],
    );
}

#[test]
fn a_group_in_the_middle_of_a_rebalance_is_as_it_was_before() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        join b v=3
        restart
        heartbeat a
        describe
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > join b v=3
            > restart
              b join: NOT_COORDINATOR
            > heartbeat a
              a heartbeat: ok
            > describe
              Stable gen=1 type="consumer" protocol="range"
              a#1 instance="" metadata=13B assignment=b"x"
        "#]],
    );
}

#[test]
fn a_static_member_comes_back_after_a_restart_without_a_rebalance() {
    check(
        "
        config delay=0
        join a v=5 instance=ia
        sync a a=x
        restart
        join a id=
        sync a
        ",
        &expect![[r#"
            > config delay=0
            > join a v=5 instance=ia
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > restart
            > join a id=
              log: g gen=1 [a#2=b"x"]
              a join: a#2 gen=1 protocol=range leader=a#2 members=a#2 skip
            > sync a
              a sync: b"x"
        "#]],
    );
}

#[test]
fn an_empty_group_keeps_its_generation() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        leave a
        restart
        describe
        join b v=3
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > leave a
              log: g gen=2 []
              a leave: a#1 ok
            > restart
            > describe
              Empty gen=2 type="consumer" protocol=""
            > join b v=3
              b join: b#2 gen=3 protocol=range leader=b#2 members=b#2
        "#]],
    );
}
