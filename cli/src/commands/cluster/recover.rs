//! `klamm cluster recover`: on the machine of a stopped broker.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

use broker::{Found, Recovery};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Format, FormatParser, Table};
use crate::session;

/// Go on from what one stopped broker has, when a majority of the voters' disks is gone for good.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The quorum needs a majority of its voters. If the disks of a majority are gone, what they \
                        decided last may be lost, and the brokers that are left refuse to serve. This makes the \
                        broker of --data-dir the only voter, with all that it knows; the others then join it, \
                        and get a vote again, by themselves. Use it on one broker only: the one whose metadata \
                        offset is the highest. Topics, settings and leaderships that it does not know are gone, \
                        and so are the records of partitions that were in sync on lost disks only.\n\n\
                        Without --accept-data-loss it shows what it found, and asks. Exits with 1 if nothing \
                        was changed."
)]
pub(super) struct RecoverArgs {
    /// The data directory of a broker that is stopped
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Do it, whatever the lost majority has decided last
    #[arg(long)]
    accept_data_loss: bool,
    /// How it is written
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = FormatParser)]
    output: Format,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    cluster_id: String,
    broker: i32,
    metadata_offset: u64,
    term: u64,
    written_ms: i64,
    recoveries: u32,
    voters: Vec<i32>,
    brokers: Vec<i32>,
    partitions: usize,
    partitions_not_whole_here: usize,
}

impl From<&Found> for Row {
    fn from(found: &Found) -> Self {
        Self {
            cluster_id: found.cluster_id.clone(),
            broker: found.node,
            metadata_offset: found.version,
            term: found.term,
            written_ms: found.changed_ms,
            recoveries: found.recoveries,
            voters: found.voters.clone(),
            brokers: found.brokers.iter().map(|(id, _)| *id).collect(),
            partitions: found.partitions,
            partitions_not_whole_here: found.not_whole_here,
        }
    }
}

pub(super) fn run(args: &RecoverArgs) -> Result<(), Failure> {
    let world = session::world();
    let recovery = Recovery::open(&world, &args.data_dir).map_err(Failure::new)?;
    let found = recovery.found();
    match args.output {
        Format::Json => output::json(&Row::from(found))?,
        Format::Text => show(found, world.clock.wall_ms())?,
    }
    if !args.accept_data_loss && !is_accepted(found)? {
        return Err(Failure::new("nothing was changed").hint(
            "bring the lost disks back if you can; else --accept-data-loss, on the broker with the highest \
             metadata offset",
        ));
    }
    let node = found.node;
    recovery.carry_out().map_err(Failure::new)?;
    output::note(format_args!(
        "broker {node} is the only voter now: start it, then the others; what was there before is kept in \
         files that end in .before-recovery-…"
    ));
    Ok(())
}

fn show(found: &Found, now_ms: i64) -> Result<(), Failure> {
    let mut table = Table::new(&["CLUSTER", &found.cluster_id]);
    table.row(["broker".to_owned(), found.node.to_string()]);
    let offset = format!("{}, in term {}", found.version, found.term);
    table.row(["metadata offset".to_owned(), offset]);
    let (at, age) = (output::time(found.changed_ms), age(now_ms - found.changed_ms));
    table.row(["last written".to_owned(), format!("{at}, {age} ago")]);
    table.row(["voters".to_owned(), listed(&found.voters)]);
    let brokers = found.brokers.iter().map(|(id, is_up)| match is_up {
        true => id.to_string(),
        false => format!("{id} (down)"),
    });
    table.row(["brokers".to_owned(), brokers.collect::<Vec<_>>().join(", ")]);
    let missing = match found.not_whole_here {
        0 => ", all of them whole here".to_owned(),
        count => format!(", {count} of them whole only elsewhere"),
    };
    table.row(["partitions".to_owned(), format!("{}{missing}", found.partitions)]);
    table.row(["recovered before".to_owned(), format!("{} times", found.recoveries)]);
    table.print()
}

fn listed(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}

/// About how long ago, in the largest unit of which there are two.
fn age(ms: i64) -> String {
    const UNITS: [(i64, &str); 3] =
        [(86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes")];
    let unit = UNITS.iter().find(|(unit, _)| ms >= 2 * unit);
    match unit {
        Some((unit, name)) => format!("{} {name}", ms / unit),
        None => format!("{} seconds", ms.max(0) / 1000),
    }
}

/// Asks a person, if there is one.
fn is_accepted(found: &Found) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    let mut stderr = io::stderr().lock();
    write!(
        stderr,
        "\nWhat the other voters have decided behind offset {} is lost, and what was in sync on lost disks \
         only.\nGo on from this broker alone? Type the cluster's id to confirm: ",
        found.version
    )?;
    stderr.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == found.cluster_id)
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn ages_are_told_in_a_unit_of_which_there_are_several() {
        let (minute, hour) = (60_000, 3_600_000);
        for (ms, expected) in [
            (-5, "0 seconds"),
            (90_000, "90 seconds"),
            (2 * minute, "2 minutes"),
            (hour, "60 minutes"),
            (3 * hour, "3 hours"),
            (49 * hour, "2 days"),
        ] {
            assert_eq!(age(ms), expected);
        }
    }
}
