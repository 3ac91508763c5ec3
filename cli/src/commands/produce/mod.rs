//! `klamm produce`: sends records, one per line of the input.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::ValueEnum;
use client::{Acks, Delivered, Producer, ProducerOptions, ProducerRecord};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::sync::mpsc;
use wire::record::Codec;
use world::tasks::spawn_local;

use super::consume::{delimiter, start};
use crate::args::Connect;
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser};
use crate::session;

mod input;

use input::{Input, Layout};

/// Deliveries that may be waited for at once; their records are bounded by the producer's buffer.
const UNDER_WAY_MAX: usize = 100_000;

/// Send records, one per line of the input.
#[derive(Debug, clap::Args)]
#[command(after_help = "Without --file, lines are read from standard input.\n\
                        `klamm consume -o json A | klamm produce --json B` copies a topic with keys, \
                        headers and timestamps.")]
pub(crate) struct ProduceArgs {
    /// The topic
    topic: String,
    /// Read lines from these files instead; may be repeated
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// The key of every record
    #[arg(short, long, conflicts_with = "key_delimiter")]
    key: Option<String>,
    /// What divides key and value within a line, for example : or \t
    #[arg(short = 'K', long, value_name = "TEXT", value_parser = delimiter_of)]
    key_delimiter: Option<Delimiter>,
    /// What divides records
    #[arg(short = 'D', long, value_name = "TEXT", value_parser = delimiter_of, default_value = "\\n")]
    delimiter: Delimiter,
    /// A header of every record; may be repeated
    #[arg(short = 'H', long, value_name = "NAME=VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// The partition of every record; chosen by the key if left out
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// The timestamp of every record: milliseconds since 1970, or 2026-11-21T09:00:00Z; now if left out
    #[arg(short = 'T', long, value_name = "TIME", value_parser = start::parse_time)]
    timestamp: Option<i64>,
    /// An empty key or value is null: a tombstone in a compacted topic
    #[arg(short = 'Z', long)]
    null: bool,
    /// Each line is a JSON object as `klamm consume -o json` writes it
    #[arg(long, conflicts_with_all = ["key", "key_delimiter", "delimiter", "null"])]
    json: bool,
    /// How batches are packed
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none")]
    compression: Compression,
    /// How many replicas must hold a record before it counts
    #[arg(short, long, value_name = "ACKS", default_value = "all")]
    acks: AcksArg,
    /// Allow a record to be written twice when an answer is lost; implied by --acks 0 and 1
    #[arg(long)]
    no_idempotence: bool,
    /// How each delivery is written: text writes none, json one object per line
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    #[command(flatten)]
    connect: Connect,
}

/// Bytes between two things.
#[derive(Clone, Debug)]
struct Delimiter(Vec<u8>);

fn delimiter_of(text: &str) -> Result<Delimiter, String> {
    delimiter(text).map(Delimiter)
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl From<Compression> for Codec {
    fn from(from: Compression) -> Self {
        match from {
            Compression::None => Self::None,
            Compression::Gzip => Self::Gzip,
            Compression::Snappy => Self::Snappy,
            Compression::Lz4 => Self::Lz4,
            Compression::Zstd => Self::Zstd,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AcksArg {
    #[value(name = "0")]
    None,
    #[value(name = "1")]
    Leader,
    #[value(name = "all", alias = "-1")]
    All,
}

impl From<AcksArg> for Acks {
    fn from(from: AcksArg) -> Self {
        match from {
            AcksArg::None => Self::None,
            AcksArg::Leader => Self::Leader,
            AcksArg::All => Self::All,
        }
    }
}

#[derive(Serialize)]
struct DeliveredLine<'a> {
    topic: &'a str,
    partition: i32,
    offset: Option<i64>,
    timestamp: i64,
}

/// Sends until the input ends.
pub(crate) fn run(args: &ProduceArgs) -> Result<(), Failure> {
    session::run(async {
        let cluster = session::cluster(&args.connect);
        let world = cluster.world().clone();
        let options = ProducerOptions {
            acks: args.acks.into(),
            codec: args.compression.into(),
            idempotent: !args.no_idempotence && args.acks == AcksArg::All,
            ..Default::default()
        };
        // Now rather than after the first line was typed.
        cluster.any().await?;
        let producer = Producer::new(cluster, options);
        let (deliveries, told) = mpsc::channel(UNDER_WAY_MAX);
        let (result, outcome) = tokio::sync::oneshot::channel();
        let (topic, format) = (args.topic.clone(), args.output);
        spawn_local(async move {
            // The command may have ended meanwhile.
            let _ = result.send(watch(told, &topic, format).await);
        });
        let sent = tokio::select! {
            biased;
            stopped = session::stop_asked() => stopped,
            sent = send_all(args, &world, &producer, &deliveries) => sent,
        };
        tokio::select! {
            biased;
            () = producer.flush() => {}
            // Whoever asks again does not want to wait for what cannot be delivered.
            asked = session::stop_asked() => {
                asked?;
                return Err(Failure::new("stopped before all records were delivered"));
            }
        }
        drop(deliveries);
        let delivered = outcome.await.map_err(|_| Failure::new("the deliveries were lost"))?;
        let count = sent.and(delivered)?;
        if io::stderr().is_terminal() {
            output::note(format_args!("{count} records"));
        }
        Ok(())
    })
}

async fn send_all(
    args: &ProduceArgs,
    world: &world::World,
    producer: &Producer,
    deliveries: &mpsc::Sender<client::producer::Delivery>,
) -> Result<(), Failure> {
    let layout = if args.json {
        Layout::Json
    } else {
        Layout::Lines {
            delimiter: args.delimiter.0.clone(),
            key_delimiter: args.key_delimiter.as_ref().map(|delimiter| delimiter.0.clone()),
            null: args.null,
        }
    };
    let mut input = Input::open(world.clone(), &args.file, layout)?;
    let progress = progress(input.bytes());
    while let Some(line) = input.next().await? {
        let mut headers = line.headers;
        let own = args.header.iter();
        headers.extend(own.map(|(name, value)| (name.clone().into(), Some(value.clone().into()))));
        let record = ProducerRecord {
            topic: args.topic.clone(),
            partition: args.partition,
            key: line.key.or_else(|| args.key.clone().map(Into::into)),
            value: line.value,
            headers,
            timestamp: args.timestamp.or(line.timestamp),
        };
        let delivery = producer.send(record).await?;
        if deliveries.send(delivery).await.is_err() {
            // A delivery failed, and the watcher says why.
            return Ok(());
        }
        progress.set_position(input.taken());
    }
    progress.finish_and_clear();
    Ok(())
}

/// Waits for each delivery, in the order of the input; counts them. Ends with the first failure.
async fn watch(
    mut deliveries: mpsc::Receiver<client::producer::Delivery>,
    topic: &str,
    format: Format,
) -> Result<u64, Failure> {
    let mut count = 0;
    while let Some(delivery) = deliveries.recv().await {
        let Delivered { partition, offset, timestamp } = delivery.wait().await?;
        if format == Format::Json {
            let line = DeliveredLine { topic, partition, offset, timestamp };
            let line = serde_json::to_string(&line).map_err(io::Error::from)?;
            output::line(line)?;
        }
        count += 1;
    }
    Ok(count)
}

/// A bar over the bytes of files; hidden for standard input, and where nobody looks.
fn progress(bytes: Option<u64>) -> ProgressBar {
    let Some(bytes) = bytes.filter(|_| io::stderr().is_terminal()) else {
        return ProgressBar::hidden();
    };
    let style =
        ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::new(bytes).with_style(style.expect("the template is a constant"))
}
