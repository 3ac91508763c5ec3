//! Three brokers on one machine: taken out of service, killed and brought back while a producer runs.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Said, Shell, Up, eventually, signal};
use crate::processes::Processes;

const THREE: &str = "apiVersion: klamm.io/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\n\
                     spec: {replicas: 3, storage: {size: 1Gi}}\n";

/// A producer that is fed until it is told to end.
pub(crate) struct Orders {
    child: Child,
    feeding: JoinHandle<u32>,
    is_over: Arc<AtomicBool>,
}

impl Orders {
    pub(crate) fn begin(shell: &impl Shell) -> Self {
        let mut child = shell.begin("produce orders -K :");
        let mut stdin = child.stdin.take().expect("it is piped");
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        #[expect(clippy::disallowed_methods, reason = "feeds a process while the test goes on")]
        let feeding = std::thread::spawn(move || {
            let mut sent = 0;
            while !told.load(Ordering::Relaxed) {
                writeln!(stdin, "{sent}:order").expect("the producer reads on");
                sent += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            sent
        });
        Self { child, feeding, is_over }
    }

    /// Ends it; gives how many were sent. None of them may have failed.
    pub(crate) fn end(self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        let sent = self.feeding.join().expect("it fed all");
        let said: Said = self.child.wait_with_output().expect("it is our child").into();
        assert_eq!((said.code, said.err.contains("error")), (0, false), "{said:?}");
        usize::try_from(sent).expect("it is not that many")
    }
}

pub(crate) fn json(shell: &impl Shell, line: &str) -> Value {
    serde_json::from_str(&shell.ok(line)).expect("it is JSON")
}

/// What one field of one broker says.
pub(crate) fn broker(shell: &impl Shell, id: i64, field: &str) -> Value {
    let said = shell.run("cluster brokers -o json").out;
    let all: Value = serde_json::from_str(&said).unwrap_or_default();
    let found = all.as_array().into_iter().flatten().find(|it| it["id"] == id);
    found.map(|it| it[field].clone()).unwrap_or_default()
}

pub(crate) fn all_in_sync(shell: &impl Shell) -> bool {
    let is_back =
        |id| broker(shell, id, "state") == "up" && broker(shell, id, "inSyncPercent") == 100;
    (1..=3).all(is_back)
}

fn with_orders(replicas: u8) -> Up {
    let up = Up::with_brokers(3, THREE);
    create_orders(&up, replicas);
    up
}

pub(crate) fn create_orders(shell: &impl Shell, replicas: u8) {
    let min_isr = replicas - 1;
    shell.ok(&format!("topic create orders -p 6 -r {replicas} -c min.insync.replicas={min_isr}"));
    eventually("all replicas are in sync", || all_in_sync(shell));
}

pub(crate) fn read_all(shell: &impl Shell) -> usize {
    shell.ok("consume orders --from beginning --exit-at-end").lines().count()
}

#[test]
fn a_broker_is_drained_under_load_and_a_second_lease_is_refused() {
    let up = with_orders(2);
    let orders = Orders::begin(&up);
    assert!(up.ok("cluster restart-check 3").contains("nothing would be missing"));
    up.ok("cluster lease acquire 3 --holder first");
    let second = up.run("cluster lease acquire 2 --holder second");
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.err.contains("first holds the lease, for broker 3"), "{second:?}");
    assert!(second.err.contains("hint: "), "{second:?}");
    up.ok("cluster drain 3 --wait --within 60s");
    assert_eq!(broker(&up, 3, "replicas"), 0);
    assert_eq!(broker(&up, 3, "drained"), true);
    let refused = up.run("cluster unregister 3");
    assert!(refused.err.contains("hint: stop it first"), "{refused:?}");
    up.ok("cluster lease release 3 --holder first");
    up.ok("cluster lease acquire 2 --holder second");
    up.ok("cluster undrain 3");
    assert_eq!(broker(&up, 3, "drain"), "none");
    assert_eq!(orders.end(), read_all(&up));
}

#[test]
fn brokers_are_killed_stopped_and_started_under_load() {
    let mut up = with_orders(3);
    let socket = up.dir.path().join(".klamm/demo/control.sock");
    let mode = || std::fs::metadata(&socket).map(|it| it.mode() & 0o777).ok();
    eventually("only its own user asks", || mode() == Some(0o600));
    let orders = Orders::begin(&up);
    for (action, id) in [("kill", 1), ("stop", 2)] {
        up.ok(&format!("cluster {action} {id}"));
        assert!(up.run(&format!("cluster {action} {id}")).err.contains("does not run"));
        eventually("it is missed", || broker(&up, id, "state") == "down");
        let check = up.run("cluster restart-check 3");
        assert_eq!(check.code, 1, "{check:?}");
        up.ok(&format!("cluster start {id}"));
        eventually("it is back and in sync", || all_in_sync(&up));
    }
    assert!(up.run("cluster start 1").err.contains("runs already"));
    assert!(up.run("cluster kill 9").err.contains("there is no broker 9"));
    assert_eq!(orders.end(), read_all(&up));
    assert_eq!(json(&up, "cluster status -o json")["brokersUp"], 3);
    up.stop();
    assert!(!socket.exists());
    let nobody = up.run("cluster kill 1");
    assert!(nobody.code == 1 && nobody.err.contains("hint: "), "{nobody:?}");
}

#[test]
fn replicas_are_added_moved_and_taken_away_under_load() {
    let up = with_orders(3);
    let orders = Orders::begin(&up);
    up.ok("topic set-replicas orders --to 2 --wait --within 60s");
    up.ok("topic set-replicas orders --to 3 --wait --within 60s");
    up.ok("topic reassign orders --to 3,1 -p 0 --wait --within 60s");
    up.ok("topic elect-leaders");
    let said = json(&up, "topic describe orders -o json");
    let first = &said["partitions"][0];
    assert_eq!((&first["leader"], &first["replicas"]), (&Value::from(3), &Value::from([3, 1])));
    assert_eq!(said["partitions"][1]["replicas"].as_array().map(Vec::len), Some(3));
    assert!(up.ok("topic reassign orders --cancel").contains("nothing of orders moves"));
    assert_eq!(orders.end(), read_all(&up));
}

#[test]
fn brokers_get_equal_shares_under_load_once_the_plan_is_applied() {
    let up = with_orders(2);
    let orders = Orders::begin(&up);
    up.ok("topic reassign orders --to 1,2 --wait --within 60s");
    let plan = json(&up, "cluster balance -o json");
    let third = |plan: &Value| {
        let all = plan["brokers"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|it| it["broker"] == 3).map(|it| it["replicas"].clone())
    };
    let moves = plan["moves"].as_array().map(Vec::len);
    assert!(moves.is_some_and(|moves| moves > 1), "{plan}");
    assert!(third(&plan).is_some_and(|it| it[0].as_i64() < it[1].as_i64()), "{plan}");
    let text = up.ok("cluster balance");
    assert!(text.contains("HOLDS") && text.contains("replica   orders-"), "{text}");
    let applied = up.run("cluster balance --apply --within 60s");
    assert_eq!((applied.code, applied.err.contains("balanced")), (0, true), "{applied:?}");
    let plan = json(&up, "cluster balance -o json");
    assert!(third(&plan).is_some_and(|it| it[0] == it[1] && it[0].as_i64() > Some(0)), "{plan}");
    assert!(up.ok("cluster balance").contains("nothing to do"));
    up.ok("cluster lease acquire 2 --holder first");
    up.ok("topic reassign orders --to 1,2 -p 0 --wait --within 60s");
    up.ok("cluster balance --stop");
    let held = up.ok("cluster balance");
    assert!(held.contains("nothing begins now: first holds the disruption lease"), "{held}");
    assert_eq!(orders.end(), read_all(&up));
}

#[test]
fn brokers_that_are_told_to_stop_at_once_go_one_after_the_other() {
    let mut all = Processes::start();
    create_orders(&all, 3);
    let orders = Orders::begin(&all);
    for child in all.children.values() {
        signal(child, "TERM");
    }
    // Whoever has gone is started again; the others wait until it is in sync.
    let mut left: BTreeSet<u16> = (1..=3).collect();
    while !left.is_empty() {
        let ended = |all: &mut Processes, id: u16| {
            let child = all.children.get_mut(&id).expect("it was started");
            child.try_wait().expect("it is our child")
        };
        let gone: Vec<(u16, _)> =
            left.iter().filter_map(|id| Some((*id, ended(&mut all, *id)?))).collect();
        assert!(gone.len() < 2, "two are away at once: {gone:?}");
        for (id, status) in gone {
            assert!(status.success(), "broker {id}: {status}");
            left.remove(&id);
            all.start_one(id);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    eventually("all are back", || all_in_sync(&all));
    eventually("the last gave the lease back", || json(&all, "cluster lease -o json").is_null());
    assert_eq!(orders.end(), read_all(&all));
}

#[test]
fn a_drain_that_cannot_end_says_why() {
    let up = with_orders(3);
    let stuck = up.run("cluster drain 2 --wait --within 3s");
    assert_eq!(stuck.code, 1, "{stuck:?}");
    assert!(
        stuck.err.contains("6 partitions are left: no other broker takes replicas"),
        "{stuck:?}"
    );
    up.ok("cluster undrain 2");
    up.ok("cluster cordon 2");
    let list = up.ok("cluster brokers");
    assert!(list.contains("cordoned"), "{list}");
    up.ok("cluster uncordon 2");
    let unknown = up.run("cluster drain 9");
    assert!(unknown.err.contains("BROKER_ID_NOT_REGISTERED") && unknown.err.contains("hint: "));
    let status = up.ok("cluster status");
    assert!(status.contains("3 of 3 up") && status.contains("nobody has it"), "{status}");
}
