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

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cache;
use e2e::library::Library;
use e2e::load::Load;
use e2e::order::Order;
use e2e::process::until;
use e2e::server::{Server, Topic};

const TOPIC: Topic = Topic { name: "order-placed", partitions: 6 };
/// What the first acknowledgement after a start may take.
const LIMIT: Duration = Duration::from_secs(120);

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
    let mut server = Server::start(&[TOPIC])?;
    let yesterday = Order::yesterday();
    // Each key's orders are one sequence; so are each partition's, in the order of sending.
    let make = move |n| Order::placed(n, 768, yesterday);
    let mut load = Load::begin(program, &server.address(), TOPIC.name, make)?;
    until("the first order is acknowledged", LIMIT, || {
        load.go_on()?;
        Ok(load.producer().look(|events| (!events.is_empty()).then_some(())))
    })?;
    let mut starts = Vec::new();
    for kill in 0..kills {
        let acked = load.producer().look(<[_]>::len);
        // Anywhere between the first request and the rhythm of the background flusher.
        load.go_on_for(Duration::from_millis(100 + (kill as u64 * 373) % 1400))?;
        server.kill()?;
        load.go_on_for(Duration::from_millis((kill as u64 * 59) % 300))?;
        starts.push(server.start_again().with_context(|| format!("start after kill {kill}"))?);
        println!("kill {}: {} sent, {acked} acknowledged", kill + 1, load.sent());
        // A kill counts when the load was alive again before it.
        let again = until("an order is acknowledged again", LIMIT, || {
            load.go_on()?;
            Ok(load.producer().look(|events| (events.len() > acked).then_some(())))
        });
        again.with_context(|| format!("{}{}", load.producer().notes(), server.notes()))?;
    }
    // Who starts again says "not yet", never "no such topic": clients would make it anew, or give up.
    let complaints = load.producer().notes();
    ensure!(!complaints.contains("UNKNOWN_TOPIC"), "{complaints}");
    let counted = load.end().with_context(|| server.notes())?;
    starts.sort();
    let (median, worst) = (starts[starts.len() / 2], starts[starts.len() - 1]);
    println!(
        "{kills} kills under load from {}: {counted} orders, none lost, duplicated or reordered; \
         ready again after {median:.2?} (median), {worst:.2?} (worst)",
        library.name()
    );
    Ok(())
}
