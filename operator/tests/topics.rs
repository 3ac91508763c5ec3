//! Topics, from YAML to the brokers: created, grown, corrected, refused, adopted, deleted by policy.

mod model;

use std::collections::BTreeMap;
use std::rc::Rc;

use model::{Fault, ModelTopic, Place, at, run, settle};
use operator::Reconciler;

fn topic(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: klamm.io/v1alpha1\nkind: Topic\nmetadata: {{name: {name}}}\nspec: {{clusterRef: \
         {{name: demo}}, {spec}}}\n"
    )
}

fn place(spec: &str) -> Rc<Place> {
    Place::with(&topic("orders", spec))
}

fn broker_topic(place: &Place, name: &str) -> Option<ModelTopic> {
    place.model.state.borrow().topics.get(name).cloned()
}

fn existing(partitions: i32, config: &[(&str, &str)]) -> ModelTopic {
    ModelTopic {
        id: "old".to_owned(),
        partitions,
        replicas: 1,
        moving: 0,
        config: config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        log: (0, 0),
    }
}

fn put(place: &Place, name: &str, topic: ModelTopic) {
    place.model.state.borrow_mut().topics.insert(name.to_owned(), topic);
}

#[test]
fn a_declared_topic_is_created_with_its_settings() {
    let place = place("partitions: 12, retention: {time: 1d}, compression: Zstd");
    settle(&place, 0);
    let topic = broker_topic(&place, "orders").expect("it was created");
    assert_eq!(topic.partitions, 12);
    assert_eq!(topic.config["retention.ms"], "86400000");
    assert_eq!(topic.config["compression.type"], "zstd");
    assert_eq!(place.topic_ready("orders"), "True Created");
    let status = place.topic("orders").and_then(|it| it.status).expect("it was written");
    assert_eq!((status.partitions, status.topic_id.as_deref()), (Some(12), Some("id-1")));
}

#[test]
fn an_edited_topic_grows_and_takes_its_new_settings() {
    let place = place("partitions: 3");
    let now = settle(&place, 0);
    place.apply(&topic("orders", "partitions: 6, config: {segment.bytes: \"1048576\"}"));
    settle(&place, now);
    let topic = broker_topic(&place, "orders").expect("it is there");
    assert_eq!((topic.partitions, topic.config["segment.bytes"].as_str()), (6, "1048576"));
    assert_eq!(place.topic_ready("orders"), "True InSync");
    let drift = place.topic("orders").and_then(|it| it.status).and_then(|it| it.drift);
    assert_eq!(drift, None, "an edit is no drift");
}

#[test]
fn what_somebody_else_changed_is_put_right_and_counted() {
    let place = place("partitions: 3, config: {segment.bytes: \"1048576\"}");
    let now = settle(&place, 0);
    put(
        &place,
        "orders",
        ModelTopic { id: "id-1".to_owned(), ..existing(3, &[("segment.bytes", "9")]) },
    );
    let now = settle(&place, now);
    assert_eq!(
        broker_topic(&place, "orders").expect("it is there").config["segment.bytes"],
        "1048576"
    );
    assert_eq!(place.topic_ready("orders"), "True DriftCorrected");
    let drift = place.topic("orders").and_then(|it| it.status).and_then(|it| it.drift);
    let drift = drift.expect("it was counted");
    assert_eq!((drift.count, drift.keys), (1, vec!["segment.bytes".to_owned()]));
    let writes = place.writes.get();
    settle(&place, now);
    assert_eq!(place.writes.get(), writes, "nothing to do writes nothing");
}

#[test]
fn refusals_name_their_reason_and_change_nothing() {
    for (spec, reason) in [
        ("partitions: 2", "False PartitionsLower"),
        ("replicas: 3", "False NotEnoughBrokers"),
        ("existing: Fail", "False Conflict"),
        ("config: {retension.ms: \"1\"}", "False InvalidConfig"),
        ("config: {retention.ms: soon}", "False InvalidConfig"),
    ] {
        let place = place(spec);
        put(&place, "orders", existing(3, &[]));
        settle(&place, 0);
        assert_eq!(place.topic_ready("orders"), reason, "{spec}");
        assert_eq!(broker_topic(&place, "orders"), Some(existing(3, &[])), "{spec}");
    }
}

/// What is noted before a creation is no claim on what somebody else creates when that was refused.
#[test]
fn who_was_refused_takes_nothing_that_appears_later() {
    let place = place("existing: Fail");
    let mut reconciler = Reconciler::new(place.clone());
    run(reconciler.reconcile_all(at(0)));
    assert_eq!(broker_topic(&place, "orders"), None, "it is noted first that there is none");
    place.apply(&topic("orders", "existing: Fail, replicas: 3"));
    run(reconciler.reconcile_all(at(1)));
    put(&place, "orders", existing(3, &[]));
    place.apply(&topic("orders", "existing: Fail"));
    settle(&place, 2);
    assert_eq!(place.topic_ready("orders"), "False Conflict");
    assert_eq!(broker_topic(&place, "orders"), Some(existing(3, &[])));
}

#[test]
fn a_topic_that_may_not_shrink_still_gets_its_settings() {
    let place = place("partitions: 2, config: {segment.bytes: \"1048576\"}");
    put(&place, "orders", existing(3, &[]));
    settle(&place, 0);
    let topic = broker_topic(&place, "orders").expect("it is there");
    assert_eq!((topic.partitions, topic.config["segment.bytes"].as_str()), (3, "1048576"));
    assert_eq!(place.topic_ready("orders"), "False PartitionsLower");
}

#[test]
fn too_many_replicas_create_nothing() {
    let place = place("replicas: 3");
    settle(&place, 0);
    assert_eq!(broker_topic(&place, "orders"), None);
    assert_eq!(place.topic_ready("orders"), "False NotEnoughBrokers");
}

#[test]
fn settings_that_are_listed_nowhere_stay_or_go_by_policy() {
    let found = [("segment.ms", "5000000"), ("cleanup.policy", "compact")];
    for (policy, left) in [("Merge", 2), ("Strict", 1)] {
        let place = place(&format!("configPolicy: {policy}, unmanagedConfig: [cleanup.policy]"));
        put(&place, "orders", existing(1, &found));
        settle(&place, 0);
        let topic = broker_topic(&place, "orders").expect("it is there");
        assert_eq!(topic.config.len(), left, "{policy}");
        assert_eq!(topic.config["cleanup.policy"], "compact", "{policy}: unmanaged");
        assert_eq!(place.topic_ready("orders"), "True Adopted");
    }
}

#[test]
fn a_topic_of_the_same_name_made_by_somebody_else_is_not_touched() {
    let place = place("partitions: 3");
    let now = settle(&place, 0);
    put(&place, "orders", existing(1, &[]));
    let now = settle(&place, now);
    assert_eq!(place.topic_ready("orders"), "False RecreatedExternally");
    place.delete("orders");
    settle(&place, now);
    assert_eq!(broker_topic(&place, "orders"), Some(existing(1, &[])), "nor deleted");
    assert_eq!(place.topic("orders"), None, "and the resource goes");
}

#[test]
fn a_topic_that_somebody_deleted_is_created_again() {
    let place = place("partitions: 3");
    let now = settle(&place, 0);
    place.model.state.borrow_mut().topics.clear();
    settle(&place, now);
    assert_eq!(broker_topic(&place, "orders").map(|it| it.id).as_deref(), Some("id-2"));
    assert_eq!(place.topic_ready("orders"), "True Created");
    let drift = place.topic("orders").and_then(|it| it.status).and_then(|it| it.drift);
    assert_eq!(drift.map(|it| it.keys), Some(vec!["topic".to_owned()]));
}

#[test]
fn of_two_resources_one_has_the_topic_and_keeps_it() {
    let place = Place::with(&topic("b", "topicName: orders, partitions: 3"));
    let now = settle(&place, 0);
    place.apply(&topic("a", "topicName: orders, partitions: 6"));
    let now = settle(&place, now);
    assert_eq!(place.topic_ready("a"), "False Conflict");
    assert_eq!(broker_topic(&place, "orders").map(|it| it.partitions), Some(3));
    place.delete("a");
    let now = settle(&place, now);
    assert!(broker_topic(&place, "orders").is_some(), "the loser deletes nothing");
    place.delete("b");
    settle(&place, now);
    assert_eq!(broker_topic(&place, "orders"), None);
}

#[test]
fn deletion_follows_the_policy() {
    for (policy, is_left) in [("Delete", false), ("Retain", true)] {
        let place = place(&format!("deletionPolicy: {policy}"));
        let now = settle(&place, 0);
        place.delete("orders");
        settle(&place, now);
        assert_eq!(broker_topic(&place, "orders").is_some(), is_left, "{policy}");
        assert_eq!(place.topic("orders"), None, "{policy}");
    }
}

#[test]
fn a_topic_outlives_its_cluster() {
    let place = place("partitions: 3");
    let now = settle(&place, 0);
    place.delete("demo");
    place.delete("orders");
    settle(&place, now);
    assert!(broker_topic(&place, "orders").is_some(), "Delete is downgraded to Retain");
    assert!(place.resources.borrow().is_empty(), "nothing waits for anything");
}

#[test]
fn a_document_that_vanishes_changes_nothing() {
    let place = place("partitions: 3");
    let now = settle(&place, 0);
    place.resources.borrow_mut().retain(|key, _| key.name != "orders");
    settle(&place, now);
    assert!(broker_topic(&place, "orders").is_some());
}

#[test]
fn a_paused_topic_is_left_alone() {
    let place = place("paused: true, partitions: 3");
    let now = settle(&place, 0);
    assert_eq!(broker_topic(&place, "orders"), None);
    assert_eq!(place.topic_ready("orders"), "False Paused");
    place.apply(&topic("orders", "partitions: 3"));
    settle(&place, now);
    assert_eq!(place.topic_ready("orders"), "True Created");
}

#[test]
fn replicas_that_differ_are_moved_until_they_are_as_declared() {
    let place = place("replicas: 1");
    put(&place, "orders", ModelTopic { replicas: 2, ..existing(3, &[]) });
    let mut reconciler = Reconciler::new(place.clone());
    run(reconciler.reconcile_all(at(0)));
    assert_eq!(place.topic_ready("orders"), "False MovingReplicas");
    settle(&place, 1);
    assert_eq!(broker_topic(&place, "orders").map(|it| (it.replicas, it.moving)), Some((1, 0)));
    assert_eq!(place.topic_ready("orders"), "True InSync");
    let status = place.topic("orders").and_then(|it| it.status).expect("it was written");
    assert_eq!((status.replicas, status.moving_partitions), (Some(1), None));
}

#[test]
fn a_cluster_is_named_from_the_namespaces_that_it_allows() {
    let from_shop = "apiVersion: klamm.io/v1alpha1\nkind: Topic\nmetadata: {name: orders, namespace: \
                     shop}\nspec: {clusterRef: {name: demo, namespace: default}, partitions: 3}\n";
    let place = Place::with(from_shop);
    let now = settle(&place, 0);
    assert_eq!(place.topic_ready("orders"), "False NamespaceNotAllowed");
    assert_eq!(broker_topic(&place, "orders"), None);
    place.apply(
        "apiVersion: klamm.io/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\nspec: {replicas: 1, \
         storage: {size: 1Gi}, allowedNamespaces: {from: Names, names: [shop]}}\n",
    );
    settle(&place, now);
    assert_eq!(place.topic_ready("orders"), "True Created");
}

#[test]
fn a_topic_without_its_cluster_says_so() {
    let place = Place::with(
        "apiVersion: klamm.io/v1alpha1\nkind: Topic\nmetadata: {name: orders}\nspec: {clusterRef: \
         {name: dmeo}}\n",
    );
    settle(&place, 0);
    assert_eq!(place.topic_ready("orders"), "False ClusterNotFound");
}

#[test]
fn more_brokers_than_fit_run_as_many_as_fit() {
    let place = Place::with(
        "apiVersion: klamm.io/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\nspec: {storage: {size: \
         1Gi}}\n",
    );
    settle(&place, 0);
    let all = place.resources.borrow();
    let Some(crds::Resource::Cluster(cluster)) = all.values().next() else { panic!("a Cluster") };
    let status = cluster.status.clone().unwrap_or_default();
    assert_eq!(model::ready(&status.conditions), "False NotEnoughBrokers");
    assert_eq!((status.replicas, status.ready_replicas), (1, 1));
    assert_eq!(place.running.borrow().values().map(|it| it.count).sum::<i32>(), 1);
}

/// Each call of a pass fails once, before or after it took effect, and statuses get lost on top: in the
/// end all is as if nothing had happened.
#[test]
fn a_fault_at_any_call_leaves_the_same_topic() {
    let wanted = |place: &Place| {
        let topic = broker_topic(place, "orders").expect("it is there");
        (topic.partitions, topic.config)
    };
    let spec = "partitions: 6, config: {segment.bytes: \"1048576\"}";
    let undisturbed = place("partitions: 3");
    let now = settle(&undisturbed, 0);
    undisturbed.apply(&topic("orders", spec));
    settle(&undisturbed, now);
    // Where one that exists is not adopted, the first pass notes that there is none and the second creates it: then what
    // is there after a crash is its own.
    for (more, creates) in [("", 0), (", existing: Fail", 1)] {
        for fault in [Fault::Request, Fault::Answer] {
            for lose_statuses in [false, true] {
                for call in 0..24 {
                    let place = place(&format!("partitions: 3{more}"));
                    place.model.fault.set(Some((call, fault)));
                    let mut reconciler = Reconciler::new(place.clone());
                    for pass in 0..2 {
                        place.lose_statuses.set(lose_statuses && pass == creates);
                        run(reconciler.reconcile_all(at(pass)));
                    }
                    place.lose_statuses.set(false);
                    let now = settle(&place, 2);
                    place.apply(&topic("orders", &format!("{spec}{more}")));
                    settle(&place, now);
                    assert_eq!(wanted(&place), wanted(&undisturbed), "{more} {fault:?} {call}");
                    assert_eq!(place.model.state.borrow().created, 1, "{more} {fault:?} {call}");
                    let ready = place.topic_ready("orders");
                    assert!(ready.starts_with("True"), "{more} {fault:?} {call}: {ready}");
                }
            }
        }
    }
}

mod convergence {
    use super::*;
    use proptest::prelude::*;

    const KEYS: [&str; 3] = ["segment.bytes", "segment.ms", "max.message.bytes"];

    fn settings() -> impl Strategy<Value = BTreeMap<String, String>> {
        proptest::collection::btree_map(
            proptest::sample::select(KEYS.to_vec()).prop_map(str::to_owned),
            (1_048_576i64..2_000_000).prop_map(|it| it.to_string()),
            0..3,
        )
    }

    fn declared() -> impl Strategy<Value = String> {
        (proptest::option::of(1i32..9), settings(), any::<bool>()).prop_map(
            |(partitions, config, strict)| {
                let config: Vec<String> =
                    config.iter().map(|(k, v)| format!("{k}: \"{v}\"")).collect();
                let partitions = partitions.map(|it| format!("partitions: {it}, "));
                format!(
                    "{}config: {{{}}}, configPolicy: {}",
                    partitions.unwrap_or_default(),
                    config.join(", "),
                    if strict { "Strict" } else { "Merge" }
                )
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

        /// Whatever is there and whatever is declared, one after the other: a plan that was carried out
        /// leaves nothing to plan.
        #[test]
        fn a_plan_that_was_carried_out_leaves_nothing_to_plan(
            found in proptest::option::of((1i32..9, settings())),
            specs in proptest::collection::vec(declared(), 1..4),
        ) {
            let place = place(&specs[0]);
            if let Some((partitions, config)) = found {
                put(&place, "orders", ModelTopic { config, ..existing(partitions, &[]) });
            }
            let mut now = 0;
            for spec in &specs {
                place.apply(&topic("orders", spec));
                now = settle(&place, now);
                let calls = place.writes.get();
                now = settle(&place, now);
                prop_assert_eq!(place.writes.get(), calls);
                let ready = place.topic_ready("orders");
                prop_assert!(ready.starts_with("True") || ready == "False PartitionsLower");
            }
        }
    }
}
