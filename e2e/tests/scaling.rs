//! The number of brokers, of replicas, and a broker's disk change under the load of a real client: it
//! notices nothing, nothing is lost, and one disruption at a time is allowed.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "real processes run in real time; a test that cannot go on has failed"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cache;
use e2e::cluster::Cluster;
use e2e::library::Library;
use e2e::load::{Background, Load};
use e2e::order::Order;
use e2e::process::until;

const TOPIC: &str = "order-placed";
const PARTITIONS: i32 = 12;
const LIMIT: Duration = Duration::from_secs(90);

/// A cluster of three under load, or `None` where there is no client.
fn under_load() -> Result<Option<(Cluster, Background)>> {
    if cache::is_skipped("scaling", Library::FranzGo.tools())? {
        return Ok(None);
    }
    let program = Library::FranzGo.build()?;
    let cluster = Cluster::start(3, &["offsets.topic.num.partitions=3"])?;
    cluster.create_topic(TOPIC, PARTITIONS)?;
    cluster.settle(TOPIC)?;
    let mut load = Load::begin(program, &cluster.bootstrap(), TOPIC, Order::page_view)?;
    load.go_on_for(Duration::from_secs(1))?;
    Ok(Some((cluster, load.in_background())))
}

fn judge(cluster: &Cluster, load: Background) -> Result<()> {
    cluster.settle(TOPIC)?;
    let counted = load.halt()?.end().with_context(|| cluster.notes())?;
    println!("{counted} orders, none lost, duplicated or reordered");
    Ok(())
}

#[test]
fn a_cluster_grows_from_three_to_five_and_shrinks_again() {
    let Some((mut cluster, load)) = under_load().unwrap() else { return };
    three_five_three(&mut cluster).unwrap();
    judge(&cluster, load).unwrap();
}

fn three_five_three(cluster: &mut Cluster) -> Result<()> {
    let new = [cluster.join()?, cluster.join()?];
    let all: BTreeSet<i32> = cluster.ids().into_iter().collect();
    votes(cluster, &all)?;
    // Every broker gets its share.
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    for partition in &partitions {
        let to = (0..3).map(|next| ((partition + next) % 5 + 1).to_string());
        let to = to.collect::<Vec<_>>().join(",");
        let partition = partition.to_string();
        cluster.klamm(&["topic", "reassign", TOPIC, "-p", &partition, "--to", &to])?;
    }
    until("the new brokers have replicas", LIMIT, || {
        let places = cluster.settle(TOPIC)?;
        let have: BTreeSet<i32> = places.iter().flat_map(|place| place.isr.clone()).collect();
        Ok((have == all).then_some(()))
    })?;
    for id in new.into_iter().rev() {
        let broker = id.to_string();
        cluster.klamm(&["cluster", "lease", "acquire", &broker, "--holder", "scaling"])?;
        let second = cluster.klamm(&["cluster", "lease", "acquire", "1", "--holder", "other"]);
        let refused = second.err().map(|error| format!("{error:#}"));
        let refused = refused.context("two disruptions at once")?;
        ensure!(refused.contains("scaling holds the lease"), "{refused}");
        cluster.klamm(&["cluster", "drain", &broker, "--wait", "--within", "90s"])?;
        cluster.klamm(&["cluster", "lease", "release", &broker, "--holder", "scaling"])?;
        ensure!(cluster.leave()? == id);
        // It is taken for running until its session ends.
        let unregister = ["cluster", "unregister", &broker];
        until("it is forgotten", LIMIT, || Ok(cluster.klamm(&unregister).ok().map(drop)))?;
    }
    let places = cluster.settle(TOPIC)?;
    ensure!(places.iter().all(|place| place.isr.len() == 3), "{places:?}");
    votes(cluster, &cluster.ids().into_iter().collect())
}

/// Waits until just these vote.
fn votes(cluster: &Cluster, expected: &BTreeSet<i32>) -> Result<()> {
    let are = || cluster.voters().map(|voters| voters.into_iter().collect::<BTreeSet<i32>>());
    let settled = until("they vote", LIMIT, || Ok((are()? == *expected).then_some(())));
    settled.with_context(|| format!("{:?}, not {expected:?}\n{}", are(), cluster.notes()))
}

#[test]
fn replicas_go_from_three_to_two_and_back() {
    let Some((cluster, load)) = under_load().unwrap() else { return };
    three_two_three(&cluster).unwrap();
    judge(&cluster, load).unwrap();
}

fn three_two_three(cluster: &Cluster) -> Result<()> {
    for count in [2, 3] {
        cluster.klamm(&["topic", "set-replicas", TOPIC, "--to", &count.to_string()])?;
        until("the replicas are as many", LIMIT, || {
            let places = cluster.settle(TOPIC)?;
            Ok(places.iter().all(|place| place.replicas.len() == count).then_some(()))
        })?;
    }
    Ok(())
}

#[test]
fn a_broker_comes_back_with_an_empty_disk() {
    let Some((mut cluster, load)) = under_load().unwrap() else { return };
    empty_disks(&mut cluster).unwrap();
    judge(&cluster, load).unwrap();
}

fn empty_disks(cluster: &mut Cluster) -> Result<()> {
    // Also the disk of whoever is the active controller, at some time.
    for id in cluster.ids() {
        let check = ["cluster", "restart-check", &id.to_string()];
        until("it may go", LIMIT, || Ok(cluster.klamm(&check).ok().map(drop)))?;
        cluster.kill(id)?;
        cluster.replace_disk(id)?;
        cluster.start_broker(id)?;
        cluster.wait_until_ready(id)?;
        cluster.settle(TOPIC)?;
        votes(cluster, &cluster.ids().into_iter().collect())?;
    }
    Ok(())
}
