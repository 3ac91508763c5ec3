//! `klamm consume`: prints records, of partitions that were named or as a member of a group.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};

use client::admin::OffsetAt;
use client::{
    Admin, Cluster, ConsumedRecord, Consumer, ConsumerOptions, GroupConsumer, GroupOptions,
    Isolation, TopicPartition,
};
use indicatif::ProgressBar;

use crate::args::Connect;
use crate::failure::Failure;
use crate::output::{self, Format, FormatParser};
use crate::session;

mod format;
pub(crate) mod start;

pub(crate) use format::delimiter;

use format::RecordFormat;
use start::Start;

/// Print records.
#[derive(Debug, clap::Args)]
#[command(after_help = "Formats as in kcat: %s value, %k key, %t topic, %p partition, %o offset, \
                        %T timestamp, %h headers, %S and %K lengths, \\n \\t \\xHH.\n\
                        Where kcat and rpk say -o beginning, klamm says --from beginning: -o is the \
                        output format, as in kubectl.")]
pub(crate) struct ConsumeArgs {
    /// Topics to read
    #[arg(required = true)]
    topics: Vec<String>,
    /// Read as a member of this group: its members share the partitions, and it goes on where it left
    #[arg(short, long)]
    group: Option<String>,
    /// Where to begin: beginning, end, an offset, -N (the last N of each partition), or @TIME. With
    /// --group: beginning or end, for partitions without a committed offset [default: end; with
    /// --group and with --exit-at-end: beginning]
    #[arg(short = 's', long, value_name = "WHERE", value_parser = start::parse, allow_hyphen_values = true)]
    from: Option<Start>,
    /// Only these partitions, separated by commas
    #[arg(short, long, value_name = "PARTITIONS", value_delimiter = ',', conflicts_with = "group")]
    partition: Vec<i32>,
    /// Stop after this many records
    #[arg(short, long, value_name = "RECORDS")]
    count: Option<u64>,
    /// Stop at the end of what is there
    #[arg(short, long)]
    exit_at_end: bool,
    /// How each record is written: text is --format, json is one object per line
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
    /// The text of each record
    #[arg(short, long, value_name = "FORMAT", default_value = "%s\\n", value_parser = format::parse, conflicts_with = "output")]
    format: RecordFormat,
    /// Also records of transactions that are open or were aborted
    #[arg(long)]
    uncommitted: bool,
    /// Read from replicas in this rack, where there are some (replica.selector.class)
    #[arg(long, value_name = "NAME")]
    rack: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

/// Prints until told to stop.
pub(crate) fn run(args: &ConsumeArgs) -> Result<(), Failure> {
    session::run(async {
        let cluster = session::cluster(&args.connect);
        let mut printer = Printer::new(args);
        let consumed = match &args.group {
            Some(group) => as_member(args, cluster, group, &mut printer).await,
            None => alone(args, cluster, &mut printer).await,
        };
        let written = printer.finish();
        consumed.and(written)
    })
}

fn reading(args: &ConsumeArgs) -> ConsumerOptions {
    let isolation = if args.uncommitted { Isolation::Uncommitted } else { Isolation::Committed };
    let on_out_of_range = args.group.is_some().then_some(OffsetAt::Earliest);
    let rack = args.rack.clone();
    ConsumerOptions { isolation, on_out_of_range, rack, ..Default::default() }
}

async fn alone(args: &ConsumeArgs, cluster: Cluster, printer: &mut Printer) -> Result<(), Failure> {
    let admin = Admin::new(cluster.clone());
    let reading = reading(args);
    let default = if args.exit_at_end { Start::Beginning } else { Start::End };
    let from = args.from.unwrap_or(default);
    let mut offsets = BTreeMap::new();
    for topic in &args.topics {
        let of = start::partitions(&admin, topic, &args.partition).await?;
        offsets.extend(start::resolve(&admin, from, &of, reading.isolation).await?);
    }
    let ends = ends(&admin, args, &offsets, reading.isolation).await?;
    if is_at_end(&offsets, ends.as_ref()) {
        return Ok(());
    }
    let mut consumer = Consumer::new(cluster, reading);
    consumer.assign(offsets);
    let work = async {
        loop {
            for record in consumer.poll().await? {
                let partition = TopicPartition::new(&record.topic, record.partition);
                let is_new = ends.as_ref().is_some_and(|ends| {
                    ends.get(&partition).is_some_and(|end| record.offset >= *end)
                });
                // What came after we began does not count as what was there.
                if !is_new && printer.print(&record)? {
                    return Ok(());
                }
            }
            printer.flush()?;
            if is_at_end(&consumer.positions(), ends.as_ref()) {
                return Ok(());
            }
        }
    };
    tokio::select! {
        biased;
        stopped = session::stop_asked() => stopped,
        done = work => done,
    }
}

/// With `--exit-at-end`, where each partition ends now.
async fn ends(
    admin: &Admin,
    args: &ConsumeArgs,
    offsets: &BTreeMap<TopicPartition, i64>,
    isolation: Isolation,
) -> Result<Option<BTreeMap<TopicPartition, i64>>, Failure> {
    if !args.exit_at_end {
        return Ok(None);
    }
    let of = offsets.keys().cloned().collect();
    Ok(Some(admin.offsets_or_end(OffsetAt::Latest, &of, isolation).await?))
}

fn is_at_end(
    at: &BTreeMap<TopicPartition, i64>,
    ends: Option<&BTreeMap<TopicPartition, i64>>,
) -> bool {
    ends.is_some_and(|ends| {
        ends.iter().all(|(partition, end)| at.get(partition).is_some_and(|at| at >= end))
    })
}

async fn as_member(
    args: &ConsumeArgs,
    cluster: Cluster,
    group: &str,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let mut options = GroupOptions::new(group, args.topics.clone());
    options.start = match args.from {
        None | Some(Start::Beginning) => OffsetAt::Earliest,
        Some(Start::End) => OffsetAt::Latest,
        Some(Start::Offset(_) | Start::Last(_) | Start::Time(_)) => {
            return Err(Failure::usage("with --group, --from is beginning or end")
                .hint("`klamm group reset` moves a group to an offset or a time"));
        }
    };
    let admin = Admin::new(cluster.clone());
    for topic in &args.topics {
        start::partitions(&admin, topic, &[]).await?;
    }
    let mut member = GroupConsumer::new(cluster, options, reading(args));
    let mut unprinted = Unprinted::new();
    let worked = {
        let work = work_as_member(args, &mut member, printer, &mut unprinted);
        tokio::select! {
            biased;
            stopped = session::stop_asked() => stopped,
            done = work => done,
        }
    };
    // Records that were fetched and not printed are not committed: the next member gets them.
    for (partition, offset) in unprinted {
        member.seek(partition, offset);
    }
    let left = member.leave().await.map_err(Failure::from);
    worked.and(left)
}

/// The first record of each partition that was fetched and is not where the output goes.
type Unprinted = BTreeMap<TopicPartition, i64>;

async fn work_as_member(
    args: &ConsumeArgs,
    member: &mut GroupConsumer,
    printer: &mut Printer,
    unprinted: &mut Unprinted,
) -> Result<(), Failure> {
    loop {
        let records = member.poll().await?;
        let mut behind = Unprinted::new();
        for record in records.iter().rev() {
            // The last entry to be put in is the first record of each partition.
            behind.insert(TopicPartition::new(&record.topic, record.partition), record.offset);
        }
        unprinted.clone_from(&behind);
        for record in &records {
            let is_enough = printer.print(record)?;
            let partition = TopicPartition::new(&record.topic, record.partition);
            behind.insert(partition, record.offset + 1);
            if is_enough {
                printer.flush()?;
                *unprinted = behind;
                return Ok(());
            }
        }
        printer.flush()?;
        unprinted.clear();
        let positions = member.positions();
        let is_at_end = !positions.is_empty()
            && positions
                .iter()
                .all(|(partition, at)| member.end(partition).is_some_and(|end| *at >= end));
        if args.exit_at_end && records.is_empty() && is_at_end {
            return Ok(());
        }
    }
}

/// Writes records, and counts them.
struct Printer {
    out: BufWriter<io::Stdout>,
    format: Option<RecordFormat>,
    printed: u64,
    count: Option<u64>,
    progress: Option<ProgressBar>,
}

impl Printer {
    fn new(args: &ConsumeArgs) -> Self {
        // A bar between the records on one terminal helps nobody.
        let is_shown = io::stderr().is_terminal() && !io::stdout().is_terminal();
        let progress = is_shown.then(|| match args.count {
            Some(count) => ProgressBar::new(count),
            None => ProgressBar::new_spinner(),
        });
        Self {
            out: BufWriter::new(io::stdout()),
            format: (args.output == Format::Text).then(|| args.format.clone()),
            printed: 0,
            count: args.count,
            progress,
        }
    }

    /// Writes a record; says whether that was the last one that was asked for.
    fn print(&mut self, record: &ConsumedRecord) -> Result<bool, Failure> {
        if self.count == Some(0) {
            return Ok(true);
        }
        match &self.format {
            Some(format) => format.write(record, &mut self.out)?,
            None => format::write_json(record, &mut self.out)?,
        }
        self.printed += 1;
        if let Some(progress) = &self.progress {
            progress.inc(1);
        }
        Ok(self.count == Some(self.printed))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    fn finish(mut self) -> Result<(), Failure> {
        if let Some(progress) = &self.progress {
            progress.finish_and_clear();
            output::note(format_args!("{} records", self.printed));
        }
        self.flush()
    }
}
