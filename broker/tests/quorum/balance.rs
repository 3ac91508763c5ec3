//! Brokers get equal shares: when somebody asks for it, or by themselves; and lead again what they are
//! preferred to.

use std::time::Duration;

use wire::{BalanceClusterRequest, BalanceClusterResponse};

use super::cluster::{Cluster, run, run_with};
use super::upkeep::{ask, create, describe, is_recovered, lease, others, until};

const TELL: i8 = 0;
const BEGIN: i8 = 1;
const END: i8 = 2;

async fn balance(cluster: &Cluster, through: i32, operation: i8) -> BalanceClusterResponse {
    let request = BalanceClusterRequest { operation, ..Default::default() };
    let answer = ask(cluster, through, request).await;
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
    answer
}

/// Three brokers with 24 replicas, and a fourth one without.
async fn grown(cluster: &Cluster) -> i32 {
    let leader = cluster.settle().await;
    create(cluster, leader, 12, 2).await;
    cluster.start(4);
    cluster.within(Duration::from_secs(20), "it is let in", |it| it.serves(4)).await;
    for id in 1..=3 {
        until(cluster, (leader, id), "all is in sync", is_recovered).await;
    }
    leader
}

/// Asks until nothing is left to do.
async fn balanced(cluster: &Cluster, through: i32) -> BalanceClusterResponse {
    let mut said = BalanceClusterResponse::default();
    for _ in 0..400 {
        said = balance(cluster, through, TELL).await;
        if said.moves.is_empty() && said.leaders.is_empty() && said.moving == 0 {
            return said;
        }
        cluster.simulation.sleep(Duration::from_millis(100)).await;
    }
    panic!("not balanced in time: {said:?}");
}

async fn assert_even(cluster: &Cluster, through: i32) {
    for id in 1..=4 {
        let found = until(cluster, (through, id), "it leads its share", |it| {
            it.preferred == it.preferred_led
        });
        let found = found.await;
        assert_eq!((found.replicas, found.in_sync, found.preferred), (6, 6, 3), "{found:?}");
    }
}

#[test]
fn a_plan_is_shown_before_it_is_carried_out() {
    run(120, async |cluster| {
        let leader = grown(cluster).await;
        let other = others(leader, leader)[0];
        let said = balance(cluster, other, TELL).await;
        assert_eq!((said.is_running, &said.hold, said.moving), (false, &None, 0));
        assert_eq!(said.moves.len(), 6);
        assert!(said.moves.iter().all(|it| it.to == 4 && &*it.topic == "orders"), "{said:?}");
        let new = said.brokers.iter().find(|it| it.broker_id == 4).expect("it is registered");
        assert_eq!((new.replicas, new.replicas_then, new.preferred_then), (0, 6, 3));
        cluster.simulation.sleep(Duration::from_secs(10)).await;
        assert_eq!(describe(cluster, leader, 4).await.replicas, 0, "nobody asked for it");
        assert!(balance(cluster, other, BEGIN).await.is_running);
        balanced(cluster, other).await;
        assert_even(cluster, leader).await;
        cluster.simulation.sleep(Duration::from_secs(3)).await;
        assert!(!balance(cluster, other, TELL).await.is_running, "it is done");
    });
}

#[test]
fn nothing_begins_while_somebody_has_the_lease_and_nothing_more_once_it_is_ended() {
    run_with(121, &[("klamm.balance.moves.max", "2")], async |cluster| {
        let leader = grown(cluster).await;
        let pause = || cluster.simulation.sleep(Duration::from_secs(5));
        assert_eq!(lease(cluster, leader, 0, (leader, "a", 60_000)).await.error_code, 0);
        let said = balance(cluster, leader, BEGIN).await;
        assert!(said.hold.is_some_and(|why| why.contains("a holds the disruption lease")));
        pause().await;
        assert_eq!(describe(cluster, leader, 4).await.replicas, 0);
        assert_eq!(lease(cluster, leader, 2, (leader, "a", 0)).await.error_code, 0);
        let first = until(cluster, (leader, 4), "it has begun", |it| it.replicas > 0).await;
        assert!(first.replicas <= 2, "two at once: {first:?}");
        balance(cluster, leader, END).await;
        let stopped = describe(cluster, leader, 4).await.replicas;
        pause().await;
        assert_eq!(describe(cluster, leader, 4).await.replicas, stopped);
        assert!(stopped < 6, "it was ended before all was done");
    });
}

#[test]
fn another_controller_goes_on_with_what_was_asked_for() {
    run_with(122, &[("klamm.balance.moves.max", "2")], async |cluster| {
        let leader = grown(cluster).await;
        let stays = others(leader, leader)[0];
        balance(cluster, leader, BEGIN).await;
        until(cluster, (stays, 4), "it has begun", |it| it.replicas > 0).await;
        cluster.kill(leader);
        let other = |cluster: &Cluster| cluster.leader_but(&[leader]).is_some();
        cluster.within(Duration::from_secs(5), "another leader", other).await;
        cluster.start(leader);
        balanced(cluster, stays).await;
        let shares = balance(cluster, stays, TELL).await.brokers;
        assert!(shares.iter().all(|it| (it.replicas, it.preferred) == (6, 3)), "{shares:?}");
    });
}

#[test]
fn it_is_done_by_itself_if_the_settings_say_so() {
    let settings = [("klamm.balance.enable", "true"), ("klamm.balance.interval.ms", "1000")];
    run_with(123, &settings, async |cluster| {
        let leader = grown(cluster).await;
        balanced(cluster, leader).await;
        assert_even(cluster, leader).await;
        assert!(balance(cluster, leader, TELL).await.is_running);
    });
}

#[test]
fn a_broker_that_is_back_leads_again_what_it_is_preferred_to() {
    let settings = [("leader.imbalance.check.interval.seconds", "5")];
    run_with(124, &settings, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 6, 3).await;
        let victim = others(leader, leader)[0];
        assert_eq!(describe(cluster, leader, victim).await.preferred_led, 2);
        cluster.kill(victim);
        until(cluster, (leader, victim), "others lead", |it| it.leaders == 0).await;
        cluster.start(victim);
        until(cluster, (leader, victim), "it is back", is_recovered).await;
        until(cluster, (leader, victim), "it leads again", |it| it.preferred_led == 2).await;
    });
    // Nobody does so if the settings do not want it.
    run_with(125, &[settings[0], ("auto.leader.rebalance.enable", "false")], async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 6, 3).await;
        let victim = others(leader, leader)[0];
        cluster.kill(victim);
        until(cluster, (leader, victim), "others lead", |it| it.leaders == 0).await;
        cluster.start(victim);
        until(cluster, (leader, victim), "it is back", is_recovered).await;
        cluster.simulation.sleep(Duration::from_secs(15)).await;
        assert_eq!(describe(cluster, leader, victim).await.leaders, 0);
    });
}
