//! A real client sends with idempotence and acks=all while the server is killed, again and again:
//! nothing that was acknowledged is lost, duplicated or reordered.
//!
//! `KLAMM_E2E_KILLS` says how often (8 by default), `KLAMM_E2E_CLIENT` who sends (`java`, `franz-go` or
//! `python`).

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "real processes run in real time, beside real files"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::cache;
use e2e::event::{Event, Read};
use e2e::judge::{self, Place};
use e2e::library::{Library, Program, Timeouts};
use e2e::order::Order;
use e2e::process::{Process, until};
use e2e::server::{Server, Topic};

const TOPIC: Topic = Topic { name: "order-placed", partitions: 6 };
/// How many orders may wait for their acknowledgement.
const WINDOW: usize = 3000;
/// How many orders are sent at once.
const BURST: usize = 50;
/// What the last acknowledgements may take.
const LIMIT: Duration = Duration::from_secs(120);

struct Load {
    program: Program,
    producer: Process,
    sent: Vec<Order>,
    yesterday: i64,
}

impl Load {
    /// Sends a few more, unless too many wait.
    fn go_on(&mut self) -> Result<()> {
        let acked = self.producer.look(<[_]>::len);
        if self.sent.len() - acked > WINDOW {
            std::thread::sleep(Duration::from_millis(5));
            return Ok(());
        }
        for _ in 0..BURST {
            // Each key's orders are one sequence; so are each partition's, in the order of sending.
            let order = Order::placed(self.sent.len() as u64, 768, self.yesterday);
            self.program.feed(&mut self.producer, &order)?;
            self.sent.push(order);
        }
        std::thread::sleep(Duration::from_millis(10));
        Ok(())
    }

    fn go_on_for(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.go_on()?;
        }
        Ok(())
    }

    /// Where each order was acknowledged. None may have failed.
    fn acked(&self) -> Result<BTreeMap<u64, Place>> {
        self.producer.look(|events| {
            let mut acked = BTreeMap::new();
            for heard in events {
                match &heard.event {
                    Event::Acked { n, partition, offset } => {
                        let n = n.context("this client does not say which order")?;
                        let twice = acked.insert(n, (*partition, *offset));
                        ensure!(twice.is_none(), "order {n} was acknowledged twice");
                    }
                    other => bail!("{other:?}"),
                }
            }
            Ok(acked)
        })
    }
}

#[test]
fn nothing_acknowledged_is_lost_duplicated_or_reordered_by_kills() {
    let kills = std::env::var("KLAMM_E2E_KILLS").map_or(8, |text| text.parse().unwrap());
    let name = std::env::var("KLAMM_E2E_CLIENT").unwrap_or_else(|_| "java".to_owned());
    let library = Library::ALL.into_iter().find(|it| it.name() == name).unwrap();
    if cache::is_skipped("kill -9 under load", library.tools()).unwrap() {
        return;
    }
    survive(library, kills).unwrap();
}

fn survive(library: Library, kills: usize) -> Result<()> {
    let program = library.build()?;
    let mut server = Server::start(&[TOPIC], &[])?;
    let producer = program.produce(&server.address(), TOPIC.name, &Order::placed(0, 768, 0))?;
    let mut load = Load { program, producer, sent: Vec::new(), yesterday: Order::yesterday() };
    until("the first order is acknowledged", LIMIT, || {
        load.go_on()?;
        Ok(load.producer.look(|events| (!events.is_empty()).then_some(())))
    })?;
    let mut starts = Vec::new();
    for kill in 0..kills {
        let acked = load.producer.look(<[_]>::len);
        // Anywhere between the first request and the rhythm of the background flusher.
        load.go_on_for(Duration::from_millis(100 + (kill as u64 * 373) % 1400))?;
        server.kill()?;
        load.go_on_for(Duration::from_millis((kill as u64 * 59) % 300))?;
        starts.push(server.start_again().with_context(|| format!("start after kill {kill}"))?);
        println!("kill {}: {} sent, {acked} acknowledged", kill + 1, load.sent.len());
        // A kill counts when the load was alive again before it.
        let again = until("an order is acknowledged again", LIMIT, || {
            load.go_on()?;
            Ok(load.producer.look(|events| (events.len() > acked).then_some(())))
        });
        again.with_context(|| format!("{}{}", load.producer.notes(), server.notes()))?;
    }
    load.producer.close_input();
    let status = load.producer.wait(LIMIT)?;
    let acked = load.acked()?;
    ensure!(status.success(), "the producer ended with {status}\n{}", load.producer.notes());
    ensure!(acked.len() == load.sent.len(), "{} of {}", acked.len(), load.sent.len());
    // Who starts again says "not yet", never "no such topic": clients would make it anew, or give up.
    let complaints = load.producer.notes();
    ensure!(!complaints.contains("UNKNOWN_TOPIC"), "{complaints}");
    let read = read_all(&load, &server)?;
    let verdict = judge::exactly(&load.sent, &acked, &read)
        .and_then(|counted| judge::unbroken_partitions(&read).map(|_| counted));
    let counted = verdict.map_err(|wrong| anyhow::anyhow!("{wrong}\n{}", server.notes()))?;
    starts.sort();
    let (median, worst) = (starts[starts.len() / 2], starts[starts.len() - 1]);
    println!(
        "{kills} kills under load from {}: {counted} orders, none lost, duplicated or reordered; \
         ready again after {median:.2?} (median), {worst:.2?} (worst)",
        library.name()
    );
    Ok(())
}

fn read_all(load: &Load, server: &Server) -> Result<Vec<Read>> {
    let timeouts = Timeouts { session_ms: 6000, heartbeat_ms: 500 };
    let mut reader = load.program.consume(&server.address(), TOPIC.name, "inspection", timeouts)?;
    let records = |reader: &Process| {
        reader.look(|events| {
            let records = events.iter().filter_map(|heard| match &heard.event {
                Event::Record(read) => Some(read.clone()),
                _ => None,
            });
            records.collect::<Vec<_>>()
        })
    };
    let is_whole = |reader: &Process| {
        // Owns and records; the records are what counts, and there are few others.
        reader.look(<[_]>::len) >= load.sent.len() && records(reader).len() >= load.sent.len()
    };
    let whole = until("all orders are read", LIMIT, || Ok(is_whole(&reader).then_some(())));
    whole.with_context(|| format!("{} of {}", records(&reader).len(), load.sent.len()))?;
    // A duplicate may come last.
    std::thread::sleep(Duration::from_millis(500));
    let read = records(&reader);
    reader.stop()?;
    Ok(read)
}
