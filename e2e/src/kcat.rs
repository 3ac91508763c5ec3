//! Reads what kcat prints: records as JSON on standard output, everything else as sentences on standard
//! error.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::event::{Event, Read};

#[derive(Deserialize)]
struct Envelope {
    partition: i32,
    offset: i64,
    ts: i64,
    #[serde(default)]
    headers: Vec<String>,
    key: Option<String>,
    payload: String,
}

/// Reads a line of either stream; `None` if it says nothing that matters here.
pub fn parse(line: &str) -> Option<Event> {
    if line.starts_with('{') {
        return record(line);
    }
    if let Some(rest) = line.strip_prefix("% Message delivered to partition ") {
        let (partition, rest) = rest.split_once(" (offset ")?;
        let offset = rest.split(')').next()?;
        let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
        return Some(Event::Acked { n: None, partition, offset });
    }
    if line.starts_with("% Delivery failed") {
        return Some(Event::Failed { n: None, error: line.to_owned() });
    }
    if let Some((_, partitions)) = line.split_once("): assigned: ") {
        return Some(Event::Owns { partitions: indexes(partitions) });
    }
    // With kcat's assignors a revocation takes everything.
    line.contains("): revoked: ").then(|| Event::Owns { partitions: Vec::new() })
}

fn record(line: &str) -> Option<Event> {
    let found: Envelope = serde_json::from_str(line).ok()?;
    let headers: BTreeMap<String, String> =
        found.headers.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    Some(Event::Record(Read {
        partition: found.partition,
        offset: found.offset,
        key: found.key,
        value: found.payload,
        headers,
        timestamp: found.ts,
    }))
}

/// The indexes in `orders [0], orders [1]`.
fn indexes(text: &str) -> Vec<i32> {
    text.split('[').skip(1).filter_map(|part| part.split(']').next()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_names_its_partitions() {
        let line = "% Group g rebalanced (memberid rdkafka-1): assigned: t1 [0], t1 [11]";
        assert_eq!(parse(line), Some(Event::Owns { partitions: vec![0, 11] }));
    }

    #[test]
    fn a_delivery_names_its_place() {
        let line = "% Message delivered to partition 3 (offset 42) on broker 1";
        assert_eq!(parse(line), Some(Event::Acked { n: None, partition: 3, offset: 42 }));
    }

    #[test]
    fn headers_come_in_pairs() {
        let line = r#"{"topic":"t","partition":1,"offset":6,"tstype":"create","ts":17,"broker":1,"headers":["a","b"],"key":null,"payload":"x"}"#;
        let Some(Event::Record(read)) = parse(line) else { unreachable!("it is a record") };
        assert_eq!(read.headers["a"], "b");
        assert_eq!(read.key, None);
    }
}
