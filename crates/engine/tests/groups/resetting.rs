//! ResetGroupOffsets: once, whole, and not undone by those who come late.

use expect_test::expect;

use crate::script::{check, check_short};

#[test]
fn a_reset_moves_offsets_once() {
    check(
        "
        commit - t-0=50 t-1=60
        reset tok t-0=0 t-1=7
        fetch
        commit - t-0=3
        reset tok t-0=0 t-1=7
        fetch
        describe
        ",
        &expect![[r#"
            > commit - t-0=50 t-1=60
              log: g t-0 = 50 v3
              log: g t-1 = 60 v3
              - commit: t-0 ok, t-1 ok
            > reset tok t-0=0 t-1=7
              log: g gen=1 []
              log: g t-0 = 0 v3
              log: g t-1 = 7 v3
              log: g reset tok
              - reset: gen=1 t-0 50>0, t-1 60>7
            > fetch
              t-0 = 0 epoch=-1 meta=""
              t-1 = 7 epoch=-1 meta=""
            > commit - t-0=3
              log: g t-0 = 3 v3
              - commit: t-0 ok
            > reset tok t-0=0 t-1=7
              - reset: gen=1 already t-0 50>0, t-1 60>7
            > fetch
              t-0 = 3 epoch=-1 meta=""
              t-1 = 7 epoch=-1 meta=""
            > describe
              Empty gen=1 type="" protocol=""
              reset tok overwritten=[]
        "#]],
    );
}

#[test]
fn a_token_is_remembered_over_a_restart() {
    check(
        "
        commit - t-0=50
        reset tok t-0=0
        restart
        reset tok t-0=0
        reset other t-0=9
        reset tok t-0=0
        ",
        &expect![[r#"
            > commit - t-0=50
              log: g t-0 = 50 v3
              - commit: t-0 ok
            > reset tok t-0=0
              log: g gen=1 []
              log: g t-0 = 0 v3
              log: g reset tok
              - reset: gen=1 t-0 50>0
            > restart
            > reset tok t-0=0
              - reset: gen=1 already t-0 50>0
            > reset other t-0=9
              log: g gen=2 []
              log: g t-0 = 9 v3
              log: g reset other
              - reset: gen=2 t-0 0>9
            > reset tok t-0=0
              - reset: gen=1 already t-0 50>0
        "#]],
    );
}

#[test]
fn journals_are_bounded() {
    check(
        "
        config resets=2
        reset r1 t-0=1
        reset r2 t-0=2
        reset r3 t-0=3
        reset r2 t-0=2
        reset r1 t-0=1
        ",
        &expect![[r#"
            > config resets=2
            > reset r1 t-0=1
              log: g gen=1 []
              log: g t-0 = 1 v3
              log: g reset r1
              - reset: gen=1 t-0 -1>1
            > reset r2 t-0=2
              log: g gen=2 []
              log: g t-0 = 2 v3
              log: g reset r2
              - reset: gen=2 t-0 1>2
            > reset r3 t-0=3
              log: g gen=3 []
              log: g t-0 = 3 v3
              log: g reset r1 gone
              log: g reset r3
              - reset: gen=3 t-0 2>3
            > reset r2 t-0=2
              - reset: gen=2 already t-0 1>2
            > reset r1 t-0=1
              log: g gen=4 []
              log: g t-0 = 1 v3
              log: g reset r2 gone
              log: g reset r1
              - reset: gen=4 t-0 3>1
        "#]],
    );
}

#[test]
fn a_reset_can_insist_on_a_group_that_exists() {
    check(
        "
        reset tok t-0=0 exists=must
        list
        reset tok t-0=0
        list
        describe
        ",
        &expect![[r#"
            > reset tok t-0=0 exists=must
              - reset: GROUP_ID_NOT_FOUND
            > list
            > reset tok t-0=0
              log: g gen=1 []
              log: g t-0 = 0 v3
              log: g reset tok
              - reset: gen=1 t-0 -1>0
            > list
              g "" Empty
            > describe
              Empty gen=1 type="" protocol=""
              reset tok overwritten=[]
        "#]],
    );
}

#[test]
fn a_reset_is_checked() {
    let long = "x".repeat(65);
    let script = "
            reset tok
            reset tok t-0=-1
            reset LONG t-0=0
            reset tok t-0=0 group=
            reset tok t-0=0 gen=4
            list
    ";
    check_short(
        &script.replace("LONG", &long),
        &long,
        &expect![[r#"
        > reset tok
          - reset: INVALID_REQUEST
        > reset tok t-0=-1
          - reset: INVALID_REQUEST
        > reset LONG t-0=0
          - reset: INVALID_REQUEST
        > reset tok t-0=0 group=
          - reset: INVALID_GROUP_ID
        > reset tok t-0=0 gen=4
          - reset: ILLEGAL_GENERATION
        > list
    "#]],
    );
}

#[test]
fn a_reset_of_a_living_group_fails_unless_it_fences() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        commit a t-0=50
        reset tok t-0=0
        reset tok t-0=0 mode=fence gen=9
        reset tok t-0=0 mode=fence gen=1
        heartbeat a
        commit a t-0=51
        join a
        join a id= v=3
        sync a a=x
        fetch t-0
        commit a t-0=1
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
            > commit a t-0=50
              log: g t-0 = 50 v3
              a commit: t-0 ok
            > reset tok t-0=0
              - reset: NON_EMPTY_GROUP
            > reset tok t-0=0 mode=fence gen=9
              - reset: ILLEGAL_GENERATION
            > reset tok t-0=0 mode=fence gen=1
              log: g gen=2 []
              log: g t-0 = 0 v3
              log: g reset tok
              - reset: gen=2 t-0 50>0
            > heartbeat a
              a heartbeat: UNKNOWN_MEMBER_ID
            > commit a t-0=51
              a commit: t-0 UNKNOWN_MEMBER_ID
            > join a
              a join: UNKNOWN_MEMBER_ID a#1
            > join a id= v=3
              a join: a#3 gen=3 protocol=range leader=a#3 members=a#3
            > sync a a=x
              log: g gen=3 [a#3=b"x"]
              a sync: b"x"
            > fetch t-0
              t-0 = 0 epoch=-1 meta=""
            > commit a t-0=1
              log: g t-0 = 1 v3
              a commit: t-0 ok
            > describe
              Stable gen=3 type="consumer" protocol="range"
              a#3 instance="" metadata=13B assignment=b"x"
              reset tok overwritten=[]
        "#]],
    );
}

#[test]
fn a_fence_answers_all_that_is_parked() {
    check(
        "
        config delay=1
        join a v=3
        join b v=3
        wait 2
        sync b
        reset tok t-0=0 mode=fence
        join a id= v=3
        reset tok2 t-0=1 mode=fence
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
            > reset tok t-0=0 mode=fence
              log: g gen=2 []
              log: g t-0 = 0 v3
              log: g reset tok
              b sync: UNKNOWN_MEMBER_ID
              - reset: gen=2 t-0 -1>0
            > join a id= v=3
            > reset tok2 t-0=1 mode=fence
              log: g gen=3 []
              log: g t-0 = 1 v3
              log: g reset tok2
              a join: UNKNOWN_MEMBER_ID 
              - reset: gen=3 t-0 0>1
        "#]],
    );
}

#[test]
fn a_fenced_static_member_is_unknown_and_never_fenced() {
    check(
        "
        config delay=0
        join a v=5 instance=i
        sync a a=x
        reset tok t-0=0 mode=fence
        heartbeat a
        join a id=
        sync a a=x
        commit a id=a#1 gen=1 t-0=51
        heartbeat a id=a#1 gen=1
        heartbeat a id=a#1 gen=3
        ",
        &expect![[r#"
            > config delay=0
            > join a v=5 instance=i
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > reset tok t-0=0 mode=fence
              log: g gen=2 []
              log: g t-0 = 0 v3
              log: g reset tok
              - reset: gen=2 t-0 -1>0
            > heartbeat a
              a heartbeat: UNKNOWN_MEMBER_ID
            > join a id=
              a join: a#2 gen=3 protocol=range leader=a#2 members=a#2
            > sync a a=x
              log: g gen=3 [a#2=b"x"]
              a sync: b"x"
            > commit a id=a#1 gen=1 t-0=51
              a commit: t-0 UNKNOWN_MEMBER_ID
            > heartbeat a id=a#1 gen=1
              a heartbeat: UNKNOWN_MEMBER_ID
            > heartbeat a id=a#1 gen=3
              a heartbeat: FENCED_INSTANCE_ID
        "#]],
    );
}

#[test]
fn an_old_position_that_comes_back_under_the_new_generation_is_seen() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        commit a t-0=50 t-1=50 t-2=50
        reset tok t-0=0 t-1=0 t-2=0 mode=fence
        join a id= v=3
        sync a a=x
        fetch t-0
        commit a t-0=51 t-1=51 t-2=0
        describe
        commit a t-2=51
        describe
        restart
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
            > commit a t-0=50 t-1=50 t-2=50
              log: g t-0 = 50 v3
              log: g t-1 = 50 v3
              log: g t-2 = 50 v3
              a commit: t-0 ok, t-1 ok, t-2 ok
            > reset tok t-0=0 t-1=0 t-2=0 mode=fence
              log: g gen=2 []
              log: g t-0 = 0 v3
              log: g t-1 = 0 v3
              log: g t-2 = 0 v3
              log: g reset tok
              - reset: gen=2 t-0 50>0, t-1 50>0, t-2 50>0
            > join a id= v=3
              a join: a#2 gen=3 protocol=range leader=a#2 members=a#2
            > sync a a=x
              log: g gen=3 [a#2=b"x"]
              a sync: b"x"
            > fetch t-0
              t-0 = 0 epoch=-1 meta=""
            > commit a t-0=51 t-1=51 t-2=0
              log: g t-0 = 51 v3
              log: g t-1 = 51 v3
              log: g t-2 = 0 v3
              log: g reset tok
              a commit: t-0 ok, t-1 ok, t-2 ok
            > describe
              Stable gen=3 type="consumer" protocol="range"
              a#2 instance="" metadata=13B assignment=b"x"
              reset tok overwritten=["t-1"]
            > commit a t-2=51
              log: g t-2 = 51 v3
              a commit: t-2 ok
            > describe
              Stable gen=3 type="consumer" protocol="range"
              a#2 instance="" metadata=13B assignment=b"x"
              reset tok overwritten=["t-1"]
            > restart
            > describe
              Stable gen=3 type="consumer" protocol="range"
              a#2 instance="" metadata=13B assignment=b"x"
              reset tok overwritten=["t-1"]
        "#]],
    );
}

#[test]
fn looking_at_a_group_before_its_members_are_back_proves_nothing() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        reset tok t-0=0 mode=fence
        fetch
        join a id= v=3
        sync a a=x
        commit a t-0=51
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
            > reset tok t-0=0 mode=fence
              log: g gen=2 []
              log: g t-0 = 0 v3
              log: g reset tok
              - reset: gen=2 t-0 -1>0
            > fetch
              t-0 = 0 epoch=-1 meta=""
            > join a id= v=3
              a join: a#2 gen=3 protocol=range leader=a#2 members=a#2
            > sync a a=x
              log: g gen=3 [a#2=b"x"]
              a sync: b"x"
            > commit a t-0=51
              log: g t-0 = 51 v3
              log: g reset tok
              a commit: t-0 ok
            > describe
              Stable gen=3 type="consumer" protocol="range"
              a#2 instance="" metadata=13B assignment=b"x"
              reset tok overwritten=["t-0"]
        "#]],
    );
}

#[test]
fn a_reset_that_no_batch_can_hold_changes_nothing() {
    check(
        "
        config batch=300
        commit - t-0=5
        reset tok t-0=0 t-1=0 t-2=0 t-3=0
        fetch
        describe
        ",
        &expect![[r#"
            > config batch=300
            > commit - t-0=5
              log: g t-0 = 5 v3
              - commit: t-0 ok
            > reset tok t-0=0 t-1=0 t-2=0 t-3=0
              - reset: INVALID_COMMIT_OFFSET_SIZE
            > fetch
              t-0 = 5 epoch=-1 meta=""
            > describe
              Empty gen=0 type="" protocol=""
        "#]],
    );
}

#[test]
fn a_deleted_group_forgets_its_resets() {
    check(
        "
        reset tok t-0=0
        delete-group
        reset tok t-0=0
        ",
        &expect![[r#"
            > reset tok t-0=0
              log: g gen=1 []
              log: g t-0 = 0 v3
              log: g reset tok
              - reset: gen=1 t-0 -1>0
            > delete-group
              log: g t-0 = gone
              log: g reset tok gone
              log: g gone
              - delete-group: ok
            > reset tok t-0=0
              log: g gen=1 []
              log: g t-0 = 0 v3
              log: g reset tok
              - reset: gen=1 t-0 -1>0
        "#]],
    );
}
