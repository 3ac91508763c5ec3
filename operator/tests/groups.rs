//! ConsumerGroups: what they show, and resets that are carried out exactly once.

mod model;

use std::collections::BTreeMap;
use std::rc::Rc;

use crds::ConsumerGroupStatus;
use crds::consumer_group::{GroupState, ResetPhase};
use model::{Fault, ModelGroup, ModelTopic, Place, at, ready, run, settle};
use operator::Reconciler;
use operator::kafka::Partition;

fn group(spec: &str) -> String {
    format!(
        "apiVersion: klamm.io/v1alpha1\nkind: ConsumerGroup\nmetadata: {{name: inventory}}\nspec: \
         {{clusterRef: {{name: demo}}, {spec}}}\n"
    )
}

/// `orders` has 2 partitions of offsets 10 to 100; the group stands at 50 and 60.
fn place(spec: &str, members: i32) -> Rc<Place> {
    let place = Place::with(&group(spec));
    {
        let mut state = place.model.state.borrow_mut();
        let topic = ModelTopic {
            id: "orders".to_owned(),
            partitions: 2,
            replicas: 1,
            moving: 0,
            config: BTreeMap::new(),
            log: (10, 100),
        };
        state.topics.insert("orders".to_owned(), topic);
        let committed =
            BTreeMap::from([(Partition::new("orders", 0), 50), (Partition::new("orders", 1), 60)]);
        let group = ModelGroup { members, committed, ..ModelGroup::default() };
        state.groups.insert("inventory".to_owned(), group);
    }
    place
}

fn committed(place: &Place) -> Vec<i64> {
    place.model.state.borrow().groups["inventory"].committed.values().copied().collect()
}

fn resets(place: &Place) -> usize {
    place.model.state.borrow().groups["inventory"].resets
}

fn status(place: &Place) -> ConsumerGroupStatus {
    place.group("inventory").and_then(|it| it.status).expect("it was written")
}

fn phase(place: &Place) -> Option<ResetPhase> {
    status(place).last_reset.map(|it| it.phase)
}

fn set_members(place: &Place, members: i32) {
    let mut state = place.model.state.borrow_mut();
    state.groups.get_mut("inventory").expect("it is there").members = members;
}

#[test]
fn a_group_shows_its_state_members_and_lag() {
    let place = place("paused: false", 3);
    settle(&place, 0);
    let status = status(&place);
    assert_eq!((status.state, status.members), (Some(GroupState::Stable), 3));
    let lag = status.lag.clone().expect("it has committed offsets");
    assert_eq!((lag.total, lag.max, lag.uncommitted), (90, 50, 0));
    // In the model a record is written each second.
    assert_eq!(lag.behind_since.as_deref(), Some("1970-01-01T00:00:50Z"));
    assert_eq!(status.topics[0].lag, 90);
    assert_eq!(ready(&status.conditions), "True Observed");
}

#[test]
fn a_group_that_does_not_exist_yet_is_shown_and_not_made() {
    let place = Place::with(&group("paused: false"));
    settle(&place, 0);
    assert_eq!(status(&place).state, Some(GroupState::NotFound));
    assert_eq!(ready(&status(&place).conditions), "True GroupNotFound");
    assert!(place.model.state.borrow().groups.is_empty());
}

#[test]
fn figures_are_written_seldom_and_what_matters_at_once() {
    let place = place("paused: false", 1);
    let now = settle(&place, 0);
    let mut reconciler = Reconciler::new(place.clone());
    run(reconciler.reconcile_all(at(now)));
    let grow = |to| {
        let mut state = place.model.state.borrow_mut();
        state.topics.get_mut("orders").expect("it is there").log.1 = to;
    };
    grow(200);
    assert_eq!(run(reconciler.reconcile_all(at(now + 1))).written, 1, "the first in a while");
    grow(300);
    assert_eq!(run(reconciler.reconcile_all(at(now + 2))).written, 0, "a second later");
    set_members(&place, 2);
    assert_eq!(run(reconciler.reconcile_all(at(now + 2))).written, 1, "a member joined");
    grow(400);
    assert_eq!(run(reconciler.reconcile_all(at(now + 4))).written, 1, "two seconds later");
}

#[test]
fn every_target_moves_to_the_offset_that_it_names() {
    for (to, expected) in [
        ("position: Earliest", [10, 10]),
        ("position: Latest", [100, 100]),
        ("offset: 70", [70, 70]),
        ("offset: 5", [10, 10]),
        ("offset: 500", [100, 100]),
        ("shiftBy: -45", [10, 15]),
        ("shiftBy: 1", [51, 61]),
        ("timestamp: \"1970-01-01T00:00:33Z\"", [33, 33]),
        ("ago: 999960s", [40, 40]),
    ] {
        let place = place(&format!("reset: {{token: a, to: {{{to}}}}}"), 0);
        settle(&place, 0);
        assert_eq!(committed(&place), expected, "{to}");
        assert_eq!(phase(&place), Some(ResetPhase::Complete), "{to}");
        assert_eq!(resets(&place), 1, "{to}");
        assert_eq!(ready(&status(&place).conditions), "True Observed", "{to}");
    }
}

#[test]
fn only_the_named_partitions_move() {
    let to = "to: {position: Earliest}, topics: [{name: orders, partitions: [1]}]";
    let place = place(&format!("reset: {{token: a, {to}}}"), 0);
    settle(&place, 0);
    assert_eq!(committed(&place), [50, 10]);
}

#[test]
fn a_reset_that_makes_no_sense_is_rejected_and_moves_nothing() {
    for reset in [
        "to: {offset: 5}, outOfRange: Fail",
        "to: {position: Earliest}, topics: [{name: payments}]",
        "to: {position: Earliest}, topics: [{name: orders, partitions: [7]}]",
        "to: {snapshot: never}",
    ] {
        let place = place(&format!("reset: {{token: a, {reset}}}"), 0);
        settle(&place, 0);
        assert_eq!(committed(&place), [50, 60], "{reset}");
        assert_eq!(phase(&place), Some(ResetPhase::Rejected), "{reset}");
        assert_eq!(ready(&status(&place).conditions), "False ResetRejected", "{reset}");
    }
}

#[test]
fn a_misspelt_group_is_not_made() {
    let place = Place::with(&group("reset: {token: a, to: {position: Earliest}}"));
    settle(&place, 0);
    assert_eq!(phase(&place), Some(ResetPhase::Rejected));
    assert!(place.model.state.borrow().groups.is_empty());
}

#[test]
fn a_dry_run_shows_the_plan_and_moves_nothing() {
    let place = place("reset: {token: a, to: {position: Earliest}, dryRun: true}", 3);
    settle(&place, 0);
    assert_eq!((committed(&place), phase(&place)), (vec![50, 60], Some(ResetPhase::Planned)));
    let plan = status(&place).last_reset.expect("it was written").plan;
    assert_eq!((plan[1].from, plan[1].to), (Some(60), Some(10)));
}

#[test]
fn a_reset_waits_until_the_members_have_left() {
    let place = place("reset: {token: a, to: {position: Earliest}}", 2);
    let now = settle(&place, 0);
    assert_eq!((committed(&place), phase(&place)), (vec![50, 60], Some(ResetPhase::Pending)));
    assert_eq!(ready(&status(&place).conditions), "False ResetPending");
    set_members(&place, 0);
    settle(&place, now);
    assert_eq!((committed(&place), phase(&place)), (vec![10, 10], Some(ResetPhase::Complete)));
}

#[test]
fn a_reset_waits_no_longer_than_its_deadline() {
    let place = place("reset: {token: a, to: {position: Earliest}, deadline: 5m}", 2);
    settle(&place, 0);
    assert_eq!(phase(&place), Some(ResetPhase::Pending));
    settle(&place, 301);
    assert_eq!(phase(&place), Some(ResetPhase::Rejected));
    set_members(&place, 0);
    settle(&place, 400);
    assert_eq!(committed(&place), [50, 60], "rejected is for good");
}

#[test]
fn a_reset_may_refuse_or_fence_live_members() {
    for (when, expected, left) in [("Fail", [50, 60], 2), ("Fence", [10, 10], 0)] {
        let reset = format!("reset: {{token: a, to: {{position: Earliest}}, whenActive: {when}}}");
        let place = place(&reset, 2);
        settle(&place, 0);
        assert_eq!(committed(&place), expected, "{when}");
        assert_eq!(place.model.state.borrow().groups["inventory"].members, left, "{when}");
    }
}

#[test]
fn a_reset_runs_once_per_token_whatever_happens_later() {
    let place = place("reset: {token: a, to: {position: Earliest}}", 0);
    let now = settle(&place, 0);
    {
        let mut state = place.model.state.borrow_mut();
        let reader = state.groups.get_mut("inventory").expect("it is there");
        reader.committed.insert(Partition::new("orders", 0), 77);
    }
    let now = settle(&place, now);
    assert_eq!(committed(&place), [77, 10], "the group read on");
    // The operator's memory is gone: statuses and all.
    place.resources.borrow_mut().clear();
    let fresh = Place::with(&group("reset: {token: a, to: {position: Earliest}}"));
    place.resources.replace(fresh.resources.take());
    let now = settle(&place, now);
    assert_eq!((committed(&place), resets(&place)), (vec![77, 10], 1), "the journal knows");
    assert_eq!(phase(&place), Some(ResetPhase::Complete));
    place.apply(&group("reset: {token: b, to: {snapshot: a}}"));
    settle(&place, now);
    assert_eq!((committed(&place), resets(&place)), (vec![50, 60], 2), "undone");
}

/// The heart of it: each call of each pass fails once, before or after it took effect, with or without
/// the loss of every status of that pass, and with a group that reads on afterwards.
#[test]
fn a_fault_at_any_call_resets_exactly_once() {
    for fault in [Fault::Request, Fault::Answer] {
        for lose_statuses in [false, true] {
            for call in 0..24 {
                let case = format!("{fault:?} {lose_statuses} {call}");
                let place = place("reset: {token: a, to: {shiftBy: -10}}", 0);
                place.model.fault.set(Some((call, fault)));
                place.lose_statuses.set(lose_statuses);
                run(Reconciler::new(place.clone()).reconcile_all(at(0)));
                place.lose_statuses.set(false);
                settle(&place, 1);
                assert_eq!(committed(&place), [40, 50], "{case}");
                assert_eq!(resets(&place), 1, "{case}");
                assert_eq!(phase(&place), Some(ResetPhase::Complete), "{case}");
            }
        }
    }
}

#[test]
fn deletion_follows_the_policy_and_waits_for_the_members() {
    let place = place("deletionPolicy: DeleteGroup", 1);
    let now = settle(&place, 0);
    place.delete("inventory");
    let now = settle(&place, now);
    assert_eq!(ready(&status(&place).conditions), "False NotEmpty");
    set_members(&place, 0);
    settle(&place, now);
    assert!(place.model.state.borrow().groups.is_empty());
    assert_eq!(place.group("inventory"), None);

    let kept = self::place("paused: false", 1);
    let now = settle(&kept, 0);
    kept.delete("inventory");
    settle(&kept, now);
    assert_eq!(kept.group("inventory"), None);
    assert_eq!(committed(&kept), [50, 60]);
}

#[test]
fn a_lag_beyond_its_limits_or_without_progress_is_unhealthy() {
    let health = |place: &Place| {
        let conditions = status(place).conditions;
        crds::conditions::get(&conditions, "LagHealthy").map(|it| it.reason.clone())
    };
    for (limits, reason) in [
        ("warn: 91", "WithinLimits"),
        ("warn: 90", "Warning"),
        ("warn: 1, critical: 90", "Critical"),
    ] {
        let place = place(&format!("lag: {{{limits}}}"), 1);
        settle(&place, 0);
        assert_eq!(health(&place).as_deref(), Some(reason), "{limits}");
    }
    let place = place("lag: {stallAfter: 60s}", 1);
    let mut reconciler = Reconciler::new(place.clone());
    for (second, reason) in [(0, "WithinLimits"), (59, "WithinLimits"), (61, "NoProgress")] {
        run(reconciler.reconcile_all(at(second)));
        assert_eq!(health(&place).as_deref(), Some(reason), "after {second} s");
    }
}

#[test]
fn a_reset_that_a_member_overwrites_later_is_told() {
    let place = place("reset: {token: a, to: {position: Earliest}}", 0);
    let now = settle(&place, 0);
    assert_eq!(phase(&place), Some(ResetPhase::Complete));
    {
        let mut state = place.model.state.borrow_mut();
        let group = state.groups.get_mut("inventory").expect("it is there");
        group.journal.get_mut("a").expect("it was done").is_overwritten = true;
    }
    settle(&place, now);
    assert_eq!(phase(&place), Some(ResetPhase::Overwritten));
    assert_eq!(resets(&place), 1);
}
