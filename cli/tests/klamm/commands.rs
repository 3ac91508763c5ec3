//! Topics, groups and records on the command line.

use crate::process::{Shell, Up, klamm};

const CLUSTER: &str = "apiVersion: klamm.io/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\n\
                       spec: {replicas: 1, storage: {size: 1Gi}}\n";

#[test]
fn records_come_back_as_they_were_sent() {
    let up = Up::with(CLUSTER);
    up.ok("topic create t -p 3 -c retention.ms=3600000");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let line = format!("produce t -K : -H origin=test -T 1700000000000 -z {codec}");
        up.ok_with(&line, &format!("k1:{codec}\nk2:two\n"));
    }
    let text = up.ok("consume t -e -f %k=%s;%T;%h\\n");
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let sent = |what: &str| format!("{what};1700000000000;origin=test");
    let mut expected: Vec<_> =
        ["none", "gzip", "snappy", "lz4", "zstd"].map(|codec| sent(&format!("k1={codec}"))).into();
    expected.extend(std::iter::repeat_n(sent("k2=two"), 5));
    expected.sort_unstable();
    assert_eq!(lines, expected);
    let json = up.ok("consume t -e -o json -c 1");
    assert!(json.contains("\"headers\":[{\"name\":\"origin\",\"value\":\"test\"}]"), "{json}");
}

#[test]
fn a_topic_is_copied_with_keys_headers_and_timestamps() {
    let up = Up::with(CLUSTER);
    up.ok("topic create a b");
    up.ok_with("produce a -k key -H n=v -T 5", "one\ntwo\n");
    let json = up.ok("consume a -e -o json");
    up.ok_with("produce b --json", &json);
    assert_eq!(up.ok("consume b -e -o json"), json.replace("\"topic\":\"a\"", "\"topic\":\"b\""));
}

#[test]
fn records_that_could_not_be_written_are_not_committed() {
    let up = Up::with(CLUSTER);
    up.ok("topic create t");
    let lines: String = (0..500).map(|n| format!("{n}\n")).collect();
    up.ok_with("produce t", &lines);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = up.command("consume t -g shop").stdout(full).status().unwrap();
    assert!(!status.success());
    assert_eq!(up.ok("consume t -g shop -e"), lines);
}

#[test]
fn reading_begins_where_it_is_told() {
    let up = Up::with(CLUSTER);
    up.ok("topic create t");
    for n in 0..5 {
        up.ok_with(&format!("produce t -T {}", 1000 * n), &format!("{n}\n"));
    }
    for (from, first) in [
        ("beginning", "0"),
        ("3", "3"),
        ("-2", "3"),
        ("@1500", "2"),
        ("@1970-01-01T00:00:04Z", "4"),
    ] {
        let out = up.ok(&format!("consume t -e --from {from} -c 1"));
        assert_eq!(out.trim(), first, "--from {from}");
    }
    assert_eq!(up.ok("consume t -e --from end"), "");
    let said = up.run("consume t --from 99 -c 1 --timeout 1s");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("OFFSET_OUT_OF_RANGE") && said.err.contains("hint:"), "{said:?}");
}

#[test]
fn a_group_goes_on_where_it_left_and_can_be_moved() {
    let up = Up::with(CLUSTER);
    up.ok("topic create t -p 3");
    let orders: String = (0..30).map(|n| format!("{n}:order\n")).collect();
    up.ok_with("produce t -K :", &orders);
    assert_eq!(up.ok("consume t -g shop -c 10").lines().count(), 10);
    assert_eq!(up.ok("consume t -g shop -e").lines().count(), 20);
    assert_eq!(up.ok("consume t -g shop -e"), "");
    let described = up.ok("group describe shop -o json");
    assert!(described.contains("\"state\": \"Empty\""), "{described}");
    let moved = up.ok("group reset shop --to beginning --token once");
    assert_eq!(moved.lines().count(), 4, "{moved}");
    assert_eq!(up.ok("consume t -g shop -e").lines().count(), 30);
    let again = up.run("group reset shop --to beginning --token once");
    assert!(again.err.contains("before"), "{again:?}");
    assert_eq!(up.ok("consume t -g shop -e"), "", "a token moves a group once");
    let list = up.ok("group list");
    assert!(list.contains("shop") && list.contains("Empty"), "{list}");
    up.ok("group delete shop");
    assert_eq!(up.run("group describe shop").code, 1);
}

#[test]
fn topics_are_listed_described_changed_and_deleted() {
    let up = Up::with(CLUSTER);
    up.ok("topic create t -p 2");
    let again = up.run("topic create t");
    assert_eq!(again.code, 1);
    assert!(again.err.contains("TOPIC_ALREADY_EXISTS") && again.err.contains("hint:"), "{again:?}");
    up.ok("topic create t --if-not-exists");
    up.ok("topic add-partitions t --to 4");
    let fewer = up.run("topic add-partitions t --to 3");
    assert!(fewer.code == 1 && fewer.err.contains("INVALID_PARTITIONS"), "{fewer:?}");
    up.ok("topic alter t -c retention.ms=60000");
    let described = up.ok("topic describe t");
    assert!(described.contains("retention.ms") && described.contains("60000"), "{described}");
    up.ok("topic alter t --unset retention.ms");
    assert!(!up.ok("topic describe t").contains("retention.ms"));
    up.ok_with("produce t -p 0", "a\nb\nc\n");
    assert!(up.ok("topic trim t -p 0 --before 2").contains("begins at 2"));
    assert_eq!(up.ok("consume t -p 0 -e"), "c\n");
    up.ok("topic delete t");
    assert_eq!(up.ok("topic list").lines().count(), 1);
}

#[test]
fn a_mistake_is_said_with_a_hint_and_its_exit_code() {
    let up = Up::with(CLUSTER);
    let unknown = up.run("topic create t -c retension.ms=5");
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.err.contains("hint: did you mean retention.ms?"), "{unknown:?}");
    let missing = up.run("consume nothing");
    assert_eq!(missing.code, 1);
    assert!(missing.err.starts_with("error: there is no topic nothing\nhint: "), "{missing:?}");
    let nobody =
        klamm(up.dir.path()).args(["topic", "list", "-b", "127.0.0.1:1"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    let err = String::from_utf8(nobody.stderr).unwrap();
    assert!(err.contains("cannot connect to 127.0.0.1:1") && err.contains("klamm up"), "{err}");
    let usage = klamm(up.dir.path()).args(["consume", "t", "-o", "beginning"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn the_version_names_the_commit() {
    let said = klamm(std::path::Path::new(".")).arg("--version").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.starts_with("klamm 0.1.0 ("), "{said}");
}
