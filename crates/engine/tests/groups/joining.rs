//! JoinGroup: ids, protocols, delays, size.

use expect_test::expect;

use crate::script::{check, check_short};

#[test]
fn a_dynamic_member_is_given_an_id_and_joins_with_it() {
    check(
        "
        join a v=4
        join a v=4
        wait 3
        describe
        ",
        &expect![[r#"
            > join a v=4
              log: g gen=0 []
              a join: MEMBER_ID_REQUIRED a#1
            > join a v=4
            > wait 3
              at 3s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > describe
              CompletingRebalance gen=1 type="consumer" protocol=""
              a#1 instance="" metadata=0B assignment=b""
        "#]],
    );
}

#[test]
fn before_version_4_a_member_joins_at_once() {
    check(
        "
        join a v=3
        wait 3
        ",
        &expect![[r#"
            > join a v=3
              log: g gen=0 []
            > wait 3
              at 3s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
        "#]],
    );
}

#[test]
fn an_id_that_nobody_comes_back_with_expires_and_lets_the_rebalance_end() {
    check(
        "
        config delay=1
        join a
        join a
        join b session=6
        wait 7
        ",
        &expect![[r#"
            > config delay=1
            > join a
              log: g gen=0 []
              a join: MEMBER_ID_REQUIRED a#1
            > join a
            > join b session=6
              b join: MEMBER_ID_REQUIRED b#3
            > wait 7
              at 1s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
        "#]],
    );
}

#[test]
fn the_first_rebalance_is_delayed_while_members_join() {
    check(
        "
        join a v=3
        wait 2
        join b v=3
        wait 2
        join c v=3
        wait 10
        ",
        &expect![[r#"
            > join a v=3
              log: g gen=0 []
            > wait 2
            > join b v=3
            > wait 2
            > join c v=3
            > wait 10
              at 9s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2+c#3
              b join: b#2 gen=1 protocol=range leader=a#1 members=
              c join: c#3 gen=1 protocol=range leader=a#1 members=
        "#]],
    );
}

#[test]
fn the_first_delay_ends_with_the_rebalance_timeout() {
    check(
        "
        join a v=3 rebalance=5
        wait 2
        join b v=3 rebalance=5
        wait 2
        join c v=3 rebalance=5
        wait 2
        ",
        &expect![[r#"
            > join a v=3 rebalance=5
              log: g gen=0 []
            > wait 2
            > join b v=3 rebalance=5
            > wait 2
            > join c v=3 rebalance=5
            > wait 2
              at 5s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2+c#3
              b join: b#2 gen=1 protocol=range leader=a#1 members=
              c join: c#3 gen=1 protocol=range leader=a#1 members=
        "#]],
    );
}

#[test]
fn without_a_delay_the_first_member_starts_at_once() {
    check(
        "
        config delay=0
        join a v=3
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
        "#]],
    );
}

#[test]
fn the_protocol_with_most_votes_that_all_know_wins() {
    check(
        "
        join a v=3 protocols=range:t,sticky:t
        join b v=3 protocols=sticky:t,range:t
        join c v=3 protocols=sticky:t,range:t,other:t
        wait 10
        ",
        &expect![[r#"
            > join a v=3 protocols=range:t,sticky:t
              log: g gen=0 []
            > join b v=3 protocols=sticky:t,range:t
            > join c v=3 protocols=sticky:t,range:t,other:t
            > wait 10
              at 6s
              a join: a#1 gen=1 protocol=sticky leader=a#1 members=a#1+b#2+c#3
              b join: b#2 gen=1 protocol=sticky leader=a#1 members=
              c join: c#3 gen=1 protocol=sticky leader=a#1 members=
        "#]],
    );
}

#[test]
fn a_member_without_a_common_protocol_is_refused() {
    check(
        "
        join a v=3 protocols=range:t
        join b v=3 protocols=sticky:t
        join c v=3 type=connect protocols=range:t
        join d v=3 type= protocols=range:t
        wait 3
        ",
        &expect![[r#"
            > join a v=3 protocols=range:t
              log: g gen=0 []
            > join b v=3 protocols=sticky:t
              b join: INCONSISTENT_GROUP_PROTOCOL 
            > join c v=3 type=connect protocols=range:t
              c join: INCONSISTENT_GROUP_PROTOCOL 
            > join d v=3 type= protocols=range:t
              d join: INCONSISTENT_GROUP_PROTOCOL 
            > wait 3
              at 3s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
        "#]],
    );
}

#[test]
fn an_empty_group_wants_a_type_and_a_protocol() {
    check(
        "
        join a v=3 type= protocols=range:t
        join a v=3 protocols=,
        list
        ",
        &expect![[r#"
            > join a v=3 type= protocols=range:t
              log: g gen=0 []
              a join: INCONSISTENT_GROUP_PROTOCOL 
            > join a v=3 protocols=,
              a join: INCONSISTENT_GROUP_PROTOCOL 
            > list
              g "" Empty
        "#]],
    );
}

#[test]
fn any_protocol_type_can_group() {
    check(
        "
        config delay=0
        join a v=3 type=connect protocols=default:x
        sync a a=tasks
        describe
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3 type=connect protocols=default:x
              log: g gen=0 []
              a join: a#1 gen=1 protocol=default leader=a#1 members=a#1
            > sync a a=tasks
              log: g gen=1 [a#1=b"tasks"]
              a sync: b"tasks"
            > describe
              Stable gen=1 type="connect" protocol="default"
              a#1 instance="" metadata=1B assignment=b"tasks"
        "#]],
    );
}

#[test]
fn an_empty_group_can_change_its_type() {
    check(
        "
        config delay=0
        join a v=3 type=connect protocols=default:x
        leave a
        join b v=3 type=consumer
        describe
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3 type=connect protocols=default:x
              log: g gen=0 []
              a join: a#1 gen=1 protocol=default leader=a#1 members=a#1
            > leave a
              log: g gen=2 []
              a leave: a#1 ok
            > join b v=3 type=consumer
              b join: b#2 gen=3 protocol=range leader=b#2 members=b#2
            > describe
              CompletingRebalance gen=3 type="consumer" protocol=""
              b#2 instance="" metadata=0B assignment=b""
        "#]],
    );
}

#[test]
fn session_timeouts_have_bounds() {
    check(
        "
        join a session=5
        join a session=1801
        join a session=-1
        join a group=
        ",
        &expect![[r#"
            > join a session=5
              a join: INVALID_SESSION_TIMEOUT 
            > join a session=1801
              a join: INVALID_SESSION_TIMEOUT 
            > join a session=-1
              a join: INVALID_SESSION_TIMEOUT 
            > join a group=
              a join: INVALID_GROUP_ID 
        "#]],
    );
}

#[test]
fn a_member_id_that_the_group_does_not_know_is_refused() {
    check(
        "
        join a id=ghost
        join b v=3
        join a id=ghost
        wait 3
        ",
        &expect![[r#"
            > join a id=ghost
              a join: UNKNOWN_MEMBER_ID ghost
            > join b v=3
              log: g gen=0 []
            > join a id=ghost
              a join: UNKNOWN_MEMBER_ID ghost
            > wait 3
              at 3s
              b join: b#2 gen=1 protocol=range leader=b#2 members=b#2
        "#]],
    );
}

#[test]
fn a_full_group_takes_no_more() {
    check(
        "
        config delay=0 max_size=1
        join a v=3
        sync a a=x
        join b v=3
        join c
        heartbeat a
        ",
        &expect![[r#"
            > config delay=0 max_size=1
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > join b v=3
              b join: GROUP_MAX_SIZE_REACHED 
            > join c
              c join: GROUP_MAX_SIZE_REACHED 
            > heartbeat a
              a heartbeat: ok
        "#]],
    );
}

#[test]
fn too_many_ids_that_nobody_came_back_with() {
    check(
        "
        config pending=1
        join a
        join b
        ",
        &expect![[r#"
            > config pending=1
            > join a
              log: g gen=0 []
              a join: MEMBER_ID_REQUIRED a#1
            > join b
              b join: GROUP_MAX_SIZE_REACHED 
        "#]],
    );
}

#[test]
fn members_join_again_for_a_new_one_and_the_oldest_leads() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        join b v=3
        heartbeat a
        join a
        sync b
        sync a a=x b=y
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
            > heartbeat a
              a heartbeat: REBALANCE_IN_PROGRESS
            > join a
              a join: a#1 gen=2 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=2 protocol=range leader=a#1 members=
            > sync b
            > sync a a=x b=y
              log: g gen=2 [a#1=b"x" b#2=b"y"]
              a sync: b"x"
              b sync: b"y"
            > describe
              Stable gen=2 type="consumer" protocol="range"
              a#1 instance="" metadata=13B assignment=b"x"
              b#2 instance="" metadata=13B assignment=b"y"
        "#]],
    );
}

#[test]
fn those_who_do_not_come_back_in_time_are_out() {
    check(
        "
        config delay=0
        join a v=3 rebalance=20 session=30
        sync a a=x
        join b v=3 rebalance=20 session=30
        wait 20
        heartbeat a
        sync b b=all
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3 rebalance=20 session=30
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > join b v=3 rebalance=20 session=30
            > wait 20
              at 20s
              b join: b#2 gen=2 protocol=range leader=b#2 members=b#2
            > heartbeat a
              a heartbeat: UNKNOWN_MEMBER_ID
            > sync b b=all
              log: g gen=2 [b#2=b"all"]
              b sync: b"all"
        "#]],
    );
}

#[test]
fn a_follower_that_joins_again_unchanged_gets_the_generation() {
    check(
        "
        config delay=0
        join a v=3
        join b v=3
        join a
        sync a a=x b=y
        sync b
        join b
        join b protocols=range:t+u
        heartbeat a
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > join b v=3
            > join a
              a join: a#1 gen=2 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=2 protocol=range leader=a#1 members=
            > sync a a=x b=y
              log: g gen=2 [a#1=b"x" b#2=b"y"]
              a sync: b"x"
            > sync b
              b sync: b"y"
            > join b
              b join: b#2 gen=2 protocol=range leader=a#1 members=
            > join b protocols=range:t+u
            > heartbeat a
              a heartbeat: REBALANCE_IN_PROGRESS
        "#]],
    );
}

#[test]
fn a_leader_that_joins_again_rebalances() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        join a
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > join a
              a join: a#1 gen=2 protocol=range leader=a#1 members=a#1
        "#]],
    );
}

#[test]
fn a_join_that_was_lost_can_be_sent_again_before_the_sync() {
    check(
        "
        config delay=0
        join a v=3
        join a
        join a protocols=range:t+u
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > join a
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > join a protocols=range:t+u
              a join: a#1 gen=2 protocol=range leader=a#1 members=a#1
        "#]],
    );
}

#[test]
fn a_join_sent_twice_answers_the_first() {
    check(
        "
        join a v=3
        join b v=3
        wait 6
        join a protocols=range:t+u
        join a protocols=range:t+u
        join b
        ",
        &expect![[r#"
            > join a v=3
              log: g gen=0 []
            > join b v=3
            > wait 6
              at 6s
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=1 protocol=range leader=a#1 members=
            > join a protocols=range:t+u
            > join a protocols=range:t+u
              a join: REBALANCE_IN_PROGRESS a#1
            > join b
              a join: a#1 gen=2 protocol=range leader=a#1 members=a#1+b#2
              b join: b#2 gen=2 protocol=range leader=a#1 members=
        "#]],
    );
}

#[test]
fn a_new_member_that_never_got_an_answer_expires_after_five_minutes() {
    check(
        "
        config delay=0
        join a v=3 rebalance=900 session=600
        sync a a=x
        join b v=3 rebalance=900 session=600
        wait 299
        wait 1
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3 rebalance=900 session=600
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > join b v=3 rebalance=900 session=600
            > wait 299
            > wait 1
              at 300s
              b join: UNKNOWN_MEMBER_ID 
        "#]],
    );
}

#[test]
fn a_name_longer_than_a_record_holds_is_refused() {
    let long = "g".repeat(33000);
    let script = "
            join a group=LONG
            join a type=LONG
            list
    ";
    check_short(
        &script.replace("LONG", &long),
        &long,
        &expect![[r#"
        > join a group=LONG
          a join: INVALID_GROUP_ID 
        > join a type=LONG
          a join: INVALID_REQUEST 
        > list
    "#]],
    );
}

#[test]
fn an_id_that_goes_before_it_joined_moves_nobody() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        join b
        leave b
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
            > join b
              b join: MEMBER_ID_REQUIRED b#2
            > leave b
              b leave: b#2 ok
            > heartbeat a
              a heartbeat: ok
        "#]],
    );
}
