//! Layers.

use super::*;

fn properties(pairs: &[(&str, &str)]) -> Properties {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_first_layer_that_names_a_key_decides() {
    let fixed = properties(&[("log.retention.hours", "2"), ("message.max.bytes", "1000")]);
    let settings = Settings::resolve(fixed).unwrap();
    let none = Properties::new();
    let topic = settings.topic(&none).unwrap();
    assert_eq!((topic.retention_ms, topic.max_message_bytes), (7_200_000, 1000));

    let cluster = properties(&[("log.retention.ms", "3000"), ("message.max.bytes", "2000")]);
    let node = properties(&[("message.max.bytes", "4000")]);
    let settings = settings.with_dynamic(cluster, node).unwrap();
    let topic = settings.topic(&none).unwrap();
    assert_eq!((topic.retention_ms, topic.max_message_bytes), (3000, 4000));

    let topic = settings.topic(&properties(&[("retention.ms", "5")])).unwrap();
    assert_eq!((topic.retention_ms, topic.max_message_bytes), (5, 4000));
}

#[test]
fn units_are_converted_and_no_limit_stays_no_limit() {
    for (key, value, expected) in [
        ("log.retention.hours", "1", 3_600_000),
        ("log.retention.minutes", "2", 120_000),
        ("log.retention.minutes", "-1", -1),
        ("log.retention.hours", "2147483647", 7_730_941_129_200_000),
    ] {
        let settings = Settings::resolve(properties(&[(key, value)])).unwrap();
        let topic = settings.topic(&Properties::new()).unwrap();
        assert_eq!(topic.retention_ms, expected, "{key}={value}");
    }
    let both = properties(&[("log.retention.hours", "1"), ("log.retention.minutes", "1")]);
    let topic = Settings::resolve(both).unwrap().topic(&Properties::new()).unwrap();
    assert_eq!(topic.retention_ms, 60_000);
}

#[test]
fn dynamic_layers_take_dynamic_settings_only() {
    let settings = Settings::resolve(Properties::new()).unwrap();
    let with = |cluster: &[(&str, &str)], node: &[(&str, &str)]| {
        let changed = settings.with_dynamic(properties(cluster), properties(node));
        changed.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(with(&[("max.connections", "5")], &[("klamm.storage.limit.bytes", "5")]), Ok(()));
    assert_eq!(
        with(&[], &[("node.id", "5")]).unwrap_err(),
        "node.id cannot be changed here; hint: it is read at the start only: set it in the file of --config"
    );
    assert_eq!(
        with(&[("klamm.storage.limit.bytes", "5")], &[]).unwrap_err(),
        "klamm.storage.limit.bytes cannot be changed here; hint: it differs from broker to broker, or is read at the start only"
    );
    assert!(with(&[("max.connections", "-5")], &[]).is_err());
    assert!(with(&[("max.conections", "5")], &[]).is_err());
}
