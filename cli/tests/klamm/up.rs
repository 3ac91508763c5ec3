//! `klamm up`: files that are edited, broken, emptied; restarts; `get` and `delete`.

use std::time::Duration;

use crate::process::{Shell, Up, eventually, klamm, write};

fn yaml(topics: &[(&str, i32)], group: &str) -> String {
    let mut text = "apiVersion: klamm.io/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\n\
                    spec: {replicas: 1, storage: {size: 1Gi}}\n"
        .to_owned();
    for (name, partitions) in topics {
        text.push_str(&format!(
            "---\napiVersion: klamm.io/v1alpha1\nkind: Topic\nmetadata: {{name: {name}}}\n\
             spec: {{clusterRef: {{name: demo}}, partitions: {partitions}}}\n"
        ));
    }
    text.push_str(group);
    text
}

fn partitions(up: &Up, topic: &str) -> usize {
    up.run(&format!("topic describe {topic} -o json")).out.matches("\"partition\":").count()
}

#[test]
fn an_edited_file_is_reconciled_and_data_survives_a_restart() {
    let up = Up::with(&yaml(&[("orders", 3)], ""));
    up.wait_for("Topic default/orders Created");
    assert_eq!(partitions(&up, "orders"), 3);
    up.ok_with("produce orders", "kept\n");
    write(&up.file(), &yaml(&[("orders", 5), ("late", 1)], ""));
    eventually("five partitions", || partitions(&up, "orders") == 5);
    eventually("a second topic", || partitions(&up, "late") == 1);
    let up = up.restart();
    assert_eq!(up.ok("consume orders -e"), "kept\n");
    assert_eq!(partitions(&up, "orders"), 5);
}

#[test]
fn what_vanishes_or_breaks_changes_nothing() {
    let up = Up::with(&yaml(&[("orders", 3)], ""));
    up.wait_for("Topic default/orders Created");
    up.ok_with("produce orders", "kept\n");
    write(&up.file(), "{");
    up.wait_for("warning: ");
    write(&up.file(), "");
    eventually("it is unmanaged", || up.ok("get topics").contains("left alone"));
    assert_eq!(up.ok("consume orders -e"), "kept\n");
    write(&up.file(), &yaml(&[("orders", 2)], ""));
    up.wait_for("warning: Topic default/orders");
    assert_eq!(partitions(&up, "orders"), 3, "partitions never shrink");
}

#[test]
fn drift_is_corrected_and_get_shows_conditions() {
    let up = Up::with(
        &yaml(&[("orders", 3)], "")
            .replace("partitions: 3", "partitions: 3, retention: {time: 1h}"),
    );
    up.wait_for("Topic default/orders Created");
    up.ok("topic alter orders -c retention.ms=5");
    eventually("the drift is gone", || up.ok("topic describe orders").contains("3600000"));
    let shown = up.ok("get");
    assert!(shown.contains("CLUSTER") && shown.contains("DriftCorrected"), "{shown}");
    assert!(up.ok("get topics orders -o json").contains("\"topicId\""));
}

#[test]
fn a_reset_in_the_file_runs_once() {
    let group = |reset: &str| {
        format!(
            "---\napiVersion: klamm.io/v1alpha1\nkind: ConsumerGroup\nmetadata: {{name: shop}}\n\
             spec: {{clusterRef: {{name: demo}}{reset}}}\n"
        )
    };
    let up = Up::with(&yaml(&[("orders", 2)], &group("")));
    up.wait_for("Topic default/orders Created");
    up.ok_with("produce orders", "a\nb\nc\n");
    assert_eq!(up.ok("consume orders -g shop -e").lines().count(), 3);
    let reset = ", reset: {token: again, to: {position: Earliest}}";
    write(&up.file(), &yaml(&[("orders", 2)], &group(reset)));
    eventually("the reset is done", || up.ok("get groups").contains("Complete"));
    assert_eq!(up.ok("consume orders -g shop -e").lines().count(), 3);
    let up = up.restart();
    assert_eq!(up.ok("consume orders -g shop -e"), "", "a token moves a group once");
}

#[test]
fn delete_follows_the_policy_and_the_document_stays_deleted() {
    let up = Up::with(&yaml(&[("orders", 2), ("other", 1)], ""));
    eventually("both topics are there", || partitions(&up, "other") == 1);
    let only = up.dir.path().join("orders-only.yaml");
    let (head, _) =
        yaml(&[("orders", 2)], "").split_once("---\n").map(|(_, t)| (t.to_owned(), ())).unwrap();
    write(&only, &head);
    let said = up.ok("delete -f orders-only.yaml");
    assert!(said.contains("deleted Topic default/orders"), "{said}");
    assert_eq!(partitions(&up, "orders"), 0);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(partitions(&up, "orders"), 0, "the file still declares it");
    assert_eq!(partitions(&up, "other"), 1);
}

#[test]
fn three_brokers_are_one_cluster_that_comes_back() {
    let yaml = yaml(&[("orders", 3)], "").replace("replicas: 1", "replicas: 3");
    let yaml = yaml.replace("partitions: 3", "partitions: 3, replicas: 3");
    let mut up = Up::with_brokers(3, &yaml);
    up.wait_for("Topic default/orders Created");
    let in_sync = |up: &Up| {
        let said = up.run("topic describe orders -o json").out;
        let said: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
        let isr = |partition: &serde_json::Value| partition["isr"].as_array().map_or(0, Vec::len);
        said["partitions"].as_array().is_some_and(|all| all.iter().all(|one| isr(one) == 3))
    };
    eventually("all replicas are in sync", || in_sync(&up));
    up.ok_with("produce orders", "one\n");
    up = up.restart();
    eventually("all replicas are in sync again", || in_sync(&up));
    assert!(up.ok("consume orders --from beginning --exit-at-end").contains("one"));
}

#[test]
fn more_brokers_than_a_laptop_runs_are_said() {
    let up = Up::with_brokers(5, &yaml(&[], "").replace("replicas: 1", "replicas: 9"));
    up.wait_for("NotEnoughBrokers");
    up.ok("topic list");
}

#[test]
fn what_cannot_start_says_why() {
    let up = Up::with(&yaml(&[], ""));
    let start = |arguments: &[&str]| {
        let output = klamm(up.dir.path()).arg("up").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let taken = start(&["--listen", &up.bootstrap, "--http", "off", "--data-dir", "elsewhere"]);
    assert!(taken.contains("cannot listen on") && taken.contains("hint:"), "{taken}");
    let locked = start(&["--listen", "127.0.0.1:0", "--http", "off", "-f", "orders.yaml"]);
    assert!(locked.contains("in use") && locked.contains("hint:"), "{locked}");
    write(
        &up.dir.path().join("wrong.yaml"),
        &yaml(&[("t", 1)], "").replace("partitions", "partition"),
    );
    let wrong = start(&["-f", "wrong.yaml"]);
    assert!(wrong.contains("wrong.yaml:") && wrong.contains("hint:"), "{wrong}");
    let nowhere = start(&["-f", "nowhere.yaml"]);
    assert!(nowhere.contains("cannot read nowhere.yaml"), "{nowhere}");
    let output = klamm(up.dir.path()).args(["broker", "--set", "log.dir.s=x"]).output().unwrap();
    let unknown = String::from_utf8(output.stderr).unwrap();
    assert!(unknown.contains("hint: did you mean log.dirs?"), "{unknown}");
}
