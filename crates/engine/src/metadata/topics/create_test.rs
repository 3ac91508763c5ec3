//! CreateTopics, CreatePartitions, DeleteTopics and claims: tables of good and bad.

use expect_test::{Expect, expect};

use crate::ids::BrokerId;
use crate::metadata::invariants_test::{Cluster, new_topic, registration};
use crate::metadata::{
    Assignment, CONSUMER_OFFSETS, ClaimTopicError, NewPartitions, NewTopic, Resource,
    TRANSACTION_STATE, TopicRef, is_internal, new_internal_topic,
};

/// The topic's partitions as `leader:replicas`, divided by spaces.
fn shape(cluster: &Cluster, topic: &str) -> String {
    let topic = cluster.image.topic(topic).expect("the topic exists");
    let partitions = topic.partitions.iter().map(|partition| {
        let replicas: Vec<String> = partition.replicas.iter().map(ToString::to_string).collect();
        format!("{}:{}", partition.leader.expect("a leader"), replicas.join(","))
    });
    partitions.collect::<Vec<_>>().join(" ")
}

fn create(cluster: &mut Cluster, topics: Vec<NewTopic>) -> Vec<String> {
    let reply = cluster.run(|controller| controller.create_topics(topics, false));
    let line = |(name, result): (String, Result<_, _>)| match result {
        Ok(created) => {
            let created: crate::metadata::CreatedTopic = created;
            format!("{name}: {} × {}", created.partitions, created.replication_factor)
        }
        Err(error) => format!("{name}: {error}"),
    };
    reply.into_iter().map(line).collect()
}

fn check(cluster: &mut Cluster, topics: Vec<NewTopic>, expected: &Expect) {
    expected.assert_eq(&create(cluster, topics).join("\n"));
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignment = |(partition, brokers): &(i32, &[i32])| Assignment {
        partition: *partition,
        brokers: brokers.to_vec(),
    };
    NewTopic {
        assignments: assignments.iter().map(assignment).collect(),
        ..new_topic(name, -1, -1)
    }
}

fn configured(name: &str, key: &str, value: Option<&str>) -> NewTopic {
    let configs = vec![(key.to_owned(), value.map(str::to_owned))];
    NewTopic { configs, ..new_topic(name, 1, 1) }
}

#[test]
fn one_broker_creates_topics_with_defaults_and_without() {
    let mut cluster = Cluster::of(1).with("num.partitions", "4");
    check(
        &mut cluster,
        vec![new_topic("defaults", -1, -1), new_topic("two", 2, 1)],
        &expect![[r#"
        defaults: 4 × 1
        two: 2 × 1"#]],
    );
    assert_eq!(shape(&cluster, "two"), "1:1 1:1");
    let id = cluster.image.topic("two").unwrap().id;
    assert_eq!(cluster.image.topic_by_id(id).unwrap().name.as_ref(), "two");
    assert_eq!(id.0[6] >> 4, 4, "a random UUID");
}

#[test]
fn each_mistake_is_answered_for_its_topic_alone() {
    let mut cluster = Cluster::of(2);
    cluster.create("exists", 1, 1);
    cluster.create("a.b", 1, 1);
    let topics = vec![
        new_topic("good", 1, 2),
        new_topic("twice", 1, 1),
        new_topic("twice", 1, 1),
        new_topic("exists", 1, 1),
        new_topic("a_b", 1, 1),
        new_topic("c.d", 1, 1),
        new_topic("c_d", 1, 1),
        new_topic("", 1, 1),
        new_topic("a/b", 1, 1),
        new_topic("__cluster_metadata", 1, 1),
        new_topic("zero", 0, 1),
        new_topic("negative", -2, 1),
        new_topic("no-replicas", 1, 0),
        new_topic("three-replicas", 1, 3),
        new_topic("huge", i32::MAX, 1),
        configured("null", "retention.ms", None),
        configured("unknown", "num.partitions", Some("1")),
        configured("bad", "retention.ms", Some("-2")),
        configured("list", "cleanup.policy", Some("compact, delete")),
    ];
    check(
        &mut cluster,
        topics,
        &expect![[r#"
        good: 1 × 2
        twice: the request names this topic more than once
        exists: there is such a topic already: exists
        a_b: the name a_b collides with the topic a.b: '.' and '_' count as the same
        c.d: 1 × 1
        c_d: the name c_d collides with the topic c.d: '.' and '_' count as the same
        : a topic needs a name
        a/b: a topic's name holds ASCII letters, digits, '.', '_' and '-' only: "a/b"
        __cluster_metadata: the name __cluster_metadata is reserved
        zero: a topic has at least 1 partition, or -1 for the default: 0
        negative: a topic has at least 1 partition, or -1 for the default: -2
        no-replicas: 0 replicas need as many live brokers, and there are 2; hint: at least 1, or -1 for the default
        three-replicas: 3 replicas need as many live brokers, and there are 2; hint: at least 1, or -1 for the default
        huge: 2147483647 partitions exceed the limit of 10000; hint: spread them over several requests
        null: a topic's setting needs a value: retention.ms
        unknown: unknown topic setting: num.partitions
        bad: invalid value for retention.ms: "-2", expected a whole number of 64 bits, at least -1
        list: 1 × 1"#]],
    );
    let list = Resource::Topic("list".into());
    assert_eq!(cluster.image.config(&list)["cleanup.policy"], "compact, delete");
}

#[test]
fn assignments_are_followed_or_refused() {
    let mut cluster = Cluster::of(3);
    cluster.run(|controller| controller.register_broker(registration(9, 9))).unwrap();
    let topics = vec![
        assigned("good", &[(1, &[3, 1]), (0, &[2, 3])]),
        assigned("half-fenced", &[(0, &[9, 1])]),
        assigned("fenced", &[(0, &[9])]),
        assigned("gap", &[(0, &[1]), (2, &[1])]),
        assigned("again", &[(0, &[1]), (0, &[2])]),
        assigned("uneven", &[(0, &[1]), (1, &[1, 2])]),
        assigned("empty", &[(0, &[])]),
        assigned("same", &[(0, &[1, 1])]),
        assigned("stranger", &[(0, &[1, 7])]),
        NewTopic { partitions: 1, ..assigned("both", &[(0, &[1])]) },
    ];
    check(
        &mut cluster,
        topics,
        &expect![[r#"
        good: 2 × 2
        half-fenced: 1 × 2
        fenced: none of these brokers is live: [9]
        gap: an assignment names every partition once, from 0
        again: an assignment names every partition once, from 0
        uneven: every partition has the same number of replicas, at least 1
        empty: every partition has the same number of replicas, at least 1
        same: a broker holds one replica of a partition: [1, 1]
        stranger: there is no such broker: 7
        both: with an assignment, the numbers of partitions and of replicas are -1"#]],
    );
    assert_eq!(shape(&cluster, "good"), "2:2,3 3:3,1");
    assert_eq!(shape(&cluster, "half-fenced"), "1:9,1");
}

#[test]
fn partitions_are_limited_per_request_and_per_cluster() {
    let mut cluster = Cluster::of(1).with("klamm.max.partitions", "25");
    let topics = vec![new_topic("a", 20, 1), new_topic("b", 6, 1), new_topic("c", 5, 1)];
    check(
        &mut cluster,
        topics,
        &expect![[r#"
        a: 20 × 1
        b: 26 partitions exceed the limit of 25; hint: raise klamm.max.partitions
        c: 5 × 1"#]],
    );
    let mut cluster = Cluster::of(1);
    let topics = vec![new_topic("a", 9_000, 1), new_topic("b", 1_001, 1), new_topic("c", 1_000, 1)];
    check(
        &mut cluster,
        topics,
        &expect![[r#"
        a: 9000 × 1
        b: 10001 partitions exceed the limit of 10000; hint: spread them over several requests
        c: 1000 × 1"#]],
    );
}

#[test]
fn nothing_changes_when_a_request_only_validates() {
    let mut cluster = Cluster::of(1);
    let topics = vec![new_topic("a", 3, 1)];
    let reply = cluster.run(|controller| controller.create_topics(topics, true));
    let created = reply[0].1.as_ref().unwrap();
    assert_eq!(created.partitions, 3);
    assert!(created.configs.iter().any(|one| one.key == "retention.ms"));
    assert_eq!(cluster.image.topic_count(), 0);
}

#[test]
fn ids_differ_even_if_the_dice_do_not() {
    let mut cluster = Cluster::of(1);
    for dice in [[0, 0], [u64::MAX, u64::MAX], [0xfb << 56, 0]] {
        let same = |name: String| NewTopic { dice, ..new_topic(&name, 1, 1) };
        let topics = (0..10).map(|at| same(format!("t{at}-{}", dice[0]))).collect();
        let reply = cluster.run(|controller| controller.create_topics(topics, false));
        for (_, created) in reply {
            assert!(!created.unwrap().id.to_string().starts_with('-'));
        }
    }
    assert_eq!(cluster.image.topic_count(), 30);
}

#[test]
fn internal_topics_are_safe_and_fit_the_cluster() {
    let mut cluster = Cluster::of(1);
    for name in [CONSUMER_OFFSETS, TRANSACTION_STATE] {
        assert!(is_internal(name));
        let topic = new_internal_topic(name, &cluster.settings.broker, 1, [1, 2]);
        let created = create(&mut cluster, vec![topic]);
        assert_eq!(created, [format!("{name}: 50 × 1")]);
        let overrides = cluster.image.config(&Resource::Topic(name.into()));
        assert_eq!(overrides["klamm.durability"], "fsync");
        assert_eq!(overrides["cleanup.policy"], "compact");
        assert_eq!(overrides["segment.bytes"], "104857600");
    }
    assert_eq!(
        new_internal_topic(CONSUMER_OFFSETS, &cluster.settings.broker, 5, [0; 2])
            .replication_factor,
        3
    );
    assert!(!is_internal("order-placed"));
}

#[test]
fn a_topic_grows_and_never_shrinks() {
    let mut cluster = Cluster::of(2);
    cluster.create("t", 2, 1);
    cluster.create("wide", 1, 2);
    let broker = cluster.image.broker(BrokerId(2)).unwrap().clone();
    let before = cluster.image.topic("t").unwrap().partitions.clone();
    let asked = |topic: &str, count, assignments: Option<&[&[i32]]>| NewPartitions {
        topic: topic.to_owned(),
        count,
        assignments: assignments.map(|all| all.iter().map(|one| one.to_vec()).collect()),
    };
    let mut check = |asked: Vec<NewPartitions>, expected: Expect| {
        let reply = cluster.run(|controller| controller.create_partitions(asked, false));
        let lines = reply.into_iter().map(|(name, result)| match result {
            Ok(()) => format!("{name}: ok"),
            Err(error) => format!("{name}: {error}"),
        });
        expected.assert_eq(&lines.collect::<Vec<_>>().join("\n"));
    };
    check(
        vec![asked("t", 3, None), asked("no", 3, None)],
        expect![[r#"
        t: ok
        no: there is no such topic: no"#]],
    );
    check(vec![asked("t", 4, Some(&[&[2]]))], expect!["t: ok"]);
    check(
        vec![asked("t", 4, None)],
        expect!["t: the topic has 4 partitions, and 4 is not more; partitions are never removed"],
    );
    check(
        vec![asked("t", 1, None)],
        expect!["t: the topic has 4 partitions, and 1 is not more; partitions are never removed"],
    );
    check(
        vec![asked("t", -1, None)],
        expect!["t: the topic has 4 partitions, and -1 is not more; partitions are never removed"],
    );
    check(
        vec![asked("t", 9, None), asked("t", 9, None)],
        expect!["t: the request names this topic more than once"],
    );
    check(
        vec![asked("t", 5, Some(&[&[1], &[1]]))],
        expect!["t: 1 partitions are new, and the assignment names 2"],
    );
    check(
        vec![asked("t", 5, Some(&[&[1, 2]]))],
        expect!["t: every partition has the same number of replicas, at least 1"],
    );
    check(vec![asked("t", 5, Some(&[&[8]]))], expect!["t: there is no such broker: 8"]);
    check(
        vec![asked("t", 20_000, None)],
        expect![
            "t: 19996 partitions exceed the limit of 10000; hint: spread them over several requests"
        ],
    );
    assert_eq!(cluster.image.topic("t").unwrap().partitions[..2], before);
    assert_eq!(cluster.image.topic("t").unwrap().partitions.len(), 4);

    let fence =
        |epoch| move |c: crate::metadata::Controller<'_>| c.fence_broker(BrokerId(2), epoch, true);
    cluster.run(fence(broker.epoch)).unwrap();
    let reply =
        cluster.run(|controller| controller.create_partitions(vec![asked("wide", 2, None)], false));
    assert_eq!(
        reply[0].1.as_ref().unwrap_err().to_string(),
        "2 replicas need as many live brokers, and there are 1"
    );
}

#[test]
fn deleting_takes_partitions_and_settings_along() {
    let mut cluster = Cluster::of(1);
    cluster.create("a", 3, 1);
    cluster.create("b", 1, 1);
    create(&mut cluster, vec![configured("c", "retention.ms", Some("5"))]);
    let id = cluster.image.topic("a").unwrap().id;
    let b = cluster.image.topic("b").unwrap().id;
    let name = |name: &str| TopicRef::Name(name.to_owned());
    let mut delete = |topics: Vec<TopicRef>| {
        let reply = cluster.run(|controller| controller.delete_topics(topics));
        let line = |one: crate::metadata::DeletedTopic| {
            let name = one.name.unwrap_or_else(|| "?".into());
            let result = one.result.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
            format!("{name} {}: {result}", one.id.is_zero())
        };
        reply.into_iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        delete(vec![name("no"), TopicRef::Id(wire::Uuid([7; 16])), name("b"), TopicRef::Id(b)]),
        [
            "no true: there is no topic of this name",
            "? false: there is no topic of this id",
            "b false: the request names this topic more than once",
            "b false: the request names this topic more than once",
        ]
    );
    assert_eq!(delete(vec![TopicRef::Id(id), name("c")]), ["a false: ok", "c false: ok"]);
    assert_eq!(cluster.image.partition_count(), 1);
    assert!(cluster.image.config(&Resource::Topic("c".into())).is_empty());
    assert!(cluster.image.topic_by_id(id).is_none());

    let mut cluster = cluster.with("delete.topic.enable", "false");
    let reply = cluster.run(|controller| controller.delete_topics(vec![name("b")]));
    assert!(reply[0].result.is_err());
    assert_eq!(cluster.image.topic_count(), 1);
}

#[test]
fn a_recreated_topic_has_another_id() {
    let mut cluster = Cluster::of(1);
    cluster.create("a", 2, 1);
    let before = cluster.image.clone();
    let old = before.topic("a").unwrap().id;
    cluster.run(|controller| controller.delete_topics(vec![TopicRef::Id(old)]));
    let topic = NewTopic { dice: [99, 98], ..new_topic("a", 1, 1) };
    create(&mut cluster, vec![topic]);
    let new = cluster.image.topic("a").unwrap().id;
    assert_ne!(old, new);
    let changes = cluster.image.changed_topics(&before);
    assert!(matches!(&changes[..], [
        crate::metadata::TopicChange::Removed(gone),
        crate::metadata::TopicChange::Set(set),
    ] if gone.id == old && set.id == new));
}

#[test]
fn a_claim_is_compared_and_set() {
    let mut cluster = Cluster::of(1);
    cluster.create("a", 1, 1);
    let topic = TopicRef::Name("a".to_owned());
    let mut claim = |expected: Option<&str>, owner: Option<&str>| {
        cluster.run(|controller| controller.claim_topic(&topic, expected, owner))
    };
    assert_eq!(claim(None, Some("shop/orders/1")), Ok(()));
    assert_eq!(claim(None, Some("shop/orders/1")), Ok(()), "claiming again changes nothing");
    assert_eq!(
        claim(None, Some("shop/other/2")),
        Err(ClaimTopicError::Claimed { owner: Some("shop/orders/1".into()) })
    );
    assert_eq!(claim(Some("shop/orders/1"), Some("shop/orders/3")), Ok(()));
    assert_eq!(claim(Some("shop/orders/3"), None), Ok(()));
    assert_eq!(
        cluster.run(|c| c.claim_topic(&TopicRef::Name("b".to_owned()), None, None)),
        Err(ClaimTopicError::UnknownTopic)
    );
}
