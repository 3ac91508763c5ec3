//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.

use wire::alter_configs::request as replace;
use wire::describe_configs::request::DescribeConfigsResource;
use wire::describe_configs::response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use wire::incremental_alter_configs::request as patch;
use wire::{AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use crate::exchange::{Peer, text, versions, with_broker, with_settings};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

fn of(resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResource {
    DescribeConfigsResource {
        resource_type,
        resource_name: text(name),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| text(key)).collect()),
        ..Default::default()
    }
}

async fn describe(
    peer: &mut Peer,
    resource: DescribeConfigsResource,
    version: i16,
) -> DescribeConfigsResult {
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: version >= 3,
        ..Default::default()
    };
    peer.ask(request, version).await.results.remove(0)
}

fn find<'r>(result: &'r DescribeConfigsResult, key: &str) -> &'r DescribeConfigsResourceResult {
    result.configs.iter().find(|one| one.name == key).unwrap_or_else(|| panic!("no {key}"))
}

/// The value and the source's code of a topic's setting.
async fn topic_setting(peer: &mut Peer, key: &str) -> (String, i8) {
    let result = describe(peer, of(TOPIC, "orders", Some(&[key])), 4).await;
    let [only] = &result.configs[..] else { panic!("one setting: {result:?}") };
    (only.value.as_deref().unwrap_or_default().to_owned(), only.config_source)
}

#[test]
fn every_version_of_describe_configs_tells_value_source_and_more() {
    let fixed = [("log.retention.hours", "2"), ("message.max.bytes", "2000000")];
    with_settings(&fixed, async |peer| {
        peer.create("orders", 1).await;
        for version in versions::<DescribeConfigsRequest>() {
            let result = describe(peer, of(TOPIC, "orders", None), version).await;
            assert_eq!((result.error_code, &result.error_message), (0, &None));
            assert_eq!((result.resource_type, &*result.resource_name), (TOPIC, "orders"));
            assert!(result.configs.len() > 25, "every known setting");
            assert!(result.configs.iter().all(|one| !one.read_only && !one.is_sensitive));
            let retention = find(&result, "retention.ms");
            assert_eq!(retention.value.as_deref(), Some("7200000"));
            assert_eq!(retention.config_source, 4, "from the file");
            assert_eq!(&*retention.synonyms[0].name, "log.retention.hours");
            assert_eq!(retention.synonyms[0].source, 4);
            assert_eq!(retention.config_type, if version >= 3 { 5 } else { 0 }, "a long");
            let is_documented =
                retention.documentation.as_deref().is_some_and(|doc| !doc.is_empty());
            assert_eq!(is_documented, version >= 3);
            assert_eq!(find(&result, "max.message.bytes").value.as_deref(), Some("2000000"));
            assert_eq!(find(&result, "segment.bytes").config_source, 5);

            let result = describe(peer, of(BROKER, "0", None), version).await;
            assert_eq!(result.error_code, 0);
            assert!(result.configs.len() > 100, "every known setting");
            let retention = find(&result, "log.retention.hours");
            assert_eq!((retention.value.as_deref(), retention.config_source), (Some("2"), 4));
            assert!(find(&result, "log.dirs").read_only);
            let secrets: Vec<_> = result.configs.iter().filter(|one| one.is_sensitive).collect();
            assert!(secrets.iter().all(|secret| secret.value.is_none()));

            let result = describe(peer, of(GROUP, "inventory", None), version).await;
            assert_eq!(result.error_code, 0);
            assert!(result.configs.iter().all(|one| one.config_source == 5));
        }
    });
}

#[test]
fn synonyms_and_documentation_are_told_to_those_who_ask() {
    with_broker(async |peer| {
        let request =
            DescribeConfigsRequest { resources: vec![of(BROKER, "0", None)], ..Default::default() };
        let result = peer.ask(request, 4).await.results.remove(0);
        let silent = |one: &DescribeConfigsResourceResult| {
            one.synonyms.is_empty() && one.documentation.is_none()
        };
        assert!(result.configs.iter().all(silent));
    });
}

#[test]
fn describe_configs_tells_the_keys_that_were_asked_for() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        for version in versions::<DescribeConfigsRequest>() {
            let keys = of(TOPIC, "orders", Some(&["retention.ms", "nonsense"]));
            assert_eq!(describe(peer, keys, version).await.configs.len(), 1);
            // An empty list asks for all, as no list does.
            let all = describe(peer, of(TOPIC, "orders", None), version).await.configs.len();
            let empty = of(TOPIC, "orders", Some(&[]));
            assert_eq!(describe(peer, empty, version).await.configs.len(), all);
        }
    });
}

#[test]
fn each_resource_that_cannot_be_described_has_an_error_of_its_own() {
    with_broker(async |peer| {
        for (resource, expected) in [
            (of(TOPIC, "missing", None), 3),
            (of(TOPIC, "not/a/name", None), 17),
            (of(BROKER, "4", None), 42),
            (of(BROKER, "four", None), 42),
            (of(BROKER_LOGGER, "4", None), 42),
            (of(GROUP, "", None), 42),
            (of(CLIENT_METRICS, "", None), 42),
            (of(99, "x", None), 42),
        ] {
            let result = describe(peer, resource.clone(), 4).await;
            assert_eq!(result.error_code, expected, "{resource:?}");
            assert!(result.configs.is_empty() && result.error_message.is_some());
        }
    });
}

fn set(key: &str, value: Option<&str>) -> replace::AlterableConfig {
    replace::AlterableConfig { name: text(key), value: value.map(text), ..Default::default() }
}

async fn alter(
    peer: &mut Peer,
    (resource_type, name): (i8, &str),
    configs: Vec<replace::AlterableConfig>,
    version: i16,
) -> i16 {
    let resource_name = text(name);
    let resource = replace::AlterConfigsResource {
        resource_type,
        resource_name,
        configs,
        ..Default::default()
    };
    let request = AlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = peer.ask(request, version).await.responses.remove(0);
    assert_eq!((answer.resource_type, &*answer.resource_name), (resource_type, name));
    assert_eq!(answer.error_message.is_some(), answer.error_code != 0);
    answer.error_code
}

#[test]
fn every_version_of_alter_configs_replaces() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        for version in versions::<AlterConfigsRequest>() {
            let both = vec![set("retention.ms", Some("5")), set("segment.bytes", Some("2097152"))];
            assert_eq!(alter(peer, (TOPIC, "orders"), both, version).await, 0);
            assert_eq!(topic_setting(peer, "retention.ms").await, ("5".to_owned(), 1));
            let one = vec![set("segment.bytes", Some("4194304"))];
            assert_eq!(alter(peer, (TOPIC, "orders"), one, version).await, 0);
            assert_eq!(topic_setting(peer, "segment.bytes").await, ("4194304".to_owned(), 1));
            assert_eq!(topic_setting(peer, "retention.ms").await, ("604800000".to_owned(), 5));
            for (configs, expected) in [
                (vec![set("retension.ms", Some("5"))], 40),
                (vec![set("retention.ms", Some("soon"))], 40),
                (vec![set("retention.ms", None)], 42),
            ] {
                assert_eq!(alter(peer, (TOPIC, "orders"), configs, version).await, expected);
            }
            assert_eq!(alter(peer, (TOPIC, "missing"), Vec::new(), version).await, 3);
            assert_eq!(alter(peer, (BROKER, "4"), Vec::new(), version).await, 102);
            assert_eq!(alter(peer, (CLIENT_METRICS, "x"), Vec::new(), version).await, 42);
        }
    });
}

#[test]
fn validate_only_changes_nothing() {
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        for version in versions::<AlterConfigsRequest>() {
            let resource = replace::AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: text("orders"),
                configs: vec![set("retention.ms", Some("5"))],
                ..Default::default()
            };
            let request = AlterConfigsRequest {
                resources: vec![resource],
                validate_only: true,
                ..Default::default()
            };
            assert_eq!(peer.ask(request, version).await.responses[0].error_code, 0);
            assert_eq!(topic_setting(peer, "retention.ms").await.1, 5);
        }
    });
}

async fn change(
    peer: &mut Peer,
    (resource_type, name): (i8, &str),
    changes: &[(&str, i8, Option<&str>)],
    version: i16,
) -> i16 {
    let configs = changes.iter().map(|&(key, config_operation, value)| patch::AlterableConfig {
        name: text(key),
        config_operation,
        value: value.map(text),
        ..Default::default()
    });
    let resource = patch::AlterConfigsResource {
        resource_type,
        resource_name: text(name),
        configs: configs.collect(),
        ..Default::default()
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    peer.ask(request, version).await.responses.remove(0).error_code
}

#[test]
fn every_version_of_incremental_alter_configs_patches() {
    const ORDERS: (i8, &str) = (TOPIC, "orders");
    with_broker(async |peer| {
        peer.create("orders", 1).await;
        for version in versions::<IncrementalAlterConfigsRequest>() {
            let both = [("retention.ms", 0, Some("5")), ("segment.bytes", 0, Some("2097152"))];
            assert_eq!(change(peer, ORDERS, &both, version).await, 0);
            assert_eq!(change(peer, ORDERS, &[("retention.ms", 1, None)], version).await, 0);
            assert_eq!(topic_setting(peer, "retention.ms").await.1, 5);
            assert_eq!(topic_setting(peer, "segment.bytes").await, ("2097152".to_owned(), 1));
            let append = [("cleanup.policy", 2, Some("compact"))];
            assert_eq!(change(peer, ORDERS, &append, version).await, 0);
            let policy = topic_setting(peer, "cleanup.policy").await;
            assert_eq!(policy, ("delete,compact".to_owned(), 1));
            let subtract = [("cleanup.policy", 3, Some("delete"))];
            assert_eq!(change(peer, ORDERS, &subtract, version).await, 0);
            assert_eq!(topic_setting(peer, "cleanup.policy").await.0, "compact");
            assert_eq!(change(peer, ORDERS, &[("cleanup.policy", 1, None)], version).await, 0);
            for (changes, expected) in [
                (&[("segment.bytes", 2, Some("1"))][..], 40),
                (&[("segment.bytes", 0, None)], 42),
                (&[("segment.bytes", 9, Some("1"))], 42),
                (&[("segment.bytes", 1, None), ("segment.bytes", 1, None)], 42),
            ] {
                assert_eq!(change(peer, ORDERS, changes, version).await, expected, "{changes:?}");
            }
        }
    });
}

#[test]
fn a_brokers_settings_change_while_it_runs() {
    with_broker(async |peer| {
        let broker = |name| (BROKER, name);
        let bytes = [("message.max.bytes", 0, Some("1000"))];
        assert_eq!(change(peer, broker(""), &bytes, 1).await, 0);
        let all = describe(peer, of(BROKER, "", None), 4).await;
        let [only] = &all.configs[..] else { panic!("one dynamic default: {all:?}") };
        assert_eq!((&*only.name, only.config_source), ("message.max.bytes", 3));
        let one = describe(peer, of(BROKER, "0", Some(&["message.max.bytes"])), 4).await;
        let sources: Vec<i8> = one.configs[0].synonyms.iter().map(|one| one.source).collect();
        assert_eq!((one.configs[0].value.as_deref(), sources), (Some("1000"), vec![3, 5]));
        peer.create("orders", 1).await;
        assert_eq!(topic_setting(peer, "max.message.bytes").await, ("1000".to_owned(), 3));
        // What is read at the start only.
        assert_eq!(change(peer, broker("0"), &[("log.dirs", 0, Some("/x"))], 1).await, 40);
        assert_eq!(change(peer, broker("4"), &bytes, 1).await, 102);
    });
}
