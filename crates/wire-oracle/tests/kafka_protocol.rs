//! Every message and version that `kafka-protocol` has, both directions.

#![allow(clippy::print_stdout, reason = "a test prints what it counted")]

use bytes::Bytes;

use wire_oracle::messages;
use wire_oracle::random::{self, Style};

/// Values per message and version.
const VALUES: u64 = 24;

/// What `kafka-protocol` 0.18 cannot do: it refuses every voter.
const GAPS: [&str; 1] = ["LeaderChangeMessage"];

#[test]
fn kafka_protocol_reads_what_we_write_and_we_read_what_it_writes() {
    let (mut pairs, mut values, mut failures) = (0, 0, Vec::new());
    for entry in &messages() {
        let Some(theirs) = &entry.twins.theirs else { continue };
        let both =
            |version: &i16| theirs.versions.contains(version) && !GAPS.contains(&entry.name());
        for version in entry.versions().filter(both) {
            pairs += 1;
            for n in 0..VALUES {
                values += 1;
                let bytes = Bytes::from(random::value(entry, version, Style::of(n), n));
                let ours = entry.again(bytes.clone(), version).unwrap().unwrap();
                let result = match (theirs.again)(ours, version) {
                    Ok(written) if written == bytes => match entry.again(written, version) {
                        Ok(Ok(again)) if again == bytes => continue,
                        other => format!("we cannot read theirs: {other:?}"),
                    },
                    Ok(written) => format!("theirs\n{written:02x?}\nours\n{bytes:02x?}"),
                    Err(why) => format!("{why:#}"),
                };
                failures.push(format!("{} v{version} value {n}: {result}", entry.name()));
            }
        }
    }
    println!("kafka-protocol: {pairs} message×versions, {values} values");
    let shown = failures.iter().take(20).map(|f| f.chars().take(3000).collect::<String>());
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        shown.collect::<Vec<_>>().join("\n\n")
    );
}
