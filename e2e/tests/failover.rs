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
use e2e::event::{Event, Read};
use e2e::judge::{self, Place};
use e2e::library::{Library, Timeouts};
use e2e::order::Order;
use e2e::process::{Process, until};

const TOPIC: &str = "order-placed";
const PARTITIONS: i32 = 12;
/// How many orders may wait for their acknowledgement.
const WINDOW: usize = 5000;
const BURST: u64 = 50;
const LIMIT: Duration = Duration::from_secs(60);
/// How long the load runs before a broker goes, and after it.
const STRETCH: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
enum Farewell {
    Killed,
    Stopped,
}

struct Load {
    producer: Process,
    sent: Vec<Order>,
    program: e2e::library::Program,
}

impl Load {
    fn go_on_for(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            let acked = self.producer.look(<[_]>::len);
            if self.sent.len() - acked <= WINDOW {
                for _ in 0..BURST {
                    // Without a key: the client picks partitions, all of them over time.
                    let order = Order::page_view(self.sent.len() as u64);
                    self.program.feed(&mut self.producer, &order)?;
                    self.sent.push(order);
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The longest time after `from` in which one of `partitions` acknowledged nothing; `None` until all
    /// of them have acknowledged something a second later.
    fn gap(&self, from: Instant, partitions: &BTreeSet<i32>) -> Option<Duration> {
        self.producer.look(|events| {
            let mut last: BTreeMap<i32, Instant> =
                partitions.iter().map(|id| (*id, from)).collect();
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
    let producer = program.produce(&cluster.bootstrap(), TOPIC, &Order::page_view(0))?;
    let mut load = Load { producer, sent: Vec::new(), program };
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
            Ok(load.gap(gone, &led))
        })
        .with_context(|| format!("{}{}", load.producer.notes(), cluster.notes()))?;
        let gap = load.gap(gone, &led).unwrap_or_default();
        println!(
            "{}: broker {victim} {farewell:?}, {} partitions, gap {gap:.2?}",
            number + 1,
            led.len()
        );
        gaps.push(gap);
        if matches!(farewell, Farewell::Stopped) {
            cluster.wait_for_end(victim)?;
        }
        cluster.start_broker(victim)?;
        cluster.wait_until_ready(victim)?;
    }
    cluster.settle(TOPIC)?;
    load.producer.close_input();
    let status = load.producer.wait(LIMIT)?;
    ensure!(status.success(), "the producer ended with {status}\n{}", load.producer.notes());
    let acked = acked(&load)?;
    ensure!(acked.len() == load.sent.len(), "{} of {}", acked.len(), load.sent.len());
    let read = read_all(&load, &cluster)?;
    let counted = judge::exactly(&load.sent, &acked, &read)
        .and_then(|counted| judge::unbroken_partitions(&read).map(|_| counted))
        .map_err(|wrong| anyhow::anyhow!("{wrong}\n{}", cluster.notes()))?;
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

fn acked(load: &Load) -> Result<BTreeMap<u64, Place>> {
    load.producer.look(|events| {
        let mut acked = BTreeMap::new();
        for heard in events {
            let Event::Acked { n, partition, offset } = &heard.event else {
                anyhow::bail!("{:?}", heard.event)
            };
            let n = n.context("this client says which order")?;
            ensure!(acked.insert(n, (*partition, *offset)).is_none(), "{n} was acknowledged twice");
        }
        Ok(acked)
    })
}

fn read_all(load: &Load, cluster: &Cluster) -> Result<Vec<Read>> {
    let timeouts = Timeouts { session_ms: 10_000, heartbeat_ms: 500 };
    let bootstrap = cluster.bootstrap();
    let mut reader = load.program.consume(&bootstrap, TOPIC, "inspection", timeouts)?;
    let records = |reader: &Process| {
        reader.look(|events| {
            let records = events.iter().filter_map(|heard| match &heard.event {
                Event::Record(read) => Some(read.clone()),
                _ => None,
            });
            records.collect::<Vec<_>>()
        })
    };
    let whole = until("all orders are read", LIMIT, || {
        let enough = reader.look(<[_]>::len) >= load.sent.len();
        Ok((enough && records(&reader).len() >= load.sent.len()).then_some(()))
    });
    whole.with_context(|| format!("{} of {}", records(&reader).len(), load.sent.len()))?;
    // A duplicate may come last.
    std::thread::sleep(Duration::from_millis(500));
    let read = records(&reader);
    reader.stop()?;
    Ok(read)
}
