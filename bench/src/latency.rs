//! How long a record takes, sent alone: from the moment it was due until a consumer has it.
//!
//! Open loop: records are due at a fixed rate whether or not the broker keeps up, so a stall counts for
//! every record that was due meanwhile. One clock, one process.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;

use crate::connection::Connection;
use crate::load::{FETCH_VERSION, Target, check_produced, fetch_request, print, produce_frame};
use crate::payload::{self, Template};
use crate::server::{Cost, Meter};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Records per second.
    #[arg(long, default_value_t = 9_765)]
    rate: u64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// Bytes of one value.
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
}

#[derive(serde::Serialize)]
struct Measured {
    records: u64,
    p50_ms: f64,
    p99_ms: f64,
    p99_9_ms: f64,
    max_ms: f64,
    server_us_per_record: f64,
    #[serde(flatten)]
    cost: Cost,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let epoch = Instant::now();
    let total = args.rate * (args.seconds + args.warm_up);
    let skipped = args.rate * args.warm_up;
    let (mut receiver, mut sender) = Connection::open(&args.target.broker)?.split();
    let consumer = Connection::open(&args.target.broker)?;
    let (histogram, cost) = std::thread::scope(|scope| -> Result<_> {
        let consuming = scope.spawn(move || consume(args, consumer, epoch, total, skipped));
        let acknowledged = scope.spawn(move || -> Result<()> {
            (0..total).try_for_each(|_| check_produced(receiver.receive()?))
        });
        let mut template = Template::new(1, args.record_bytes);
        let mut meter = None;
        for number in 0..total {
            if number == skipped {
                meter = Some(Meter::start(args.target.pid)?);
            }
            let due = Duration::from_nanos(number * 1_000_000_000 / args.rate);
            if let Some(early) = due.checked_sub(epoch.elapsed()) {
                std::thread::sleep(early);
            }
            let batch = template.stamp(0, number, u64::try_from(due.as_nanos())?);
            let partition =
                i32::try_from(number % u64::from(args.target.partitions.unsigned_abs()))?;
            let batch = Bytes::copy_from_slice(batch);
            sender.write_all(&produce_frame(&args.target.topic, partition, batch)?)?;
        }
        acknowledged.join().expect("a receiver does not panic")?;
        let histogram = consuming.join().expect("a consumer does not panic")?;
        Ok((histogram, meter.context("nothing was measured")?.stop()?))
    })?;
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e6;
    let records = histogram.len();
    print(&Measured {
        records,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        p99_9_ms: at(0.999),
        max_ms: histogram.max() as f64 / 1e6,
        server_us_per_record: (cost.server_user + cost.server_system) * 1e6 / records as f64,
        cost,
    })
}

/// Reads until all records came; every one is checked to come once and in order.
fn consume(
    args: &Args,
    mut connection: Connection,
    epoch: Instant,
    total: u64,
    skipped: u64,
) -> Result<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
    let mut next: BTreeMap<i32, i64> = (0..args.target.partitions).map(|at| (at, 0)).collect();
    let mut seen_last: BTreeMap<i32, u64> = BTreeMap::new();
    let mut count = 0;
    while count < total {
        let request = fetch_request(&args.target.topic, &next, 1 << 20);
        let response = connection.ask(&request, FETCH_VERSION)?;
        let now = u64::try_from(epoch.elapsed().as_nanos())?;
        for partition in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            ensure!(partition.error_code == 0, "fetch: error {}", partition.error_code);
            let index = partition.partition_index;
            let chunk = partition.records.unwrap_or_default().into_bytes();
            let from = next[&index];
            let mut in_order = true;
            let end = payload::read(&chunk, false, |seen| {
                if seen.offset >= from {
                    let last = seen_last.insert(index, seen.sequence);
                    in_order &= last.is_none_or(|last| last < seen.sequence);
                    count += 1;
                    if seen.sequence >= skipped {
                        histogram.saturating_record(now.saturating_sub(seen.due_ns).max(1_000));
                    }
                }
            })?;
            ensure!(in_order, "partition {index}: a record came twice or too late");
            if end >= 0 {
                next.insert(index, end);
            }
        }
    }
    Ok(histogram)
}
