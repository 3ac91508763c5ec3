//! What operating a cluster takes beside its daily life: a lost quorum, the end of an upgrade, settings.

use crate::cluster::{Orders, all_in_sync, create_orders, json, read_all};
use crate::process::{Shell, Up, eventually};
use crate::processes::Processes;

const ONE: &str = "apiVersion: klamm.io/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\n\
                   spec: {replicas: 1, storage: {size: 1Gi}}\n";

#[test]
fn a_cluster_whose_majority_has_lost_its_disks_goes_on_from_the_one_that_is_left() {
    let mut all = Processes::start();
    create_orders(&all, 3);
    let orders = Orders::begin(&all);
    eventually("some orders are there", || read_all(&all) > 100);
    let sent = orders.end();
    (1..=3).for_each(|id| all.kill(id));
    [2, 3].into_iter().for_each(|id| all.wipe(id));
    (1..=3).for_each(|id| all.start_one(id));
    eventually("they say what is to be done", || {
        let said = all.run("cluster status");
        said.code == 1 && said.err.contains("hint: bring these disks back")
    });
    let said = all.run("cluster status").err;
    assert!(said.contains("(nodes 2, 3)") && said.contains("stop node 1"), "{said}");
    assert_eq!(all.run("cluster brokers").code, 1, "nothing is served");
    // As the hint says.
    let recover = format!("cluster recover --data-dir {}", all.data(1).display());
    let in_use = all.run(&recover);
    assert!(in_use.code == 1 && in_use.err.contains("is in use by another klamm"), "{in_use:?}");
    all.kill(1);
    let nobodys = all.run("cluster recover --data-dir data-9 --accept-data-loss");
    assert!(nobodys.code == 1 && nobodys.err.contains("no meta.properties"), "{nobodys:?}");
    let asked = all.run(&recover);
    assert_eq!(asked.code, 1, "{asked:?}");
    assert!(asked.err.contains("nothing was changed\nhint: "), "{asked:?}");
    assert!(asked.out.contains("6, all of them whole here"), "{asked:?}");
    let found = json(&all, &format!("{recover} --accept-data-loss -o json"));
    assert_eq!((&found["broker"], &found["recoveries"]), (&1.into(), &0.into()));
    assert_eq!(found["voters"], serde_json::json!([1, 2, 3]));
    // The others still run, and join by themselves.
    all.start_one(1);
    all.all_serve();
    eventually("all replicas are copied again", || all_in_sync(&all));
    assert_eq!(read_all(&all), sent, "nothing that was acknowledged is lost");
    let more = Orders::begin(&all);
    eventually("all vote again", || {
        let brokers = json(&all, "cluster brokers -o json");
        let brokers = brokers.as_array().expect("a list");
        brokers.len() == 3 && brokers.iter().all(|it| it["voter"] == true)
    });
    let more = more.end();
    assert_eq!(read_all(&all), sent + more);
    // And another one can be missed.
    all.kill(1);
    eventually("another one leads", || json(&all, "cluster status -o json")["brokersUp"] == 2);
    assert_eq!(read_all(&all), sent + more);
}

/// As a person edits the file.
fn declare(up: &Up, replicas: u8) {
    crate::process::write(
        &up.file(),
        &ONE.replace("replicas: 1", &format!("replicas: {replicas}")),
    );
}

/// Whether so many brokers are up and all of them vote, and nobody else does.
fn runs_with(up: &Up, count: usize) -> bool {
    let brokers = up.run("cluster brokers -o json").out;
    let brokers: serde_json::Value = serde_json::from_str(&brokers).unwrap_or_default();
    let is_whole = |it: &serde_json::Value| it["state"] == "up" && it["voter"] == true;
    brokers.as_array().is_some_and(|all| all.len() == count && all.iter().all(is_whole))
}

#[test]
fn a_laptops_cluster_grows_and_shrinks_under_load() {
    let up = Up::with_brokers(3, ONE);
    up.ok("topic create orders -p 3 -r 1");
    let orders = Orders::begin(&up);
    eventually("some orders are there", || read_all(&up) > 100);
    declare(&up, 3);
    eventually("three brokers vote", || runs_with(&up, 3));
    up.ok("topic set-replicas orders --to 3 --wait --within 60s");
    eventually("all replicas are in sync", || all_in_sync(&up));
    declare(&up, 1);
    eventually("it says what is in the way", || {
        let said = up.run("get cluster -o json").out;
        said.contains("brokers 2, 3 are being drained") && said.contains("klamm topic set-replicas")
    });
    // Thought better of it.
    declare(&up, 3);
    let drains = || json(&up, "cluster brokers -o json");
    eventually("nobody is drained", || {
        drains().as_array().is_some_and(|all| all.iter().all(|it| it["drain"] == "none"))
    });
    declare(&up, 1);
    up.ok("topic set-replicas orders --to 1");
    eventually("one broker is left", || runs_with(&up, 1));
    assert_eq!(orders.end(), read_all(&up), "no error, and nothing lost");
    let up = up.restart();
    eventually("it comes back alone", || runs_with(&up, 1));
    declare(&up, 3);
    eventually("and grows again", || runs_with(&up, 3));
}

#[test]
fn a_level_is_finalized_and_lowered_again() {
    let up = Up::with(ONE);
    let level = || json(&up, "cluster features -o json")[0]["finalized"].clone();
    assert_eq!(level(), 2, "a new cluster has the newest");
    let features = up.ok("cluster features");
    assert!(
        features.contains("klamm.metadata.version") && features.contains("1 to 2"),
        "{features}"
    );
    let refused = up.run("cluster finalize --level 1");
    assert!(refused.code == 1 && refused.err.contains("hint: ask for a downgrade"), "{refused:?}");
    let dry = up.ok("cluster finalize --level 1 --downgrade --dry-run");
    assert!(dry.contains("would go from level 2 to 1"), "{dry}");
    assert_eq!(level(), 2, "nothing has changed");
    up.ok("cluster finalize --level 1 --downgrade");
    assert_eq!(level(), 1);
    let drain = up.run("cluster drain 1");
    assert!(drain.code == 1 && drain.err.contains("hint: `klamm cluster finalize`"), "{drain:?}");
    let done = up.ok("cluster finalize");
    assert!(done.contains("went from level 1 to 2"), "{done}");
    assert!(up.ok("cluster finalize").contains("at level 2 already"));
    let unknown = up.run("cluster finalize --feature group.version");
    assert!(
        unknown.code == 1 && unknown.err.contains("hint: `klamm cluster features`"),
        "{unknown:?}"
    );
}

#[test]
fn settings_are_checked_before_they_are_set() {
    let up = Up::with(ONE);
    let good = "cluster validate-config topic -c retention.ms=5 -c cleanup.policy=compact";
    assert_eq!(up.ok(good).trim(), "nothing is wrong with them");
    let bad = up.run("cluster validate-config topic -c retension.ms=5 -c segment.bytes=few");
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.out.contains("did you mean retention.ms?"), "{bad:?}");
    assert!(bad.err.contains("2 of 2 settings cannot be set"), "{bad:?}");
    let of_broker = up.run("cluster validate-config broker -c num.partitions=0 -o json");
    assert!(of_broker.code == 1 && of_broker.out.contains("\"key\": \"num.partitions\""));
    crate::process::write(&up.dir.path().join("t.properties"), "retention.ms = 7\n");
    assert_eq!(up.run("cluster validate-config topic --file t.properties").code, 0);
    assert_eq!(up.run("cluster validate-config topic").code, 2, "there is nothing to check");
}
