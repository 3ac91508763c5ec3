//! What a person sees when a file is wrong: file, line, column, field, and the next step.

use expect_test::{Expect, expect};

/// Parses `text` as `orders.yaml` and shows each resource, or error, on a line.
fn check(text: &str, expected: &Expect) {
    let lines: Vec<String> = crds::parse(text, "orders.yaml")
        .into_iter()
        .map(|result| match result {
            Ok(resource) => resource.key().to_string(),
            Err(error) => error.to_string(),
        })
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

const MINIMAL: &str = "\
apiVersion: klamm.io/v1alpha1
kind: Cluster
metadata: {name: demo}
spec: {replicas: 3, storage: {size: 10Gi}}
---
apiVersion: klamm.io/v1alpha1
kind: Topic
metadata: {name: order-placed}
spec: {clusterRef: {name: demo}, partitions: 12}
---
apiVersion: klamm.io/v1alpha1
kind: ConsumerGroup
metadata: {name: inventory-service}
spec: {clusterRef: {name: demo}}
";

/// A Topic with `spec` under `spec:`, indented by two.
fn topic(spec: &str) -> String {
    format!(
        "apiVersion: klamm.io/v1alpha1\nkind: Topic\nmetadata:\n  name: orders\nspec:\n  clusterRef:\n    \
         name: demo\n{spec}"
    )
}

#[test]
fn the_minimal_resources_are_accepted() {
    check(
        MINIMAL,
        &expect![[r#"
            Cluster default/demo
            Topic default/order-placed
            ConsumerGroup default/inventory-service"#]],
    );
}

#[test]
fn empty_documents_are_nothing() {
    check("", &expect![""]);
    check("---\n# only a comment\n---\n", &expect![""]);
}

#[test]
fn an_unknown_field_names_the_nearest_one() {
    check(
        &topic("  partition: 12\n"),
        &expect![
            "orders.yaml:8:3: Topic orders: spec.partition: unknown field; hint: did you mean partitions?"
        ],
    );
    check(
        &topic("  bootstrapServers: here\n"),
        &expect![
            "orders.yaml:8:3: Topic orders: spec.bootstrapServers: unknown field; hint: known here: clusterRef, compression, config, configPolicy, deletionPolicy, durability, existing, maxMessageBytes, minInSyncReplicas, partitions, paused, replicas, retention, topicName, unmanagedConfig"
        ],
    );
    check(
        &topic("  retention:\n    tme: 7d\n"),
        &expect![
            "orders.yaml:9:5: Topic orders: spec.retention.tme: unknown field; hint: did you mean time?"
        ],
    );
}

#[test]
fn a_value_of_the_wrong_type_is_shown_with_its_place() {
    check(
        &topic("  partitions: twelve\n"),
        &expect![[
            r#"orders.yaml:8:3: Topic orders: spec.partitions: expected a whole number, found the text "twelve""#
        ]],
    );
    check(
        &topic("  partitions: \"12\"\n"),
        &expect![[
            r#"orders.yaml:8:3: Topic orders: spec.partitions: expected a whole number, found the text "12"; hint: leave the quotes out: 12"#
        ]],
    );
    check(
        &topic("  config:\n    segment.bytes: 1048576\n"),
        &expect![[
            r#"orders.yaml:9:5: Topic orders: spec.config["segment.bytes"]: expected a text, found the number 1048576; hint: put it in quotes: "1048576""#
        ]],
    );
    check(
        &topic("  retention: 7d\n"),
        &expect![[
            r#"orders.yaml:8:3: Topic orders: spec.retention: expected fields, found the text "7d""#
        ]],
    );
    check(
        &topic("  partitions:\n"),
        &expect![
            "orders.yaml:8:3: Topic orders: spec.partitions: expected a whole number, found nothing; hint: leave the field out, or give it a value"
        ],
    );
}

#[test]
fn a_value_out_of_bounds_says_the_bounds() {
    check(
        &topic("  partitions: 0\n"),
        &expect!["orders.yaml:8:3: Topic orders: spec.partitions: must be 1 to 100000: 0"],
    );
    check(
        &topic("  partitions: 4000000000\n"),
        &expect!["orders.yaml:8:3: Topic orders: spec.partitions: must be 1 to 100000: 4000000000"],
    );
    check(
        &topic("  retention: {time: 7 days}\n"),
        &expect![[
            r#"orders.yaml:8:15: Topic orders: spec.retention.time: is not valid: "7 days"; hint: numbers with w, d, h, m, s or ms, for example 7d or 1h30m"#
        ]],
    );
    check(
        &topic("  maxMessageBytes: 1MB\n"),
        &expect![[
            r#"orders.yaml:8:3: Topic orders: spec.maxMessageBytes: is not valid: "1MB"; hint: a number and a unit, for example 10Gi or 500M"#
        ]],
    );
    check(
        &topic("  compression: zstandard\n"),
        &expect![[
            r#"orders.yaml:8:3: Topic orders: spec.compression: unknown value: "zstandard"; hint: one of Producer, Uncompressed, Gzip, Snappy, Lz4, Zstd"#
        ]],
    );
    check(
        &topic("  unmanagedConfig: [a, b, a]\n"),
        &expect![[
            r#"orders.yaml:8:27: Topic orders: spec.unmanagedConfig[2]: is there twice: "a""#
        ]],
    );
}

#[test]
fn a_broken_rule_is_shown_with_its_place() {
    check(
        &topic("  retention:\n    time: 7d\n  config:\n    retention.ms: \"1\"\n"),
        &expect![[
            r#"orders.yaml:9:5: Topic orders: spec.retention.time: is set twice: also as config["retention.ms"]"#
        ]],
    );
    check(
        &topic("  minInSyncReplicas: 3\n  replicas: 2\n"),
        &expect![
            "orders.yaml:8:3: Topic orders: spec.minInSyncReplicas: may not exceed replicas: nothing could be produced with acks=all"
        ],
    );
}

#[test]
fn each_mistake_of_a_file_is_shown_and_the_rest_is_read() {
    let text = format!("{MINIMAL}---\n{}", topic("  partitions: 0\n  replica: 1\n"));
    check(
        &text,
        &expect![[r#"
            Cluster default/demo
            Topic default/order-placed
            ConsumerGroup default/inventory-service
            orders.yaml:23:3: Topic orders: spec.partitions: must be 1 to 100000: 0
            orders.yaml:24:3: Topic orders: spec.replica: unknown field; hint: did you mean replicas?"#]],
    );
}

#[test]
fn kinds_and_versions_are_known_or_explained() {
    check(
        "kind: Topic\n",
        &expect!["orders.yaml:1:1: apiVersion: is required; hint: apiVersion: klamm.io/v1alpha1"],
    );
    check(
        "apiVersion: klamm.io/v1alpha1\n",
        &expect!["orders.yaml:1:1: kind: is required; hint: one of Cluster, Topic, ConsumerGroup"],
    );
    check(
        "apiVersion: klamm.io/v1\nkind: Topic\n",
        &expect![[
            r#"orders.yaml:1:1: apiVersion: unknown version: "klamm.io/v1"; hint: did you mean klamm.io/v1alpha1?"#
        ]],
    );
    check(
        "apiVersion: apps/v1\nkind: Deployment\n",
        &expect![[
            r#"orders.yaml:1:1: apiVersion: unknown version: "apps/v1"; hint: Klamm reads klamm.io/v1alpha1 only; keep other resources elsewhere"#
        ]],
    );
    check(
        "apiVersion: klamm.io/v1alpha1\nkind: Topik\n",
        &expect![[r#"orders.yaml:2:1: kind: unknown kind: "Topik"; hint: did you mean Topic?"#]],
    );
    check(
        "apiVersion: klamm.io/v1alpha1\nkind: User\n",
        &expect![[
            r#"orders.yaml:2:1: kind: unknown kind: "User"; hint: one of Cluster, Topic, ConsumerGroup"#
        ]],
    );
    check(
        "just text",
        &expect![
            "orders.yaml:1:1: a resource is expected; hint: begin with apiVersion: klamm.io/v1alpha1 and kind: Topic"
        ],
    );
    check(
        "apiVersion: klamm.io/v1alpha1\nkind: Topic\n",
        &expect![[r#"
            orders.yaml:1:1: metadata: is required; hint: metadata: {name: orders}
            orders.yaml:1:1: spec: is required"#]],
    );
}

#[test]
fn metadata_is_checked_as_the_api_server_does() {
    let named = |metadata: &str| {
        format!(
            "apiVersion: klamm.io/v1alpha1\nkind: ConsumerGroup\nmetadata: {metadata}\nspec: \
             {{clusterRef: {{name: demo}}}}\n"
        )
    };
    check(
        &named("{name: Order_Service}"),
        &expect![[
            r#"orders.yaml:3:12: ConsumerGroup Order_Service: metadata.name: is not valid: "Order_Service"; hint: lower-case letters, digits, - and ., at most 253; a topic or group of another name is given as spec.topicName or spec.groupId"#
        ]],
    );
    check(
        &named("{nam: orders}"),
        &expect![[r#"
            orders.yaml:3:12: metadata.nam: unknown field; hint: did you mean name?
            orders.yaml:3:1: metadata.name: is required"#]],
    );
    check(
        &named("{name: orders, namespace: a.b}"),
        &expect![[
            r#"orders.yaml:3:26: ConsumerGroup orders: metadata.namespace: is not valid: "a.b"; hint: lower-case letters, digits and -, at most 63"#
        ]],
    );
}

#[test]
fn what_is_not_yaml_is_one_error_with_its_place() {
    check(
        "kind: [Topic\nmetadata: {}\n",
        &expect!["orders.yaml:2:9: not YAML: illegal placement of ':' indicator"],
    );
    check("a: 1\na: 2\n", &expect!["orders.yaml:2:1: not YAML: duplicate mapping key: a"]);
    check(
        &format!("{MINIMAL}---\nkind: \"Topic\n"),
        &expect!["orders.yaml:17:1: not YAML: invalid indentation in multiline quoted scalar"],
    );
    check(
        "a: &a [*a]\n",
        &expect!["orders.yaml:1:8: not YAML: recursive references require weak recursion types"],
    );
}

#[test]
fn defaults_are_filled_in_and_a_status_in_a_file_is_dropped() {
    let text = format!("{}status: {{topicId: stolen}}\n", topic("  paused: null\n"));
    let mut parsed = crds::parse(&text, "orders.yaml");
    assert_eq!(parsed.len(), 1, "{parsed:?}");
    let Some(Ok(crds::Resource::Topic(topic))) = parsed.pop() else { panic!("it is a Topic") };
    assert_eq!(topic.status, None);
    assert!(!topic.spec.paused);
    assert_eq!(topic.spec.deletion_policy, crds::topic::TopicDeletionPolicy::Delete);
    assert_eq!(topic.topic_name(), "orders");
}
