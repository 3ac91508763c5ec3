//! What DescribeConfigs shows.

use std::fmt::Write;

use expect_test::{Expect, expect};

use crate::{Described, Properties, Settings};

fn properties(pairs: &[(&str, &str)]) -> Properties {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn check(described: &[Described], keys: &[&str], expected: &Expect) {
    let mut out = String::new();
    for one in described.iter().filter(|one| keys.contains(&one.key)) {
        let _ = write!(out, "{}={:?} {:?}", one.key, one.value, one.source);
        if one.read_only {
            out.push_str(" read-only");
        }
        for synonym in &one.synonyms {
            let _ = write!(out, "\n  {}={:?} {:?}", synonym.key, synonym.value, synonym.source);
        }
        out.push('\n');
    }
    expected.assert_eq(&out);
}

fn settings() -> Settings {
    let fixed = properties(&[("log.retention.hours", "2"), ("node.id", "7")]);
    let cluster = properties(&[("message.max.bytes", " 2000 ")]);
    let node = properties(&[("message.max.bytes", "4000")]);
    Settings::resolve(fixed).unwrap().with_dynamic(cluster, node).unwrap()
}

#[test]
fn a_topic_shows_where_each_value_comes_from() {
    let topic = properties(&[("cleanup.policy", "compact , delete"), ("retention.ms", "5")]);
    let keys =
        ["cleanup.policy", "retention.ms", "max.message.bytes", "segment.ms", "remote.copy.lag.ms"];
    check(
        &settings().describe_topic(&topic),
        &keys,
        &expect![[r#"
            cleanup.policy=Some("compact,delete") DynamicTopic
              cleanup.policy=Some("compact,delete") DynamicTopic
              log.cleanup.policy=Some("delete") Default
            max.message.bytes=Some("4000") DynamicBroker
              message.max.bytes=Some("4000") DynamicBroker
              message.max.bytes=Some("2000") DynamicDefaultBroker
              message.max.bytes=Some("1048588") Default
            remote.copy.lag.ms=Some("0") Default
              log.remote.copy.lag.ms=Some("0") Default
            retention.ms=Some("5") DynamicTopic
              retention.ms=Some("5") DynamicTopic
              log.retention.hours=Some("2") StaticBroker
              log.retention.hours=Some("168") Default
            segment.ms=Some("604800000") Default
              log.roll.hours=Some("168") Default
        "#]],
    );
    check(
        &settings().describe_topic(&Properties::new()),
        &["retention.ms"],
        &expect![[r#"
        retention.ms=Some("7200000") StaticBroker
          log.retention.hours=Some("2") StaticBroker
          log.retention.hours=Some("168") Default
    "#]],
    );
}

#[test]
fn a_broker_shows_where_each_value_comes_from() {
    let keys = ["node.id", "message.max.bytes", "log.retention.ms", "klamm.cluster.id"];
    check(
        &settings().describe_broker(),
        &keys,
        &expect![[r#"
        klamm.cluster.id=None Default read-only
        log.retention.ms=None Default
        message.max.bytes=Some("4000") DynamicBroker
          message.max.bytes=Some("4000") DynamicBroker
          message.max.bytes=Some("2000") DynamicDefaultBroker
          message.max.bytes=Some("1048588") Default
        node.id=Some("7") StaticBroker read-only
          node.id=Some("7") StaticBroker
          node.id=Some("1") Default
    "#]],
    );
    check(
        &settings().describe_all_brokers(),
        &keys,
        &expect![[r#"
        message.max.bytes=Some("2000") DynamicDefaultBroker
          message.max.bytes=Some("2000") DynamicDefaultBroker
    "#]],
    );
}

#[test]
fn a_group_shows_its_overrides() {
    let group = properties(&[("consumer.session.timeout.ms", "50000")]);
    let keys = ["consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"];
    check(
        &settings().describe_group(&group),
        &keys,
        &expect![[r#"
        consumer.heartbeat.interval.ms=Some("5000") Default
          consumer.heartbeat.interval.ms=Some("5000") Default
        consumer.session.timeout.ms=Some("50000") Group
          consumer.session.timeout.ms=Some("50000") Group
          consumer.session.timeout.ms=Some("45000") Default
    "#]],
    );
}

#[test]
fn what_is_described_is_sorted_and_documented() {
    for described in [
        settings().describe_broker(),
        settings().describe_topic(&Properties::new()),
        settings().describe_group(&Properties::new()),
    ] {
        assert!(described.windows(2).all(|pair| pair[0].key < pair[1].key));
        assert!(described.iter().all(|one| one.documentation.ends_with(['.', ')'])));
    }
}
