//! What the operator writes to an API server, and what it does not: passes against one in memory ([`super::fake`]).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crds::{Key, Kind};
use serde_json::{Value, json};
use world::World;
use world::real::RealOptions;

use super::cache::Watched;
use super::events::Events;
use super::fake::ApiServer;
use super::release::release_all;
use super::run::Options;
use super::{Cache, FINALIZER, Kubernetes, Writer};
use crate::Reconciler;
use crate::now::Now;
use crate::platform::Platform;

/// An operator of one Cluster `demo` in the namespace `shop`.
struct Bench {
    server: ApiServer,
    kubernetes: Rc<Kubernetes>,
    reconciler: Reconciler,
    leads: Rc<Cell<bool>>,
    now: Now,
}

impl Bench {
    fn new(image: &str, server: ApiServer) -> Self {
        let leads = Rc::new(Cell::new(true));
        let may_write = leads.clone();
        let kubernetes = Rc::new(Kubernetes {
            world: World::real(RealOptions::default()),
            cache: RefCell::new(Cache::default()),
            writer: Writer::new(server.client(), Rc::new(move || may_write.get())),
            events: Events::new(server.client(), "operator-0"),
            admins: RefCell::default(),
            image: image.to_owned(),
            namespace: "klamm-system".to_owned(),
        });
        let key =
            Key { kind: Kind::Cluster, namespace: "shop".to_owned(), name: "demo".to_owned() };
        let platform: Rc<dyn Platform> = kubernetes.clone();
        let reconciler = Reconciler::of_cluster(platform, key);
        let now = Now { wall_ms: 1_000_000_000_000, tick: std::time::Duration::ZERO };
        Self { server, kubernetes, reconciler, leads, now }
    }

    /// Declares the Cluster.
    fn declare(&self, spec: &Value) {
        self.server.put(Watched::Cluster, resource("Cluster", "demo", spec));
    }

    /// One look at everything, after the watches have shown what there is.
    async fn pass(&mut self) {
        self.server.show(&mut self.kubernetes.cache.borrow_mut());
        self.now.tick += std::time::Duration::from_secs(10);
        self.reconciler.reconcile_all(self.now).await;
        self.server.show(&mut self.kubernetes.cache.borrow_mut());
    }

    /// Looks until nothing is written any more.
    async fn settle(&mut self) {
        for _ in 0..5 {
            let before = self.server.writes().len();
            self.pass().await;
            if self.server.writes().len() == before {
                return;
            }
        }
        panic!("it writes on and on: {:#?}", self.server.writes());
    }

    /// Status, reason and message of a condition of the Cluster.
    fn condition(&self, type_: &str) -> String {
        let cluster = self.server.object(Watched::Cluster, "demo").expect("the Cluster is there");
        let conditions = cluster["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.iter().find(|it| it["type"] == type_);
        let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
        let line = |it: &Value| {
            format!("{} {} {}", text(it, "status"), text(it, "reason"), text(it, "message"))
        };
        found.map(line).unwrap_or_default()
    }
}

fn resource(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": crds::API_VERSION, "kind": kind,
        "metadata": { "name": name, "namespace": "shop", "uid": format!("{name}-1"), "generation": 1 },
        "spec": spec,
    })
}

fn three() -> Value {
    json!({ "replicas": 3, "storage": { "size": "1Gi" } })
}

fn with(more: Value) -> Value {
    let mut spec = three();
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
        spec.extend(more);
    }
    spec
}

/// Something that is called as what the operator wants to make is.
fn service(name: &str, owner: Option<&str>, labels: &Value) -> Value {
    let owners: Vec<Value> = owner
        .map(|uid| json!({ "kind": "Cluster", "name": "demo", "uid": uid, "controller": true }))
        .into_iter()
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "shop", "ownerReferences": owners, "labels": labels },
        "spec": { "ports": [{ "port": 80 }] },
    })
}

fn ours() -> Value {
    json!({ "app.kubernetes.io/managed-by": "klamm", "klamm.io/cluster": "demo" })
}

fn run(test: impl AsyncFnOnce(Bench)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async { test(Bench::new("klamm:1", ApiServer::default())).await });
}

#[test]
fn a_cluster_is_made_once_and_then_left_alone() {
    run(async |mut bench| {
        bench.declare(&three());
        bench.settle().await;
        for (watched, name) in [
            (Watched::StatefulSet, "demo"),
            (Watched::Service, "demo-brokers"),
            (Watched::Service, "demo-bootstrap"),
            (Watched::ConfigMap, "demo-brokers"),
            (Watched::ConfigMap, "demo-connection"),
            (Watched::Budget, "demo"),
            (Watched::Policy, "demo"),
        ] {
            assert!(bench.server.object(watched, name).is_some(), "{name}");
        }
        let mut writes = bench.server.writes();
        // What is said of it changes as it comes up.
        writes.retain(|it| !it.ends_with("/status"));
        let mut once = writes.clone();
        once.sort();
        once.dedup();
        assert_eq!(writes.len(), once.len(), "something was written twice: {writes:#?}");
    });
}

#[test]
fn what_is_declared_no_more_goes() {
    run(async |mut bench| {
        let selector = |bench: &Bench| {
            let set = bench.server.object(Watched::StatefulSet, "demo").expect("it is there");
            set["spec"]["template"]["spec"]["nodeSelector"].clone()
        };
        bench.declare(&with(json!({ "template": { "nodeSelector": { "disk": "fast" } } })));
        bench.settle().await;
        assert_eq!(selector(&bench), json!({ "disk": "fast" }));
        bench.declare(&with(json!({ "disruption": { "pdb": false } })));
        bench.settle().await;
        assert_eq!(selector(&bench), Value::Null, "a field");
        assert_eq!(bench.server.object(Watched::Budget, "demo"), None, "an object");
    });
}

#[test]
fn what_somebody_else_changed_is_put_right() {
    run(async |mut bench| {
        bench.declare(&three());
        bench.settle().await;
        let mut changed =
            bench.server.take(Watched::Service, "demo-bootstrap").expect("it is there");
        let port = changed["spec"]["ports"][0]["port"].take();
        changed["spec"]["ports"][0]["port"] = json!(80);
        bench.server.put(Watched::Service, changed);
        bench.settle().await;
        let right = bench.server.object(Watched::Service, "demo-bootstrap").expect("it is there");
        assert_eq!(right["spec"]["ports"][0]["port"], port);
    });
}

#[test]
fn what_is_not_ours_is_not_touched() {
    run(async |mut bench| {
        let theirs = service("demo-bootstrap", None, &json!({ "team": "web" }));
        bench.server.put(Watched::Service, theirs);
        bench.declare(&three());
        bench.settle().await;
        let found = bench.server.object(Watched::Service, "demo-bootstrap").expect("it is there");
        assert_eq!(found["spec"]["ports"], json!([{ "port": 80 }]));
        let ready = bench.condition("Ready");
        assert!(
            ready.starts_with("False InvalidSpec there is a Service demo-bootstrap"),
            "{ready}"
        );
        // Its owner takes it away.
        bench.server.take(Watched::Service, "demo-bootstrap");
        bench.settle().await;
        assert!(bench.server.object(Watched::StatefulSet, "demo").is_some());
    });
}

#[test]
fn what_was_an_earlier_clusters_is_awaited_and_what_is_nobodys_is_adopted() {
    run(async |mut bench| {
        bench.server.put(Watched::Service, service("demo-brokers", Some("demo-0"), &ours()));
        bench.declare(&three());
        bench.settle().await;
        let ready = bench.condition("Ready");
        assert!(ready.contains("of an earlier Cluster of this name"), "{ready}");
        bench.server.put(Watched::Service, service("demo-brokers", None, &ours()));
        bench.settle().await;
        let found = bench.server.object(Watched::Service, "demo-brokers").expect("it is there");
        assert_eq!(found["metadata"]["ownerReferences"][0]["uid"], "demo-1");
    });
}

#[test]
fn a_missing_right_is_told_by_its_name() {
    run(async |mut bench| {
        bench.server.forbid(&["services"]);
        bench.declare(&three());
        bench.settle().await;
        let ready = bench.condition("Ready");
        assert!(ready.starts_with("False Forbidden Service demo-brokers"), "{ready}");
        bench.server.forbid(&[]);
        bench.settle().await;
        assert!(!bench.condition("Ready").contains("Forbidden"));
    });
}

#[test]
fn an_operator_that_does_not_lead_writes_nothing() {
    run(async |mut bench| {
        bench.leads.set(false);
        bench.declare(&three());
        bench.pass().await;
        assert_eq!(bench.server.writes(), [""; 0]);
    });
}

#[test]
fn brokers_keep_their_image_until_somebody_says_otherwise() {
    run(async |mut bench| {
        bench.declare(&three());
        bench.settle().await;
        let mut newer = Bench::new("klamm:2", bench.server.clone());
        let image = |bench: &Bench| {
            let set = bench.server.object(Watched::StatefulSet, "demo").expect("it is there");
            set["spec"]["template"]["spec"]["containers"][0]["image"].clone()
        };
        newer.settle().await;
        assert_eq!(image(&newer), "klamm:1");
        let told = newer.condition("UpgradeAvailable");
        assert!(told.starts_with("True NewerImage") && told.contains("klamm:2"), "{told}");
        newer.declare(&with(json!({ "image": "klamm:2" })));
        newer.settle().await;
        assert_eq!(image(&newer), "klamm:2");
        assert_eq!(newer.condition("UpgradeAvailable"), "");
    });
}

#[test]
fn volumes_that_go_are_awaited() {
    run(async |mut bench| {
        let mut labels = ours();
        labels["klamm.io/cluster-id"] = json!("b2xkLW9sZC1vbGQtb2xkLQ");
        labels["klamm.io/formed"] = json!("true");
        let going = json!({ "labels": labels, "deletionTimestamp": "2026-01-01T00:00:00Z" });
        bench.server.put(Watched::Claim, claim(&going));
        bench.declare(&three());
        bench.settle().await;
        assert_eq!(bench.server.object(Watched::StatefulSet, "demo"), None);
        let ready = bench.condition("Ready");
        assert!(ready.contains("volumes of an earlier Cluster"), "{ready}");
        bench.server.take(Watched::Claim, "data-demo-0");
        bench.settle().await;
        let files = bench.server.object(Watched::ConfigMap, "demo-brokers").expect("it is there");
        assert!(files["data"].to_string().contains("klamm.formation=initial"), "{files}");
    });
}

/// The claim of the first broker, which asks for 1Gi.
fn claim(more: &Value) -> Value {
    let mut claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": { "name": "data-demo-0", "namespace": "shop", "labels": ours() },
        "spec": { "resources": { "requests": { "storage": "1Gi" } } },
    });
    if let (Some(meta), Some(more)) = (claim["metadata"].as_object_mut(), more.as_object()) {
        meta.extend(more.clone());
    }
    claim
}

#[test]
fn volumes_that_are_smaller_than_declared_are_told_of_and_no_failure() {
    run(async |mut bench| {
        bench.server.put(Watched::Claim, claim(&json!({})));
        bench.declare(&three());
        bench.settle().await;
        assert_eq!(bench.condition("StoragePending"), "");
        let mut larger = three();
        larger["storage"]["size"] = json!("2Gi");
        bench.declare(&larger);
        bench.settle().await;
        let told = bench.condition("StoragePending");
        assert!(told.starts_with("True NotYetGrown") && told.contains("data-demo-0"), "{told}");
        assert_eq!(bench.condition("Stalled"), "");
    });
}

fn topic(name: &str, policy: &str) -> Value {
    resource("Topic", name, &json!({ "clusterRef": { "name": "demo" }, "deletionPolicy": policy }))
}

#[test]
fn a_topic_is_held_as_long_as_its_policy_asks_for_something() {
    run(async |mut bench| {
        let finalizers = |bench: &Bench, name: &str| {
            let topic = bench.server.object(Watched::Topic, name).expect("it is there");
            topic["metadata"]["finalizers"].clone()
        };
        bench.server.put(Watched::Topic, topic("goes", "Delete"));
        bench.server.put(Watched::Topic, topic("stays", "Retain"));
        bench.settle().await;
        assert_eq!(finalizers(&bench, "goes"), json!([FINALIZER]));
        assert_eq!(finalizers(&bench, "stays"), Value::Null);
        // Its Cluster is not there: nothing is to be deleted, and nothing to be waited for.
        let mut going = bench.server.take(Watched::Topic, "goes").expect("it is there");
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        bench.server.put(Watched::Topic, going);
        bench.settle().await;
        assert_eq!(finalizers(&bench, "goes"), json!([]));
    });
}

#[test]
fn whatever_is_held_is_let_go_also_while_others_change_it() {
    run(async |mut bench| {
        for name in ["one", "two"] {
            bench.server.put(Watched::Topic, topic(name, "Delete"));
        }
        bench.settle().await;
        bench.server.conflict(3);
        let options = Options {
            namespaces: Vec::new(),
            namespace: "klamm-system".to_owned(),
            lease: "klamm-operator".to_owned(),
            identity: "somebody".to_owned(),
            image: String::new(),
            http: None,
        };
        let (client, world) = (bench.server.client(), &bench.kubernetes.world);
        let released = release_all(&client, world, &options, Rc::new(|| true)).await;
        assert_eq!(released, Ok(2));
        for name in ["one", "two"] {
            let topic = bench.server.object(Watched::Topic, name).expect("it is there");
            assert_eq!(topic["metadata"]["finalizers"], json!([]));
        }
    });
}
