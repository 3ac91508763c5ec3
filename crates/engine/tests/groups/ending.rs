//! Retention, deleted topics, deleted groups.

use expect_test::expect;

use crate::script::check;

#[test]
fn offsets_expire_when_the_group_has_been_empty_for_long() {
    check(
        "
        config delay=0 retention=100
        join a v=3
        sync a a=x
        commit a t-0=1
        wait 9
        leave a
        wait 99
        expire
        wait 1
        expire
        list
        ",
        &expect![[r#"
            > config delay=0 retention=100
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > commit a t-0=1
              log: g t-0 = 1 v3
              a commit: t-0 ok
            > wait 9
            > leave a
              log: g gen=2 []
              a leave: a#1 ok
            > wait 99
            > expire
            > wait 1
            > expire
              log: g t-0 = gone
              log: g gone
            > list
        "#]],
    );
}

#[test]
fn offsets_of_a_living_group_stay() {
    check(
        "
        config delay=0 retention=5
        join a v=3
        sync a a=x
        commit a t-0=1
        wait 8
        expire
        fetch
        ",
        &expect![[r#"
            > config delay=0 retention=5
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > commit a t-0=1
              log: g t-0 = 1 v3
              a commit: t-0 ok
            > wait 8
            > expire
            > fetch
              t-0 = 1 epoch=-1 meta=""
        "#]],
    );
}

#[test]
fn offsets_of_topics_that_a_stable_consumer_group_no_longer_reads_expire() {
    check(
        "
        config delay=0 retention=5
        join a v=3 protocols=range:t
        sync a a=x
        commit a t-0=1 u-0=1
        wait 8
        heartbeat a
        expire
        join b v=3
        expire
        ",
        &expect![[r#"
            > config delay=0 retention=5
            > join a v=3 protocols=range:t
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > commit a t-0=1 u-0=1
              log: g t-0 = 1 v3
              log: g u-0 = 1 v3
              a commit: t-0 ok, u-0 ok
            > wait 8
            > heartbeat a
              a heartbeat: ok
            > expire
              log: g u-0 = gone
            > join b v=3
            > expire
        "#]],
    );
}

#[test]
fn offsets_of_a_living_group_of_another_type_stay() {
    check(
        "
        config delay=0 retention=5
        join a v=3 type=connect protocols=default:x
        sync a a=x
        commit a t-0=1
        wait 8
        expire
        ",
        &expect![[r#"
            > config delay=0 retention=5
            > join a v=3 type=connect protocols=default:x
              log: g gen=0 []
              a join: a#1 gen=1 protocol=default leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > commit a t-0=1
              log: g t-0 = 1 v3
              a commit: t-0 ok
            > wait 8
            > expire
        "#]],
    );
}

#[test]
fn offsets_without_membership_expire_one_by_one() {
    check(
        "
        config retention=100
        commit - t-0=1
        wait 50
        commit - t-1=1
        wait 50
        expire
        wait 50
        expire
        list
        ",
        &expect![[r#"
            > config retention=100
            > commit - t-0=1
              log: g t-0 = 1 v3
              - commit: t-0 ok
            > wait 50
            > commit - t-1=1
              log: g t-1 = 1 v3
              - commit: t-1 ok
            > wait 50
            > expire
              log: g t-0 = gone
            > wait 50
            > expire
              log: g t-1 = gone
              log: g gone
            > list
        "#]],
    );
}

#[test]
fn a_client_may_choose_the_retention() {
    check(
        "
        config retention=100
        commit - t-0=1 keep=10 epoch=4
        fetch
        wait 9
        expire
        wait 1
        expire
        ",
        &expect![[r#"
            > config retention=100
            > commit - t-0=1 keep=10 epoch=4
              log: g t-0 = 1 v1
              - commit: t-0 ok
            > fetch
              t-0 = 1 epoch=-1 meta=""
            > wait 9
            > expire
            > wait 1
            > expire
              log: g t-0 = gone
              log: g gone
        "#]],
    );
}

#[test]
fn expiry_goes_on_batch_by_batch() {
    check(
        "
        config retention=100 batch=110
        commit - t-0=1
        commit - t-1=1
        commit - t-2=1
        wait 100
        expire
        list
        ",
        &expect![[r#"
            > config retention=100 batch=110
            > commit - t-0=1
              log: g t-0 = 1 v3
              - commit: t-0 ok
            > commit - t-1=1
              log: g t-1 = 1 v3
              - commit: t-1 ok
            > commit - t-2=1
              log: g t-2 = 1 v3
              - commit: t-2 ok
            > wait 100
            > expire
              log: g t-0 = gone
              log: g t-1 = gone
              and more
              log: g t-2 = gone
              log: g gone
            > list
        "#]],
    );
}

#[test]
fn a_deleted_topic_takes_its_offsets_along() {
    check(
        "
        commit - t-0=1 u-0=1 t-1=2
        commit - t-0=1 group=h
        topics-deleted t
        fetch
        ",
        &expect![[r#"
            > commit - t-0=1 u-0=1 t-1=2
              log: g t-0 = 1 v3
              log: g u-0 = 1 v3
              log: g t-1 = 2 v3
              - commit: t-0 ok, u-0 ok, t-1 ok
            > commit - t-0=1 group=h
              log: h t-0 = 1 v3
              - commit: t-0 ok
            > topics-deleted t
              log: g t-0 = gone
              log: g t-1 = gone
              log: h t-0 = gone
            > fetch
              u-0 = 1 epoch=-1 meta=""
        "#]],
    );
}

#[test]
fn only_empty_groups_are_deleted() {
    check(
        "
        config delay=0
        delete-group
        delete-group group=
        join a v=3
        sync a a=x
        commit a t-0=1
        delete-group
        leave a
        delete-group
        list
        join a
        ",
        &expect![[r#"
            > config delay=0
            > delete-group
              - delete-group: GROUP_ID_NOT_FOUND
            > delete-group group=
              - delete-group: INVALID_GROUP_ID
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > commit a t-0=1
              log: g t-0 = 1 v3
              a commit: t-0 ok
            > delete-group
              - delete-group: NON_EMPTY_GROUP
            > leave a
              log: g gen=2 []
              a leave: a#1 ok
            > delete-group
              log: g t-0 = gone
              log: g gone
              - delete-group: ok
            > list
            > join a
              a join: UNKNOWN_MEMBER_ID a#1
        "#]],
    );
}
