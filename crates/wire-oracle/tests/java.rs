//! Every message and version against Kafka's own classes, both directions.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test prints what it counted, keeps scratch files, and fails by panicking"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use wire::{ApiKey, ErrorCode};
use wire_oracle::java::Java;
use wire_oracle::random::{self, Style};
use wire_oracle::tree::Tree;
use wire_oracle::{Entry, messages};

/// Values per message and version, in each direction.
const VALUES: u64 = 24;

/// Java, or `None` where there is none: then the suite is skipped, which CI does not allow.
fn java(scratch: &Path) -> Option<Java> {
    match Java::prepare(scratch) {
        Ok(java) => Some(java),
        Err(why) => {
            let ci = std::env::var("CI").as_deref() == Ok("true");
            assert!(!ci, "the Java oracle cannot run: {why:#}");
            println!("java: skipped, the oracle cannot run: {why:#}");
            None
        }
    }
}

/// Every message that Java has, at each of its versions.
fn pairs(entries: &[Entry]) -> Vec<(&Entry, &'static str, i16)> {
    let classes = entries.iter().filter_map(|entry| Some((entry, entry.twins.java?)));
    classes.flat_map(|(entry, class)| entry.versions().map(move |v| (entry, class, v))).collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(out, "{byte:02x}").unwrap();
    }
    out
}

fn unhex(text: &str) -> Bytes {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect::<Vec<_>>().into()
}

/// Ours must read the bytes, write the same, and see the fields that the JSON names.
fn check(entry: &Entry, version: i16, bytes: &Bytes, json: &str) -> Result<(), String> {
    let place = format!("{} v{version} {}", entry.name(), hex(bytes));
    let again = entry
        .again(bytes.clone(), version)
        .map_err(|why| format!("{place}: {why}"))?
        .map_err(|why| format!("{place}: {why}"))?;
    if again != *bytes {
        return Err(format!("{place}: we write {}", hex(&again)));
    }
    let debug = (entry.twins.ours.debug)(bytes.clone(), version).map_err(|why| why.to_string())?;
    let json: Value = serde_json::from_str(json).map_err(|why| format!("{place}: {why}"))?;
    let tree = Tree::parse(&debug).map_err(|why| format!("{place}: {why:#}: {debug}"))?;
    tree.agrees_with(&json).map_err(|why| format!("{place}: {why:#}\n{debug}\n{json}"))
}

fn report(what: &str, count: usize, values: u64, failures: &[String]) {
    println!("java, {what}: {count} message×versions, {values} values");
    let shown = failures.iter().take(20).map(|f| f.chars().take(3000).collect::<String>());
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        shown.collect::<Vec<_>>().join("\n\n")
    );
}

#[test]
fn java_reads_what_we_write_and_writes_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(java) = java(scratch.path()) else { return };
    let entries = messages();
    let pairs = pairs(&entries);
    let (mut values, mut lines) = (Vec::new(), String::new());
    for &(entry, class, version) in &pairs {
        for n in 0..VALUES {
            let bytes = Bytes::from(random::value(entry, version, Style::of(n), n));
            writeln!(lines, "{class} {version} {}", hex(&bytes)).unwrap();
            values.push((entry, version, bytes));
        }
    }
    let (asked, answered) = (scratch.path().join("asked"), scratch.path().join("answered"));
    fs::write(&asked, lines).unwrap();
    java.oracle(&["echo", &asked.to_string_lossy(), &answered.to_string_lossy()]).unwrap();
    let answers = fs::read_to_string(&answered).unwrap();
    assert_eq!(answers.lines().count(), values.len());
    let mut failures = Vec::new();
    for (answer, (entry, version, bytes)) in answers.lines().zip(&values) {
        let (theirs, json) = answer.split_once(' ').unwrap();
        let result = if theirs == hex(bytes) {
            check(entry, *version, bytes, json)
        } else {
            let ours = hex(bytes);
            Err(format!("{} v{version}: ours\n{ours}\nJava\n{answer}", entry.name()))
        };
        failures.extend(result.err());
    }
    report("from us", pairs.len(), values.len() as u64, &failures);
}

#[test]
fn we_read_what_java_writes_and_write_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(java) = java(scratch.path()) else { return };
    let entries = messages();
    let pairs = pairs(&entries);
    let mut lines = String::new();
    for (_, class, version) in &pairs {
        writeln!(lines, "{class} {version}").unwrap();
    }
    let (asked, made) = (scratch.path().join("asked"), scratch.path().join("made"));
    fs::write(&asked, lines).unwrap();
    let count = VALUES.to_string();
    java.oracle(&["make", &asked.to_string_lossy(), &made.to_string_lossy(), "1", &count]).unwrap();
    let made = fs::read_to_string(&made).unwrap();
    let expected = pairs.iter().flat_map(|pair| (0..VALUES).map(move |_| *pair));
    assert_eq!(made.lines().count(), pairs.len() * usize::try_from(VALUES).unwrap());
    let (mut values, mut failures) = (0, Vec::new());
    for (line, (entry, class, version)) in made.lines().zip(expected) {
        let mut parts = line.splitn(4, ' ');
        assert_eq!(parts.next(), Some(class));
        assert_eq!(parts.next(), Some(&*version.to_string()));
        let bytes = unhex(parts.next().unwrap());
        failures.extend(check(entry, version, &bytes, parts.next().unwrap()).err());
        values += 1;
    }
    report("from Java", pairs.len(), values, &failures);
}

#[test]
fn apis_headers_and_error_codes_are_kafkas() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(java) = java(scratch.path()) else { return };
    let facts = java.oracle(&["facts"]).unwrap();
    let (mut apis, mut errors) = (0, 0);
    for line in facts.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<i16>().unwrap();
        match words[0] {
            "api" => {
                let key = ApiKey::from_number(number(1)).expect(line);
                assert_eq!(key.name(), words[2], "{line}");
                assert_eq!(key.versions(), number(3)..=number(4), "{line}");
                assert_eq!(key.all_versions(), number(3)..=number(5), "{line}");
                apis += 1;
            }
            "header" => {
                let (key, version) = (ApiKey::from_number(number(1)).expect(line), number(2));
                assert_eq!(key.request_header_version(version), number(3), "{line}");
                assert_eq!(key.response_header_version(version), number(4), "{line}");
            }
            "error" => {
                let code = ErrorCode::from_number(number(1)).expect(line);
                assert_eq!(code.name(), words[2], "{line}");
                assert_eq!(code.is_retriable().to_string(), words[3], "{line}");
                errors += 1;
            }
            _ => panic!("{line}"),
        }
    }
    assert_eq!(apis, ApiKey::ALL.iter().filter(|key| !key.is_private()).count());
    assert_eq!(errors, ErrorCode::ALL.len());
}
