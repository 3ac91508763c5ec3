//! Heartbeats, sessions, leaving, static members.

use expect_test::expect;

use crate::script::check;

#[test]
fn heartbeats_tell_what_to_do() {
    check(
        "
        config delay=0
        heartbeat a
        heartbeat a group=
        join a v=3
        heartbeat a
        heartbeat a gen=7
        heartbeat a id=ghost
        sync a a=x
        heartbeat a
        join b v=3
        heartbeat a
        ",
        &expect![[r#"
            > config delay=0
            > heartbeat a
              a heartbeat: UNKNOWN_MEMBER_ID
            > heartbeat a group=
              a heartbeat: INVALID_GROUP_ID
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > heartbeat a
              a heartbeat: ok
            > heartbeat a gen=7
              a heartbeat: ILLEGAL_GENERATION
            > heartbeat a id=ghost
              a heartbeat: UNKNOWN_MEMBER_ID
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > heartbeat a
              a heartbeat: ok
            > join b v=3
            > heartbeat a
              a heartbeat: REBALANCE_IN_PROGRESS
        "#]],
    );
}

#[test]
fn heartbeats_keep_a_session() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        wait 9
        heartbeat a
        wait 9
        heartbeat a
        wait 11
        heartbeat a
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
            > heartbeat a
              a heartbeat: ok
            > wait 9
            > heartbeat a
              a heartbeat: ok
            > wait 11
              at 28s
              log: g gen=2 []
            > heartbeat a
              a heartbeat: UNKNOWN_MEMBER_ID
        "#]],
    );
}

#[test]
fn a_member_that_goes_silent_makes_the_others_rebalance() {
    check(
        "
        config delay=1
        join a v=3
        join b v=3
        wait 2
        sync a a=x b=y
        sync b
        wait 6
        heartbeat b
        wait 5
        heartbeat b
        join b
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
            > sync a a=x b=y
              log: g gen=1 [a#1=b"x" b#2=b"y"]
              a sync: b"x"
            > sync b
              b sync: b"y"
            > wait 6
            > heartbeat b
              b heartbeat: ok
            > wait 5
            > heartbeat b
              b heartbeat: REBALANCE_IN_PROGRESS
            > join b
              b join: b#2 gen=2 protocol=range leader=b#2 members=b#2
        "#]],
    );
}

#[test]
fn a_member_that_waits_for_us_does_not_expire() {
    check(
        "
        config delay=1
        join a v=3 session=6 rebalance=60
        join b v=3 session=6 rebalance=60
        wait 2
        sync b
        wait 5
        heartbeat a
        wait 5
        sync a a=x b=y
        heartbeat b
        ",
        &expect![[r#"
            > config delay=1
            > join a v=3 session=6 rebalance=60
              log: g gen=0 []
            > join b v=3 session=6 rebalance=60
            > wait 2
              at 2s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > sync b
            > wait 5
            > heartbeat a
              a heartbeat: ok
            > wait 5
            > sync a a=x b=y
              log: g gen=1 [a#1=b"x" b#2=b"y"]
              a sync: b"x"
              b sync: b"y"
            > heartbeat b
              b heartbeat: ok
        "#]],
    );
}

#[test]
fn leaving_rebalances_and_the_last_one_empties_the_group() {
    check(
        "
        config delay=1
        join a v=3
        join b v=3
        wait 2
        sync a a=x b=y
        leave b
        heartbeat a
        join a
        leave a
        describe
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
            > sync a a=x b=y
              log: g gen=1 [a#1=b"x" b#2=b"y"]
              a sync: b"x"
            > leave b
              b leave: b#2 ok
            > heartbeat a
              a heartbeat: REBALANCE_IN_PROGRESS
            > join a
              a join: a#1 gen=2 protocol=range leader=a#1 members=a#1
            > leave a
              log: g gen=3 []
              a leave: a#1 ok
            > describe
              Empty gen=3 type="consumer" protocol=""
        "#]],
    );
}

#[test]
fn leaving_answers_each_member() {
    check(
        "
        config delay=0
        leave a
        leave a group=
        join a v=3
        join b
        leave a b id=ghost instance=none
        describe
        ",
        &expect![[r#"
            > config delay=0
            > leave a
              a leave:  UNKNOWN_MEMBER_ID
            > leave a group=
              a leave: INVALID_GROUP_ID
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > join b
              b join: MEMBER_ID_REQUIRED b#2
            > leave a b id=ghost instance=none
              log: g gen=2 []
              a leave: a#1 ok, b#2 ok, ghost UNKNOWN_MEMBER_ID, none UNKNOWN_MEMBER_ID
            > describe
              Empty gen=2 type="consumer" protocol=""
        "#]],
    );
}

#[test]
fn a_parked_join_is_answered_when_its_member_leaves() {
    check(
        "
        join a v=3
        join b v=3
        wait 6
        join a protocols=range:u
        leave a
        ",
        &expect![[r#"
            > join a v=3
              log: g gen=0 []
            > join b v=3
            > wait 6
              at 6s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > join a protocols=range:u
            > leave a
              a join: UNKNOWN_MEMBER_ID 
              a leave: a#1 ok
        "#]],
    );
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    check(
        "
        config delay=1
        join a v=5 instance=ia
        join b v=5 instance=ib
        wait 2
        sync a a=x b=y
        sync b
        join b id= instance=ib
        sync b
        heartbeat a
        heartbeat b
        ",
        &expect![[r#"
            > config delay=1
            > join a v=5 instance=ia
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
            > join b id= instance=ib
              log: g gen=1 [a#1=b"x" b#3=b"y"]
              b join: b#3 gen=1 protocol=range leader=a#1 members=
            > sync b
              b sync: b"y"
            > heartbeat a
              a heartbeat: ok
            > heartbeat b
              b heartbeat: ok
        "#]],
    );
}

#[test]
fn a_static_leader_that_comes_back_is_told_to_skip_the_assignment() {
    check(
        "
        config delay=1
        join a v=5 instance=ia
        join b v=5 instance=ib
        wait 2
        sync a a=x b=y
        join a id= v=9
        sync a
        describe
        ",
        &expect![[r#"
            > config delay=1
            > join a v=5 instance=ia
              log: g gen=0 []
            > join b v=5 instance=ib
            > wait 2
              at 2s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > sync a a=x b=y
              log: g gen=1 [a#1=b"x" b#2=b"y"]
              a sync: b"x"
            > join a id= v=9
              log: g gen=1 [a#3=b"x" b#2=b"y"]
              a join: a#3 gen=1 protocol=range leader=a#3 members=a#3+b#2 skip
            > sync a
              a sync: b"x"
            > describe
              Stable gen=1 type="consumer" protocol="range"
              a#3 instance="ia" metadata=13B assignment=b"x"
              b#2 instance="ib" metadata=13B assignment=b"y"
        "#]],
    );
}

#[test]
fn an_old_static_leader_that_comes_back_is_told_that_its_old_self_leads() {
    check(
        "
        config delay=0
        join a v=5 instance=ia
        sync a a=x
        join a id= v=8
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
            > join a id= v=8
              log: g gen=1 [a#2=b"x"]
              a join: a#2 gen=1 protocol=range leader=a#1 members=
            > sync a
              a sync: b"x"
        "#]],
    );
}

#[test]
fn a_second_holder_fences_the_first() {
    check(
        "
        config delay=0
        join a v=5 instance=i
        sync a a=x
        join b v=5 instance=i
        heartbeat a
        sync a
        commit a t-0=1
        join a instance=i
        leave a
        heartbeat b
        ",
        &expect![[r#"
            > config delay=0
            > join a v=5 instance=i
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > join b v=5 instance=i
              log: g gen=1 [b#2=b"x"]
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > heartbeat a
              a heartbeat: FENCED_INSTANCE_ID
            > sync a
              a sync: FENCED_INSTANCE_ID
            > commit a t-0=1
              a commit: t-0 FENCED_INSTANCE_ID
            > join a instance=i
              a join: FENCED_INSTANCE_ID a#1
            > leave a
              a leave: a#1 FENCED_INSTANCE_ID
            > heartbeat b
              b heartbeat: ok
        "#]],
    );
}

#[test]
fn a_second_holder_answers_what_the_first_has_parked() {
    check(
        "
        join a v=5 instance=i
        join b v=5 instance=i
        wait 3
        ",
        &expect![[r#"
            > join a v=5 instance=i
              log: g gen=0 []
            > join b v=5 instance=i
              a join: FENCED_INSTANCE_ID a#1
            > wait 3
              at 3s
              b join: b#2 gen=1 protocol=range leader=b#2 members=b#2
        "#]],
    );
}

#[test]
fn a_static_member_with_another_protocol_rebalances() {
    check(
        "
        config delay=1
        join a v=5 instance=ia protocols=range:t,sticky:t
        join b v=5 instance=ib protocols=range:t,sticky:t
        wait 2
        sync a a=x b=y
        join b id= protocols=sticky:t
        heartbeat a
        ",
        &expect![[r#"
            > config delay=1
            > join a v=5 instance=ia protocols=range:t,sticky:t
              log: g gen=0 []
            > join b v=5 instance=ib protocols=range:t,sticky:t
            > wait 2
              at 2s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > sync a a=x b=y
              log: g gen=1 [a#1=b"x" b#2=b"y"]
              a sync: b"x"
            > join b id= protocols=sticky:t
            > heartbeat a
              a heartbeat: REBALANCE_IN_PROGRESS
        "#]],
    );
}

#[test]
fn a_static_member_that_comes_back_before_the_sync_rebalances() {
    check(
        "
        config delay=1
        join a v=5 instance=ia
        join b v=5 instance=ib
        wait 2
        sync b
        join b id=
        heartbeat a
        ",
        &expect![[r#"
            > config delay=1
            > join a v=5 instance=ia
              log: g gen=0 []
            > join b v=5 instance=ib
            > wait 2
              at 2s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > sync b
            > join b id=
              b sync: FENCED_INSTANCE_ID
            > heartbeat a
              a heartbeat: REBALANCE_IN_PROGRESS
        "#]],
    );
}

#[test]
fn a_static_member_is_not_dropped_before_its_session_ends() {
    check(
        "
        config delay=1
        join a v=5 instance=ia session=30 rebalance=10
        join b v=3 session=30 rebalance=10
        wait 2
        sync a a=x b=y
        sync b
        join b protocols=range:u session=30 rebalance=10
        wait 10
        sync b b=all
        describe
        wait 8
        heartbeat b
        wait 12
        heartbeat b
        describe
        ",
        &expect![[r#"
            > config delay=1
            > join a v=5 instance=ia session=30 rebalance=10
              log: g gen=0 []
            > join b v=3 session=30 rebalance=10
            > wait 2
              at 2s
              b join: b#2 gen=1 protocol=range leader=a#1 members=
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
            > sync a a=x b=y
              log: g gen=1 [a#1=b"x" b#2=b"y"]
              a sync: b"x"
            > sync b
              b sync: b"y"
            > join b protocols=range:u session=30 rebalance=10
            > wait 10
              at 12s
              b join: b#2 gen=2 protocol=range leader=b#2 members=a#1+b#2
            > sync b b=all
              log: g gen=2 [a#1=b"" b#2=b"all"]
              b sync: b"all"
            > describe
              Stable gen=2 type="consumer" protocol="range"
              b#2 instance="" metadata=13B assignment=b"all"
              a#1 instance="ia" metadata=13B assignment=b""
            > wait 8
            > heartbeat b
              b heartbeat: ok
            > wait 12
              at 32s
              log: g gen=3 []
            > heartbeat b
              b heartbeat: UNKNOWN_MEMBER_ID
            > describe
              Empty gen=3 type="consumer" protocol=""
        "#]],
    );
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance() {
    check(
        "
        config delay=0
        join a v=5 instance=ia
        sync a a=x
        leave instance=ia
        describe
        ",
        &expect![[r#"
            > config delay=0
            > join a v=5 instance=ia
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > leave instance=ia
              log: g gen=2 []
              instance=ia leave: ia ok
            > describe
              Empty gen=2 type="consumer" protocol=""
        "#]],
    );
}

#[test]
fn an_instance_that_the_group_does_not_know_is_unknown() {
    check(
        "
        config delay=0
        join a v=3
        heartbeat a instance=ghost
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > heartbeat a instance=ghost
              a heartbeat: UNKNOWN_MEMBER_ID
        "#]],
    );
}
