//! What operating a cluster takes: restart checks, the disruption lease, drains, careful stops. Asked of
//! any broker, decided by the active controller.

use std::time::Duration;

use client::{Producer, ProducerOptions, ProducerRecord};
use wire::create_topics::request::{CreatableTopic, CreatableTopicConfig};
use wire::describe_brokers::response::DescribedBroker;
use wire::{
    CordonBrokerRequest, CreateTopicsRequest, DescribeBrokersRequest, DisruptionLeaseRequest,
    DisruptionLeaseResponse, DrainBrokerRequest, ForgetBrokerRequest, Request, RestartCheckRequest,
    RestartCheckResponse, Str, WatchMetadataRequest, WatchMetadataResponse,
};

use super::cluster::{Cluster, NODES, TIMEOUT, run, run_with};
use super::topics::{create_on, in_sync};

const ACQUIRE: i8 = 0;
const RENEW: i8 = 1;
const RELEASE: i8 = 2;
const TELL: i8 = 3;

/// Why a lease was refused.
const HELD: i8 = 1;
const UNSAFE: i8 = 2;
const NOT_HELD: i8 = 3;

pub(crate) async fn ask<R: Request>(cluster: &Cluster, id: i32, request: R) -> R::Response {
    let connection = cluster.connect(id).await.expect("it listens");
    connection.ask(&request, TIMEOUT).await.expect("it answers")
}

/// A topic whose partitions commit with two replicas, and have `replicas`.
pub(crate) async fn create(cluster: &Cluster, through: i32, partitions: i32, replicas: i16) {
    let config = CreatableTopicConfig {
        name: Str::from_static("min.insync.replicas"),
        value: Some(Str::from_static(if replicas > 1 { "2" } else { "1" })),
        ..Default::default()
    };
    let topic = CreatableTopic {
        name: Str::from_static("orders"),
        num_partitions: partitions,
        replication_factor: replicas,
        configs: vec![config],
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let created = ask(cluster, through, request).await.topics.remove(0);
    assert_eq!(created.error_code, 0, "{:?}", created.error_message);
}

/// Everybody but `id`, the active controller first if it is not that.
pub(crate) fn others(leader: i32, id: i32) -> Vec<i32> {
    let mut others: Vec<i32> = NODES.into_iter().filter(|other| *other != id).collect();
    others.sort_by_key(|other| *other != leader);
    others
}

pub(crate) async fn lease(
    cluster: &Cluster,
    through: i32,
    operation: i8,
    (broker_id, holder, ttl_ms): (i32, &str, i64),
) -> DisruptionLeaseResponse {
    let holder = Str::from(holder);
    let request =
        DisruptionLeaseRequest { operation, broker_id, holder, ttl_ms, ..Default::default() };
    ask(cluster, through, request).await
}

async fn check(cluster: &Cluster, through: i32, ids: &[i32]) -> RestartCheckResponse {
    let request = RestartCheckRequest { broker_ids: ids.to_vec(), ..Default::default() };
    ask(cluster, through, request).await
}

pub(crate) async fn describe(cluster: &Cluster, through: i32, id: i32) -> DescribedBroker {
    let request = DescribeBrokersRequest { broker_ids: Some(vec![id]), ..Default::default() };
    let mut answer = ask(cluster, through, request).await;
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
    answer.brokers.remove(0)
}

/// Asks about one broker until it is as it should be.
pub(crate) async fn until(
    cluster: &Cluster,
    (through, id): (i32, i32),
    what: &str,
    is: impl Fn(&DescribedBroker) -> bool,
) -> DescribedBroker {
    for _ in 0..400 {
        let found = describe(cluster, through, id).await;
        if is(&found) {
            return found;
        }
        cluster.simulation.sleep(Duration::from_millis(50)).await;
    }
    panic!("not in time: {what}: {:?}", describe(cluster, through, id).await);
}

pub(crate) fn is_recovered(broker: &DescribedBroker) -> bool {
    !broker.is_fenced && broker.in_sync == broker.replicas
}

#[test]
fn a_broker_may_restart_while_the_others_can_stand_in() {
    run(100, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 3, 3).await;
        for through in NODES {
            let said = check(cluster, through, &[through]).await;
            assert_eq!((said.error_code, said.is_ok, said.harms.len()), (0, true, 0));
        }
        let [away, stays] = others(leader, leader)[..] else { unreachable!("two others") };
        let both = check(cluster, stays, &[away, stays]).await;
        assert!(!both.is_ok);
        assert_eq!(both.harms.iter().map(|it| it.kind).collect::<Vec<_>>(), [2, 3], "{both:?}");
        cluster.kill(away);
        until(cluster, (stays, away), "it is fenced", |it| it.is_fenced).await;
        let said = check(cluster, stays, &[stays]).await;
        assert!(!said.is_ok && said.harms[0].topics[0].partitions.len() == 3, "{said:?}");
        assert!(check(cluster, stays, &[away]).await.is_ok, "it is away already");
        assert_eq!(check(cluster, stays, &[9]).await.error_code, 102);
    });
}

#[test]
fn a_second_lease_is_refused_while_one_is_open() {
    run(101, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 3, 3).await;
        let [other, third] = others(leader, leader)[..] else { unreachable!("two others") };
        let first = lease(cluster, other, ACQUIRE, (other, "a", 5000)).await;
        assert_eq!((first.error_code, first.broker_id, &*first.holder), (0, other, "a"));
        assert!((4000..=5000).contains(&first.remaining_ms), "{first:?}");
        let second = lease(cluster, third, ACQUIRE, (third, "b", 5000)).await;
        assert_eq!((second.error_code != 0, second.refusal), (true, HELD));
        assert_eq!((second.broker_id, &*second.holder), (other, "a"), "who, and until when");
        assert!(second.remaining_ms > 0 && second.error_message.is_some());
        let not_his = lease(cluster, third, RELEASE, (other, "b", 0)).await;
        assert_eq!((not_his.error_code != 0, not_his.refusal), (true, NOT_HELD));
        assert_eq!(lease(cluster, third, RELEASE, (other, "a", 0)).await.error_code, 0);
        let second = lease(cluster, third, ACQUIRE, (third, "b", 5000)).await;
        assert_eq!(second.error_code, 0, "{second:?}");
    });
}

#[test]
fn a_lease_lasts_as_long_as_it_is_renewed() {
    run(102, async |cluster| {
        let leader = cluster.settle().await;
        let pause = |ms| cluster.simulation.sleep(Duration::from_millis(ms));
        assert_eq!(lease(cluster, leader, ACQUIRE, (leader, "a", 3000)).await.error_code, 0);
        for _ in 0..4 {
            pause(2000).await;
            assert_eq!(lease(cluster, leader, RENEW, (leader, "a", 0)).await.error_code, 0);
        }
        pause(2900).await;
        assert_eq!(lease(cluster, leader, TELL, (-1, "", 0)).await.broker_id, leader);
        pause(200).await;
        assert_eq!(lease(cluster, leader, TELL, (-1, "", 0)).await.broker_id, -1);
        let late = lease(cluster, leader, RENEW, (leader, "a", 0)).await;
        assert_eq!(late.refusal, NOT_HELD);
    });
}

#[test]
fn another_controller_knows_the_lease_and_does_not_shorten_it() {
    run(103, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 3, 3).await;
        let stays = others(leader, leader)[0];
        assert_eq!(lease(cluster, stays, ACQUIRE, (leader, "a", 5000)).await.error_code, 0);
        cluster.simulation.sleep(Duration::from_secs(4)).await;
        cluster.kill(leader);
        let other = |cluster: &Cluster| cluster.leader_but(&[leader]).is_some();
        cluster.within(Duration::from_secs(3), "another leader", other).await;
        let told = lease(cluster, stays, TELL, (-1, "", 0)).await;
        assert_eq!((told.error_code, told.broker_id, &*told.holder), (0, leader, "a"));
        assert!(told.remaining_ms > 3000, "it is counted anew: {told:?}");
        cluster.simulation.sleep(Duration::from_secs(6)).await;
        assert_eq!(lease(cluster, stays, TELL, (-1, "", 0)).await.broker_id, -1);
        let refused = lease(cluster, stays, ACQUIRE, (stays, "b", 5000)).await;
        assert_eq!(refused.refusal, UNSAFE, "the first is still away: {refused:?}");
    });
}

async fn drain(cluster: &Cluster, through: i32, broker_id: i32, mode: i8) {
    let request = DrainBrokerRequest { broker_id, mode, ..Default::default() };
    let answer = ask(cluster, through, request).await;
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
}

#[test]
fn leaderships_go_away_and_come_back() {
    run(104, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 6, 3).await;
        let victim = others(leader, leader)[1];
        assert_eq!(describe(cluster, leader, victim).await.leaders, 2);
        drain(cluster, victim, victim, 1).await;
        let drained = describe(cluster, leader, victim).await;
        assert!(drained.is_drained && drained.leaders == 0 && drained.obstacles.is_empty());
        assert_eq!((drained.in_sync, drained.replicas), (6, 6), "it stays in sync");
        drain(cluster, leader, victim, 0).await;
        let back = describe(cluster, leader, victim).await;
        assert_eq!((back.leaders, back.preferred_led, back.preferred), (2, 2, 2));
        let unknown = DrainBrokerRequest { broker_id: 9, mode: 1, ..Default::default() };
        assert_eq!(ask(cluster, leader, unknown).await.error_code, 102);
    });
}

#[test]
fn an_emptied_broker_is_forgotten() {
    let few_at_once = [("klamm.drain.partitions.max", "2")];
    run_with(105, &few_at_once, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 9, 2).await;
        let victim = others(leader, leader)[1];
        drain(cluster, leader, victim, 2).await;
        let empty = until(cluster, (leader, victim), "it is empty", |it| it.is_drained).await;
        assert_eq!((empty.leaders, empty.replicas), (0, 0));
        let rest: i32 = describe(cluster, leader, leader).await.replicas;
        assert_eq!(rest, 9, "the other two hold all of it");
        let forget = |expected_epoch| {
            let broker_id = victim;
            ForgetBrokerRequest { broker_id, expected_epoch, ..Default::default() }
        };
        let running = ask(cluster, leader, forget(-1)).await;
        assert!(running.error_message.is_some_and(|why| why.contains("hint: stop it first")));
        cluster.kill(victim);
        until(cluster, (leader, victim), "it is fenced", |it| it.is_fenced).await;
        assert_eq!(ask(cluster, leader, forget(empty.broker_epoch + 1)).await.error_code, 102);
        assert_eq!(ask(cluster, leader, forget(empty.broker_epoch)).await.error_code, 0);
        let all = ask(cluster, leader, DescribeBrokersRequest::default()).await;
        assert_eq!(all.brokers.len(), 2);
    });
}

#[test]
fn a_drain_goes_on_under_another_controller() {
    let few_at_once = [("klamm.drain.partitions.max", "1")];
    run_with(106, &few_at_once, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 12, 1).await;
        let [victim, stays] = others(leader, leader)[..] else { unreachable!("two others") };
        drain(cluster, stays, victim, 2).await;
        cluster.kill(leader);
        let other = |cluster: &Cluster| cluster.leader_but(&[leader]).is_some();
        cluster.within(Duration::from_secs(3), "another leader", other).await;
        let empty = until(cluster, (stays, victim), "it is empty", |it| it.is_drained).await;
        assert_eq!(empty.replicas, 0);
    });
}

#[test]
fn what_is_in_the_way_of_a_drain_is_told() {
    run(107, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 3, 3).await;
        let victim = others(leader, leader)[0];
        drain(cluster, leader, victim, 2).await;
        let stuck =
            until(cluster, (leader, victim), "it leads nothing", |it| it.leaders == 0).await;
        assert!(!stuck.is_drained && stuck.obstacles.len() == 1, "{stuck:?}");
        assert!(stuck.obstacles[0].contains("3 partitions, as orders-0"), "{stuck:?}");
    });
}

#[test]
fn a_cordoned_broker_gets_no_new_replicas() {
    run(108, async |cluster| {
        let leader = cluster.settle().await;
        let victim = others(leader, leader)[0];
        let cordon =
            CordonBrokerRequest { broker_id: victim, is_cordoned: true, ..Default::default() };
        assert_eq!(ask(cluster, victim, cordon).await.error_code, 0);
        create(cluster, leader, 6, 1).await;
        let found = describe(cluster, leader, victim).await;
        assert_eq!((found.is_cordoned, found.replicas), (true, 0));
    });
}

#[test]
fn a_stop_takes_the_lease_and_the_return_gives_it_back() {
    run(109, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 6, 3).await;
        for victim in NODES {
            let through = others(leader, victim)[0];
            cluster.stop_carefully(victim);
            let gone = |cluster: &Cluster| !cluster.simulation.is_running(cluster.host(victim));
            let took = cluster.within(Duration::from_secs(5), "it stops", gone).await;
            assert!(took < Duration::from_secs(3), "nothing was in the way: {took:?}");
            let told = lease(cluster, through, TELL, (-1, "", 0)).await;
            assert_eq!((told.broker_id, told.ttl_ms), (victim, 120_000), "{told:?}");
            cluster.start(victim);
            until(cluster, (through, victim), "it is back", is_recovered).await;
            cluster.simulation.sleep(Duration::from_secs(1)).await;
            let told = lease(cluster, through, TELL, (-1, "", 0)).await;
            assert_eq!(told.broker_id, -1, "{told:?}");
        }
    });
}

/// What is led by others goes on as if nothing were: nobody waits for a replica that is about to go.
#[test]
fn a_stop_holds_up_nobody_elses_acknowledgements() {
    run(113, async |cluster| {
        let leader = cluster.settle().await;
        for victim in NODES {
            let through = others(leader, victim)[0];
            let replicas: Vec<i32> = [through]
                .into_iter()
                .chain(NODES.into_iter().filter(|id| *id != through))
                .collect();
            let name = format!("topic-{victim:03}");
            create_on(cluster, through, &name, &replicas).await;
            in_sync(cluster, through, &name, 3).await;
            let producer = Producer::new(cluster.clients(), ProducerOptions::default());
            acknowledged(cluster, &producer, &name).await;
            cluster.stop_carefully(victim);
            let mut longest = Duration::ZERO;
            while cluster.simulation.is_running(cluster.host(victim)) {
                longest = longest.max(acknowledged(cluster, &producer, &name).await);
            }
            let gone = cluster.simulation.elapsed();
            while cluster.simulation.elapsed().saturating_sub(gone) < Duration::from_secs(1) {
                longest = longest.max(acknowledged(cluster, &producer, &name).await);
            }
            println!("broker {victim} stopped: {longest:?}");
            // A follower that hears of the new leader epoch late asks again after 20 ms.
            assert!(longest < Duration::from_millis(40), "broker {victim} stopped: {longest:?}");
            cluster.start(victim);
            until(cluster, (through, victim), "it is back", is_recovered).await;
        }
    });
}

/// How long a record waits for its acknowledgement.
async fn acknowledged(cluster: &Cluster, producer: &Producer, name: &str) -> Duration {
    let began = cluster.simulation.elapsed();
    let value = Some(b"x".as_slice().into());
    let record = ProducerRecord { topic: name.to_owned(), value, ..Default::default() };
    let delivery = producer.send(record).await.expect("it is taken");
    delivery.wait().await.expect("it is written");
    cluster.simulation.elapsed().saturating_sub(began)
}

#[test]
fn a_second_stop_waits_until_the_first_is_back() {
    run(110, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 6, 3).await;
        let [first, second] = others(leader, leader)[..] else { unreachable!("two others") };
        let is_gone = |id: i32| !cluster.simulation.is_running(cluster.host(id));
        cluster.stop_carefully(first);
        cluster.within(Duration::from_secs(5), "it stops", |_| is_gone(first)).await;
        cluster.stop_carefully(second);
        cluster.simulation.sleep(Duration::from_secs(60)).await;
        assert!(!is_gone(second), "the first has the lease, and is not back");
        assert_eq!(check(cluster, leader, &[leader]).await.harms[0].kind, 2);
        cluster.start(first);
        let took = cluster.within(Duration::from_secs(20), "it stops", |_| is_gone(second)).await;
        println!("{took:?} after the first was started");
    });
}

#[test]
fn those_who_are_all_told_to_stop_do_not_wait_for_one_another() {
    run(113, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 6, 3).await;
        for id in [1, 2, 3] {
            cluster.stop_carefully(id);
        }
        let is_gone = |cluster: &Cluster, id| !cluster.simulation.is_running(cluster.host(id));
        let all = |cluster: &Cluster| (1..=3).all(|id| is_gone(cluster, id));
        let took = cluster.within(Duration::from_secs(40), "all stop", all).await;
        assert!(
            took >= Duration::from_secs(15),
            "those who went had no time to come back: {took:?}"
        );
    });
}

#[test]
fn those_who_are_all_restarted_go_one_after_another() {
    run(114, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 6, 3).await;
        for id in [1, 2, 3] {
            cluster.stop_carefully(id);
        }
        let gone = |cluster: &Cluster| {
            let is_gone = |id: &i32| !cluster.simulation.is_running(cluster.host(*id));
            [1, 2, 3].into_iter().filter(is_gone).collect::<Vec<i32>>()
        };
        let mut restarted = Vec::new();
        while restarted.len() < 3 {
            cluster.within(Duration::from_secs(20), "one stops", |it| !gone(it).is_empty()).await;
            let [id] = gone(cluster)[..] else { panic!("two at once: {:?}", gone(cluster)) };
            cluster.simulation.sleep(Duration::from_secs(5)).await;
            assert_eq!(gone(cluster), [id], "nobody else goes before it is back");
            cluster.start(id);
            restarted.push(id);
        }
    });
}

#[test]
fn a_stop_waits_a_bounded_time() {
    let patience = [("klamm.stop.wait.ms", "20000")];
    run_with(111, &patience, async |cluster| {
        let leader = cluster.settle().await;
        create(cluster, leader, 6, 3).await;
        let [away, victim] = others(leader, leader)[..] else { unreachable!("two others") };
        cluster.kill(away);
        until(cluster, (leader, away), "it is fenced", |it| it.is_fenced).await;
        cluster.stop_carefully(victim);
        let gone = |cluster: &Cluster| !cluster.simulation.is_running(cluster.host(victim));
        let took = cluster.within(Duration::from_secs(40), "it stops", gone).await;
        assert!(took >= Duration::from_secs(20), "{took:?}");
    });
}

#[test]
fn whoever_watches_is_told_what_has_changed() {
    run(112, async |cluster| {
        let leader = cluster.settle().await;
        let [through, other] = others(leader, leader)[..] else { unreachable!("two others") };
        let watch = async |version, max_wait_ms| {
            let request = WatchMetadataRequest { version, max_wait_ms, ..Default::default() };
            ask(cluster, through, request).await
        };
        let first = watch(0, 0).await;
        assert!(first.is_whole && first.version > 0, "{first:?}");
        create(cluster, leader, 2, 3).await;
        let second = watch(first.version, 500).await;
        let named = |it: &WatchMetadataResponse| -> Vec<(i8, String)> {
            it.changed.iter().map(|one| (one.r#type, one.name.to_string())).collect()
        };
        assert!(!second.is_whole && second.version > first.version);
        // The topic, and its settings.
        assert_eq!(named(&second), [(2, "orders".to_owned()), (2, "orders".to_owned())]);
        assert!(!second.changed[0].topic_id.is_zero());
        let quiet = watch(second.version, 200).await;
        assert_eq!((quiet.version, quiet.changed.len()), (second.version, 0));
        let asked_at = cluster.simulation.elapsed();
        let drained = async {
            cluster.simulation.sleep(Duration::from_millis(300)).await;
            drain(cluster, leader, other, 1).await;
        };
        let (third, ()) = tokio::join!(watch(quiet.version, 900), drained);
        let took = cluster.simulation.elapsed().saturating_sub(asked_at);
        assert!(took < Duration::from_millis(800), "it is told when it happens: {took:?}");
        assert!(named(&third).contains(&(4, other.to_string())), "{third:?}");
    });
}
