//! What brokers may be given.

use super::*;
use crate::{Properties, Settings};

fn resolve(text: &str) -> Result<BrokerConfig, String> {
    let fixed: Properties = crate::properties::parse(text).unwrap();
    Settings::resolve(fixed).map(|settings| settings.broker).map_err(|error| error.to_string())
}

#[test]
fn a_broker_starts_with_no_settings_at_all() {
    let broker = resolve("").unwrap();
    assert_eq!(broker.node_id, 1);
    assert_eq!(broker.listeners[0].to_string(), "PLAINTEXT://:9092");
    assert_eq!(broker.offsets_topic_num_partitions, 50);
    assert_eq!(broker.http_listener, "127.0.0.1:9644");
    assert_eq!(broker.cluster_id, None);
}

#[test]
fn a_file_made_for_kafka_starts_a_broker() {
    let broker = resolve(
        "process.roles=broker,controller\nbroker.id=4\ncontroller.quorum.voters=1@localhost:9093\n\
         listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAINTEXT\nadvertised.listeners=PLAINTEXT://localhost:9092\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\n\
         log.dir=/data\nnum.partitions=3\nlog.retention.hours=168\nlog.segment.bytes=1073741824\n\
         transaction.state.log.min.isr=1\noffsets.topic.replication.factor=1",
    )
    .unwrap();
    assert_eq!((broker.node_id, &*broker.log_dir, broker.num_partitions), (4, "/data", 3));
    assert_eq!(broker.advertised()[0].host, "localhost");
}

#[test]
fn what_would_do_harm_is_refused() {
    for (text, expected) in [
        (
            "log.dirs=/a,/b",
            "log.dirs = /a,/b does not go with this version; hint: name one directory",
        ),
        (
            "log.dirs=",
            "invalid value for log.dirs: \"\", expected a list divided by commas that is not empty",
        ),
        (
            "listeners=localhost:9092",
            "invalid value for listeners: \"localhost:9092\", expected NAME://host:port, more of them divided by commas",
        ),
        (
            "listeners=SSL://:9093",
            "listeners = SSL://:9093 does not go with its security protocol SSL; hint: only PLAINTEXT exists in this version",
        ),
        (
            "listeners=IN://:9093",
            "listeners = IN://:9093 does not go with listener.security.protocol.map; hint: add NAME:PLAINTEXT for it there",
        ),
        (
            "listeners=PLAINTEXT://:1,PLAINTEXT://:2",
            "listeners = PLAINTEXT://:2 does not go with a listener before it; hint: each needs its own name and port",
        ),
        (
            "advertised.listeners=PLAINTEXT://0.0.0.0:1",
            "advertised.listeners = PLAINTEXT://0.0.0.0:1 does not go with clients, who cannot connect to it; hint: advertise an address or a name that leads here",
        ),
        (
            "advertised.listeners=X://a:1",
            "advertised.listeners = X://a:1 does not go with listeners; hint: advertise only names that stand in listeners",
        ),
        (
            "inter.broker.listener.name=X",
            "inter.broker.listener.name = X does not go with what is advertised; hint: name one of advertised.listeners, or of listeners if those are unset",
        ),
        (
            "process.roles=broker\ncontroller.quorum.voters=1@a:1",
            "process.roles = broker does not go with controller.quorum.voters, which name this node; hint: a voter is a controller",
        ),
        (
            "process.roles=controller",
            "process.roles = controller does not go with the listener PLAINTEXT://:9092; hint: a controller only listens on controller.listener.names alone",
        ),
        (
            "controller.listener.names=PLAINTEXT",
            "controller.listener.names = PLAINTEXT does not go with process.roles = broker,controller; hint: clients need a listener of the broker's own",
        ),
        (
            "ssl.keystore.location=/x",
            "ssl.keystore.location is not supported; hint: TLS is not part of this version",
        ),
        (
            "authorizer.class.name=X",
            "authorizer.class.name cannot be set to \"X\" in this version; hint: access control is not part of this version; leave it unset",
        ),
        (
            "group.min.session.timeout.ms=10\ngroup.max.session.timeout.ms=5",
            "group.min.session.timeout.ms = 10 does not go with group.max.session.timeout.ms = 5; hint: the minimum must not exceed the maximum",
        ),
        (
            "broker.session.timeout.ms=400",
            "broker.session.timeout.ms = 400 does not go with broker.heartbeat.interval.ms = 250; hint: a session holds at least two heartbeats",
        ),
        (
            "num.partition=3",
            "unknown broker setting: num.partition; hint: did you mean num.partitions?",
        ),
    ] {
        assert_eq!(resolve(text).map(|_| ()), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn the_internal_listeners_are_those_of_brokers_and_controllers_and_forward() {
    let map = "listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT,C:PLAINTEXT,\
               PLAINTEXT:PLAINTEXT,FORWARD:PLAINTEXT\n";
    for (text, internal) in [
        ("listeners=A://:1", "A"),
        ("listeners=A://:1,PLAINTEXT://:2", "PLAINTEXT"),
        ("listeners=A://:1,B://:2", "A"),
        ("listeners=A://:1,B://:2\nadvertised.listeners=B://h:2", "B"),
        ("listeners=A://:1,B://:2\ninter.broker.listener.name=b", "B"),
        ("listeners=A://:1,B://:2,Forward://:3", "A FORWARD"),
        ("listeners=A://:1,B://:2,C://:3\ncontroller.listener.names=C", "A C"),
    ] {
        let broker = resolve(&format!("{map}{text}")).unwrap();
        let names = broker.listeners.iter().map(|one| &*one.name);
        let found: Vec<&str> = names.filter(|name| broker.is_internal(name)).collect();
        assert_eq!(found.join(" "), internal, "{text}");
    }
}

#[test]
fn listeners_are_read_and_printed() {
    for text in ["PLAINTEXT://:9092", "IN-1://localhost:0", "X_Y://[::1]:65535"] {
        assert_eq!(text.parse::<Listener>().unwrap().to_string(), text);
    }
    for text in
        ["", ":9092", "A://", "A://host", "A://h:65536", "A://::1:9", "A://[::1:9", "://h:1"]
    {
        assert!(text.parse::<Listener>().is_err(), "{text}");
    }
}

#[test]
fn every_row_is_sound() {
    let mut keys: Vec<_> = rows().map(|row| row.key).collect();
    keys.sort_unstable();
    for pair in keys.windows(2) {
        assert!(pair[0] != pair[1], "a key has one row: {}", pair[0]);
    }
    for row in rows() {
        if let Some(default) = row.default {
            assert_eq!(row.check(default), Ok(()), "{}", row.key);
        }
        assert!(!row.doc.trim().is_empty(), "{}", row.key);
        for alias in row.aliases {
            assert!(find(alias.key).is_ok(), "{}", alias.key);
        }
    }
}

#[test]
fn voters_of_the_quorum_are_ids_and_addresses() {
    let voters = |text: &str| {
        resolve(&format!("controller.quorum.voters={text}"))
            .map(|broker| broker.controller_quorum_voters)
    };
    let voter = |id, host: &str, port| QuorumVoter { id, host: host.to_owned(), port };
    assert_eq!(voters(""), Ok(Vec::new()));
    let two = vec![voter(1, "a", 9092), voter(2, "::1", 9093)];
    assert_eq!(voters("1@a:9092, 2@[::1]:9093"), Ok(two));
    for bad in ["a:9092", "1@a", "1@:9092", "x@a:1", "-1@a:1", "1@a:0", "1@a:1,1@b:2", "1@[::1:1"] {
        let error = voters(bad).unwrap_err();
        assert!(error.contains("id@host:port"), "{bad}: {error}");
    }
}
