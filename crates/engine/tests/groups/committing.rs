//! OffsetCommit, OffsetFetch, OffsetDelete.

use expect_test::expect;

use crate::script::check;

#[test]
fn what_is_committed_is_fetched_with_metadata_and_epoch() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        commit a t-0=5 t-1=7 meta=note epoch=3
        fetch t-0 t-2
        fetch
        fetch group=none t-0
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > commit a t-0=5 t-1=7 meta=note epoch=3
              log: g t-0 = 5 v3
              log: g t-1 = 7 v3
              a commit: t-0 ok, t-1 ok
            > fetch t-0 t-2
              t-0 = 5 epoch=3 meta="note"
              t-2 = -1 epoch=-1 meta=""
            > fetch
              t-0 = 5 epoch=3 meta="note"
              t-1 = 7 epoch=3 meta="note"
            > fetch group=none t-0
              t-0 = -1 epoch=-1 meta=""
        "#]],
    );
}

#[test]
fn a_consumer_without_membership_commits_only_to_an_empty_group() {
    check(
        "
        config delay=0
        commit - t-0=5
        list
        join a v=3
        commit - t-0=6
        sync a a=x
        commit - t-0=6
        fetch
        ",
        &expect![[r#"
            > config delay=0
            > commit - t-0=5
              log: g t-0 = 5 v3
              - commit: t-0 ok
            > list
              g "" Empty
            > join a v=3
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > commit - t-0=6
              - commit: t-0 UNKNOWN_MEMBER_ID
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > commit - t-0=6
              - commit: t-0 UNKNOWN_MEMBER_ID
            > fetch
              t-0 = 5 epoch=-1 meta=""
        "#]],
    );
}

#[test]
fn commits_are_checked() {
    check(
        "
        config delay=0
        commit a gen=3 t-0=1
        join a v=3
        commit a t-0=1
        sync a a=x
        commit a gen=7 t-0=1
        commit a gen=-1 t-0=1
        commit a id=ghost t-0=1
        commit a instance=ghost t-0=1
        commit a instance= t-0=1
        ",
        &expect![[r#"
            > config delay=0
            > commit a gen=3 t-0=1
              a commit: t-0 GROUP_ID_NOT_FOUND
            > join a v=3
              log: g gen=0 []
              a join: a#1 gen=1 protocol=range leader=a#1 members=a#1
            > commit a t-0=1
              a commit: t-0 REBALANCE_IN_PROGRESS
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > commit a gen=7 t-0=1
              a commit: t-0 ILLEGAL_GENERATION
            > commit a gen=-1 t-0=1
              a commit: t-0 ILLEGAL_GENERATION
            > commit a id=ghost t-0=1
              a commit: t-0 UNKNOWN_MEMBER_ID
            > commit a instance=ghost t-0=1
              a commit: t-0 UNKNOWN_MEMBER_ID
            > commit a instance= t-0=1
              log: g t-0 = 1 v3
              a commit: t-0 ok
        "#]],
    );
}

#[test]
fn members_may_commit_while_the_group_prepares() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        join b v=3
        commit a t-0=1
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
            > commit a t-0=1
              log: g t-0 = 1 v3
              a commit: t-0 ok
        "#]],
    );
}

#[test]
fn a_commit_keeps_the_session() {
    check(
        "
        config delay=0
        join a v=3
        sync a a=x
        wait 9
        commit a t-0=1
        wait 9
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
            > commit a t-0=1
              log: g t-0 = 1 v3
              a commit: t-0 ok
            > wait 9
            > heartbeat a
              a heartbeat: ok
        "#]],
    );
}

#[test]
fn metadata_has_a_limit_per_partition() {
    check(
        "
        config metadata=4
        commit - t-0=5 meta=12345
        commit - t-0=5 meta=1234
        fetch
        ",
        &expect![[r#"
            > config metadata=4
            > commit - t-0=5 meta=12345
              - commit: t-0 OFFSET_METADATA_TOO_LARGE
            > commit - t-0=5 meta=1234
              log: g t-0 = 5 v3
              - commit: t-0 ok
            > fetch
              t-0 = 5 epoch=-1 meta="1234"
        "#]],
    );
}

#[test]
fn a_commit_that_no_batch_can_hold_is_refused_whole() {
    check(
        "
        config batch=300
        commit - t-0=1 t-1=1
        commit - t-0=1 t-1=1 t-2=1 t-3=1 t-4=1
        fetch
        ",
        &expect![[r#"
            > config batch=300
            > commit - t-0=1 t-1=1
              log: g t-0 = 1 v3
              log: g t-1 = 1 v3
              - commit: t-0 ok, t-1 ok
            > commit - t-0=1 t-1=1 t-2=1 t-3=1 t-4=1
              - commit: t-0 INVALID_COMMIT_OFFSET_SIZE, t-1 INVALID_COMMIT_OFFSET_SIZE, t-2 INVALID_COMMIT_OFFSET_SIZE, t-3 INVALID_COMMIT_OFFSET_SIZE, t-4 INVALID_COMMIT_OFFSET_SIZE
            > fetch
              t-0 = 1 epoch=-1 meta=""
              t-1 = 1 epoch=-1 meta=""
        "#]],
    );
}

#[test]
fn an_offset_of_another_topic_of_the_same_name_does_not_count() {
    check(
        "
        commit - t-0=5 topic=1
        fetch t-0 topic=1
        fetch t-0 topic=2
        fetch t-0
        ",
        &expect![[r#"
            > commit - t-0=5 topic=1
              log: g t-0 = 5 v4
              - commit: t-0 ok
            > fetch t-0 topic=1
              t-0 = 5 epoch=-1 meta=""
            > fetch t-0 topic=2
              t-0 = -1 epoch=-1 meta=""
            > fetch t-0
              t-0 = 5 epoch=-1 meta=""
        "#]],
    );
}

#[test]
fn offsets_of_topics_that_are_read_are_not_deleted() {
    check(
        "
        config delay=0
        delete-offsets t-0
        delete-offsets t-0 group=
        join a v=3 protocols=range:t
        sync a a=x
        commit a t-0=1 u-0=1
        delete-offsets t-0 u-0 u-1
        fetch
        leave a
        delete-offsets t-0
        ",
        &expect![[r#"
            > config delay=0
            > delete-offsets t-0
              - delete-offsets: GROUP_ID_NOT_FOUND
            > delete-offsets t-0 group=
              - delete-offsets: INVALID_GROUP_ID
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
            > delete-offsets t-0 u-0 u-1
              log: g u-0 = gone
              - delete-offsets: t-0 GROUP_SUBSCRIBED_TO_TOPIC, u-0 ok, u-1 ok
            > fetch
              t-0 = 1 epoch=-1 meta=""
            > leave a
              log: g gen=2 []
              a leave: a#1 ok
            > delete-offsets t-0
              log: g t-0 = gone
              - delete-offsets: t-0 ok
        "#]],
    );
}

#[test]
fn offsets_of_a_living_group_of_another_type_are_not_deleted() {
    check(
        "
        config delay=0
        join a v=3 type=connect protocols=default:x
        sync a a=x
        delete-offsets t-0
        ",
        &expect![[r#"
            > config delay=0
            > join a v=3 type=connect protocols=default:x
              log: g gen=0 []
              a join: a#1 gen=1 protocol=default leader=a#1 members=a#1
            > sync a a=x
              log: g gen=1 [a#1=b"x"]
              a sync: b"x"
            > delete-offsets t-0
              - delete-offsets: NON_EMPTY_GROUP
        "#]],
    );
}
