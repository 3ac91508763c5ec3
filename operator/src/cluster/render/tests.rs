//! What is rendered: whole, the same twice, and what restarts brokers.

use crds::cluster::{ListenerType, NodePool, PoolRoles};
use crds::{Cluster, ClusterSpec};
use serde_json::{Value, json};

use super::{Known, RENDERED_ANNOTATION, SETTINGS_ANNOTATION, nodes, render};

fn cluster(spec: &Value) -> Cluster {
    let text = json!({
        "apiVersion": crds::API_VERSION,
        "kind": "Cluster",
        "metadata": { "name": "demo", "namespace": "shop", "uid": "u-1" },
        "spec": spec,
    });
    serde_json::from_value(text).expect("the test's Cluster reads")
}

fn known() -> Known {
    Known {
        cluster_id: "c3Rvcm0tb2YtYnJva2Vycw".to_owned(),
        image: "klamm:1".to_owned(),
        operator_namespace: "klamm-system".to_owned(),
        ..Known::default()
    }
}

fn three() -> Cluster {
    cluster(&json!({ "replicas": 3, "storage": { "size": "10Gi" } }))
}

fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is_it = |it: &&Value| it["kind"] == kind && it["metadata"]["name"] == name;
    objects.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn hash(cluster: &Cluster, known: &Known) -> String {
    let objects = render(cluster, known).objects;
    let set = find(&objects, "StatefulSet", "demo");
    let annotations = &set["spec"]["template"]["metadata"]["annotations"];
    annotations[SETTINGS_ANNOTATION].as_str().expect("a hash").to_owned()
}

/// The whole of the smallest Cluster, to be read: `KLAMM_UPDATE=1` writes it anew.
#[test]
fn the_smallest_cluster_renders_as_it_did() {
    let objects = render(&three(), &known()).objects;
    let text: Vec<String> =
        objects.iter().map(|it| serde_json::to_string_pretty(it).expect("it is JSON")).collect();
    expect_test::expect_file!["snapshots/three.json"].assert_eq(&(text.join("\n") + "\n"));
}

#[test]
fn the_same_cluster_renders_the_same_bytes() {
    assert_eq!(render(&three(), &known()), render(&three(), &known()));
}

#[test]
fn each_node_has_a_file_that_its_broker_takes() {
    let objects = render(&three(), &known()).objects;
    let files = &find(&objects, "ConfigMap", "demo-brokers")["data"];
    for (id, name) in ["demo-0", "demo-1", "demo-2"].iter().enumerate() {
        let text = files[format!("{name}.properties")].as_str().expect("a file");
        let fixed = config::properties::parse(text).expect("it parses");
        let settings = config::Settings::resolve(fixed).expect("the broker takes it");
        assert_eq!(settings.broker.node_id, i32::try_from(id).unwrap_or(-1));
        assert_eq!(settings.broker.controller_quorum_voters.len(), 3);
    }
}

/// A restart has its reasons: what changes nothing for a broker that runs must not ask for one.
#[test]
fn only_what_needs_a_restart_changes_the_hash() {
    let before = hash(&three(), &known());
    let formed = Known { is_formed: true, cluster_id: "another".to_owned(), ..known() };
    assert_eq!(hash(&three(), &formed), before, "a cluster that was formed");
    let mut more = three();
    more.spec.replicas = Some(5);
    assert_eq!(hash(&more, &known()), before, "brokers that come");
    let mut other = three();
    other.spec.config.insert("num.io.threads".to_owned(), "4".to_owned());
    assert_ne!(hash(&other, &known()), before, "a setting");
}

#[test]
fn who_was_formed_joins_for_ever() {
    let formed = Known { is_formed: true, ..known() };
    let text = |known: &Known| {
        let objects = render(&three(), known).objects;
        find(&objects, "ConfigMap", "demo-brokers")["data"]["demo-0.properties"].to_string()
    };
    assert!(text(&known()).contains("klamm.formation=initial"));
    assert!(text(&formed).contains("klamm.formation=join"));
}

#[test]
fn volume_claims_stay_as_they_were_made() {
    let claims = json!([{ "metadata": { "name": "data" }, "spec": { "old": true } }]);
    let old = Known { claims: [("demo".to_owned(), claims.clone())].into(), ..known() };
    let objects = render(&three(), &old).objects;
    assert_eq!(find(&objects, "StatefulSet", "demo")["spec"]["volumeClaimTemplates"], claims);
}

#[test]
fn pools_have_ids_of_their_own_and_controllers_vote_first() {
    let pool = |name: &str, replicas, first_id, roles| NodePool {
        name: name.to_owned(),
        replicas,
        first_id,
        roles,
        template: None,
    };
    let mut spec: ClusterSpec = three().spec;
    spec.replicas = None;
    spec.node_pools = vec![
        pool("brokers", 2, 100, PoolRoles::Combined),
        pool("voters", 3, 0, PoolRoles::Controller),
    ];
    let nodes = nodes(&spec);
    let ids: Vec<(i32, bool)> = nodes.iter().map(|node| (node.id, node.is_voter)).collect();
    assert_eq!(ids, [(0, true), (1, true), (2, true), (100, false), (101, false)]);
    assert_eq!(nodes[3].pod("demo"), "demo-brokers-0");
}

#[test]
fn an_even_number_of_voters_is_never_begun_with() {
    for (replicas, voters) in [(1, 1), (2, 1), (3, 3), (4, 3), (8, 3), (9, 5), (50, 5)] {
        let mut spec = three().spec;
        spec.replicas = Some(replicas);
        let found = nodes(&spec).iter().filter(|node| node.is_voter).count();
        assert_eq!(found, voters, "{replicas} brokers");
    }
}

#[test]
fn brokers_wait_for_the_addresses_that_they_tell_clients() {
    let mut outside = three();
    outside.spec.listeners = serde_json::from_value(json!([
        { "name": "client", "port": 9092 },
        { "name": "far", "port": 9094, "type": "NodePort" },
    ]))
    .expect("listeners");
    assert_eq!(outside.spec.listeners[1].type_, ListenerType::NodePort);
    let rendered = render(&outside, &known());
    assert_eq!(rendered.missing, ["far"]);
    assert!(rendered.objects.iter().all(|it| it["kind"] != "StatefulSet"));
    find(&rendered.objects, "Service", "demo-far-2");

    for (host, told) in [(Some("10.0.0.1"), "10.0.0.1"), (None, "[${env:NODE_ADDRESS}]")] {
        let address = |id: i32| (("far".to_owned(), id), (host.map(str::to_owned), 30_000));
        let found = Known { outside: (0..3).map(address).collect(), ..known() };
        let rendered = render(&outside, &found);
        assert_eq!(rendered.missing, [""; 0]);
        let files = &find(&rendered.objects, "ConfigMap", "demo-brokers")["data"];
        let file = files["demo-1.properties"].as_str().expect("a file");
        assert!(file.contains(&format!("FAR://{told}:30000")), "{file}");
        // The pod fills in what only it knows.
        for address in ["10.0.0.7", "fd00::7"] {
            let pod = [("NODE_ADDRESS".to_owned(), address.to_owned())];
            let fixed = config::sources::merge(file, pod, &[]).expect("it parses");
            let settings = config::Settings::resolve(fixed).expect("the broker takes it");
            let advertised = settings.broker.advertised_listeners.iter().flatten();
            let far = advertised.into_iter().find(|it| it.name == "FAR");
            let wanted = if host.is_some() { "10.0.0.1" } else { address };
            assert_eq!(far.map(|it| it.host.as_str()), Some(wanted));
        }
    }
}

#[test]
fn brokers_are_told_where_they_stand_and_stand_apart() {
    let mut racked = three();
    racked.spec.rack = serde_json::from_value(json!({})).ok();
    let objects = render(&racked, &known()).objects;
    let pod = &find(&objects, "StatefulSet", "demo")["spec"]["template"]["spec"];
    let spread = &pod["topologySpreadConstraints"][0];
    assert_eq!(spread["topologyKey"], "topology.kubernetes.io/zone");
    let variables = pod["containers"][0]["env"].as_array().expect("variables");
    let rack = variables.iter().find(|it| it["name"] == "KLAMM_BROKER_RACK").expect("the rack's");
    let path = &rack["valueFrom"]["fieldRef"]["fieldPath"];
    assert_eq!(path, "metadata.labels['topology.kubernetes.io/zone']");
}

#[test]
fn what_stands_in_the_way_of_pods_leaves_the_way_in() {
    let waiting = Known { obstacle: Some("volumes are being removed".to_owned()), ..known() };
    let objects = render(&three(), &waiting).objects;
    assert!(objects.iter().all(|it| it["kind"] != "StatefulSet"));
    find(&objects, "Service", "demo-bootstrap");
}

/// A field that goes leaves no trace in what is rendered, but for this.
#[test]
fn what_an_object_was_made_from_is_noted_on_it() {
    let noted = |cluster: &Cluster, known: &Known| {
        let objects = render(cluster, known).objects;
        let set = find(&objects, "StatefulSet", "demo");
        set["metadata"]["annotations"][RENDERED_ANNOTATION].as_str().expect("a hash").to_owned()
    };
    let before = noted(&three(), &known());
    let mut other = three();
    other.spec.template =
        serde_json::from_value(json!({ "nodeSelector": { "disk": "fast" } })).ok();
    assert!(other.spec.template.is_some());
    assert_ne!(noted(&other, &known()), before);
    // What the API server adds to claims is not ours.
    let claims =
        json!([{ "metadata": { "name": "data" }, "spec": { "volumeMode": "Filesystem" } }]);
    let live = Known { claims: [("demo".to_owned(), claims)].into(), ..known() };
    assert_eq!(noted(&three(), &live), before);
}

#[test]
fn a_broker_may_store_what_its_own_volume_holds() {
    let mut larger = three();
    larger.spec.storage.size = crds::Quantity("100Gi".to_owned());
    let claims = json!([{ "spec": { "resources": { "requests": { "storage": "10Gi" } } } }]);
    let capacities = [("demo-1".to_owned(), crds::Quantity("20Gi".to_owned()))].into();
    let known = Known { claims: [("demo".to_owned(), claims)].into(), capacities, ..known() };
    let objects = render(&larger, &known).objects;
    let files = &find(&objects, "ConfigMap", "demo-brokers")["data"];
    for (pod, gibibytes) in [("demo-0", 10_i64), ("demo-1", 20)] {
        let limit = (gibibytes << 30) - (gibibytes << 30) / 20;
        let file = files[format!("{pod}.properties")].as_str().expect("a file");
        assert!(file.contains(&format!("klamm.storage.limit.bytes={limit}\n")), "{file}");
    }
}
