//! How long a record takes: from the moment it was due until a consumer has it. What is due within about
//! a millisecond is sent together, as a producer with `linger.ms=1` does.
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
use crate::load::{FETCH_VERSION, Led, Target, check_produced, fetch_request, produce_frame};
use crate::payload::{self, Template};
use crate::server::{Cost, Meter};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Records per second.
    #[arg(long, default_value_t = 9_765)]
    pub(crate) rate: u64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 8)]
    pub(crate) seconds: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 2)]
    pub(crate) warm_up: u64,
    /// Bytes of one value.
    #[arg(long, default_value_t = 1024)]
    pub(crate) record_bytes: usize,
    /// Records sent together.
    #[arg(long, default_value_t = 10)]
    pub(crate) batch_records: u64,
}

#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Measured {
    pub(crate) records: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p99_9_ms: f64,
    pub(crate) max_ms: f64,
    #[serde(flatten)]
    pub(crate) cost: Cost,
}

pub(crate) fn run(args: &Args) -> Result<Measured> {
    let epoch = Instant::now();
    let batches = args.rate * (args.seconds + args.warm_up) / args.batch_records;
    let skipped = args.rate * args.warm_up / args.batch_records * args.batch_records;
    let every_ns = 1_000_000_000 / args.rate;
    let leaders = args.target.leaders()?;
    let partitions = u64::from(args.target.partitions.unsigned_abs());
    let partition_of = |number: u64| i32::try_from(number % partitions).unwrap_or(0);
    let (histogram, cost) = std::thread::scope(|scope| -> Result<_> {
        let (mut senders, mut acknowledging, mut consuming) = (BTreeMap::new(), vec![], vec![]);
        for (place, led) in leaders.iter().enumerate() {
            let (mut receiver, sender) = Connection::open(&led.broker)?.split();
            let is_here = |number: &u64| led.partitions.contains(&partition_of(*number));
            let count = (0..batches).filter(is_here).count();
            acknowledging.push(scope.spawn(move || -> Result<()> {
                (0..count).try_for_each(|_| check_produced(receiver.receive()?))
            }));
            let consumer = Connection::open(&led.broker)?;
            let wanted = Wanted { epoch, total: count as u64 * args.batch_records, skipped };
            consuming.push(scope.spawn(move || consume(args, consumer, led, wanted)));
            senders.insert(place, sender);
        }
        let of = |partition: i32| {
            leaders.iter().position(|led| led.partitions.contains(&partition)).unwrap_or(0)
        };
        let mut template = Template::new(usize::try_from(args.batch_records)?, args.record_bytes);
        let mut meter = None;
        for number in 0..batches {
            let first = number * args.batch_records;
            if first == skipped {
                meter = Some(Meter::start(&args.target.pids)?);
            }
            // Sent when the last of them is due: the first has waited, and that counts.
            let due = Duration::from_nanos((first + args.batch_records - 1) * every_ns);
            if let Some(early) = due.checked_sub(epoch.elapsed()) {
                std::thread::sleep(early);
            }
            let batch = template.stamp(0, first, first * every_ns, every_ns);
            let partition = partition_of(number);
            let batch = Bytes::copy_from_slice(batch);
            let sender = senders.get_mut(&of(partition)).context("somebody leads it")?;
            sender.write_all(&produce_frame(&args.target.topic, partition, batch)?)?;
        }
        for one in acknowledging {
            one.join().expect("a receiver does not panic")?;
        }
        let mut histogram = histogram()?;
        for one in consuming {
            histogram.add(one.join().expect("a consumer does not panic")?)?;
        }
        Ok((histogram, meter.context("nothing was measured")?.stop()?))
    })?;
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e6;
    let records = histogram.len();
    Ok(Measured {
        records,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        p99_9_ms: at(0.999),
        max_ms: histogram.max() as f64 / 1e6,
        cost,
    })
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?)
}

/// How many records are to come, and those that do not count yet.
#[derive(Clone, Copy)]
struct Wanted {
    epoch: Instant,
    total: u64,
    skipped: u64,
}

/// Reads until all records of one leader came; every one is checked to come once and in order.
fn consume(
    args: &Args,
    mut connection: Connection,
    led: &Led,
    wanted: Wanted,
) -> Result<Histogram<u64>> {
    let Wanted { epoch, total, skipped } = wanted;
    let mut histogram = histogram()?;
    let mut next: BTreeMap<i32, i64> = led.partitions.iter().map(|at| (*at, 0)).collect();
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
            ensure!(in_order, "partition {index}: a record came twice, or after a later one");
            if end >= 0 {
                next.insert(index, end);
            }
        }
    }
    Ok(histogram)
}
