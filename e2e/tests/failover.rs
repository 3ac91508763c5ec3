//! Three brokers, three replicas, two of which must have what is acknowledged; a real client sends to twelve
//! partitions without a pause while brokers are killed and stopped one after another. Nothing
//! acknowledged is lost, doubled or reordered, and the gap in the acknowledgements is told.
//!
//! `KLAMM_E2E_KILLS` says how often (3 by default). The client is franz-go with `MetadataMinAge` and
//! `RetryBackoff` of 50 ms, everything else by default.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "real processes run in real time, beside real files"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::cache;
use e2e::cluster::Cluster;
use e2e::event::Event;
use e2e::library::Library;
use e2e::load::Load;
use e2e::order::Order;
use e2e::process::until;

const TOPIC: &str = "order-placed";
const PARTITIONS: i32 = 12;
const LIMIT: Duration = Duration::from_secs(60);
/// How long the load runs before a broker goes, and after it.
const STRETCH: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
enum Farewell {
    Killed,
    Stopped,
}

/// The longest time after `from` in which one of `partitions` acknowledged nothing; `None` until all
/// of them have acknowledged something a second later.
fn gap(load: &Load, from: Instant, partitions: &BTreeSet<i32>) -> Option<Duration> {
    load.producer().look(|events| {
        let mut last: BTreeMap<i32, Instant> = partitions.iter().map(|id| (*id, from)).collect();
        let mut longest = Duration::ZERO;
        for heard in events.iter().filter(|heard| heard.at > from) {
            if let Event::Acked { partition, .. } = heard.event
                && let Some(last) = last.get_mut(&partition)
            {
                longest = longest.max(heard.at - *last);
                *last = heard.at;
            }
        }
        let later = from + Duration::from_secs(1);
        last.values().all(|last| *last > later).then_some(longest)
    })
}

#[test]
fn nothing_acknowledged_is_lost_while_brokers_go_and_come() -> Result<()> {
    if cache::is_skipped("failover", Library::FranzGo.tools())? {
        return Ok(());
    }
    let count: usize = match std::env::var("KLAMM_E2E_KILLS") {
        Ok(text) => text.parse().context("KLAMM_E2E_KILLS is a number")?,
        Err(_) => 3,
    };
    let mut cluster = Cluster::start(3, &["offsets.topic.num.partitions=3"])?;
    cluster.create_topic(TOPIC, PARTITIONS)?;
    cluster.settle(TOPIC)?;
    let program = Library::FranzGo.build()?;
    // Without a key: the client picks partitions, all of them over time.
    let mut load = Load::begin(program, &cluster.bootstrap(), TOPIC, Order::page_view)?;
    load.go_on_for(STRETCH)?;
    let mut gaps = Vec::new();
    for number in 0..count {
        let victim = cluster.ids()[number % 3];
        let farewell = if number % 3 == 2 { Farewell::Stopped } else { Farewell::Killed };
        let places = cluster.settle(TOPIC)?;
        let led = (0..).zip(&places).filter(|(_, place)| place.leader == victim);
        let led: BTreeSet<i32> = led.map(|(partition, _)| partition).collect();
        load.go_on_for(STRETCH)?;
        let gone = match farewell {
            Farewell::Killed => cluster.kill(victim)?,
            Farewell::Stopped => cluster.ask_to_stop(victim)?,
        };
        load.go_on_for(STRETCH)?;
        until("every partition acknowledges again", LIMIT, || {
            load.go_on_for(Duration::from_millis(50))?;
            Ok(gap(&load, gone, &led))
        })
        .with_context(|| format!("{}{}", load.producer().notes(), cluster.notes()))?;
        let longest = gap(&load, gone, &led).unwrap_or_default();
        println!(
            "{}: broker {victim} {farewell:?}, {} partitions, gap {longest:.2?}",
            number + 1,
            led.len()
        );
        gaps.push(longest);
        if matches!(farewell, Farewell::Stopped) {
            cluster.wait_for_end(victim)?;
        }
        cluster.start_broker(victim)?;
        cluster.wait_until_ready(victim)?;
    }
    cluster.settle(TOPIC)?;
    let counted = load.end().with_context(|| cluster.notes())?;
    gaps.sort();
    println!(
        "{counted} orders, none lost, duplicated or reordered; worst gap {:.2?}",
        gaps[gaps.len() - 1]
    );
    Ok(())
}

#[test]
fn a_broker_that_does_not_serve_yet_is_as_good_as_not_there() -> Result<()> {
    let mut cluster = Cluster::start(3, &[])?;
    for id in cluster.ids() {
        cluster.kill(id)?;
    }
    // Alone it cannot register.
    cluster.start_broker(1)?;
    let refused = until("its listener is open", LIMIT, || {
        let told = cluster.places_by(1, TOPIC);
        let error = told.err().context("it answers")?;
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        Ok(kind.filter(|kind| *kind != ErrorKind::ConnectionRefused))
    })?;
    // At an end in order, franz-go would not try again.
    ensure!(refused == ErrorKind::ConnectionReset, "{refused:?}");
    // It can be stopped all the same.
    cluster.ask_to_stop(1)?;
    cluster.wait_for_end(1)
}
