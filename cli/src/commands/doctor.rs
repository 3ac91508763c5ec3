//! `klamm doctor`: looks into what is on disk, changes nothing, and believes nothing.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use storage::dump::{self, Line};
use wire::record::TimestampType;

use crate::failure::Failure;
use crate::{output, session};

/// Look into what is on disk.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(subcommand)]
    command: DoctorCommand,
}

#[derive(Debug, Subcommand)]
enum DoctorCommand {
    /// Print the batches, checksums and producers of a partition's folder; Kafka's folders as well
    Log {
        /// The folder, for example .klamm/demo/orders-0
        dir: PathBuf,
        /// Only what is wrong
        #[arg(long)]
        problems: bool,
    },
}

/// Looks.
pub(crate) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    match &args.command {
        DoctorCommand::Log { dir, problems } => log(dir, *problems),
    }
}

fn log(dir: &Path, only_problems: bool) -> Result<(), Failure> {
    let world = session::world();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut wrong = 0usize;
    let mut written = Ok(());
    dump::dump(&*world.disk, dir, &mut |line| {
        let is_wrong = is_problem(&line);
        wrong += usize::from(is_wrong);
        if written.is_ok() && (is_wrong || !only_problems) {
            written = writeln!(out, "{}", show(&line));
        }
    })
    .map_err(|error| {
        Failure::new(format!("cannot read {error}"))
            .hint("name a partition's folder, such as .klamm/demo/orders-0")
    })?;
    written?;
    out.flush()?;
    drop(out);
    if wrong > 0 {
        return Err(Failure::new(format!("{wrong} problems in {}", dir.display())));
    }
    if only_problems {
        output::line("no problems")?;
    }
    Ok(())
}

fn is_problem(line: &Line) -> bool {
    matches!(line, Line::Problem { .. } | Line::Batch { is_valid: false, .. })
}

fn show(line: &Line) -> String {
    match line {
        Line::TopicId(id) => format!("topic id {id}"),
        Line::Epochs(epochs) => {
            let epochs: Vec<_> = epochs
                .iter()
                .map(|start| format!("{} from offset {}", start.epoch, start.start))
                .collect();
            format!("leader epochs: {}", epochs.join(", "))
        }
        Line::Segment { path, base, size } => {
            format!("segment {} baseOffset: {base} size: {size}", path.display())
        }
        Line::Batch { position, header, is_valid, marker } => {
            let mut text = format!(
                "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} \
                 producerId: {} producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} \
                 isControl: {} deleteHorizonMs: {} position: {position} {}: {} size: {} magic: 2 \
                 compresscodec: {} crc: {} isvalid: {is_valid}",
                header.base_offset,
                header.last_offset(),
                header.record_count,
                header.base_sequence,
                header.last_sequence(),
                header.producer_id,
                header.producer_epoch,
                header.leader_epoch,
                header.is_transactional(),
                header.is_control(),
                header.delete_horizon_ms().map_or("none".to_owned(), |ms| ms.to_string()),
                match header.timestamp_type() {
                    TimestampType::CreateTime => "CreateTime",
                    TimestampType::LogAppendTime => "LogAppendTime",
                },
                header.max_timestamp,
                header.size,
                header.codec().map_or("unknown".to_owned(), |codec| codec.to_string()),
                header.crc,
            );
            if let Some(marker) = marker {
                text.push_str(&format!(
                    " endTxnMarker: {:?} coordinatorEpoch: {}",
                    marker.kind, marker.coordinator_epoch
                ));
            }
            text
        }
        Line::Aborted { producer_id, first_offset, last_offset, last_stable_offset } => format!(
            "aborted transaction producerId: {producer_id} firstOffset: {first_offset} lastOffset: \
             {last_offset} lastStableOffset: {last_stable_offset}"
        ),
        Line::Producer {
            snapshot,
            id,
            epoch,
            last,
            coordinator_epoch,
            transaction_first_offset,
        } => {
            let last = last.map_or("none".to_owned(), |last| {
                format!(
                    "lastSequence: {} lastOffset: {} offsetDelta: {} lastTimestamp: {}",
                    last.last_sequence, last.last_offset, last.offset_delta, last.timestamp
                )
            });
            format!(
                "producer snapshot: {snapshot} producerId: {id} producerEpoch: {epoch} \
                 coordinatorEpoch: {coordinator_epoch} currentTxnFirstOffset: {} {last}",
                transaction_first_offset.map_or("none".to_owned(), |offset| offset.to_string()),
            )
        }
        Line::Problem { path, problem } => format!("PROBLEM {}: {problem}", path.display()),
    }
}
